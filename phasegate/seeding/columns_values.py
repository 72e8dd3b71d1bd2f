"""Columns whose values are drawn or follow from another column of the row.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, thresholds
from phasegate.project.population_columns import ColumnFile
from phasegate.records.seed import Distribution
from phasegate.seeding.column import JSON_VALUE, Column, below
from phasegate.seeding.distributions import delays
from phasegate.seeding.entity import I64
from phasegate.seeding.fields import Field, Words, led_by, whole_fields
from phasegate.seeding.pg_types import (
    FLOATS,
    INTEGERS,
    NUMERIC_MAX,
    Literal,
    PgType,
    binary,
    decimal_text,
    moments,
    numbers,
)
from phasegate.seeding.population import (
    OUTCOME_BITS,
    OUTCOMES,
    delay_outcomes_ms,
    delayed,
    log_normal_outcomes,
)
from phasegate.seeding.rows import Rows

Sibling = Callable[[str], Column]
"""Another column of the same table, by name."""

_JSON = PgType("json")


def file_of(column: Column) -> ColumnFile:
    """The declaration of a column that takes more than a word."""
    if not isinstance(column.place.file, ColumnFile):
        raise TypeError(column.place.file)
    return column.place.file


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

    def __init__(self, values: list[bytes], places: NDArray[np.intp] | None = None) -> None:
        widths = {len(value) for value in values}
        self.width = widths.pop() if len(widths) == 1 else 0
        """Where all have one length; 0 where they do not."""
        self._fixed: NDArray[np.void] | None = None
        if self.width:
            self._fixed = np.frombuffer(b"".join(values), dtype=f"V{self.width}")
        self._fields = whole_fields(values)
        if places is not None:
            if self._fixed is not None:
                self._fixed = self._fixed[places]
            self._fields = Words(self._fields.padded[places], self._fields.lengths[places])

    def take(self, places: NDArray[np.intp]) -> Field:
        """The values of `places`."""
        if self._fixed is not None:
            return Field(self._fixed.take(places))
        return Field(pieces=(self._fields.take(places),), complete=True)

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
        if file.value is not None:
            values: dict[Literal, float] = {file.value: 1.0}
        elif file.share is not None:
            if self.place.pg.name not in ("bool", JSON_VALUE.name):
                self.place.refuse(f"`share` is for booleans, not {self.place.pg.name}")
            values = {True: file.share, False: 1 - file.share}
        elif isinstance(file.choice, dict):
            values = dict(file.choice.items())
        else:
            values = dict.fromkeys(file.choice or (), 1.0)
        self._one = len(values) == 1
        bits = OUTCOME_BITS if len(values) <= OUTCOMES // 16 else 2 * OUTCOME_BITS - 4
        self._shift = np.uint64(64 - bits)
        bounds = thresholds(list(values.values()), bits)
        outcomes = np.searchsorted(bounds, np.arange(1 << bits), side="right")
        self._table = _Table([encoded(self, value) for value in values], outcomes)
        self.dtype = self._table.dtype

    @property
    def bytes_max(self) -> int:
        """Of a field, its length in front."""
        return self._table.bytes_max

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        if self._one:
            return self._table.take(np.zeros(rows.size, dtype=np.intp))
        return self._table.take((self.hashes(rows) >> self._shift).view(np.intp))


@dataclass
class Drawn(Column):
    """`uniform`, `normal`, `log_normal`: numbers."""

    def __post_init__(self) -> None:
        """One length, but inside json."""
        file = file_of(self)
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
            most = min(most, 10.0 ** (pg.precision - pg.scale) - 1)
        if name in INTEGERS:
            most = float(np.iinfo(np.dtype(INTEGERS[name])).max)
        if np.abs(limits).max() > most:
            self.place.refuse(f"numbers up to {np.abs(limits).max():g} do not fit into {name}")
        return limits

    def values(self, rows: Rows) -> NDArray[np.float64]:
        """The numbers."""
        file, hashes = file_of(self), self.hashes(rows)
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
        file, values = file_of(self), self.values(rows)
        if self.place.pg is JSON_VALUE:
            whole = file.uniform is not None and all(limit % 1 == 0 for limit in file.uniform)
            text = decimal_text(values, 0 if whole else file.decimals)
            return Field(pieces=(led_by(0, rows.size), text))
        return numbers(self.place.pg, values, file.decimals)


@dataclass
class After(Column):
    """`after`: a moment that follows another by a log-normal delay, where it comes by the end."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """As the type says."""
        file = file_of(self)
        self._base = self.sibling(file.after)
        self._other = self.sibling(str(file.otherwise)) if file.otherwise else None
        self.nullable = self._other is None or self._other.nullable
        try:
            self.dtype = moments(self.place.pg, np.zeros(1, dtype=np.int64)).dtype
        except ValueError as error:
            self.place.refuse(str(error))
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
        delay += base
        end_us = year.postgres_us + year.end_ms * 1000
        comes = delay < end_us
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
class IfNull(Column):
    """`if_null`: one value where another column is null, another where it is not."""

    sibling: Sibling

    def __post_init__(self) -> None:
        """Two values."""
        file = file_of(self)
        self._asked = self.sibling(file.if_null)
        if file.then is None or file.otherwise is None:
            raise TypeError(file)
        self._table = _Table([encoded(self, file.otherwise), encoded(self, file.then)])
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
