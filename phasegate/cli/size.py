"""`phasegate size`: on which compute size does it hold, for ever and while a burst lasts?

Seeds what is missing, drives the load under one size after another, and adds `sizes.json` to the
folder of a run, whose page is drawn again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from phasegate.cli import console, options
from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import CannotMeasure, DoesNotHold
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.least import LeastRecord
from phasegate.records.sizes import SizeAnswer, SizesRecord
from phasegate.stack.compute import find_compute

if TYPE_CHECKING:  # the rooms take a second to import; the help does without them
    from phasegate.cli.least_candidates import Candidates
    from phasegate.stack.postgres import PostgresServer

FILE = "sizes.json"


@dataclass(frozen=True)
class Asked:
    """What the command was asked for."""

    project: Project
    sizes: tuple[int, ...]
    """Registered users."""
    parts: frozenset[str] | None
    """That the stack has; the simplest that holds if None."""
    seed: int
    jobs: int
    cell_s: float
    compute: tuple[Compute, ...]
    """Sizes to choose from, ascending."""


@click.command()
@options.run_argument
@click.option(
    "--users", type=options.POSITIVE, help="Registered users [each phase's bound: 1k, 10k, 100k]."
)
@click.option("--level", type=options.LEVEL, help="Stack level [the simplest stack that holds].")
@click.option("--with", "added", help="Parts besides the level's, comma-separated: pooler,replica.")
@click.option("--without", "removed", help="Parts of the level to leave out.")
@click.option(
    "--sizes",
    help="Drive these alone, and leave RUN's page as it is: micro,small [all that fit here].",
)
@options.seed_number
@options.jobs
@options.as_json
def size(
    run: Path | None,
    users: int | None,
    level: int | None,
    added: str | None,
    removed: str | None,
    sizes: str | None,
    seed: int | None,
    jobs: int,
    *,
    as_json: bool,
) -> None:
    """The smallest compute size that holds.

    For ever, and while a burst lasts: how long that is on the modelled day, and what comes after.
    Each size is driven with its memory, processor and disk in force, with a cold and a warm cache.
    The page of RUN (a folder or an id; the newest run if left out) gets a section of it.
    """
    from phasegate import report

    project = options.project()
    catalogue = project.catalogue
    asked = Asked(
        project=project,
        sizes=(users,) if users else catalogue.run.sizes,
        parts=_parts(project, level, added, removed),
        seed=catalogue.run.seed if seed is None else seed,
        jobs=jobs,
        cell_s=catalogue.run.cell_s,
        compute=possible_sizes(catalogue, options.names(sizes or "")),
    )
    folder = None if sizes else options.run_to_add_to(run, project, asked.seed)
    record = measure(asked, folder)
    if folder is not None:
        record = _added(folder, record)
        report.build(folder, project)
    if as_json:
        options.print_json(record)
    else:
        asked_for = tuple(each for each in record.answers if each.users in asked.sizes)
        for line in report.size_lines(
            msgspec.structs.replace(record, answers=asked_for), catalogue
        ):
            click.echo(line)
    _conclude(record)


def _parts(
    project: Project, level: int | None, added: str | None, removed: str | None
) -> frozenset[str] | None:
    """The parts that were asked for; None where none were."""
    if level is None and not added and not removed:
        return None
    project.level(level or 1)
    return project.parts_in_force(
        level or 1, options.names(added or ""), options.names(removed or "")
    )


def stacks(
    asked: Asked, users: int, folder: Path | None, known: Candidates
) -> Iterator[frozenset[str]]:
    """Sets of parts to try, the simplest first.

    The simplest stack that a run was seen to hold `users` with, where it searched one; the levels
    else, in their order.

    Args:
        asked: what the command was asked for.
        users: registered ones.
        folder: of the run; None where there is none.
        known: the project's parts, and the candidates of that run, kept or not.
    """
    project = known.project
    if asked.parts is not None:
        yield asked.parts
        return
    if folder is not None and (folder / "least.json").exists():
        for stack in store.read(folder / "least.json", LeastRecord).stacks:
            if stack.users == users and stack.outcome == "holds":
                added = [needed.part for needed in stack.needed]
                if lost := {*added, *stack.kept_up_by} - project.known_parts:
                    console.say(_lost(users, sorted(lost)))
                else:
                    yield known.stack_of(added) | set(stack.kept_up_by)
    for level in range(1, len(project.levels) + 1):
        yield project.parts_of(level)


def _lost(users: int, parts: Sequence[str]) -> str:
    return (
        f"  not driven: the simplest stack of the run for {users:,} users needs "
        f"{', '.join(parts)}, which neither the project nor the run has any more; the levels are "
        "tried instead"
    )


def measure(asked: Asked, folder: Path | None) -> SizesRecord:
    """Search the size for each number of users; files go below `folder`, or nowhere if None."""
    from phasegate import seeding
    from phasegate.cli.drive_matrix import taking_away
    from phasegate.cli.least_candidates import Candidates
    from phasegate.load.capacity_matrix import HEAD_ROOM
    from phasegate.stack.cache import cache_dir, locked
    from phasegate.stack.machine import machine
    from phasegate.stack.postgres import cluster_dir, running_postgres

    answers = []
    known = Candidates(asked.project, {})
    if folder is not None:
        known = Candidates.of_run(asked.project, {}, folder)
    with (
        locked(cache_dir(), "phasegate size"),
        _kept_in(folder) as run_dir,
        running_postgres(cluster_dir()) as server,
    ):
        for users in asked.sizes:
            name = f"seed {users:,} users"
            with console.row_bar(name) as move:
                dsn, _ = seeding.ensure_dataset(
                    server, users=users, seed=asked.seed, jobs=asked.jobs, on_progress=move
                )
            with (
                console.step(f"sizes for {users:,} users") as show,
                taking_away({users: dsn}, known),
            ):
                answers.append(_answer(asked, users, folder, known, server, dsn, run_dir, show))
    return SizesRecord(
        format_version=SizesRecord.FORMAT_VERSION,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        seed=asked.seed,
        head_room=HEAD_ROOM,
        answers=tuple(answers),
    )


def possible_sizes(catalogue: Catalogue, names: Sequence[str] = ()) -> tuple[Compute, ...]:
    """Those that this machine can put in force, ascending.

    Args:
        catalogue: has the sizes.
        names: of those that were asked for; all if empty.

    Raises:
        UsageError: there is none of that name.
        CannotMeasure: the machine is smaller than one that was asked for, or than every one.
    """
    from phasegate.stack.emulation import available_cores, available_memory_bytes

    cores, memory = available_cores(), available_memory_bytes()
    here = f"This machine ({cores:g} cores, {memory / (1 << 30):.1f} GiB) is smaller than"
    asked = [find_compute(catalogue, name) for name in names]
    found = tuple(
        each
        for each in catalogue.compute
        if each.cores * each.cpu_baseline_share <= cores
        and each.memory_gb * (1 << 30) <= memory
        and (each in asked or not asked)
    )
    missing = [each.name for each in asked if each not in found]
    if missing or not found:
        raise CannotMeasure(
            f"{here} {', '.join(missing) or 'every compute size'}",
            untouched="Nothing was started",
            then="Measure on a larger one",
        )
    return found


def _answer(
    asked: Asked,
    users: int,
    folder: Path | None,
    known: Candidates,
    server: PostgresServer,
    dsn: str,
    run_dir: Path,
    show: Callable[[str], None],
) -> SizeAnswer:
    """The size for the simplest of the stacks that holds on the largest size."""
    from phasegate.cli.drive_sizes import search_sizes
    from phasegate.load.size_drives import SizePlan
    from phasegate.stack.postgres import cluster_dir

    project, search = known.project, None
    for parts in stacks(asked, users, folder, known):
        wholes = [n for n in range(1, len(project.levels) + 1) if project.parts_of(n) <= parts]
        level = max(wholes, default=1)
        plan = SizePlan(
            users=users,
            level=level,
            parts=tuple(sorted(parts)),
            change=known.change_of(level, parts),
            sizes=asked.compute,
            seed=asked.seed,
            run_dir=run_dir,
            cell_s=asked.cell_s,
        )
        search = search_sizes(
            server, dsn, plan, project, folder=cluster_dir().parent / "level", on_progress=show
        )
        if asked.parts is not None or search.holds():
            break
    assert search is not None  # noqa: S101 - every project has a level
    return search.answer()


@contextmanager
def _kept_in(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="phasegate-size-") as name:
        yield Path(name)


def _added(folder: Path, record: SizesRecord) -> SizesRecord:
    """`record` with what `sizes.json` of `folder` has for other numbers of users; written."""
    path = folder / FILE
    kept = store.read(path, SizesRecord).answers if path.exists() else ()
    found = {(each.users, each.parts): each for each in (*kept, *record.answers)}
    answers = tuple(sorted(found.values(), key=lambda each: (each.users, each.level)))
    whole = msgspec.structs.replace(record, answers=answers)
    store.write(path, whole)
    return whole


def _conclude(record: SizesRecord) -> None:
    """End with the exit code that the answers have.

    Raises:
        CannotMeasure: a limit of the sizes was not in force, or drives could not be judged.
        DoesNotHold: no size holds for ever.
    """
    for answer in record.answers:
        if answer.not_in_force:
            raise CannotMeasure(
                f"No size can be judged here: {'; '.join(answer.not_in_force)}",
                then="Give it the right, or measure on another machine",
            )
        if answer.sustained is None:
            what = f"None of {', '.join(answer.sizes)} was seen to hold {answer.users:,} users"
            if any(drive.verdict == "INVALID" for drive in answer.drives):
                raise CannotMeasure(f"{what}, and some could not be judged", then="See above")
            raise DoesNotHold(what, then="Drive larger --sizes, or add parts: --level or --with")
