"""The rows of a table in the order that they are inserted in, some thousand at a time.

Pure. Rows that are kept come in the order of creation; events week by week; what belongs to an
event comes with it, or waits for its moment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator
from itertools import pairwise

import numpy as np

from phasegate.model.population import U64, hashed
from phasegate.project.declared import Shape, Table
from phasegate.project.population import DelayFile
from phasegate.seeding.counts import geometric_bounds, poisson_quantiles
from phasegate.seeding.distributions import Rhythm
from phasegate.seeding.entity import CODE_BITS, I64, Entity
from phasegate.seeding.events import Events
from phasegate.seeding.limits import room_of
from phasegate.seeding.numbering import Numbering, asks_for_numbers
from phasegate.seeding.picks import first_of
from phasegate.seeding.population import OUTCOME_BITS, Population
from phasegate.seeding.rows import Rows
from phasegate.seeding.timeline import WEEK_MS

# Rows encoded at once: their arrays fit the processor's second-level cache.
BLOCK_ROWS = 8192

MonthRows = tuple[Rows, int]
"""Rows of one calendar month, and its number from the year's first on."""


class _Pieces:
    """Events of one month, until they are enough: a week of few users has some ten a table."""

    def __init__(self) -> None:
        self._columns: list[tuple[U64, I64, I64]] = []
        self.month = 0
        self.size = 0

    def takes(self, count: int, month: int) -> bool:
        """Whether `count` more, of `month`, go into the same block."""
        return not self.size or (month == self.month and self.size + count <= BLOCK_ROWS)

    def add(self, month: int, counter: U64, moment_us: I64, created_ms: I64) -> None:
        """Put events behind the others: what each is drawn from, and when it is."""
        self._columns.append((counter, moment_us, created_ms))
        self.month, self.size = month, self.size + counter.size

    def joined(self) -> tuple[U64, I64, I64]:
        """All of them, column by column."""
        if len(self._columns) == 1:
            return self._columns[0]
        counters, moments, created = zip(*self._columns, strict=True)
        return np.concatenate(counters), np.concatenate(moments), np.concatenate(created)


class Stream:
    """The rows of one table.

    Args:
        population: of the data set.
        table: theirs.
    """

    def __init__(self, population: Population, table: Table) -> None:
        self._population = population
        self._table = table
        self._year = population.year
        self._borders_ms = [max(0, self._year.ms(month)) for month in self._year.months]
        self.events: Events | None = None
        """Where the rows are events: their numbers by owner."""
        self.rhythm: Rhythm | None = None
        """Where the rows are events: by hour and weekday."""

    def rows(self) -> Iterator[MonthRows]:
        """All rows, in order, none of two months together; may be asked for once."""
        made = {Shape.EVENTS: self._events, Shape.CHILDREN: self._children}
        yield from made.get(self._table.shape, self._kept)()

    def _kept(self) -> Iterator[MonthRows]:
        entity = self._population.entity(self._table.name)
        for since_ms, slots in entity.spans(self._borders_ms):
            month = bisect_right(self._borders_ms, since_ms) - 1
            for begin in range(0, slots.size, BLOCK_ROWS):
                of_block = slots[begin : begin + BLOCK_ROWS]
                yield Rows(self._population, self._table, slots=of_block), month

    def _events(self) -> Iterator[MonthRows]:
        population, table = self._population, self._table
        owner = population.entity(table.owner)
        self.events = Events(population, table, first_of(table, population))
        self.rhythm = Rhythm(self._year)
        numbering = None
        if asks_for_numbers(population.declared, table):
            numbering = Numbering(population, table)
        waiting = _Pieces()
        for week in range(self._year.weeks):
            keys = self.events.week(week)
            self.rhythm.add(keys)
            first = np.uint64((week * WEEK_MS) << CODE_BITS)
            borders = [max(0, border - week * WEEK_MS) << CODE_BITS for border in self._borders_ms]
            places = np.searchsorted(keys, np.array(borders, dtype=np.uint64))
            for begin, end, month in _cuts(places.tolist(), keys.size):
                if not waiting.takes(end - begin, month):
                    yield self._block(owner, waiting, numbering), waiting.month
                    waiting = _Pieces()
                of_block = keys[begin:end]
                created = (of_block >> np.uint64(CODE_BITS)).view(np.int64)
                created += week * WEEK_MS
                moments = owner.week_timestamps(of_block, week)
                waiting.add(month, of_block + first, moments, created)
        if waiting.size:
            yield self._block(owner, waiting, numbering), waiting.month

    def _block(self, owner: Entity, pieces: _Pieces, numbering: Numbering | None) -> Rows:
        """The events of `pieces`."""
        counter, moment_us, created_ms = pieces.joined()
        whose = owner.indices(counter)
        number, ordinal = (None, None) if numbering is None else numbering.next(whose)
        return Rows(
            self._population,
            self._table,
            counter=counter,
            moment_us=moment_us,
            created_ms=created_ms,
            parent=self._population.rows(self._table.owner, whose),
            number=number,
            ordinal=ordinal,
        )

    def _children(self) -> Iterator[MonthRows]:
        """What belongs to events, or to what belongs to them."""
        owner = self._population.declared.tables[self._table.owner]
        waiting: list[Rows] = []
        for parents, _ in Stream(self._population, owner).rows():
            made = self._of(parents)
            if not isinstance(self._table.when, DelayFile):
                yield from self._by_month(made)
                continue
            waiting.append(made)
            if sum(rows.size for rows in waiting) > 4 * BLOCK_ROWS:
                waiting = yield from self._due(waiting, int(parents.moment_us[-1]))
        if waiting:
            yield from self._due(waiting, self._year.postgres_us + self._year.end_ms * 1000 - 1)

    def _due(self, waiting: list[Rows], until_us: int) -> Generator[MonthRows, None, list[Rows]]:
        """Those that come by `until_us`, in order; returns the others."""
        rows = Rows.joined(waiting)
        order = np.argsort(rows.moment_us, kind="stable")
        due = int(np.searchsorted(rows.moment_us[order], until_us, side="right"))
        yield from self._by_month(rows.select(order[:due]))
        return [rows.select(order[due:])]

    def _of(self, parents: Rows) -> Rows:
        """The rows of each parent, in the order of the parents."""
        population, table, name = self._population, self._table, self._table.name
        counts = self._counts(parents)
        whose = np.repeat(np.arange(parents.size), counts)
        ends = np.cumsum(counts)
        number = np.arange(whose.size, dtype=np.int64) - (ends - counts).take(whose)
        counter = hashed(population.key(f"{name}: created"), parents.counter).take(whose)
        counter += number.view(np.uint64)
        moment = parents.moment_us.take(whose)
        when = table.when
        if isinstance(when, DelayFile):
            delay = population.delays_ms(when, hashed(population.key(f"{name}: delay"), counter))
            moment += delay * 1000
        return Rows(
            population,
            table,
            counter=counter,
            moment_us=moment,
            number=number,
            parent=parents.select(whose),
        )

    def _counts(self, parents: Rows) -> I64:
        room = room_of(self._population, self._table, parents)
        drawn = self._drawn(parents)
        return drawn if room is None else np.minimum(drawn, room)

    def _drawn(self, parents: Rows) -> I64:
        table = self._table
        if table.fixed is not None:
            return np.full(parents.size, table.fixed, dtype=np.int64)
        chance = parents.hashes(self._population.key(f"{table.name}: rows"))
        if table.rows.mean is not None:
            outcomes = poisson_quantiles(table.rows.mean)
            return outcomes.take((chance >> np.uint64(64 - OUTCOME_BITS)).view(np.intp)).astype(
                np.int64
            )
        rank = chance >> np.uint64(32)
        if table.rows.share is not None:
            return (rank < np.uint64(round(table.rows.share * (1 << 32)))).astype(np.int64)
        bounds = geometric_bounds(table.rows.from_one_mean or 1, table.rows.max)
        return np.searchsorted(np.array(bounds, dtype=np.uint64), rank, side="right") + 1

    def _by_month(self, rows: Rows) -> Iterator[MonthRows]:
        borders_us = np.array(self._borders_ms, dtype=np.int64) * 1000 + self._year.postgres_us
        places = np.searchsorted(rows.moment_us, borders_us)
        for begin, end, month in _cuts(places.tolist(), rows.size):
            yield rows.select(slice(begin, end)), month


def _cuts(borders: list[int], count: int) -> Iterator[tuple[int, int, int]]:
    """Begin, end and month of stretches of `BLOCK_ROWS` at most that cross no border."""
    for month, (begin, end) in enumerate(pairwise(borders)):
        last = count if month == len(borders) - 2 else end
        for start in range(begin, last, BLOCK_ROWS):
            yield start, min(start + BLOCK_ROWS, last), month
