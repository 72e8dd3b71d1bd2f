"""Columns that say who a row is: keys, its moment, its number, its user's locale; and other rows'.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, Stream, hashed, stream_key
from phasegate.project.declared import Shape
from phasegate.project.population_columns import ANYWHERE, ColumnFile
from phasegate.seeding.column import JSON_VALUE, PRIME, ChosenRows, Column, below
from phasegate.seeding.entity import (
    CODE_BITS,
    CODES,
    I64,
    MS_BITS,
    UUID,
    Entity,
    Indices,
    put_uuids_v7,
    quotients,
)
from phasegate.seeding.fields import Field, Piece, either, led_by, literal, whole_fields
from phasegate.seeding.pg_types import INTEGERS, decimal_text, moments, numbers, uuid_text
from phasegate.seeding.picks import FIRST_MS, Span, available, index_by_time, inside_of
from phasegate.seeding.population import stretches, user_ids
from phasegate.seeding.rows import Rows


@dataclass
class Uuid(Column):
    """`uuid4` or `uuid7`."""

    def __post_init__(self) -> None:
        """One length as uuid; as text, too, but pieces."""
        if self.place.pg.name == "uuid":
            self.dtype = np.dtype("V16") if self._of_users else UUID
        elif not self.place.pg.is_text and self.place.pg is not JSON_VALUE:
            self.place.refuse(f"a column of type {self.place.pg.name} takes no UUID")

    @property
    def _of_users(self) -> bool:
        table = self.place.table
        return table.shape is Shape.USERS and self.place.name == (
            self.place.population.declared.users_key
        )

    def put(self, rows: Rows, place: NDArray[Any]) -> None:
        """See `Column`."""
        if self._of_users:
            kept = rows.entity.uuids
            if kept is None:
                place[...] = user_ids(rows.population.seed, rows.slots.view(np.uint64))
            else:
                place[...] = kept.take(rows.slots)
            return
        hashes = self.hashes(rows)
        if self.place.file == "uuid7":
            unix_ms = rows.created_ms.view(np.uint64) + np.uint64(rows.population.year.unix_ms)
            put_uuids_v7(place, unix_ms, hashes)
        else:
            place["high"] = (hashes & ~np.uint64(0xF000)) | np.uint64(0x4000)
            low = self.hashes(rows, " low")
            place["low"] = (low & np.uint64((1 << 62) - 1)) | np.uint64(1 << 63)

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        data = np.empty(rows.size, dtype=self.dtype or ("V16" if self._of_users else UUID))
        self.put(rows, data)
        if self.dtype is not None:
            return Field(data)
        text = uuid_text(data.view("V16"))
        return quoted(text) if self.place.pg is JSON_VALUE else Field(pieces=(text,))


def quoted(first: Piece) -> Field:
    """A first piece as text of json, in quotes."""
    items, lengths = first
    opened = np.zeros(items.size, dtype="V5")
    opened.view(np.uint8).reshape(-1, 5)[:, 4] = ord('"')
    body = Field(pieces=((items, lengths),)).body()
    count = np.full(items.size, 5, dtype=np.int64)
    return Field(pieces=((opened, count), *body, literal(b'"', items.size)))


@dataclass
class Number(Column):
    """`identity`, `snowflake` or `number`: whole numbers that the rows themselves have."""

    def __post_init__(self) -> None:
        """As the type says."""
        if self.place.pg is JSON_VALUE or self.place.pg.is_text:
            return
        try:
            sample = numbers(self.place.pg, np.ones(1, dtype=np.int64), 0).data
        except ValueError as error:
            self.place.refuse(str(error))
        if sample is not None:
            self.dtype = sample.dtype
        self._check_room()

    def _check_room(self) -> None:
        """Refuse a type too small for numbers that leave gaps, or too small at all: they wrap."""
        table, bits = self.place.table, INTEGERS.get(self.place.pg.name)
        if self.place.file != "identity" or bits is None:
            return
        most = np.iinfo(bits).max
        # No other shape has as many rows as an int4 has numbers.
        if table.shape is Shape.CHILDREN or most < CODES:
            expected = self.place.population.numbers_expected(table)
            if expected > most:
                self.place.refuse(
                    f"{self.place.pg.name} holds no number above {most:,}, and rows are numbered up"
                    f" to {expected:,}: give the tables above it a smaller `max` or `mean`"
                )

    def values(self, rows: Rows) -> I64:
        """The numbers."""
        if self.place.file == "number":
            return rows.number + 1
        if self.place.file == "snowflake":
            if rows.table.shape is Shape.EVENTS:
                return rows.counter.view(np.int64)
            codes = rows.entity.codes(rows.slots.view(np.uint64)).view(np.int64)
            return (rows.created_ms << CODE_BITS) | codes
        return rows.ordinal + 1

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        if self.dtype is not None:
            return numbers(self.place.pg, self.values(rows), 0)
        return Field(pieces=(led_by(0, rows.size), decimal_text(self.values(rows))))


@dataclass
class Created(Column):
    """`created`: the row's moment."""

    def __post_init__(self) -> None:
        """As the type says."""
        try:
            self.dtype = moments(self.place.pg, np.zeros(1, dtype=np.int64)).dtype
        except ValueError as error:
            self.place.refuse(str(error))

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return Field(moments(self.place.pg, rows.moment_us))

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """See `Column`."""
        return rows.moment_us, None


def locale_of(rows: Rows) -> Indices:
    """Number of the locale of each row's user; 0 for rows that have none."""
    count = len(rows.population.declared.file.locales)
    if count == 1 or rows.table.is_global:
        return np.zeros(rows.size, dtype=np.intp)
    found: Indices | None = rows.memo.get("locale")
    if found is None:
        key = stream_key(rows.population.seed, Stream.USER, 3)
        chance = hashed(key, rows.user().view(np.uint64)) >> np.uint64(32)
        found = (chance % np.uint64(count)).view(np.intp)
        rows.memo["locale"] = found
    return found


@dataclass
class Locale(Column):
    """`locale`: of the row's user."""

    def __post_init__(self) -> None:
        """Texts of any length."""
        if not self.place.pg.is_text:
            self.place.refuse(f"a column of type {self.place.pg.name} takes no locale")
        self._words = whole_fields(self.place.population.declared.file.locales)

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        return Field(pieces=(self._words.take(locale_of(rows)),), complete=True)


ColumnOf = Callable[[str, str], Column]


@dataclass
class Ref(Column):
    """`ref`: a column of another row, which is the same for every column that asks it."""

    column_of: ColumnOf

    def __post_init__(self) -> None:
        """As the column that is referred to."""
        file = self.place.file
        if not isinstance(file, ColumnFile):
            raise TypeError(file)
        declared, table = self.place.population.declared, self.place.table
        name, column = declared.target(file.ref)
        self._file, self._target = file, declared.tables[name]
        self._column = self.column_of(name, column)
        same = table.column(file.same_as) if file.same_as else file
        self._asked = same if isinstance(same, ColumnFile) else file
        inside = inside_of(declared, table, self._asked)
        self._is_up, self._picks_in = inside is None, inside or ""
        self.dtype = self._column.dtype
        self.nullable = self._column.nullable or (not self._is_up and self._may_be_null)

    @property
    def _may_be_null(self) -> bool:
        return self._asked.null_share > 0

    def put(self, rows: Rows, place: NDArray[Any]) -> None:
        """See `Column`: straight into place, where the other row's column can."""
        if self._is_up:
            self._column.put(rows.up(self._target.name), place)
        else:
            self._column.put(self.chosen(rows)[0], place)

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        if self._is_up:
            return self._column.of(rows.up(self._target.name))
        if rows.population.entity(self._target.name).count == 0:
            return Field(np.zeros(rows.size, dtype=self.dtype or "V1"), null=_all(rows))
        target, null = self.chosen(rows)
        found = self._column.of(target)
        if null is None:
            return found
        return replace(found, null=either(found.null, null))

    def chosen(self, rows: Rows) -> ChosenRows:
        """The other rows, and where there is none."""
        found: ChosenRows | None = rows.memo.get(("chosen", self._stream))
        if found is None:
            chance = rows.hashes(self.place.population.key(f"{self._stream}: row"))
            slots, none = self._slots(rows, chance)
            if self._may_be_null:
                none = either(none, below(chance << np.uint64(32), self._asked.null_share))
            else:
                none = None
            found = (rows.population.rows(self._target.name, slots), none)
            rows.memo["chosen", self._stream] = found
        return found

    @property
    def _stream(self) -> str:
        """What picking goes by: columns of one key share it."""
        return f"{self.place.table.name}.{self._file.same_as or self.place.name}"

    def _slots(self, rows: Rows, chance: U64) -> tuple[Indices, NDArray[np.bool_] | None]:
        """A row for each of `rows`, and where there is none that was there by then."""
        target = rows.population.entity(self._target.name)
        lot = (chance >> np.uint64(48)).view(np.int64)
        if self._asked.prefer == "newer":
            # The square of a uniform number prefers small ones: how many rows ago.
            lot = (lot * lot) >> 16
        if self._asked.unique:
            return self._another(rows)
        if self._target.name == self.place.table.name and not self._asked.within:
            return self._before(rows, lot)
        if self._target.is_global:
            fine = (chance >> np.uint64(32)).view(np.int64)
            return (fine * target.count) >> 32, None
        if self._picks_in == ANYWHERE or self.place.table.name in self._target.ancestors:
            span = available(rows.population, self.place.table, self._asked, rows)
            fine = (chance >> np.uint64(32)).view(np.int64)
            return self._existing(rows, span, (fine * span.count) >> 32)
        owner = rows.up(self._picks_in)
        if self._picks_in == target.owner and self._target.shape is Shape.FEW:
            found = self._of_owner(rows, owner, target, lot)
            if found is not None:
                return found
        return self._by_time(rows, target, owner.slots, lot)

    def _existing(
        self, rows: Rows, span: Span, places: I64
    ) -> tuple[Indices, NDArray[np.bool_] | None]:
        """The rows at `places` of `span`, none where it is empty."""
        none = span.count == 0
        return span.at(np.where(none, 0, places)), none

    def _another(self, rows: Rows) -> tuple[Indices, NDArray[np.bool_] | None]:
        """Another row for each row of an owner: on from a drawn one by a step without divisor."""
        span = available(rows.population, self.place.table, self._asked, rows)
        owner = rows.up(self.place.table.owner)
        first = (
            owner.hashes(rows.population.key(f"{self._stream}: first row")) >> np.uint64(32)
        ).view(np.int64)
        count = np.maximum(span.count, 1)
        # A prime above all counts has no divisor with one.
        places = (first + (rows.number % count) * (PRIME % count)) % count
        return self._existing(rows, span, places)

    def _before(self, rows: Rows, lot: I64) -> tuple[Indices, NDArray[np.bool_] | None]:
        """An earlier row of the same owner; the row itself where none is and none may be null."""
        available_rows = rows.number
        back = 1 + ((lot * available_rows) >> 16)
        none = available_rows == 0
        if not self._may_be_null:
            back = np.where(none, 0, back)
        return np.maximum(rows.slots - back, 0), none

    def _by_time(
        self, rows: Rows, target: Entity, whose: Indices, lot: I64
    ) -> tuple[Indices, NDArray[np.bool_] | None]:
        """Among an owner's rows in the order of time, by looking them up."""
        keys, slots = index_by_time(rows.population, target, self._picks_in)
        base = whose.astype(np.uint64) << np.uint64(MS_BITS)
        low = np.searchsorted(keys, base)
        high = np.searchsorted(keys, base | rows.created_ms.view(np.uint64), side="right")
        # Where there is none yet, the first that there will be does.
        there = np.maximum(high - low, 1)
        place = np.minimum(low + there - 1 - ((lot * there) >> 16), keys.size - 1)
        return slots.take(place).astype(np.intp), high == low

    def _of_owner(
        self, rows: Rows, owner: Rows, target: Entity, lot: I64
    ) -> tuple[Indices, NDArray[np.bool_] | None] | None:
        """Among an owner's rows by the order of their numbers; None where that tells nothing."""
        if target.counts is None or self._target.when not in ("life", "with owner"):
            return None
        whose = owner.slots
        owned = target.counts.take(whose).astype(np.int64)
        none = owned == 0
        if self._target.when == "with owner":
            there = owned
        else:
            owner_entity = owner.entity
            age = rows.created_ms - owner_entity.created_ms.take(whose)
            stretch = stretches(owner_entity, target.counts, whose)
            none |= age <= FIRST_MS
            there = np.minimum(quotients(np.maximum(age, 0), stretch) + 1, owned)
        number = there - 1 - ((lot * there) >> 16)
        slots = np.minimum(target.first.take(whose) + np.maximum(number, 0), target.count - 1)
        return slots, none


def _all(rows: Rows) -> NDArray[np.bool_]:
    return np.ones(rows.size, dtype=np.bool_)
