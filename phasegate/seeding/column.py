"""What every kind of column has: values for a block of rows, worked out once a block.

Pure. `seeding.columns` makes each column by its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from phasegate.model.errors import ConfigurationError
from phasegate.model.population import U64
from phasegate.project.declared import DOCUMENTED, FILE, NOTHING, Table
from phasegate.project.population_columns import ColumnFile
from phasegate.seeding.entity import I64
from phasegate.seeding.fields import Field, either
from phasegate.seeding.pg_types import PgType
from phasegate.seeding.population import Population
from phasegate.seeding.rows import Rows

# Above all counts of rows, so that it has no divisor with one.
PRIME = (1 << 31) - 1

JSON_VALUE = PgType("a value of json")
"""Type of what stands inside a template: its text."""

ChosenRows = tuple[Rows, NDArray[np.bool_] | None]


@dataclass(frozen=True)
class Place:
    """Where a column is declared, and as what.

    Attributes:
        population: of the data set.
        table: the column's.
        name: the column's, and the path inside it.
        pg: the type that its values are to have.
        file: its declaration.
    """

    population: Population
    table: Table
    name: str
    pg: PgType
    file: ColumnFile | str

    @property
    def stream(self) -> str:
        """What its randomness goes by."""
        return f"{self.table.name}.{self.name}"

    @property
    def key(self) -> str:
        """Where it is declared, for errors."""
        return f"tables.{self.table.name}.columns.{self.name}"

    def check_not_null(self, column: Column) -> None:
        """Refuse a column that may be null where the schema takes no null."""
        if not column.fills_by_itself:
            self.refuse("may be null, and the schema takes no null there")

    def refuse(self, what: str) -> NoReturn:
        """ConfigurationError: the declaration does not fit the column."""
        raise ConfigurationError(f"{FILE}: {self.key}: {what}", untouched=NOTHING, then=DOCUMENTED)


@dataclass
class Column:
    """A column; kinds say how their values come about.

    Attributes:
        place: where it is declared.
        dtype: of its values, big-endian, where all have one length; None where they vary.
        nullable: whether a value may be null.
    """

    place: Place
    dtype: np.dtype[Any] | None = field(default=None, init=False)
    nullable: bool = field(default=False, init=False)

    def make(self, rows: Rows) -> Field:
        """The values of `rows`, worked out."""
        raise NotImplementedError

    def of(self, rows: Rows) -> Field:
        """The values of `rows`."""
        found: Field | None = rows.memo.get(id(self))
        if found is None:
            found = self.make(rows)
            rows.memo[id(self)] = found
        return found

    def put(self, rows: Rows, place: NDArray[Any]) -> None:
        """Set `place` to the values of `rows`: for those of one length that are never null."""
        place[...] = self.of(rows).data

    @property
    def fills_by_itself(self) -> bool:
        """Whether only its values can tell if there is a null: a project's own function's."""
        return False

    @property
    def fills(self) -> bool:
        """Whether `put` is to be used."""
        return self.dtype is not None and not self.nullable

    def check(self) -> None:
        """Make what takes long and may fail: a process that is started later finds it made."""

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """Where the column is a moment: µs of timestamptz, and where it is null."""
        self.place.refuse("is no moment that another column could follow")

    def values(self, rows: Rows) -> NDArray[Any]:
        """Where the column is a number: the values as they are stored; nulls count as 0."""
        self.place.refuse("is no number that another column could be worked out from")

    def hashes(self, rows: Rows, more: str = "") -> U64:
        """A hash of each row, this column's own."""
        return rows.hashes(self.place.population.key(self.place.stream + more))


@dataclass
class Nullable(Column):
    """A column that is null for a share of the rows, whatever else it is."""

    inner: Column
    share: float

    def __post_init__(self) -> None:
        """As the column inside, and null."""
        self.dtype, self.nullable = self.inner.dtype, True

    def check(self) -> None:
        """See `Column`."""
        self.inner.check()

    def make(self, rows: Rows) -> Field:
        """See `Column`."""
        found = self.inner.of(rows)
        null = either(found.null, below(self.hashes(rows, "?"), self.share))
        return replace(found, null=null)

    def moments(self, rows: Rows) -> tuple[I64, NDArray[np.bool_] | None]:
        """See `Column`."""
        us, null = self.inner.moments(rows)
        return us, either(null, below(self.hashes(rows, "?"), self.share))

    def values(self, rows: Rows) -> NDArray[Any]:
        """See `Column`."""
        return np.where(below(self.hashes(rows, "?"), self.share), 0, self.inner.values(rows))


def below(hashes: U64, share: float) -> NDArray[np.bool_]:
    """Whether each hash is among the first `share` of all."""
    return (hashes >> np.uint64(48)) < np.uint64(round(share * (1 << 16)))


def file_of(column: Column) -> ColumnFile:
    """The declaration of a column that takes more than a word."""
    if not isinstance(column.place.file, ColumnFile):
        raise TypeError(column.place.file)
    return column.place.file


def numbers_of(column: Column, rows: Rows) -> I64:
    """What makes a value unique: the row's number in its owner, or in its table."""
    return rows.number if file_of(column).unique == "owner" else rows.ordinal


def other_places(column: Column, rows: Rows, count: int) -> I64:
    """A place of `count` for each row that no other row of the table, or of the owner, has.

    On from a drawn one by a step that has no divisor with `count`.
    """
    place, key = column.place, column.place.population.key(f"{column.place.stream}: first")
    if file_of(column).unique == "owner":
        first = rows.up(place.table.owner).hashes(key)
    else:
        first = np.full(rows.size, key, dtype=np.uint64)
    step = PRIME % count if count % PRIME else 1
    steps = (numbers_of(column, rows) % count) * (step or 1) % count
    return np.asarray(((first >> np.uint64(2)).view(np.int64) % count + steps) % count)


def check_enough(column: Column, count: int) -> None:
    """Refuse a column whose rows are more than its `count` different values."""
    file, place = file_of(column), column.place
    if file.unique is not True:
        return  # an owner gets no more rows than there are values
    expected = place.population.numbers_expected(place.table)
    if expected > count:
        place.refuse(f"{expected:,} rows must differ, and there are {count:,} different values")
