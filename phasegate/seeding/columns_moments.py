"""Columns that are moments or days: after another one, between two, at equal distances.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64
from phasegate.records.seed import Distribution
from phasegate.seeding.column import Column, below, check_enough, file_of, numbers_of
from phasegate.seeding.columns_numbers import Sibling
from phasegate.seeding.distributions import delays
from phasegate.seeding.entity import I64
from phasegate.seeding.fields import Field
from phasegate.seeding.pg_types import PgType, binary, moments
from phasegate.seeding.population import OUTCOMES, delay_outcomes_ms, delayed
from phasegate.seeding.rows import Rows
from phasegate.seeding.timeline import HOUR_MS, Year

_MOMENT = PgType("timestamptz")
# The first µs that a timestamptz cannot hold: END_TIMESTAMP of PostgreSQL's datatype/timestamp.h.
_END_US = 9_223_371_331_200_000_000


def longest_ms(year: Year) -> int:
    """From the year's start to the last moment that PostgreSQL knows."""
    return (_END_US - year.postgres_us) // 1000


def _dtype_of(column: Column) -> np.dtype[Any]:
    """Of a moment of the column's type; refused where that is none."""
    try:
        return moments(column.place.pg, np.zeros(1, dtype=np.int64)).dtype
    except ValueError as error:
        column.place.refuse(str(error))


@dataclass
class After(Column):
    """`after`: a moment that follows another by a log-normal delay, where it comes by the end."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """As the type says."""
        file = file_of(self)
        self._base = self.sibling(file.after)
        self._other = self.sibling(str(file.otherwise)) if file.otherwise else None
        comes = file.future and file.happens == 1 and not self._base.nullable
        self.nullable = not comes and (self._other is None or self._other.nullable)
        self.dtype = _dtype_of(self)
        self._outcomes_ms = delay_outcomes_ms(file.median_h, file.sigma)
        self._counted: NDArray[np.int64] = np.zeros(OUTCOMES, dtype=np.int64)

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """See `Column`."""
        found = rows.memo.get(("moments", id(self)))
        if found is None:
            found = self._moments(rows)
            rows.memo["moments", id(self)] = found
        return found

    def _moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        file, year = file_of(self), rows.population.year
        base, base_null = self._base.moments(rows)
        chance: U64 = self.hashes(rows)
        delay, outcomes = delayed(self._outcomes_ms, chance)
        delay *= 1000
        if file.max_h:
            np.minimum(delay, round(file.max_h * HOUR_MS) * 1000, out=delay)
        delay += base
        end_us = year.postgres_us + year.end_ms * 1000
        comes = (delay < end_us) | file.future
        if file.happens < 1:
            comes &= below(chance << np.uint64(28), file.happens)
        if base_null is not None:
            comes &= ~base_null
        # Cheaper than picking out what comes: all the others count as the first outcome.
        self._counted += np.bincount(outcomes * comes, minlength=OUTCOMES)
        self._counted[0] -= comes.size - np.count_nonzero(comes)
        if self._other is None:
            return delay, ~comes
        other, null = self._other.moments(rows)
        return np.where(comes, delay, other), None if null is None else null & ~comes

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        us, null = self.moments(rows)
        return Field(moments(self.place.pg, us), null=null)

    def histogram(self) -> Distribution:
        """Of the delays drawn so far."""
        file = file_of(self)
        name = f"{self.place.table.name}.{self.place.name} after {file.after}"
        return delays(name, self._outcomes_ms, self._counted)


@dataclass
class Between(Column):
    """`between`: a moment or day from the first to below the second."""

    def __post_init__(self) -> None:
        """As the type says."""
        self.dtype = _dtype_of(self)
        try:
            self._ends = [
                int.from_bytes(binary(_MOMENT, given), "big", signed=True)
                for given in file_of(self).between or ()
            ]
        except ValueError as error:
            self.place.refuse(str(error))

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """See `Column`."""
        low, high = self._ends
        span_ms = (high - low) // 1000
        chance = (self.hashes(rows) >> np.uint64(11)).astype(np.float64) / (1 << 53)
        return low + (chance * span_ms).astype(np.int64) * 1000, None

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return Field(moments(self.place.pg, self.moments(rows)[0]))


@dataclass
class Every(Column):
    """`every_h`: moments at equal distances, by the row's number in its owner or in its table."""

    def __post_init__(self) -> None:
        """As the type says."""
        self.dtype = _dtype_of(self)
        self._step_ms = max(1, round((file_of(self).every_h or 1) * HOUR_MS))
        check_enough(self, longest_ms(self.place.population.year) // self._step_ms)

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """See `Column`."""
        numbers = rows.number if file_of(self).unique is not True else numbers_of(self, rows)
        return rows.population.year.postgres_us + numbers * (self._step_ms * 1000), None

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return Field(moments(self.place.pg, self.moments(rows)[0]))
