"""The rows of each table, encoded for COPY in blocks, in the order that they are inserted in.

Pure: of (seed, users, seed/population.toml, the schema's types). Yields `Block`s; the bytes of a
table are the same however they are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from phasegate.project.declared import Shape, Table
from phasegate.project.population_columns import ColumnFile
from phasegate.records.seed import Distribution
from phasegate.seeding.column import Column
from phasegate.seeding.columns import Columns, Types
from phasegate.seeding.columns_moments import After
from phasegate.seeding.columns_values import Choice
from phasegate.seeding.copy_encoder import CopyRows
from phasegate.seeding.distributions import per_owner, signups
from phasegate.seeding.population import Population
from phasegate.seeding.streams import BLOCK_ROWS, Stream
from phasegate.seeding.timeline import Year


@dataclass(frozen=True)
class Block:
    """Some rows of one table."""

    rows: int
    data: memoryview
    month: int
    """Calendar month that all of them are in, counted from the year's first."""
    summed: memoryview
    """What sums are made of: the data, without what differs from database to database."""


class Tables:
    """The tables of one data set.

    Args:
        population: of the data set.
        types: of the columns, by table.
    """

    def __init__(self, population: Population, types: Types) -> None:
        self._population = population
        self._columns = Columns(population, types)
        self._histograms: list[Distribution] = []

    @property
    def year(self) -> Year:
        """The span of the rows."""
        return self._population.year

    def histograms(self) -> tuple[Distribution, ...]:
        """How the rows made so far are distributed, table by table that was made to its end."""
        return tuple(self._histograms)

    def columns(self, table: str) -> tuple[str, ...]:
        """In the order that they are sent in: those that vary in length come last."""
        heads, others = self._split(table)
        return (*heads, *others)

    def _split(self, table: str) -> tuple[dict[str, Column], dict[str, Column]]:
        columns = self._columns.of(table)
        heads = {name: column for name, column in columns.items() if column.fills}
        return heads, {name: one for name, one in columns.items() if name not in heads}

    def blocks(self, name: str) -> Iterator[Block]:
        """The rows of a table."""
        yield from self._blocks(name)
        # Not before what made them is gone as well.
        self._population.forget_large()

    def _blocks(self, name: str) -> Iterator[Block]:
        table = self._population.declared.tables[name]
        heads, others = self._split(name)
        # Where one column alone varies, and is whole by itself, it is placed with the head.
        only = next(iter(others.values())) if len(others) == 1 else None
        width = only.bytes_max if isinstance(only, Choice) and not only.place.pg.forms else 0
        dtypes = {name: column.dtype for name, column in heads.items() if column.dtype is not None}
        copy_rows = CopyRows(BLOCK_ROWS, dtypes, len(heads) + len(others), only_piece_bytes=width)
        stream = Stream(self._population, table)
        for rows, month in stream.rows():
            places = copy_rows.begin(rows.size)
            for column_name, column in heads.items():
                column.put(rows, places[column_name])
            fields = [column.of(rows) for column in others.values()]
            data = copy_rows.close(*(piece for one in fields for piece in one.as_pieces()))
            summed = data
            if any(one.neutral for one in fields):
                summed = copy_rows.close(*(piece for one in fields for piece in one.as_summed()))
            yield Block(rows.size, data, month, summed)
        self._histograms += self._of_stream(table, stream)
        columns = (*heads.values(), *others.values())
        self._histograms += [one.histogram() for one in columns if isinstance(one, After)]

    def count(self, name: str) -> int:
        """Make the rows of a table without encoding them: for their histograms alone."""
        table = self._population.declared.tables[name]
        stream = Stream(self._population, table)
        given = table.file.columns.items()
        made_after = [one for one, file in given if isinstance(file, ColumnFile) and file.after]
        columns = [self._columns.column(name, one) for one in made_after]
        afters = [column for column in columns if isinstance(column, After)]
        made = 0
        for rows, _ in stream.rows():
            made += rows.size
            for column in afters:
                column.moments(rows)
        self._histograms += self._of_stream(table, stream)
        self._histograms += [column.histogram() for column in afters]
        return made

    def _of_stream(self, table: Table, stream: Stream) -> Iterator[Distribution]:
        declared = self._population.declared
        if table.shape is Shape.USERS:
            yield signups(self._population.entity(table.name))
        owner = "user" if table.owner == declared.users_table else table.owner
        if stream.events is not None:
            yield per_owner(f"{table.name} per {owner}", stream.events.per_owner)
        elif table.shape in (Shape.FEW, Shape.MANY, Shape.MEMBERSHIPS):
            counts = self._population.entity(table.name).counts
            if counts is not None:
                yield per_owner(f"{table.name} per {owner}", counts)
        first = next((t for t in declared.tables.values() if t.shape is Shape.EVENTS), None)
        if stream.rhythm is not None and table is first:
            yield from stream.rhythm.histograms(table.name)
