"""Columns that say who a row is: keys, its moment, its number, its user's locale; and other rows'.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import U64, Stream, hashed, stream_key
from phasegate.project.declared import Shape, Table, plain
from phasegate.project.population import ColumnFile
from phasegate.project.population_checks import common
from phasegate.seeding.column import JSON_VALUE, ChosenRows, Column, below
from phasegate.seeding.entity import CODE_BITS, I64, UUID, Entity, Indices, put_uuids_v7, quotients
from phasegate.seeding.fields import Field, Piece, either, led_by, literal, whole_fields
from phasegate.seeding.pg_types import decimal_text, moments, numbers, uuid_text
from phasegate.seeding.population import FIRST_MS, stretches
from phasegate.seeding.rows import Rows

_MS_BITS = 36


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
        if self._of_users and rows.entity.uuids is not None:
            place[...] = rows.entity.uuids.take(rows.slots)
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

    def values(self, rows: Rows) -> I64:
        """The numbers."""
        if self.place.file == "number":
            return rows.number + 1
        if self.place.file == "snowflake":
            if rows.table.shape is Shape.EVENTS:
                return rows.counter.view(np.int64)
            codes = rows.entity.codes(rows.slots.view(np.uint64)).view(np.int64)
            return (rows.created_ms << CODE_BITS) | codes
        # Users' are known without their order: tokens carry them.
        return (rows.slots if rows.table.shape is Shape.USERS else rows.ordinal) + 1

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
    if count == 1 or rows.table.shape is Shape.REFERENCE:
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
        within = plain(same.within) if isinstance(same, ColumnFile) else ""
        self._is_up = name in table.ancestors and not within
        self._picks_in = within or ("" if self._is_up else common(table, self._target) or "")
        self.dtype = self._column.dtype
        self.nullable = self._column.nullable or (not self._is_up and self._may_be_null)

    @property
    def _may_be_null(self) -> bool:
        if self._file.same_as:
            other = self.place.table.column(self._file.same_as)
            return isinstance(other, ColumnFile) and other.null_share > 0
        return self._file.null_share > 0

    def put(self, rows: Rows, place: NDArray[Any]) -> None:
        """See `Column`: straight into place, where the other row's column can."""
        if self._is_up:
            self._column.put(rows.up(self._target.name), place)
        else:
            self._column.put(self.chosen(rows)[0], place)

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        target, null = (rows.up(self._target.name), None) if self._is_up else self.chosen(rows)
        found = self._column.of(target)
        if null is None:
            return found
        return Field(found.data, found.pieces, either(found.null, null))

    def chosen(self, rows: Rows) -> ChosenRows:
        """The other rows, and where there is none."""
        stream = self._file.same_as or self.place.name
        found: ChosenRows | None = rows.memo.get(("chosen", stream))
        if found is None:
            chance = rows.hashes(
                self.place.population.key(f"{self.place.table.name}.{stream}: row")
            )
            slots, none = self._slots(rows, chance)
            if self._may_be_null:
                none = either(none, below(chance << np.uint64(32), self._null_share()))
            else:
                none = None
            found = (rows.population.rows(self._target.name, slots), none)
            rows.memo["chosen", stream] = found
        return found

    def _null_share(self) -> float:
        file: ColumnFile | str = self._file
        if isinstance(file, ColumnFile) and file.same_as:
            file = self.place.table.column(file.same_as)
        return file.null_share if isinstance(file, ColumnFile) else 0.0

    def _slots(self, rows: Rows, chance: U64) -> tuple[Indices, NDArray[np.bool_] | None]:
        """A row for each of `rows`, and where there is none that was there by then."""
        target = rows.population.entity(self._target.name)
        lot = (chance >> np.uint64(48)).view(np.int64)
        if self._file.prefer == "newer":
            # The square of a uniform number prefers small ones: how many rows ago.
            lot = (lot * lot) >> 16
        if self._target.shape is Shape.REFERENCE:
            fine = (chance >> np.uint64(32)).view(np.int64)
            return (fine * target.count) >> 32, None
        if self._target.name == self.place.table.name and not self._file.within:
            available = rows.number
            back = (lot * available) >> 16
            return np.maximum(rows.slots - 1 - back, 0), available == 0
        owner = rows.up(self._picks_in)
        if self._picks_in == target.owner and self._target.shape is Shape.FEW:
            found = self._of_owner(rows, owner, target, lot)
            if found is not None:
                return found
        return _by_time(target, self._picks_in, owner.slots, rows.created_ms, lot)

    def _of_owner(
        self, rows: Rows, owner: Rows, target: Entity, lot: I64
    ) -> tuple[Indices, NDArray[np.bool_] | None] | None:
        """Among an owner's rows by the order of their numbers; None where that tells nothing."""
        if target.counts is None or self._target.file.when not in (None, "life", "with owner"):
            return None
        whose = owner.slots
        owned = target.counts.take(whose).astype(np.int64)
        none = None
        if self._target.file.when == "with owner":
            available = owned
        else:
            owner_entity = owner.entity
            age = rows.created_ms - owner_entity.created_ms.take(whose)
            stretch = stretches(owner_entity, target.counts, whose)
            none = age <= FIRST_MS
            available = np.minimum(quotients(np.maximum(age, 0), stretch) + 1, owned)
        number = available - 1 - ((lot * available) >> 16)
        return target.first.take(whose) + number, none if self._may_be_null else None


def _by_time(
    target: Entity, above: str, whose: Indices, created_ms: I64, lot: I64
) -> tuple[Indices, NDArray[np.bool_] | None]:
    """Among an owner's rows in the order of time, by looking them up."""
    keys, slots = index_by_time(target, above)
    base = whose.astype(np.uint64) << np.uint64(_MS_BITS)
    low = np.searchsorted(keys, base)
    high = np.searchsorted(keys, base | created_ms.view(np.uint64), side="right")
    # Where there is none yet, the first that there will be does.
    available = np.maximum(high - low, 1)
    place = np.minimum(low + available - 1 - ((lot * available) >> 16), keys.size - 1)
    found = slots.take(place)
    return found.astype(np.intp), high == low


def index_by_time(target: Entity, above: str) -> tuple[U64, NDArray[np.uint32]]:
    """Rows of `target` by the row of `above` that they belong to, then by creation."""
    kept: dict[str, tuple[U64, NDArray[np.uint32]]] = target.__dict__.setdefault("by_time", {})
    if above not in kept:
        keys = target.above[above].astype(np.uint64) << np.uint64(_MS_BITS)
        keys |= target.created_ms.view(np.uint64)
        order = np.argsort(keys, kind="stable").astype(np.uint32)
        kept[above] = (keys[order], order)
    return kept[above]


def first_of(table: Table, population: Any) -> int:
    """How long after its owner a row of `table` may come at the earliest, in ms.

    Where a column needs a row that its owner has by then, not before that one is there.
    """
    declared = population.declared
    for column in table.file.columns.values():
        if not isinstance(column, ColumnFile) or not column.ref or column.null_share:
            continue
        target = declared.tables[declared.target(column.ref)[0]]
        needed = target.shape is Shape.FEW and target.file.when in (None, "life")
        if needed and target.name not in table.ancestors and target.owner == table.owner:
            return FIRST_MS
    return 0
