"""Which rows of a table another row may refer to: those inside the owner that both share.

Pure. Rows are numbered owner by owner, so those of an owner lie together, and what more users bring
lies behind: a row picks the same one whatever the number of users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64
from phasegate.project.declared import Declared, Shape, Table, plain
from phasegate.project.population_checks import common
from phasegate.project.population_columns import ANYWHERE, ColumnFile
from phasegate.seeding.entity import I64, MS_BITS, Entity, Indices, home_of
from phasegate.seeding.rows import Rows

if TYPE_CHECKING:
    from phasegate.seeding.population import Population

# An owner's first row is made while looking around: within half an hour.
FIRST_MS = 30 * 60_000


@dataclass(frozen=True)
class Span:
    """Rows to pick among, for each row that picks: places `low` to `low + count` of `slots`.

    Attributes:
        low: the first place.
        count: how many; 0 where there is none.
        slots: the rows in the order that the places count; None where they are the places.
    """

    low: NDArray[np.integer]
    count: I64
    slots: NDArray[np.uint32] | None = None

    def at(self, places: I64) -> Indices:
        """The row at each of `places`, counted from `low` on."""
        found = self.low + places
        if self.slots is None:
            return found.astype(np.intp)
        found = np.minimum(found, self.slots.size - 1)
        return np.asarray(self.slots.take(found).astype(np.intp))


def inside_of(declared: Declared, table: Table, column: ColumnFile) -> str | None:
    """The table inside whose row a `ref` picks; `*`, or empty for reference rows.

    None where it picks nothing: the row's own ancestor, or the group that took its user.
    """
    name = declared.target(column.ref)[0]
    if column.within == ANYWHERE:
        return ANYWHERE
    if column.within:
        return plain(column.within)
    target = declared.tables[name]
    is_home = target.shape is Shape.GROUPS and not table.is_global
    if name in table.ancestors or is_home:
        return None
    return "" if target.is_global else common(declared, table, target)


def available(population: Population, table: Table, column: ColumnFile, rows: Rows) -> Span:
    """All rows that each of `rows` (of `table`, or of its owner) may refer to."""
    declared = population.declared
    target = population.entity(declared.target(column.ref)[0])
    inside = inside_of(declared, table, column)
    if not inside:
        zeros = np.zeros(rows.size, dtype=np.int64)
        return Span(zeros, zeros + target.count)
    if inside == ANYWHERE:
        return _of_earlier_users(population, table, target, rows)
    whose = rows.up(inside).slots
    if inside == target.owner and target.counts is not None:
        return Span(target.first.take(whose), target.counts.take(whose).astype(np.int64))
    keys, slots = index_by_time(population, target, inside)
    base = whose.astype(np.uint64) << np.uint64(MS_BITS)
    low = np.searchsorted(keys, base)
    high = np.searchsorted(keys, base + np.uint64(1 << MS_BITS))
    return Span(low, high - low, slots)


def _of_earlier_users(population: Population, table: Table, target: Entity, rows: Rows) -> Span:
    """Those of users who were there before, by number; a reference row takes the first user's."""
    users = target.above.get(population.declared.users_table)
    low = np.zeros(rows.size, dtype=np.int64)
    user = low if table.is_global else rows.user()
    # Users below this one.
    bound = user + 1 if table.is_global else user
    if users is None:
        return Span(low, bound)
    return Span(low, np.searchsorted(users, bound.astype(np.uint32)).astype(np.int64))


def index_by_time(
    population: Population, target: Entity, above: str
) -> tuple[U64, NDArray[np.uint32]]:
    """Rows of `target` by the row of `above` that they belong to, then by creation.

    Inside a group of users: those of its first members. More users join it when there are more, and
    what was picked is to stay.
    """
    kept: dict[str, tuple[U64, NDArray[np.uint32]]] = target.__dict__.setdefault("by_time", {})
    if above not in kept:
        whose = target.above[above]
        keys = whose.astype(np.uint64) << np.uint64(MS_BITS)
        keys |= target.created_ms.view(np.uint64)
        order = np.argsort(keys, kind="stable").astype(np.uint32)
        declared = population.declared
        if declared.tables[above].shape is Shape.GROUPS:
            users = target.above[declared.users_table]
            home = home_of(population.entity(above), declared.users_table, users)
            order = order[(home == whose).take(order)]
        kept[above] = (keys[order], order)
    return kept[above]


def first_of(table: Table, population: Population) -> int:
    """How long after its owner a row of `table` may come at the earliest, in ms.

    Where a column needs a row that its owner has by then, not before that one is there.
    """
    declared = population.declared
    for column in table.file.columns.values():
        if not isinstance(column, ColumnFile) or not column.ref or column.null_share:
            continue
        target = declared.tables[declared.target(column.ref)[0]]
        needed = target.shape is Shape.FEW and target.when == "life"
        if needed and target.name not in table.ancestors and target.owner == table.owner:
            return FIRST_MS
    return 0
