"""What limits how many rows an owner can have: what they need to pick.

Pure. Where rows must pick something of their owner's that it may not have, or each something else,
an owner gets no more rows than there is to pick.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from phasegate.project.declared import Declared, Shape, Table
from phasegate.project.population import ROWS_FEW_MAX
from phasegate.project.population_columns import ANYWHERE, ColumnFile
from phasegate.seeding.counts import Counts, drawn_counts
from phasegate.seeding.entity import BLOCK, I64, Entity
from phasegate.seeding.picks import available, inside_of
from phasegate.seeding.rows import Rows

if TYPE_CHECKING:
    from phasegate.seeding.population import Population


def rows_of_owners(population: Population, table: Table, owner: Entity) -> Counts:
    """Rows of each owner that is kept: a fixed number, or drawn; cut to what they need."""
    counts: Counts = np.empty(owner.count, dtype=np.uint16)
    for begin in range(0, owner.count, BLOCK):
        indices = np.arange(begin, min(begin + BLOCK, owner.count))
        of_block = drawn_counts(population, table, owner, indices)
        room = room_of(population, table, population.rows(owner.name, indices))
        counts[begin : begin + BLOCK] = of_block if room is None else np.minimum(of_block, room)
    return counts


def room_of(population: Population, table: Table, owners: Rows) -> I64 | None:
    """The most rows of `table` that each of `owners` can have; None where nothing limits them."""
    room: I64 | None = None
    for column in population.limits.get(table.name, ()):
        if column.ref:
            count = available(population, table, column, owners).count
            if not column.unique:
                count = np.where(count > 0, ROWS_FEW_MAX, 0)
        else:
            count = np.full(owners.size, values_of(column), dtype=np.int64)
        room = count if room is None else np.minimum(room, count)
    return room


def values_of(column: ColumnFile) -> int:
    """How many different values there are for rows that may not share one."""
    if column.choice is not None:
        return len(column.choice)
    if column.uniform is not None:
        low, high = column.uniform
        return math.ceil(high) - math.ceil(low)
    return ROWS_FEW_MAX


def limits_of(declared: Declared) -> dict[str, tuple[ColumnFile, ...]]:
    """By table: the columns that limit how many rows an owner can have.

    Two tables that limit each other cannot both be counted first: the later of them in the file is
    not limited by the other.
    """
    needs: dict[str, set[str]] = {name: set(one.ancestors) for name, one in declared.tables.items()}
    found: dict[str, tuple[ColumnFile, ...]] = {}
    for name, table in declared.tables.items():
        limiting = []
        for column in table.file.columns.values():
            if not isinstance(column, ColumnFile) or column.same_as:
                continue
            if not column.ref:
                if column.unique == "owner":
                    limiting.append(column)
                continue
            target = declared.tables[declared.target(column.ref)[0]]
            if not _limits(declared, found, table, target, column):
                continue
            if not _leads_to(needs, target.name, name):
                needs[name].add(target.name)
                limiting.append(column)
        if limiting:
            found[name] = tuple(limiting)
    return found


def _limits(
    declared: Declared,
    found: dict[str, tuple[ColumnFile, ...]],
    table: Table,
    target: Table,
    column: ColumnFile,
) -> bool:
    inside = inside_of(declared, table, column)
    if inside is None or table.name in (target.name, *target.ancestors) or not table.owner:
        return False
    if column.unique:
        return True
    if column.null_share or target.is_global:
        return False
    return inside == ANYWHERE or _may_be_none(declared, found, target, inside)


def _may_be_none(
    declared: Declared, found: dict[str, tuple[ColumnFile, ...]], target: Table, inside: str
) -> bool:
    """Whether a row of `inside` may have no row of `target` below it."""
    while target.name != inside:
        rows = target.rows
        if rows.mean is not None or rows.share is not None or target.name in found:
            return True
        if target.shape is Shape.MEMBERSHIPS or not target.owner:
            # Each user has a membership, each group its founder's; not each user founds a group.
            return target.shape is Shape.GROUPS
        target = declared.tables[target.owner]
    return False


def _leads_to(needs: dict[str, set[str]], name: str, other: str) -> bool:
    return name == other or any(_leads_to(needs, one, other) for one in needs[name])
