"""Columns whose values are drawn or follow from another column of the row.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import thresholds
from phasegate.seeding.column import JSON_VALUE, Column, check_enough, file_of, other_places
from phasegate.seeding.columns_numbers import Sibling
from phasegate.seeding.entity import I64
from phasegate.seeding.fields import Field, Words, whole_fields
from phasegate.seeding.pg_types import (
    FLOATS,
    INTEGERS,
    Literal,
    PgType,
    binary,
)
from phasegate.seeding.population import (
    OUTCOME_BITS,
    OUTCOMES,
)
from phasegate.seeding.rows import Rows

_JSON = PgType("json")
# Their forms hold the numbers of the types inside, which differ from database to database.
_WITH_OIDS = ("record_send", "array_send")


def encoded(column: Column, value: Literal) -> bytes:
    """A value of the declaration in the column's binary form.

    Raises:
        ConfigurationError: it is none.
    """
    kind = _JSON if column.place.pg is JSON_VALUE else column.place.pg
    try:
        if isinstance(value, str) and "-" not in value and "." not in value and value.isdigit():
            # Keys of a table are texts, whatever the column takes.
            value = int(value) if kind.name in (*INTEGERS, *FLOATS, "numeric") else value
        return binary(kind, value)
    except ValueError as error:
        column.place.refuse(str(error))


class _Table:
    """Values to be taken by number, each in its binary form; or by outcome, given its value."""

    def __init__(
        self, column: Column, given: Sequence[Literal], places: NDArray[np.intp] | None = None
    ) -> None:
        values = [encoded(column, value) for value in given]
        self._neutral: Words | None = None
        if column.place.pg.send in _WITH_OIDS and column.place.pg.forms:
            self._neutral = whole_fields(str(value) for value in given)
        widths = {len(value) for value in values}
        self.width = widths.pop() if len(widths) == 1 and self._neutral is None else 0
        """Where all have one length; 0 where they do not."""
        self._fixed: NDArray[np.void] | None = None
        if self.width:
            self._fixed = np.frombuffer(b"".join(values), dtype=f"V{self.width}")
        self._fields = whole_fields(values)
        if places is not None:
            if self._fixed is not None:
                self._fixed = self._fixed[places]
            self._fields = Words(self._fields.padded[places], self._fields.lengths[places])
            if self._neutral is not None:
                neutral = self._neutral
                self._neutral = Words(neutral.padded[places], neutral.lengths[places])

    def take(self, places: NDArray[np.intp]) -> Field:
        """The values of `places`."""
        if self._fixed is not None:
            return Field(self._fixed.take(places))
        neutral = () if self._neutral is None else (self._neutral.take(places),)
        return Field(pieces=(self._fields.take(places),), complete=True, neutral=neutral)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Of the values, where all have one length."""
        return np.dtype(f"V{self.width}") if self.width else None

    @property
    def bytes_max(self) -> int:
        """Of a field, its length in front."""
        return self._fields.bytes_max


@dataclass
class Choice(Column):
    """`choice`, `share`, `value`: one of a few values."""

    def __post_init__(self) -> None:
        """Values by twelve hashed bits."""
        file = file_of(self)
        if self.place.pg.forms and file.choice is None and file.value is None:
            # Texts that the server has read.
            values: dict[Literal, float] = dict.fromkeys(self.place.pg.forms, 1.0)
        elif file.value is not None:
            values = {file.value: 1.0}
        elif file.share is not None:
            if self.place.pg.name not in ("bool", JSON_VALUE.name):
                self.place.refuse(f"`share` is for booleans, not {self.place.pg.name}")
            values = {True: file.share, False: 1 - file.share}
        elif isinstance(file.choice, dict):
            values = dict(file.choice.items())
        else:
            values = dict.fromkeys(file.choice or (), 1.0)
        self._given = list(values)
        self._one = len(values) == 1
        self._outcomes = np.arange(len(values))
        if file.unique:
            check_enough(self, len(values))
            self._table = _Table(self, self._given)
            self.dtype = self._table.dtype
            return
        bits = OUTCOME_BITS if len(values) <= OUTCOMES // 16 else 2 * OUTCOME_BITS - 4
        self._shift = np.uint64(64 - bits)
        bounds = thresholds(list(values.values()), bits)
        outcomes = np.searchsorted(bounds, np.arange(1 << bits), side="right")
        self._outcomes = outcomes
        self._table = _Table(self, self._given, outcomes)
        self.dtype = self._table.dtype

    @property
    def bytes_max(self) -> int:
        """Of a field, its length in front."""
        return self._table.bytes_max

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return self._table.take(self._places(rows))

    def _places(self, rows: Rows) -> NDArray[np.intp]:
        file = file_of(self)
        if file.unique == "owner":
            return other_places(self, rows, len(self._given)).astype(np.intp)
        if file.unique:
            # In the order of the file, for reference tables.
            return (rows.ordinal % len(self._given)).astype(np.intp)
        if self._one:
            return np.zeros(rows.size, dtype=np.intp)
        return (self.hashes(rows) >> self._shift).view(np.intp)

    def values(self, rows: Rows) -> NDArray[Any]:
        """See `Column`."""
        try:
            given = np.array([float(value) for value in self._given])
        except ValueError:
            return super().values(rows)
        return given.take(self._outcomes.take(self._places(rows)))


@dataclass
class IfNull(Column):
    """`if_null`: one value where another column is null, another where it is not."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """Two values."""
        file = file_of(self)
        self._asked = self.sibling(file.if_null)
        if file.then is None or file.otherwise is None:
            raise TypeError(file)
        self._table = _Table(self, (file.otherwise, file.then))
        self.dtype = self._table.dtype

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        null = self._asked.of(rows).null
        if null is None:
            null = np.zeros(rows.size, dtype=np.bool_)
        return self._table.take(null.astype(np.intp))


@dataclass
class Copy(Column):
    """`copy`: another column of the row."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """As the other."""
        self._other = self.sibling(file_of(self).copy)
        self.dtype, self.nullable = self._other.dtype, self._other.nullable
        if self._other.place.pg.name != self.place.pg.name:
            self.place.refuse(
                f"a column of type {self.place.pg.name} takes no copy of one of type "
                f"{self._other.place.pg.name}"
            )

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return self._other.of(rows)

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """See `Column`."""
        return self._other.moments(rows)

    def values(self, rows: Rows) -> NDArray[Any]:
        """See `Column`."""
        return self._other.values(rows)


@dataclass
class ByNumber(Column):
    """`by_number`: values by the row's number in its owner, the last for all that follow."""

    def __post_init__(self) -> None:
        """A value a number."""
        values = file_of(self).by_number
        self._last = len(values) - 1
        self._table = _Table(self, values)
        self.dtype = self._table.dtype

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return self._table.take(np.minimum(rows.number, self._last).astype(np.intp))
