"""`phasegate init`: a project from a user's database, or from its migrations; its workflows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from phasegate.cli import options
from phasegate.model.errors import ConfigurationError, PhasegateError, UsageError
from phasegate.project import load_project
from phasegate.project.find import FILE as PROJECT_FILE

if TYPE_CHECKING:  # the rooms take a second to import; the help does without them
    from phasegate.adopt.adoption import Adopted
    from phasegate.adopt.project_folder import Change
    from phasegate.record import Recorded

NAMED_MAX = 10
LOCUSTFILE = "loadtests/locustfile.py"
NEXT = (
    "commit them, set the secrets that docs/nightly.md names, and tag a release (v…) or set the "
    "variable BENCHMARK_BASELINE: what a night is compared with"
)


@click.command()
@click.argument("folder", metavar="[DIR]", type=options.FOLDER, default=".")
@options.database_url
@click.option(
    "--migrations",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the Supabase CLI, Prisma, Drizzle, or of .sql files; applied to a local copy.",
)
@click.option("--schema", "schemas", multiple=True, help="Only this schema; may be repeated [all].")
@click.option("--users-table", metavar="TABLE", help="The one with a row for each user [found].")
@click.option(
    "--har",
    "recordings",
    metavar="FILE",
    multiple=True,
    type=options.FILE,
    help="What a browser recorded: sessions are made of it (phasegate record); may be repeated.",
)
@click.option("--name", help="Of the project [DIR's].")
@click.option(
    "--workflows",
    is_flag=True,
    help="Write GitHub workflows alone: nightly, staging, health.",
)
@click.option("--diff", is_flag=True, help="Show what would be written, and write nothing.")
@click.pass_context
def init(
    ctx: click.Context,
    folder: Path,
    database_url: str | None,
    migrations: Path | None,
    schemas: tuple[str, ...],
    users_table: str | None,
    recordings: tuple[Path, ...],
    name: str | None,
    *,
    workflows: bool,
    diff: bool,
) -> None:
    """Make a project from your database, or from its migrations.

    The database is only read, in one read-only transaction: names, types, constraints, policies,
    row counts and planner statistics, never a row. phasegate.toml, seed/, loadtests/, benchmarks/
    and results/ appear in DIR (the current folder if left out), each guess with its reason beside
    it. A second init shows what changed, and leaves alone what you edited. --workflows is for a
    project that is there: the workflows go into its repository's .github/.
    """
    from phasegate.adopt.adoption import adopt
    from phasegate.adopt.project_folder import compare, write
    from phasegate.record import record

    by_hand = ctx.get_parameter_source("database_url") is ParameterSource.COMMANDLINE
    if workflows:
        if by_hand or migrations or recordings:
            raise UsageError(
                "--workflows is for a project that is there, and reads no source",
                untouched="Nothing was written",
                then="Make the project first, then call init --workflows",
            )
        is_named = ctx.get_parameter_source("folder") is ParameterSource.COMMANDLINE
        _write_workflows(folder if is_named else None, diff=diff)
        return
    dsn = database_url if by_hand or migrations is None else None
    if dsn is None and migrations is None:
        raise UsageError(
            "init needs a source",
            untouched="Nothing was written",
            then="Give --migrations DIR, or set DATABASE_URL",
        )
    recorded = record(recordings) if recordings else None
    root = folder.absolute()
    adopted = adopt(
        name=name or root.resolve().name,
        dsn=dsn,
        migrations=migrations,
        schemas=schemas,
        users_table=users_table,
        on_step=_tell,
    )
    files = adopted.files if recorded is None else {**adopted.files, LOCUSTFILE: recorded.text}
    changes = compare(root, files)
    if not diff:
        write(root, files, changes)
    there = _there(dsn, root) if dsn is not None else ()
    heard = () if recorded is None else about_recording(recorded)
    for line in (*about(adopted), *there, *heard, *written(folder, changes, diff=diff)):
        click.echo(line)


def _write_workflows(folder: Path | None, *, diff: bool) -> None:
    """Write the workflows of the project in `folder`, or of the one here, into its repository."""
    from phasegate.adopt.project_folder import compare, write
    from phasegate.adopt.workflows import FOLDER as WORKFLOWS
    from phasegate.adopt.workflows import workflows as workflow_files
    from phasegate.nightly.worktrees import repository_of

    project = load_project(folder).root
    try:
        repository = repository_of(project)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{project} lies in no git repository",
            untouched="Nothing was written",
            then="`git init` makes one; the workflows go into its .github/",
        ) from error
    place = project.relative_to(repository).as_posix()
    files = workflow_files(place, version("phasegate"))
    record = f"{WORKFLOWS}/init.toml"
    changes = compare(repository, files, record, "Move it away, then call init --workflows again")
    if not diff:
        write(repository, files, changes, record)
    for line in written(repository, changes, diff=diff, then=NEXT):
        click.echo(line)


def _tell(step: str) -> None:
    click.echo(f"phasegate: {step} …", err=True)


def about(adopted: Adopted) -> Iterator[str]:
    """What was understood, and what is lacking."""
    guess = adopted.guess
    count = len(adopted.shape.tables)
    yield f"{count} {'table' if count == 1 else 'tables'} from {adopted.came_from}"
    yield from (f"  {remark}" for remark in adopted.remarks)
    yield f"users are in {guess.users_table}: {guess.users_reason}"
    yield from _listed("not in the copy", [loss.sentence for loss in adopted.losses])
    yield from _listed("to be said by you", [str(problem) for problem in guess.problems])


def _there(dsn: str, root: Path) -> Iterator[str]:
    """What the database has of what a stack can have, techniques of the project too."""
    # Brings the advise room, which only a database asks for.
    import asyncpg

    from phasegate.advise import inventory
    from phasegate.report.format import plain

    try:
        project = load_project(root) if (root / PROJECT_FILE).is_file() else None
        yield from inventory.lines(inventory.inventory(dsn, project))
    except (PhasegateError, asyncpg.PostgresError) as error:
        # The project is made all the same: somebody's edits cannot be read, or rights are lacking.
        yield f"not looked for what the database has beside its tables: {plain(str(error))}"


def about_recording(recorded: Recorded) -> Iterator[str]:
    """What the sessions were made of, and what to look at."""
    requests = (
        "1 recorded request" if recorded.requests == 1 else f"{recorded.requests} recorded requests"
    )
    yield f"sessions from {requests} to {recorded.host}"
    yield from _listed("to look at", list(recorded.findings))
    yield from (f"  {remark}" for remark in recorded.remarks)


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines[:NAMED_MAX])
        if len(lines) > NAMED_MAX:
            yield f"  … and {len(lines) - NAMED_MAX} more"


def written(
    folder: Path, changes: tuple[Change, ...], *, diff: bool, then: str = ""
) -> Iterator[str]:
    """What became of each file, and what to do next."""
    from phasegate.adopt.project_folder import State

    first = all(change.state is State.NEW for change in changes)
    if first and not diff:
        yield f"written to {folder}: " + ", ".join(change.path for change in changes)
        place = "" if folder == Path() else f"cd {shlex.quote(str(folder))}; "
        yield f"next: {then or f'{place}phasegate seed --users 1000, then phasegate run --quick'}"
        return
    for change in changes:
        if change.diff and not first:
            yield change.diff
    counted = {state: [c.path for c in changes if c.state is state] for state in State}
    would = "would be " if diff else ""
    for state, paths in counted.items():
        if paths and state is not State.SAME:
            yield f"{would}{state.value}: {', '.join(paths)}"
    if all(change.state is State.SAME for change in changes):
        yield "nothing has changed"
