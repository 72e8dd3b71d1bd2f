"""Columns that are ranges: of numbers, days or moments; and multiranges of one range.

Pure. Source of the binary forms: `range_recv` and `multirange_recv` of PostgreSQL.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phasegate.project.population_columns import RangeFile
from phasegate.seeding.column import Column, check_enough, file_of, numbers_of
from phasegate.seeding.columns_moments import longest_ms
from phasegate.seeding.columns_numbers import Sibling
from phasegate.seeding.fields import Field
from phasegate.seeding.pg_types import FLOATS, INTEGERS, MOMENTS, NUMBERS, PgType, moments, numbers
from phasegate.seeding.rows import Rows
from phasegate.seeding.timeline import DAY_MS, HOUR_MS

# Bounds are there, and the lower one belongs to it: RANGE_LB_INC.
_FLAGS = 0x02


@dataclass
class Range(Column):
    """`range`: from a drawn number on, of a drawn size."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """Of one length: all that bounds can be have one."""
        pg, file = self.place.pg, self._file
        if pg.subtype not in (*NUMBERS, *MOMENTS):
            self.place.refuse(f"a column of type {pg.name} takes no `range`: give values")
        if file.start and pg.subtype not in MOMENTS:
            self.place.refuse("`start` is for ranges of days and moments")
        self._of = PgType(pg.subtype)
        self._start = self.sibling(file.start) if file.start else None
        self.nullable = self._start is not None and self._start.nullable
        bound = self._bounds(np.zeros(1)).dtype
        layout = [
            ("flags", "u1"),
            ("low length", ">i4"),
            ("low", bound),
            ("high length", ">i4"),
            ("high", bound),
        ]
        inner = np.dtype(layout)
        self._inner = inner
        more = [("count", ">i4"), ("length", ">i4")] if pg.is_multirange else []
        self.dtype = np.dtype([*more, *layout])
        if file_of(self).unique:
            check_enough(self, self._stretches())

    @property
    def _file(self) -> RangeFile:
        return file_of(self).range or RangeFile()

    @property
    def _stretch(self) -> int:
        """As long as any range can be; what may not overlap lies in one of its own each."""
        low, size = self._file.low, self._file.size
        return max(1, math.ceil(low[1] - low[0] + size[1]))

    def _stretches(self) -> int:
        """How many of them the type has room for."""
        if self._of.name in MOMENTS:
            unit = DAY_MS if self._of.name == "date" else HOUR_MS
            return longest_ms(self.place.population.year) // (unit * self._stretch)
        # Above 2^53 a float is no longer exact.
        most = np.iinfo(INTEGERS[self._of.name]).max if self._of.name == "int4" else 1 << 53
        return int((most - self._file.low[0]) // self._stretch)

    def _bounds(self, values: NDArray[np.float64]) -> NDArray[np.void]:
        """Numbers; days or hours since the first day."""
        if self._of.name in MOMENTS:
            unit = DAY_MS if self._of.name == "date" else HOUR_MS
            us = (
                self.place.population.year.postgres_us
                + np.rint(values * unit).astype(np.int64) * 1000
            )
            return moments(self._of, us)
        found = numbers(self._of, values, file_of(self).decimals).data
        if found is None:
            raise TypeError(self._of.name)
        return found

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        low, size, null = self._low_and_size(rows)
        made = np.zeros(rows.size, dtype=self.dtype)
        made["flags"] = _FLAGS
        for name, values in (("low", low), ("high", low + size)):
            bounds = self._bounds(values)
            made[f"{name} length"] = bounds.dtype.itemsize
            made[name] = bounds
        if self.place.pg.is_multirange:
            made["count"] = 1
            made["length"] = self._inner.itemsize
        return Field(made, null=null)

    def _low_and_size(
        self, rows: Rows
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_] | None]:
        file = self._file
        first, second = (
            (self.hashes(rows, more) >> np.uint64(11)).astype(np.float64) / (1 << 53)
            for more in ("", " size")
        )
        low = file.low[0] + first * (file.low[1] - file.low[0])
        size = file.size[0] + second * (file.size[1] - file.size[0])
        if self._of.name in INTEGERS or self._of.name == "date":
            low, size = np.floor(low), np.ceil(size)
        if file_of(self).unique:
            low = low + numbers_of(self, rows) * float(self._stretch)
        elif self._of.name in FLOATS or self._of.name == "numeric":
            size = np.maximum(size, 10.0 ** -file_of(self).decimals)
        if self._start is None:
            return low, size, None
        us, null = self._start.moments(rows)
        unit = DAY_MS if self._of.name == "date" else HOUR_MS
        since = (us - rows.population.year.postgres_us) / (unit * 1000)
        return np.floor(since) + low if unit == DAY_MS else since + low, size, null
