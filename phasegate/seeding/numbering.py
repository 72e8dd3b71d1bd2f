"""Numbers of events: within their owner, and in their table, owner by owner.

Pure. Events are made week by week, so an owner's first number is known once all are counted: they
are made once more, where a column asks for numbers.
"""

from __future__ import annotations

import numpy as np

from phasegate.project.declared import Declared, Table
from phasegate.project.population_columns import ColumnFile, drawn_in
from phasegate.seeding.entity import I64, Indices
from phasegate.seeding.events import Events
from phasegate.seeding.picks import first_of
from phasegate.seeding.population import Population

_WORDS = ("identity", "number")
_IN_TEXT = ("{id}", "{number}")


def asks_for_numbers(declared: Declared, table: Table) -> bool:
    """Whether a column of `table`, or of what belongs to its rows, is made of their numbers."""
    below = [one for one in declared.tables.values() if table.name in one.ancestors]
    columns = [column for one in (table, *below) for column in one.file.columns.values()]
    return any(_asks(column) for column in columns)


def _asks(column: ColumnFile | str) -> bool:
    if isinstance(column, str):
        return column in _WORDS
    if column.unique or column.by_number or column.every_h or column.range is not None:
        return True
    if any(part in (column.text or "") for part in _IN_TEXT):
        return True
    inner = [drawn for _, drawn in drawn_in(column.json or {})]
    return any(_asks(one) for one in (*inner, column.array or ""))


class Numbering:
    """Numbers of the events of a table, block after block in the order of time.

    Args:
        population: of the data set.
        table: whose events they are.
    """

    def __init__(self, population: Population, table: Table) -> None:
        first = population.first_numbers.get(table.name)
        if first is None:
            counted = Events(population, table, first_of(table, population)).counts()
            first = np.cumsum(counted)
            first -= counted
            if any(table.name in one.ancestors for one in population.declared.tables.values()):
                population.first_numbers[table.name] = first
        self._first = first
        self._seen: I64 = np.zeros(self._first.size, dtype=np.int64)

    def next(self, whose: Indices) -> tuple[I64, I64]:
        """The place within its owner, and in the table, of each event of the next block."""
        # Sorted together with their places, in one number each: several times as fast as `argsort`.
        bits = max(1, int(whose.size - 1).bit_length())
        keys = (whose << bits) | np.arange(whose.size)
        keys.sort()
        order = keys & ((1 << bits) - 1)
        of_order = keys >> bits
        begins = np.flatnonzero(np.concatenate(([True], of_order[1:] != of_order[:-1])))
        lengths = np.diff(np.append(begins, whose.size))
        within = np.arange(whose.size, dtype=np.int64) - np.repeat(begins, lengths)
        number = np.empty(whose.size, dtype=np.int64)
        number[order] = within
        number += self._seen.take(whose)
        self._seen[of_order[begins]] += lengths
        return number, self._first.take(whose) + number
