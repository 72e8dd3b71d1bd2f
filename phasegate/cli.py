"""The verbs. Each parses, calls its room, and prints; errors rise to `phasegate.__main__`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import click
import msgspec

from phasegate import doctor as doctor_verb
from phasegate import local, pipeline, seeding
from phasegate import perf as perf_verb
from phasegate.circumstances import code_version
from phasegate.journal import RESULTS
from phases import catalogue as catalogues
from phases.errors import DoesNotHold
from stack.compute import find_compute
from stack.health import check as check_health
from stack.health import github_annotations, is_healthy
from stack.local import down as stop_level

OVERRIDES = Path("phasegate.toml")

POSITIVE = click.IntRange(min=1)
LEVEL = click.IntRange(1, 3)
FOLDER = click.Path(path_type=Path, file_okay=False)


def _catalogue() -> catalogues.Catalogue:
    return catalogues.load(OVERRIDES if OVERRIDES.exists() else None)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(code_version(), prog_name="phasegate")
def phasegate() -> None:
    """Can this Postgres app go from 1k to 10k to 100k users?

    What breaks first, which fix helps, from how many users on, and what will it cost: answered by
    measuring.

    Exit codes: 0 holds · 1 does not hold · 2 the call or the configuration is wrong · 3 could not
    be measured fairly. Defaults come from the catalogue; a phasegate.toml beside you overrides it.
    """


@phasegate.command()
@click.option("--users", type=POSITIVE, help="Registered users of the largest data set.")
@click.option("--seed", type=int, help="Seed of the data: the same one gives the same bytes.")
@click.option("--jobs", type=POSITIVE, default=2, show_default=True, help="Seeding processes.")
@click.option("--quick", is_flag=True, help="The small form: 2,000 users, under 90 s.")
@click.option("--fresh", is_flag=True, help="Seed again even if the same data set is at hand.")
@click.option("--results", type=FOLDER, default=RESULTS, help="Where runs are kept [results/].")
def run(
    users: int | None, seed: int | None, jobs: int, *, quick: bool, fresh: bool, results: Path
) -> None:
    """Seed, load, benchmark and report, on a PostgreSQL of our own."""
    catalogue = _catalogue()
    defaults = catalogue.run
    chosen = users or (defaults.quick_users if quick else defaults.users)
    plan = pipeline.Plan(
        users=chosen,
        sizes=defaults.sizes_up_to(chosen),
        seed=defaults.seed if seed is None else seed,
        quick=quick,
        jobs=jobs,
        fresh=fresh,
        results=results.resolve(),
        cell_s=defaults.cell_s,
        probe_s=defaults.probe_s,
        probes_max=defaults.probes_max,
        benchmark_budget_s=defaults.benchmark_budget_s,
    )
    if quick:
        plan = replace(
            plan,
            cell_s=defaults.quick_cell_s,
            probes_max=defaults.quick_probes_max,
            benchmark_budget_s=defaults.quick_benchmark_budget_s,
        )
    folder = pipeline.run(plan, catalogue)
    _print_summary(folder)


@phasegate.command()
@click.option("--users", type=POSITIVE, required=True, help="Registered users.")
@click.option(
    "--database-url",
    envvar="DATABASE_URL",
    help="An empty PostgreSQL ≥ 14, or one that phasegate filled; rather set DATABASE_URL, since "
    "arguments show in process lists. Without either, phasegate's own server is filled.",
)
@click.option("--seed", type=int, help="The same seed gives the same bytes.")
@click.option("--jobs", type=POSITIVE, default=2, show_default=True, help="Seeding processes.")
@click.option("--locale", "locales", multiple=True, help="Faker's, as en_US; may be repeated.")
@click.option("--replace", is_flag=True, help="Drop another data set of phasegate's first.")
@click.option("--fresh", is_flag=True, help="Seed again even if the same data set is at hand.")
@click.option("--describe", is_flag=True, help="Only say how the data are distributed.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def seed(
    users: int,
    database_url: str | None,
    seed: int | None,
    jobs: int,
    locales: tuple[str, ...],
    *,
    replace: bool,
    fresh: bool,
    describe: bool,
    as_json: bool,
) -> None:
    """Fill a PostgreSQL with a deterministic population: users, projects, tasks, activity logs."""
    catalogue = _catalogue()
    number = catalogue.run.seed if seed is None else seed
    population = catalogue.population
    if locales:
        population = msgspec.structs.replace(population, locales=locales)
    if describe:
        click.echo(seeding.describe(users, number, population))
        return
    record = seeding.fill(
        database_url,
        users=users,
        number=number,
        jobs=jobs,
        replace=replace,
        fresh=fresh,
        population=population,
    )
    if as_json:
        click.echo(msgspec.json.encode(record))
        return
    for line in seeding.lines(record):
        click.echo(line)


def _print_summary(folder: Path) -> None:
    import report  # imports matplotlib, which takes a second

    for line in report.summary(folder):
        click.echo(line)
    click.echo(_near(folder / "report.html"))


def _near(path: Path) -> str:
    """`path` as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@phasegate.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Draw the charts and the page of RUN (its folder, or its id) again from its files."""
    import report as report_room  # imports matplotlib, which takes a second

    found = folder if folder.exists() else RESULTS / folder
    report_room.build(found)
    _print_summary(found)


@phasegate.command()
@click.option(
    "--level", type=click.IntRange(1, 3), default=1, show_default=True, help="Stack level."
)
@click.option("--users", type=POSITIVE, help="Registered users of the data set [2000].")
@click.option("--seed", type=int, help="Seed of the data.")
@click.option("--compute", help="Supabase size whose memory and connections to emulate, as small.")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the API; any free one by default.")
def up(
    level: int, users: int | None, seed: int | None, compute: str | None, port: int | None
) -> None:
    """Start a local stack that stays up; prints how to reach it. `phasegate down` ends it."""
    catalogue = _catalogue()
    state = local.up(
        level=level,
        users=users or catalogue.run.quick_users,
        number=catalogue.run.seed if seed is None else seed,
        population=catalogue.population,
        compute=None if compute is None else find_compute(catalogue, compute),
        port=port,
    )
    for line in local.state_lines(state):
        click.echo(line)


@phasegate.command()
def down() -> None:
    """Stop the stack that `phasegate up` started."""
    stopped = stop_level()
    names = ", ".join(process.name for process in stopped)
    click.echo(f"Stopped: {names}." if stopped else "Nothing was up.")


@phasegate.command()
@click.argument("url", required=False, envvar="SUPABASE_URL")
@click.option(
    "--database-url",
    envvar="DATABASE_URL",
    help="DSN of its database; rather set DATABASE_URL: arguments show in process lists.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
def health(url: str | None, database_url: str | None, *, as_json: bool) -> None:
    """Is it well? API, auth, database, pool, replica, statistics view, partitions, queue."""
    checks = check_health(url, database_url, anon_key=os.environ.get("SUPABASE_ANON_KEY"))
    if as_json:
        click.echo(msgspec.json.encode(checks))
    else:
        for line in local.check_lines(checks):
            click.echo(line)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in github_annotations(checks):
            click.echo(line)
    if not is_healthy(checks):
        failed = ", ".join(one.name for one in checks if one.outcome == "failed")
        raise DoesNotHold(f"Not healthy: {failed}")


@phasegate.command()
def doctor() -> None:
    """What phasegate finds on this machine, and which folder it keeps things in."""
    for line in doctor_verb.lines():
        click.echo(line)


@phasegate.command()
@click.argument("rooms", nargs=-1, type=click.Choice(sorted(perf_verb.ROOMS)))
@click.option("--results", type=FOLDER, default=RESULTS, help="Where runs are kept [results/].")
def perf(rooms: tuple[str, ...], results: Path) -> None:
    """Measure our figures beside peers' and limits, as ratios in one run. All ROOMS by default."""
    record = perf_verb.measure(rooms or tuple(perf_verb.ROOMS), results.resolve())
    click.echo(perf_verb.table(record))
    if not all(row.holds for row in record.rows):
        raise DoesNotHold("At least one figure misses its goal")
