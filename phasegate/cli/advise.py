"""`phasegate advise`: candidates from the project's own statements, measured; keep one.

Writes `advice.json` and `candidates/` into `results/advice-<when>/`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from phasegate.cli import console, options
from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.advice import AdviceRecord, Finding
from phasegate.records.faults import require_writable

# Seconds of measuring for each data set, unless --budget says otherwise.
BUDGET_S = 60.0
PREFIX = "advice-"


@click.command()
@click.option(
    "--users", type=options.POSITIVE, help="Registered users of the largest copy [10,000]."
)
@click.option("--level", type=options.LEVEL, default=1, show_default=True, help="Stack level.")
@options.database_url
@options.seed_number
@click.option(
    "--budget", type=click.FloatRange(min=1), help="Seconds for measuring [60 for each size]."
)
@click.option(
    "--keep",
    "kept",
    metavar="ID",
    help="Copy a candidate of the newest advice to benchmarks/; measure nothing.",
)
@options.as_json
@options.results
def advise(
    users: int | None,
    level: int,
    database_url: str | None,
    seed: int | None,
    budget: float | None,
    kept: str | None,
    results: Path,
    *,
    as_json: bool,
) -> None:
    """Measure which indexes, policies and rewrites help, and from how many users on.

    Also what each costs and saves. Statements come from the project's own sessions on our copy, or
    with a database URL from pg_stat_statements of that database, which is only read. Every
    candidate is measured on our copy.
    """
    project = options.project()
    project.level(level)
    if kept is not None:
        _keep(project, results, kept)
        return
    number = project.catalogue.run.seed if seed is None else seed
    record, folder = _measured(project, users, level, database_url, number, budget, results)
    if as_json:
        options.print_json(record)
        return
    for line in lines(record, folder):
        click.echo(line)


def _measured(
    project: Project,
    users: int | None,
    level: int,
    foreign: str | None,
    seed: int,
    budget: float | None,
    results: Path,
) -> tuple[AdviceRecord, Path]:
    # Locust's and PostgreSQL's rooms take a second to import; --help and --keep need none of them.
    from phasegate import seeding
    from phasegate.advise import inventory
    from phasegate.advise.run import AdvicePlan
    from phasegate.advise.run import advise as measure
    from phasegate.advise.statements import read_statements
    from phasegate.stack.cache import cache_dir, locked
    from phasegate.stack.levels import apply_level
    from phasegate.stack.postgres import cluster_dir, running_postgres

    require_writable(results, purpose="results")
    if foreign is not None:
        read_statements(foreign)  # what it lacks is said before minutes are spent on our copy
        for line in inventory.lines(inventory.inventory(foreign, project)):
            click.echo(line, err=True)
    sizes = project.catalogue.run.sizes_up_to(users or 10_000)
    plan = AdvicePlan(project, level, seed, budget or BUDGET_S * len(sizes), foreign)
    with (
        locked(cache_dir(), "phasegate advise"),
        running_postgres(cluster_dir()) as server,
        tempfile.TemporaryDirectory(prefix=f".{PREFIX}", dir=results) as beside,
    ):
        databases = {}
        for size in sizes:
            name = f"seed {size:,} users"
            with console.row_bar(name) as move:
                databases[size], _ = seeding.ensure_dataset(
                    server, users=size, seed=seed, on_progress=move
                )
            apply_level(databases[size], level, project)
        with console.step("advise") as show:
            record = measure(plan, server, databases, Path(beside), on_progress=show)
        folder = results / f"{PREFIX}{record.started_at.replace(':', '').replace('+0000', 'Z')}"
        Path(beside).rename(folder)
        folder.chmod(0o755)
        Path(beside).mkdir()  # for the block's own end
    return record, folder


def lines(record: AdviceRecord, folder: Path) -> Iterator[str]:
    """The findings as a table for a terminal, and what to do with them."""
    from phasegate.report.advice import summary

    yield summary(record)
    yield ""
    for finding in record.findings:
        yield from _shown(finding)
    yield ""
    yield f"All of it is in {options.near(folder)}. A migration: phasegate sql ID [--undo]"
    yield "Keep one in benchmarks/: phasegate advise --keep ID"


def _shown(finding: Finding) -> Iterator[str]:
    from phasegate.report.advice import rows

    head, *more = rows(finding)
    yield f"{finding.advice.upper():<16}{finding.id}"
    yield f"{'':<16}{head}"
    for line in more:
        yield f"{'':<16}{line}"


def proposed(results: Path, id_: str) -> Path | None:
    """The folder of a candidate, of the newest advice that has it; None where none has."""
    return next((f / "candidates" / id_ for f in _advised(results) if id_ in _ids(f)), None)


def _advised(results: Path) -> list[Path]:
    """Folders with advice, the newest first."""
    records = results.glob("*/advice.json")
    newest = sorted(records, key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in newest]


def _ids(folder: Path) -> list[str]:
    return [each.id for each in store.read(folder / "advice.json", AdviceRecord).findings]


def _keep(project: Project, results: Path, id_: str) -> None:
    from phasegate.advise.candidate import keep

    folders = _advised(results)
    if not folders:
        raise ConfigurationError(
            f"There is no advice in {options.near(results)} yet", then="Make one: phasegate advise"
        )
    found = proposed(results, id_)
    if found is None:
        raise UsageError(
            f"There is no candidate {id_!r} in {options.near(folders[0] / 'advice.json')}",
            untouched="Nothing was changed",
            then=f"Choose among {', '.join(_ids(folders[0])) or 'none'}",
        )
    target = keep(found, project.benchmarks)
    click.echo(f"Kept as {options.near(target)}. Its migration: phasegate sql {id_}")
