"""The population as declared: read, and each table's shape worked out. Pure but for reading.

Reads `seed/population.toml` and `[project]` of `phasegate.toml`; writes nothing. Every mistake that
shows without a database is one line with file and key; what only the schema can tell (a missing
table or column) is checked when the tables are made, before the first row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from msgspec import structs

from phasegate.model.errors import ConfigurationError
from phasegate.model.read_file import as_record, read_toml
from phasegate.project.contract import About
from phasegate.project.find import FILE as PROJECT_FILE
from phasegate.project.population import DelayFile, PopulationFile, RowsFile, TableFile
from phasegate.project.population_columns import ColumnFile, refs_in

FILE = "seed/population.toml"
NOTHING = "Nothing was changed"
DOCUMENTED = "docs/project/seed.md documents every key"

_NAME = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_FIELD = re.compile(r"\{(\w*)(?::0\d+)?\}")
IN_TEXT = ("number", "id")
"""What a text may name besides vocabularies: the row's number in its owner, and in its table."""

T = TypeVar("T")


class Shape(Enum):
    """How the rows of a table come about: the engine knows no other difference."""

    USERS = "one a user"
    REFERENCE = "a fixed number, whatever the users"
    GROUPS = "groups of users"
    MEMBERSHIPS = "one a user and group"
    FEW = "few an owner, kept as a number each"
    MANY = "many an owner, kept, since other rows refer to them"
    EVENTS = "many an owner, made week by week"
    CHILDREN = "few an event, made with it"


STREAMED = (Shape.EVENTS, Shape.CHILDREN)
"""Shapes whose rows are not kept in memory: no other table's look them up."""


def plain(name: str) -> str:
    """`name` without SQL's quotes, and without the schema where that is public."""
    parts = [quoted.replace('""', '"') or bare for quoted, bare in _NAME.findall(name)]
    return ".".join(parts).removeprefix("public.")


def refuse(key: str, what: str, then: str = DOCUMENTED) -> NoReturn:
    """ConfigurationError: `key` of the population says what it must not."""
    raise ConfigurationError(f"{FILE}: {key}: {what}", untouched=NOTHING, then=then)


@dataclass(frozen=True)
class Table:
    """A declared table.

    Attributes:
        name: without `public.`.
        file: as declared.
        shape: how its rows come about.
        owner: name of the owner's table; empty where there is none.
        ancestors: tables of which each row belongs to one row, the nearest first.
        is_of_event: whether its owner's rows are many, so that they are moments and have no life.
        is_global: whether it leads to no user: a reference table, or what one owns.
    """

    name: str
    file: TableFile
    shape: Shape
    owner: str
    ancestors: tuple[str, ...]
    is_of_event: bool = False
    is_global: bool = False

    @property
    def destinations(self) -> tuple[str, ...]:
        """The tables that its rows are loaded into."""
        return (self.name, *(plain(name) for name in self.file.also_into))

    @property
    def rows(self) -> RowsFile:
        """Rows per owner, where not a fixed number."""
        return self.file.rows if isinstance(self.file.rows, RowsFile) else RowsFile(from_one_mean=1)

    @property
    def fixed(self) -> int | None:
        """The fixed number of rows, where it is one."""
        return self.file.rows if isinstance(self.file.rows, int) else None

    @property
    def when(self) -> str | DelayFile:
        """When the rows are made."""
        return self.file.when or ("with owner" if self.is_of_event or self.is_global else "life")

    def column(self, name: str) -> ColumnFile | str:
        """Declaration of a column."""
        return self.file.columns[name]


@dataclass(frozen=True)
class Declared:
    """A population that was read and checked.

    Attributes:
        file: as declared.
        users_table: name of the table of registered users.
        users_key: its column that tokens carry.
        tables: by name, in the order of the file.
        code: the Python file beside it, where there is one.
    """

    file: PopulationFile
    users_table: str
    users_key: str
    tables: dict[str, Table]
    code: Path | None = None

    @cached_property
    def destinations(self) -> tuple[str, ...]:
        """Every table that is loaded, in order: first each table itself, then its twins."""
        return tuple(name for table in self.tables.values() for name in table.destinations)

    @property
    def monthly(self) -> tuple[str, ...]:
        """Tables that get a partition a month."""
        tables = self.tables.values()
        return tuple(plain(name) for table in tables for name in table.file.monthly_partitions)

    @property
    def users_are_numbered(self) -> bool:
        """Whether users' keys are 1, 2, 3, … and no UUIDs."""
        return self.tables[self.users_table].column(self.users_key) == "identity"

    @property
    def owner_columns(self) -> tuple[str, ...]:
        """Columns that hold whose a row is, where each of a table's rows is one user's alone.

        Answers are read by these names, so one that means something else in another table is none.
        """
        key = f"{self.users_table}.{self.users_key}"
        found, shared = set[str](), set[str]()
        for table in self.tables.values():
            named = [name for name, one in table.file.columns.items() if _refers(one, key)]
            alone = (
                table.shape in (Shape.FEW, Shape.EVENTS, Shape.MANY)
                and table.owner == self.users_table
            )
            (found if alone and len(named) == 1 else shared).update(named)
            shared.update(name for name in table.file.columns if name not in named)
        return tuple(sorted(found - shared))

    def columns(self) -> Iterator[tuple[Table, str, ColumnFile | str]]:
        """Table, name and declaration of every column."""
        for table in self.tables.values():
            for name, column in table.file.columns.items():
                yield table, name, column

    def target(self, ref: str) -> tuple[str, str]:
        """Table and column that a `ref` names."""
        table, _, column = ref.rpartition(".")
        return plain(table), column


def read_declared(root: Path) -> Declared:
    """The population of the project in `root`, checked as far as it can be without a database.

    Raises:
        ConfigurationError: a file cannot be read, or says what it must not; file and key are named.
    """
    from phasegate.project.population_checks import check

    about = _converted(_toml(root, PROJECT_FILE).get("project", {}), About, PROJECT_FILE)
    file = _converted(_toml(root, FILE), PopulationFile, FILE)
    code = root / "seed" / "columns.py"
    users = plain(about.users_table)
    declared = Declared(
        file, users, about.users_key, _tables(file, users), code if code.is_file() else None
    )
    check(declared)
    return declared


def _tables(file: PopulationFile, users: str) -> dict[str, Table]:
    named = _without_skipped({plain(name): table for name, table in file.tables.items()})
    if users not in named:
        refuse("tables", f"there is no {users!r}, the users_table of {PROJECT_FILE}")
    made: dict[str, Table] = {}
    for name in named:
        _make(name, named, users, made, ())
    looked_up = _looked_up(made)
    return {name: _kept(made[name], looked_up) for name in named}


def _without_skipped(named: dict[str, TableFile]) -> dict[str, TableFile]:
    """The tables to fill: columns that refer to others and may be null are left out with those."""
    skipped = {name for name, table in named.items() if table.skip}
    made = {
        name: structs.replace(table, columns=_without(table.columns, skipped))
        for name, table in named.items()
        if name not in skipped
    }
    needing: dict[str, None] = {}
    while more := [
        name
        for name, table in made.items()
        if name not in needing and _needs(table, {*skipped, *needing})
    ]:
        needing |= dict.fromkeys(more)
    if needing:
        first, *_ = needing
        refuse(
            f"tables.{first}",
            f"{', '.join(needing)} need rows of skipped tables ({', '.join(sorted(skipped))})",
            "Say skip = true there as well, or give each `ref` to one a null_share",
        )
    return made


def _without(
    columns: dict[str, ColumnFile | str], skipped: set[str]
) -> dict[str, ColumnFile | str]:
    """All columns but those that are null where the tables `skipped` are empty."""

    def is_null(column: ColumnFile | str) -> bool:
        if not isinstance(column, ColumnFile) or not column.ref:
            return False
        asked = columns.get(column.same_as, column)
        share = asked.null_share if isinstance(asked, ColumnFile) else 0
        return _target(column) in skipped and share > 0

    return {name: column for name, column in columns.items() if not is_null(column)}


def _needs(table: TableFile, skipped: set[str]) -> bool:
    refs = [ref for column in table.columns.values() for ref in refs_in(column)]
    return plain(table.owner) in skipped or any(_target(ref) in skipped for ref in refs)


def _target(ref: ColumnFile) -> str:
    return plain(ref.ref.rpartition(".")[0])


def _make(
    name: str,
    named: dict[str, TableFile],
    users: str,
    made: dict[str, Table],
    path: tuple[str, ...],
) -> Table:
    """The table `name`, its owners before it."""
    if name in made:
        return made[name]
    if name in path:
        refuse(f"tables.{name}.owner", f"a cycle: {' → '.join((*path, name))}")
    table = named[name]
    owner = plain(table.owner)
    if owner and owner not in named:
        refuse(f"tables.{name}.owner", f"there is no table {owner!r}")
    above = _make(owner, named, users, made, (*path, name)) if owner else None
    shape = _shape(name, table, above, users)
    ancestors = () if above is None else (owner, *above.ancestors)
    if shape is Shape.GROUPS:
        ancestors = (users,)
    if shape is Shape.MEMBERSHIPS:
        groups = plain(table.rows.memberships_of) if isinstance(table.rows, RowsFile) else ""
        if groups not in named or _make(groups, named, users, made, ()).shape is not Shape.GROUPS:
            refuse(f"tables.{name}.rows.memberships_of", f"there are no groups {groups!r}")
        ancestors = (users, groups)
    ancestors = tuple(dict.fromkeys(ancestors))
    is_global = name != users and users not in ancestors
    of_event = shape is Shape.CHILDREN
    made[name] = Table(name, table, shape, owner, ancestors, of_event, is_global)
    return made[name]


def _shape(name: str, table: TableFile, above: Table | None, users: str) -> Shape:
    rows = table.rows
    numbers = rows if isinstance(rows, RowsFile) else RowsFile(from_one_mean=1)
    if name == users:
        if above is not None or rows != 1:
            refuse(f"tables.{name}", "the users' table has one row a user: no `owner`, no `rows`")
        return Shape.USERS
    if numbers.members_mean is not None:
        if above is not None:
            refuse(f"tables.{name}.owner", "groups of users have no owner but their founder")
        return Shape.GROUPS
    if numbers.memberships_of and (above is None or above.name != users):
        refuse(f"tables.{name}.owner", f"memberships are owned by users: {users!r}")
    if above is None and not isinstance(rows, int):
        refuse(f"tables.{name}.owner", "is missing: whose rows are they?")
    if above is None or numbers.memberships_of:
        return Shape.REFERENCE if above is None else Shape.MEMBERSHIPS
    if above.is_global:
        return Shape.FEW
    if above.shape in STREAMED:
        return Shape.CHILDREN
    return Shape.EVENTS if numbers.mean is not None else Shape.FEW


def _looked_up(tables: dict[str, Table]) -> set[str]:
    """Tables whose rows must be kept: others refer to them, or they are above such ones.

    Where no value may come twice in an owner's rows, its rows must be counted beforehand.
    """
    found: set[str] = set()
    for table in tables.values():
        columns = table.file.columns.values()
        for ref in (one for column in columns for one in refs_in(column)):
            name = _target(ref)
            if name in tables and (name not in table.ancestors or ref.within):
                found |= {name, *tables[name].ancestors}
        if table.shape is Shape.EVENTS and _once_an_owner(table):
            found.add(table.name)
    return found


def _once_an_owner(table: Table) -> bool:
    columns = table.file.columns.values()
    return any(isinstance(one, ColumnFile) and one.unique == "owner" for one in columns)


def _kept(table: Table, looked_up: set[str]) -> Table:
    """The table in the shape that its use asks for."""
    if table.name not in looked_up or table.shape not in STREAMED:
        return table
    is_counted = table.shape is Shape.CHILDREN or _once_an_owner(table)
    return replace(table, shape=Shape.FEW if is_counted else Shape.MANY)


def _refers(column: ColumnFile | str, key: str) -> bool:
    return isinstance(column, ColumnFile) and bool(column.ref) and plain(column.ref) == key


def names_in(text: str) -> tuple[str, ...]:
    """The `{names}` of a text, in order."""
    return tuple(_FIELD.findall(text))


def _toml(root: Path, name: str) -> dict[str, Any]:
    return read_toml(root / name, name, untouched=NOTHING)


def _converted(tables: Any, kind: type[T], name: str) -> T:
    return as_record(tables, kind, name, untouched=NOTHING, then=DOCUMENTED)
