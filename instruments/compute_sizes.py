"""`python -m instruments sizes`: which compute size holds each level with so many users.

Drives one cell after another (level, users, size, for ever or in its burst), each with a cold and a
warm cache, and writes a file a cell below the folder it is given, so that a later call goes on from
there. What one drive says of others is inferred and marked as such.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from phasegate import seeding
from phasegate.cli.drive_sizes import search_sizes
from phasegate.cli.size import possible_sizes
from phasegate.load.capacity_matrix import Change
from phasegate.load.size_drives import SizePlan
from phasegate.model.size_search import next_size, smallest
from phasegate.model.verdict import Verdict
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.sizes import Mode, SizeDrive
from phasegate.report.format import milliseconds, users
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

MODES: tuple[Mode, ...] = ("sustained", "burst")
SAID: Mapping[Mode, str] = {"sustained": "for ever", "burst": "in its burst"}


@dataclass(frozen=True)
class Cell:
    """What is driven at once."""

    level: int
    users: int
    size: str
    mode: Mode

    @property
    def name(self) -> str:
        """Of its file."""
        return f"level-{self.level}-{self.users}-users-{self.size}-{self.mode}"


class CellRecord(store.Record, frozen=True, kw_only=True):
    """A cell that was driven. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    level: int
    users: int
    drives: tuple[SizeDrive, SizeDrive]
    """Cold, then warm."""

    @property
    def cell(self) -> Cell:
        """Which it is of."""
        return Cell(self.level, self.users, self.drives[1].size, self.drives[1].mode)

    @property
    def verdict(self) -> Verdict:
        """With a warm cache."""
        return Verdict(self.drives[1].verdict)


@dataclass(frozen=True)
class Table:
    """What is asked for: every level with every number of users on every size."""

    levels: Sequence[int]
    users: Sequence[int]
    sizes: Sequence[str]
    """Ascending."""


def told(cell: Cell, seen: Mapping[Cell, Verdict], sizes: Sequence[str]) -> Verdict | None:
    """What is known of `cell`: driven, or inferred from another one of its level; None if neither.

    What passes with more users, on a smaller size or for ever passes here; what fails with fewer,
    on a larger size or in a burst fails here.
    """
    inferred = (each for other, each in seen.items() if _says(other, each, cell, sizes))
    return seen.get(cell) or next(inferred, None)


def _says(other: Cell, verdict: Verdict, cell: Cell, sizes: Sequence[str]) -> bool:
    """Whether what `other` was seen to do, `cell` does as well."""
    larger = sizes.index(other.size) - sizes.index(cell.size)
    if other.level != cell.level:
        return False
    if verdict is Verdict.PASS:
        same = other.mode in ("sustained", cell.mode)
        return same and other.users >= cell.users and larger <= 0
    same = other.mode in ("burst", cell.mode)
    return verdict is Verdict.FAIL and same and other.users <= cell.users and larger >= 0


def rows(table: Table) -> Iterator[tuple[int, int, Mode]]:
    """Level, users and mode of each search, the one that tells most of others first."""
    for level in table.levels:
        for count in sorted(table.users, reverse=True):
            for mode in MODES:
                yield level, count, mode


def row_of(
    table: Table, level: int, count: int, mode: Mode, seen: Mapping[Cell, Verdict]
) -> dict[str, Verdict]:
    """What is known of a search, by size."""
    found = {size: told(Cell(level, count, size, mode), seen, table.sizes) for size in table.sizes}
    return {size: verdict for size, verdict in found.items() if verdict is not None}


def next_cell(table: Table, seen: Mapping[Cell, Verdict]) -> Cell | None:
    """The cell to drive next; None when nothing is open."""
    for level, count, mode in rows(table):
        most = Cell(level, count, table.sizes[-1], "burst")
        if count == max(table.users) and told(most, seen, table.sizes) is None:
            return most  # where this fails, everything does
        size = next_size(table.sizes, row_of(table, level, count, mode, seen))
        if size is not None:
            return Cell(level, count, size, mode)
    return None


def drive(
    server: PostgresServer,
    project: Project,
    cell: Cell,
    out: Path,
    jobs: int,
    on_progress: Callable[[str], None],
) -> CellRecord:
    """Drive `cell` on the data set of its users; its stages are kept below `out`."""
    catalogue = project.catalogue
    seed = catalogue.run.seed
    dsn, _ = seeding.ensure_dataset(server, users=cell.users, seed=seed, jobs=jobs)
    plan = SizePlan(
        users=cell.users,
        level=cell.level,
        parts=tuple(sorted(project.parts_of(cell.level))),
        change=Change(),
        sizes=possible_sizes(catalogue),
        seed=seed,
        run_dir=out,
        cell_s=catalogue.run.cell_s,
    )
    search = search_sizes(
        server, dsn, plan, project, folder=cluster_dir().parent / "level", on_progress=on_progress
    )
    return CellRecord(
        format_version=CellRecord.FORMAT_VERSION,
        level=cell.level,
        users=cell.users,
        drives=search.drives(cell.size, cell.mode),
    )


def kept(out: Path) -> dict[Cell, CellRecord]:
    """What was driven before."""
    found = [store.read(path, CellRecord) for path in sorted(out.glob("level-*.json"))]
    return {record.cell: record for record in found}


def fill(
    project: Project, table: Table, out: Path, seconds: float, jobs: int, say: Callable[[str], None]
) -> dict[Cell, CellRecord]:
    """Drive what is open; no cell is begun after `seconds`. What could not be judged is tried anew.

    Returns:
        Every cell that was ever driven, those of earlier calls included.
    """
    began, tried = time.monotonic(), set[Cell]()
    found = kept(out)
    with locked(cache_dir(), "instruments sizes"), running_postgres(cluster_dir()) as server:
        while time.monotonic() - began < seconds:
            seen = {
                cell: record.verdict
                for cell, record in found.items()
                if cell in tried
                or record.verdict is not Verdict.INVALID
                or record.drives[1].is_on_the_edge
            }
            cell = next_cell(table, seen)
            if cell is None:
                break
            record = drive(server, project, cell, out, jobs, lambda _: None)
            store.write(out / f"{cell.name}.json", record)
            found[cell] = record
            tried.add(cell)
            say(f"{time.monotonic() - began:6.0f} s  {of_cell(record)}")
    return found


def of_cell(record: CellRecord) -> str:
    """A cell that was driven, in a line."""
    said = []
    for each in record.drives:
        p95 = "" if each.latency_ms_p95 is None else f" {milliseconds(each.latency_ms_p95)}"
        why = f" ({each.reasons[0]})" if each.verdict == "INVALID" and each.reasons else ""
        said.append(f"{each.cache} {each.verdict}{p95}{why}")
    used = record.drives[1].used
    cores = "" if used is None or used.cores is None else f"; {used.cores:.2f} cores"
    cell = record.cell
    name = f"level {cell.level}, {users(cell.users)}, {cell.size}, {SAID[cell.mode]}"
    return f"{name}: {', '.join(said)}{cores}"


def lines(table: Table, found: Mapping[Cell, CellRecord]) -> Iterator[str]:
    """The table: the smallest size for each level and number of users, and what it rests on."""
    seen = {cell: record.verdict for cell, record in found.items()}
    for level in table.levels:
        for count in sorted(table.users):
            said = []
            for mode in MODES:
                known = row_of(table, level, count, mode, seen)
                size, still_open = smallest(table.sizes, known), next_size(table.sizes, known)
                if still_open is not None:
                    said.append(f"{SAID[mode]} open from {still_open} on")
                elif size is None:
                    said.append(f"{SAID[mode]} none up to {table.sizes[-1]}")
                else:
                    how = "driven" if Cell(level, count, size, mode) in seen else "inferred"
                    said.append(f"{SAID[mode]} {size} ({how})")
            yield f"level {level}, {users(count):>4} users: {', '.join(said)}"
    for record in found.values():
        yield f"  {of_cell(record)}"
