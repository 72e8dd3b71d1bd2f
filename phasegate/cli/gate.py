"""`phasegate gate`: GO, NO-GO or INVALID for entering a phase.

Judges the files of a run; with `--host` a staging run is made first (`cli.staging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from phasegate.cli import options, soak_options
from phasegate.model.catalogue import load as load_catalogue
from phasegate.model.errors import CannotMeasure, DoesNotHold, UsageError
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records.gate import GateRecord


@click.command()
@options.run_argument
@click.option(
    "--to",
    type=click.IntRange(2, 4),
    required=True,
    help="Phase to enter: 2 (1k to 10k users), 3 (10k to 100k), 4 (beyond).",
)
@click.option(
    "--level",
    type=options.LEVEL,
    help="Stack level to judge [by what the database has, else the phase's own].",
)
@click.option(
    "--host",
    metavar="URL",
    callback=options.read_api_url,
    help="Load this API now and judge the result, instead of a RUN.",
)
@options.database_url
@click.option(
    "--compute", metavar="SIZE", help="The target's compute size, such as small: for its price."
)
@click.option("--duration", type=click.FloatRange(min=1), help="Seconds at the full rate [60].")
@soak_options.option
@click.option(
    "--request-budget",
    type=options.POSITIVE,
    help="Cap on requests sent [20,000; none for a --soak of this machine].",
)
@click.option(
    "--allow-writes",
    is_flag=True,
    help="Also drive sessions that write; what a project's sessions wrote is removed.",
)
@click.option(
    "--metrics-url",
    metavar="URL",
    help="Metrics of the database's host, in Prometheus's format "
    "[a hosted project's own, where SUPABASE_METRICS_KEY is set].",
)
@click.option(
    "--no-advise",
    is_flag=True,
    help="Do not measure what might help with the database's statements.",
)
@click.option(
    "--reads",
    metavar="LIST",
    help='Requests of HttpUsers that change nothing, though no GET: "POST /login,POST /q".',
)
@click.option(
    "--users-file",
    type=options.FILE,
    help="Act as these users (an id, or an id and a token, a line), not as the seeder's.",
)
@options.seed_number
@options.results
@options.as_json
def gate(
    run: Path | None,
    to: int,
    level: int | None,
    host: str | None,
    database_url: str | None,
    compute: str | None,
    duration: float | None,
    soak: float | None,
    request_budget: int | None,
    allow_writes: bool,
    no_advise: bool,
    metrics_url: str | None,
    reads: str | None,
    users_file: Path | None,
    seed: int | None,
    results: Path,
    *,
    as_json: bool,
) -> None:
    """GO, NO-GO or INVALID for entering a phase.

    With the reasons, what to do next, and what not to do yet. Judged from the files of RUN (a
    folder or an id; the newest run if left out), or with --host from a run made now: that API is
    driven at the phase's modelled peak with head-room, and the database only read. Its keys are
    SUPABASE_ANON_KEY and SUPABASE_JWT_SECRET; SUPABASE_METRICS_KEY also reads a hosted project's
    metrics. Ctrl-C ends it and keeps what was measured.

    With a RUN and a database URL: where RUN holds load alone, what its target holds is added;
    otherwise it says what your database has of the simplest stack, and what it lacks.
    """
    from phasegate import report
    from phasegate.cli import staging

    drives = bool(duration or soak or request_budget or allow_writes or metrics_url)
    _refuse(names_run=run is not None, names_host=host is not None, drives=drives)
    project = options.project_here() if host is None else options.project()
    catalogue = project.catalogue if project else load_catalogue()
    phase = report.phase_to_enter(catalogue, to)
    size = options.compute_of(catalogue, compute)
    had = None
    if host is None or project is None:
        folder = options.run_folder(run)
        if database_url is not None:
            had = _had(folder, project, database_url, size, users_file)
    else:
        if level is not None:
            project.level(level)
        plan = staging.StagingPlan(
            project=project,
            host=host,
            database_url=database_url,
            phase=phase,
            level=level,
            compute=size,
            seed=catalogue.run.seed if seed is None else seed,
            duration_s=soak or duration or staging.DURATION_S,
            request_budget=soak_options.budget_of(host, request_budget, soaks=soak is not None),
            allow_writes=allow_writes,
            users_file=users_file,
            results=results,
            reads=reads or "",
            metrics=staging.metrics_of(host, metrics_url),
            soaks=soak is not None,
            advise=not no_advise and soak is None,
        )
        folder = staging.run(plan)
        if soak is not None:
            soak_options.tell(folder, project, as_error=as_json)
    _say_verdict(report.gate(folder, to, level, project, had=had), as_json=as_json)


def _had(
    folder: Path,
    project: Project | None,
    database_url: str,
    size: Compute | None,
    users_file: Path | None,
) -> Mapping[str, str] | None:
    """What the user's database has of the project's techniques and of the run's candidates.

    A folder of load alone gets its target.json. None where that tells it, or the database is
    another app's; or where DATABASE_URL, which may be set for other commands, leads nowhere.

    Raises:
        CannotMeasure: the database that --database-url names cannot be reached.
    """
    # Brings the advise and stack rooms, which a verdict on files alone does not need.
    from phasegate.advise.found_parts import found_parts, holds_users
    from phasegate.cli import staging
    from phasegate.cli.least_candidates import Candidates
    from phasegate.stack.database import redact

    if not (folder / "run.json").exists():
        staging.complete(folder, database_url, size, users_file)
    if project is None or (folder / "target.json").exists():
        return None
    try:
        ours = holds_users(database_url, project.about)
    except CannotMeasure as error:
        context = click.get_current_context()
        if context.get_parameter_source("database_url") is ParameterSource.COMMANDLINE:
            raise
        options.say([error.sentence()])
        return None
    if not ours:
        table = project.about.users_table
        options.say([f"{redact(database_url)} has no {table}: it is not looked at"])
        return None
    return found_parts(database_url, Candidates.of_run(project, {}, folder).project)


def _refuse(*, names_run: bool, names_host: bool, drives: bool) -> None:
    """Refuse options that mean nothing together.

    Raises:
        UsageError: a run and a host, or how to drive without a host.
    """
    if drives and not names_host:
        raise UsageError(
            "--duration, --soak, --request-budget, --allow-writes and --metrics-url need a --host",
            untouched="Nothing was sent",
            then="Add --host URL, or leave these options out",
        )
    if names_run and names_host:
        raise UsageError(
            "--host makes a new run, so RUN cannot be given with it",
            untouched="Nothing was sent",
            then="Leave one of them out",
        )


def _say_verdict(record: GateRecord, *, as_json: bool) -> None:
    """Print it, and end with its exit code.

    Raises:
        DoesNotHold: NO-GO.
        CannotMeasure: INVALID.
    """
    from phasegate import report

    if as_json:
        options.print_json(record)
    else:
        for line in report.gate_lines(record):
            click.echo(line)
    if record.decision == "NO-GO":
        raise DoesNotHold(f"NO-GO for phase {record.phase}")
    if record.decision == "INVALID":
        raise CannotMeasure(f"INVALID: phase {record.phase} could not be judged")
