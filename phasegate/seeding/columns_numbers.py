"""Columns that are numbers, drawn or worked out from others of the row; and geometric values.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64
from phasegate.seeding.column import JSON_VALUE, Column, check_enough, file_of, other_places
from phasegate.seeding.fields import Field, led_by
from phasegate.seeding.pg_types import INTEGERS, NUMERIC_MAX, decimal_text, numbers, stored
from phasegate.seeding.population import OUTCOME_BITS, log_normal_outcomes
from phasegate.seeding.rows import Rows

Sibling = Callable[[str], Column]
"""Another column of the same table, by name."""

_POINTS = 4


def _shape(count: int, *head: tuple[str, str]) -> np.dtype[Any]:
    return np.dtype([*head, ("coordinates", ">f8", (count,))])


# Source: the `*_recv` functions of PostgreSQL's geo_ops.c.
COORDINATES = {
    "point": _shape(2),
    "line": _shape(3),
    "lseg": _shape(4),
    "box": _shape(4),
    "circle": _shape(3),
    "path": _shape(2 * _POINTS, ("closed", "u1"), ("points", ">i4")),
    "polygon": _shape(2 * _POINTS, ("points", ">i4")),
}
_HEADS: dict[str, dict[str, int]] = {
    "path": {"closed": 0, "points": _POINTS},
    "polygon": {"points": _POINTS},
}


@dataclass
class Drawn(Column):
    """`uniform`, `normal`, `log_normal`: numbers; added to another column's where it says so."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """One length, but inside json."""
        file = file_of(self)
        self._base = self.sibling(file.base) if file.base else None
        self._count = 0
        if file.unique and file.uniform is not None:
            if self.place.pg.name not in INTEGERS:
                self.place.refuse("`unique` is for whole numbers")
            self._count = math.ceil(file.uniform[1]) - math.ceil(file.uniform[0])
            check_enough(self, self._count)
        if file.uniform is None:
            median, sigma = file.normal or file.log_normal or (0.0, 0.0)
            logs = np.array(log_normal_outcomes(1.0, 1.0))
            if file.normal is not None:
                # The logarithms of the standard log-normal are the standard normal's.
                self._outcomes = median + sigma * np.log(logs)
            else:
                self._outcomes = np.array(log_normal_outcomes(median, sigma))
            self._outcomes = np.append(self._outcomes, self._outcomes[-1])
        if self.place.pg is JSON_VALUE:
            return
        if self.place.pg.name in COORDINATES:
            self.dtype = COORDINATES[self.place.pg.name]
            return
        try:
            sample = numbers(self.place.pg, self._limits(), file.decimals).data
        except ValueError as error:
            self.place.refuse(str(error))
        self.dtype = None if sample is None else sample.dtype

    def _limits(self) -> NDArray[np.float64]:
        file = file_of(self)
        limits = np.array(file.uniform) if file.uniform else self._outcomes[[0, -1]]
        name, pg = self.place.pg.name, self.place.pg
        most = NUMERIC_MAX if name == "numeric" else float("inf")
        if pg.precision:
            most = min(most, 10.0 ** (pg.precision - pg.scale) - 10.0**-pg.scale)
        if name in INTEGERS:
            most = float(np.iinfo(np.dtype(INTEGERS[name])).max)
        if np.abs(limits).max() > most:
            self.place.refuse(f"numbers up to {np.abs(limits).max():g} do not fit into {name}")
        return limits

    def values(self, rows: Rows) -> NDArray[Any]:
        """See `Column`."""
        return stored(self.place.pg, self._values(rows), file_of(self).decimals)

    def _values(self, rows: Rows) -> NDArray[Any]:
        if self._count:
            return other_places(self, rows, self._count) + math.ceil(
                (file_of(self).uniform or (0,))[0]
            )
        drawn = self.drawn(self.hashes(rows))
        return drawn if self._base is None else drawn + self._base.values(rows)

    def drawn(self, hashes: U64) -> NDArray[np.float64]:
        """A number for each hash."""
        file = file_of(self)
        if file.uniform is not None:
            low, high = file.uniform
            chance = (hashes >> np.uint64(11)).astype(np.float64) / (1 << 53)
            return np.asarray(low + chance * (high - low))
        which = (hashes >> np.uint64(64 - OUTCOME_BITS)).view(np.intp)
        fine = (hashes & np.uint64(0xFFFF)).astype(np.float64) / (1 << 16)
        begun = self._outcomes.take(which)
        return np.asarray(begun + (self._outcomes.take(which + 1) - begun) * fine)

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        file, values = file_of(self), self._values(rows)
        if self.place.pg is JSON_VALUE:
            whole = file.uniform is not None and all(limit % 1 == 0 for limit in file.uniform)
            text = decimal_text(values, 0 if whole else file.decimals)
            return Field(pieces=(led_by(0, rows.size), text))
        if self.place.pg.name in COORDINATES:
            return Field(self._shapes(rows))
        return numbers(self.place.pg, values, file.decimals)

    def _shapes(self, rows: Rows) -> NDArray[Any]:
        """Geometric values, each coordinate drawn."""
        made = np.zeros(rows.size, dtype=self.dtype)
        coordinates = made["coordinates"]
        for place in range(coordinates.shape[1]):
            coordinates[:, place] = self.drawn(self.hashes(rows, f"[{place}]"))
        if self.place.pg.name == "box":  # the upper right corner comes first
            corners = np.sort(coordinates.reshape(-1, 2, 2), axis=1)[:, ::-1]
            made["coordinates"] = corners.reshape(-1, 4)
        if self.place.pg.name == "circle":
            made["coordinates"][:, 2] = np.abs(coordinates[:, 2])
        if self.place.pg.name == "line":  # one of A and B is not 0
            made["coordinates"][:, 1] = -1.0
        for name, value in _HEADS.get(self.place.pg.name, {}).items():
            made[name] = value
        return made


@dataclass
class Total(Column):
    """`sum`, `product`: of other numbers of the row."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """As the type says."""
        file = file_of(self)
        self._parts = [self.sibling(name) for name in file.sum or file.product]
        try:
            sample = numbers(self.place.pg, np.zeros(1), file.decimals).data
        except ValueError as error:
            self.place.refuse(str(error))
        self.dtype = None if sample is None else sample.dtype
        self.nullable = any(part.nullable for part in self._parts)

    def values(self, rows: Rows) -> NDArray[Any]:
        """See `Column`."""
        join = np.add if file_of(self).sum else np.multiply
        found = reduce(join, (part.values(rows) for part in self._parts))
        return stored(self.place.pg, found, file_of(self).decimals)

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        field = numbers(self.place.pg, self.values(rows), file_of(self).decimals)
        nulls = [null for part in self._parts if (null := part.of(rows).null) is not None]
        return Field(field.data, field.pieces, reduce(np.logical_or, nulls) if nulls else None)
