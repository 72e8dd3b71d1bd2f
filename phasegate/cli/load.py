"""`phasegate load`: drive an API with a locustfile, a project's or any other, and judge it.

Starts Locust with phasegate in it; writes `<results>/<id>/load/<stage>.json`. Whatever else is
given goes to Locust as it is.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from phasegate.cli import options, soak_options
from phasegate.load.options import STAGE_DURATION_S, USERS_DEFAULT
from phasegate.load.run import END_S
from phasegate.load.stages import parse_size
from phasegate.model.catalogue import load as load_catalogue
from phasegate.model.errors import ConfigurationError, ExitCode, UsageError
from phasegate.records.faults import require_writable

STAGE = "load"


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    del ctx, param
    return None if value is None else parse_size(value)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "-f",
    "--locustfile",
    type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
    help="Sessions [the project's]; - in a --worker: the master's.",
)
@click.option(
    "--host",
    metavar="URL",
    callback=options.read_api_url,
    help="The API [SUPABASE_URL, or the locustfile's own].",
)
@click.option(
    "--users-registered",
    metavar="N",
    callback=_size,
    help="Registered users, as 10k: sessions come at their modelled peak, with the gate's "
    f"head-room [{USERS_DEFAULT:,}].",
)
@click.option(
    "--arrival-rate", type=float, help="Sessions per second, instead of the modelled peak."
)
@click.option("--stages", help="A stage for each number of registered users: 1k,10k,100k.")
@click.option(
    "--duration",
    type=click.FloatRange(min=1),
    help=f"Seconds of each stage [{STAGE_DURATION_S:g}].",
)
@soak_options.option
@options.database_url
@click.option("--web", is_flag=True, help="Open Locust's web UI, where the test is started.")
@click.option("--out", type=options.FOLDER, help="Folder of the records [a new one in --results].")
@options.results
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[LOCUST'S OPTIONS]")
@click.pass_context
def load(
    ctx: click.Context,
    locustfile: Path | None,
    host: str | None,
    users_registered: int | None,
    arrival_rate: float | None,
    stages: str | None,
    duration: float | None,
    soak: float | None,
    database_url: str | None,
    out: Path | None,
    results: Path,
    more: tuple[str, ...],
    *,
    web: bool,
) -> None:
    """Drive an API with a locustfile: PASS, FAIL or INVALID.

    Any locustfile, unedited, in a project or outside one. Users of an HttpUser
    or FastHttpUser arrive whatever the server does; each logs in (on_start),
    acts as long as a session lasts (--tasks-per-session), and leaves
    (on_stop). Latency counts from when a request was due. What in the file
    has no effect then (wait_time of a closed model, load shapes) is named.

    Further options are Locust's (--csv, --html, --processes, --tags, --master,
    --worker …) and phasegate's (--tasks-per-session, --think-time-scale,
    --allow-writes, --reads, --request-budget, --users-file …), listed by
    `locust --help` on a project's locustfile and in docs/commands.md. On a host
    that is not this machine only reads are sent.

    With --soak one stage lasts long, and what recurs and drifts is told; with
    a database URL also what the server did meanwhile. Ctrl-C ends it and
    keeps what was measured.
    """
    if soak:
        _refuse(host, more, manages=bool(stages or web or "--worker" in more))
    file = _locustfile(locustfile)
    is_worker = "--worker" in more
    folder = None if is_worker else out or _new_folder(results, users_registered) / "load"
    if folder is not None:
        require_writable(folder.parent, purpose="records")
    command = [sys.executable, "-m", "phasegate.load", "-f", str(file)]
    if not (web or is_worker):
        command += ["--headless", "--only-summary"]
    asked = {
        "--host": host,
        "--users-registered": users_registered,
        "--arrival-rate": arrival_rate,
        "--stages": stages,
        "--stage-duration": soak or duration or STAGE_DURATION_S,
        "--intervals": soak_options.interval_s(soak) if soak else None,
        "--out": folder,
    }
    if not stages:
        users = users_registered or USERS_DEFAULT
        asked |= {"--users-registered": users, "--stage-name": STAGE}
        asked["--arrival-rate"] = arrival_rate or _peak_per_s(users)
    for option, value in asked.items():
        if value is not None:
            command += [option, str(value)]
    code = _drive([*command, *more], folder if soak else None, database_url)
    if folder is not None and any(folder.glob("*.json")):
        click.echo(f"Recorded in {options.near(folder)}/")
        if folder.name == "load":
            click.echo(f"Judge it: phasegate gate {options.near(folder.parent)} --to PHASE")
    ctx.exit(code if code >= 0 else ExitCode.WRONG_CALL)


def _refuse(host: str | None, more: tuple[str, ...], *, manages: bool) -> None:
    """Refuse a soak of several stages, of a test that somebody else begins, or without a budget.

    Raises:
        UsageError: it is one.
    """
    if host and not any(each.startswith("--request-budget") for each in more):
        soak_options.budget_of(host, None, soaks=True)
    if manages:
        raise UsageError(
            "--soak drives one stage: --stages, --web and --worker do not go with it",
            untouched="No request was sent",
            then="Leave them out",
        )


def _drive(command: list[str], soaked: Path | None, database_url: str | None) -> int:
    """Run Locust to its end; returns its exit code. Of a soak into `soaked` its answer is told.

    A soak's database is watched, and Ctrl-C ends it in order.
    """
    if soaked is None:
        return subprocess.run(command, check=False).returncode
    from phasegate.stack.sampler import sampling

    with ExitStack() as watched:
        if database_url is not None:
            out = soaked.parent / "sampler"
            watched.enter_context(sampling(database_url, stage=STAGE, out=out, events=True))
        # A session of its own: Ctrl-C is for us, who end it in order.
        child = subprocess.Popen(command, start_new_session=True)
        try:
            code = child.wait()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)
            code = child.wait(END_S)
        finally:
            if child.poll() is None:
                child.kill()
    soak_options.tell(soaked.parent, options.project_here())
    click.echo(f"Draw it over time: phasegate report {options.near(soaked.parent)}")
    return code


def _peak_per_s(users: int) -> float:
    """Sessions a second at the modelled peak of `users`, with the gate's head-room."""
    project = options.project_here()
    catalogue = project.catalogue if project else load_catalogue()
    return round(catalogue.workload.arrival_rate_per_s(users) * catalogue.gate.head_room, 6)


def _locustfile(named: Path | None) -> Path:
    if named is not None:
        return named
    project = options.project_here()
    if project is None:
        raise ConfigurationError(
            "There is no project here, whose sessions would be driven",
            untouched="No request was sent",
            then="Name a locustfile with -f FILE, or a project with --project DIR",
        )
    if not project.locustfile.is_file():
        raise ConfigurationError(
            f"The project {project.about.name} has no loadtests/locustfile.py",
            untouched="No request was sent",
            then="Name a locustfile with -f FILE",
        )
    return project.locustfile


def _new_folder(results: Path, users: int | None) -> Path:
    """A folder for one test."""
    size = USERS_DEFAULT if users is None else users
    written = f"{size // 1000}k" if size % 1000 == 0 else str(size)
    return results / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{written}-load"
