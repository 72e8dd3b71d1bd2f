"""Verbs that answer from the files of a run: report, gate, cost, compare, sql.

They never measure, with one exception: `gate --host` makes a staging run first.
"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from phasegate.cli import options, staging
from phasegate.model.errors import CannotMeasure, DoesNotHold, UsageError
from phasegate.records.gate import GateRecord
from phasegate.stack import level_script
from phasegate.stack.database import redact

RUN = click.argument("run", metavar="[RUN]", required=False, type=click.Path(path_type=Path))


def print_summary(folder: Path) -> None:
    """The five lines of a run and the path of its page."""
    from phasegate import report

    for line in report.summary(folder, options.catalogue()):
        click.echo(line)
    click.echo(options.near(folder / "report.html"))


@click.command()
@RUN
def report(run: Path | None) -> None:
    """Draw the charts and the page of RUN again from its files.

    RUN is a folder or an id; the newest run if left out.
    """
    from phasegate import report

    folder = options.run_folder(run)
    report.build(folder, options.catalogue())
    print_summary(folder)


@click.command()
@RUN
@click.option("--to", type=click.IntRange(2, 4), required=True, help="The phase to enter: 2, 3, 4.")
@click.option("--level", type=options.LEVEL, help="Stack level to judge [the phase's own].")
@click.option(
    "--host",
    metavar="URL",
    callback=options.read_api_url,
    help="Load this API now and judge the result, instead of a RUN.",
)
@options.database_url
@click.option("--compute", help="Compute size of the target, such as small; used for the price.")
@click.option("--duration", type=click.FloatRange(min=1), help="Seconds at the full rate [60].")
@click.option("--request-budget", type=options.POSITIVE, help="Cap on requests sent [20,000].")
@click.option(
    "--allow-writes", is_flag=True, help="Also create tasks; they are removed afterwards."
)
@click.option("--users-file", type=options.FILE, help="Act as these users, not as the seeder's.")
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
    request_budget: int | None,
    allow_writes: bool,
    users_file: Path | None,
    seed: int | None,
    results: Path,
    *,
    as_json: bool,
) -> None:
    """GO, NO-GO or INVALID for entering a phase.

    With the reasons, what to do next, and what not to do yet. Judged from
    the files of RUN (a folder or an id; the newest run if left out), or of a
    staging run made now: --host is driven at the phase's modelled peak with
    head-room, and the database looked at read-only. SUPABASE_ANON_KEY and
    SUPABASE_JWT_SECRET are its keys. RUN may hold the load of Locust's --out
    alone; a database URL then adds what its target holds.
    """
    from phasegate import report

    catalogue = options.catalogue()
    phase = report.phase_to_enter(catalogue, to)
    size = options.compute_of(catalogue, compute)
    if host is None:
        if duration or request_budget or allow_writes:
            raise UsageError(
                "--duration, --request-budget and --allow-writes need a --host",
                untouched="Nothing was sent",
                then="Add --host URL, or leave these options out",
            )
        folder = options.run_folder(run)
        if database_url is not None and not (folder / "run.json").exists():
            staging.complete(folder, database_url, size, users_file)
    elif run is not None:
        raise UsageError(
            "--host makes a new run, so RUN cannot be given with it",
            untouched="Nothing was sent",
            then="Leave one of them out",
        )
    else:
        plan = staging.Plan(
            host=host,
            database_url=database_url,
            phase=phase,
            level=report.level_of(to, level),
            compute=size,
            seed=catalogue.run.seed if seed is None else seed,
            duration_s=duration or staging.DURATION_S,
            request_budget=request_budget or staging.REQUEST_BUDGET,
            allow_writes=allow_writes,
            users_file=users_file,
            results=results.absolute(),
        )
        folder = staging.run(plan, catalogue)
    _say_verdict(report.gate(folder, to, level, catalogue), as_json=as_json)


def _say_verdict(record: GateRecord, *, as_json: bool) -> None:
    """Print it, and end with its exit code.

    Raises:
        DoesNotHold: NO-GO.
        CannotMeasure: INVALID.
    """
    from phasegate import report

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(record), indent=1))
    else:
        for line in report.gate_lines(record):
            click.echo(line)
    if record.decision == "NO-GO":
        raise DoesNotHold(f"NO-GO for phase {record.phase}")
    if record.decision == "INVALID":
        raise CannotMeasure(f"INVALID: phase {record.phase} could not be judged")


@click.command()
@RUN
@click.option("--users", type=options.POSITIVE, required=True, help="Registered users.")
def cost(run: Path | None, users: int) -> None:
    """What a month costs at that many users.

    Per stack level, from what RUN measured.
    """
    from phasegate import report

    for line in report.cost(options.run_folder(run), users, options.catalogue()):
        click.echo(line)


@click.command()
@click.argument("first", metavar="RUN_A", type=click.Path(path_type=Path))
@click.argument("second", metavar="RUN_B", type=click.Path(path_type=Path))
@click.option("--any-machine", is_flag=True, help="Compare runs even if their machines differ.")
def compare(first: Path, second: Path, *, any_machine: bool) -> None:
    """What moved from one run to another.

    And what changed in data, server and plans. RUN_A and RUN_B are folders or ids.
    """
    from phasegate import report

    folders = options.run_folder(first), options.run_folder(second)
    for line in report.compare(*folders, any_machine=any_machine, catalogue=options.catalogue()):
        click.echo(line)


@click.command()
@click.argument("technique", required=False)
@click.option("--undo", is_flag=True, help="Print the statements that undo it.")
@click.option("--level", type=options.LEVEL, help="A stack level's SQL instead, all of it.")
@click.option("--apply", is_flag=True, help="Print it, then run it on the database.")
@options.database_url
def sql(
    technique: str | None, level: int | None, database_url: str | None, *, undo: bool, apply: bool
) -> None:
    """A technique's migration, safe on a live table; or a stack level's SQL.

    Ready for supabase/migrations/; TECHNIQUE is an id, as idx_tasks_user_created.
    For a change of the client, the query that it should send, as comments.
    --level prints what brings a seeded database to a stack level, from any other;
    nothing is run without --apply, and then only on a data set of phasegate's.
    """
    if (technique is None) == (level is None):
        raise UsageError(
            "Either a technique or a --level is printed",
            untouched="Nothing was printed",
            then="Give one of them: phasegate sql TECHNIQUE, or phasegate sql --level N",
        )
    if technique is not None:
        if apply:
            raise UsageError(
                "--apply goes with --level alone; a technique's migration is printed, never run",
                untouched="Nothing was changed",
                then="Run it as your migrations are run, with psql or the Supabase CLI",
            )
        from phasegate.project import load_project

        click.echo(load_project().migration_of(technique, undo=undo), nl=False)
        return
    if undo:
        raise UsageError(
            "--undo takes a technique back; a level is left for another",
            untouched="Nothing was printed",
            then="Give the lower level: phasegate sql --level N",
        )
    assert level is not None  # noqa: S101 - one of the two is given; tells the type checker
    if not apply:
        click.echo(level_script.script(level), nl=False)
        return
    if database_url is None:
        raise UsageError(
            "--apply needs a database",
            untouched="Nothing was changed",
            then="Set DATABASE_URL, or give --database-url",
        )
    level_script.apply_script(database_url, level, lambda text: click.echo(text, nl=False))
    click.echo(f"-- Applied to {redact(database_url)}: stack level {level}")
