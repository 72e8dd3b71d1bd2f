"""The schema that is advised on: tables, indexes, keys, policies, functions, statistics.

Reads the server's catalogue in one read-only transaction (`advise/sql/`); writes nothing. What a
platform brings along (auth, storage, …) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from phasegate.stack.database import connected, run

SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True)
class Column:
    """A column, and what the planner knows of it."""

    name: str
    type: str
    is_array: bool = False
    nullable: bool = True
    generated: bool = False
    null_share: float = 0.0
    width_bytes: int = 0
    n_distinct: float = 0.0
    """As `pg_stats` has it: below 0 a share of the rows."""
    correlation: float | None = None


@dataclass(frozen=True)
class Index:
    """An index. `keys` holds None where a key is an expression."""

    schema: str
    name: str
    method: str
    keys: tuple[str | None, ...]
    descending: tuple[bool, ...]
    is_unique: bool = False
    of_constraint: bool = False
    includes: bool = False
    predicate: str | None = None
    definition: str = ""
    bytes: int = 0
    scans: int = 0

    @property
    def qualified(self) -> str:
        """Its name as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True)
class ForeignKey:
    """A reference to another table, named by its key in `Schema.tables`."""

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """A row-level policy; an expression is None where it has none."""

    name: str
    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None
    permissive: bool = True


@dataclass(frozen=True, eq=False)
class Table:
    """A table with all that hangs on it; one object for each in a schema."""

    schema: str
    name: str
    rows: float
    bytes: int
    guarded: bool
    partitioned: bool
    columns: Mapping[str, Column]
    indexes: tuple[Index, ...] = ()
    primary: tuple[str, ...] = ()
    foreign: tuple[ForeignKey, ...] = ()
    policies: tuple[Policy, ...] = ()
    bound: bool = False
    """Whether an identity column, a trigger or a view would not go over to a table in its place."""

    @property
    def key(self) -> str:
        """As `Schema.tables` has it."""
        return f"{self.schema}.{self.name}"

    @property
    def qualified(self) -> str:
        """Its name as SQL has it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


@dataclass(frozen=True)
class Function:
    """A function of the application in SQL or PL/pgSQL."""

    schema: str
    name: str
    body: str
    argument_names: tuple[str, ...]
    arguments: str
    argument_count: int
    security_definer: bool
    stable: bool
    definition: str = ""
    """The `create or replace function` that makes it again."""


@dataclass(frozen=True)
class Schema:
    """What there is; tables by `schema.name`, functions by their bare name as well."""

    tables: Mapping[str, Table]
    functions: Mapping[str, Function] = field(default_factory=dict)

    def find(self, name: str, schema: str = "") -> Table | None:
        """The table that a statement calls by that name; without a schema, the first such."""
        if schema:
            return self.tables.get(f"{schema}.{name}")
        named = [table for table in self.tables.values() if table.name == name]
        return min(named, key=lambda table: table.schema != "public", default=None)


def quoted(name: str) -> str:
    """An identifier as SQL takes it; quotes where they are needed, or may be."""
    plain = name.isascii() and name.isidentifier() and name == name.lower() and name not in RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


RESERVED = frozenset({
    "all", "and", "any", "array", "as", "asc", "both", "case", "cast", "check", "collate",
    "column", "constraint", "create", "default", "desc", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in",
    "initially", "intersect", "into", "lateral", "leading", "limit", "not", "null", "offset",
    "on", "only", "or", "order", "placing", "primary", "references", "returning", "select",
    "session_user", "some", "symmetric", "table", "then", "to", "trailing", "true", "union",
    "unique", "user", "using", "variadic", "when", "where", "window", "with", "authorization",
    "binary", "cross", "current_user", "freeze", "full", "ilike", "inner", "is", "isnull", "join",
    "left", "like", "natural", "notnull", "outer", "overlaps", "right", "similar", "verbose",
})  # fmt: skip
"""Words of SQL that are no names without quotes (PostgreSQL manual, appendix C)."""


def read_schema(dsn: str) -> Schema:
    """The application's part of the database behind `dsn`.

    Raises:
        CannotMeasure: the server cannot be reached.
    """

    async def work() -> Schema:
        async with (
            connected(dsn, statement_cache_size=0) as connection,
            connection.transaction(readonly=True),
        ):
            return await _read(connection)

    return run(work())


def sql(name: str) -> str:
    """The text of `advise/sql/<name>.sql`."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


async def _read(connection: asyncpg.Connection) -> Schema:
    tables = await connection.fetch(sql("tables"))
    oids = [row["oid"] for row in tables]
    names = {row["oid"]: f"{row['schema']}.{row['name']}" for row in tables}
    found: dict[str, dict[int, list[Any]]] = {}
    for kind in ("columns", "indexes", "keys", "policies"):
        found[kind] = {}
        for row in await connection.fetch(sql(kind), oids):
            found[kind].setdefault(row["oid"], []).append(row)
    functions = [_function(row) for row in await connection.fetch(sql("functions"))]
    made = [_table(row, {kind: rows.get(row["oid"], []) for kind, rows in found.items()}, names)
            for row in tables]  # fmt: skip
    return Schema({table.key: table for table in made}, {each.name: each for each in functions})


def _table(
    row: Mapping[str, Any], parts: Mapping[str, list[Any]], names: Mapping[int, str]
) -> Table:
    primary = next((tuple(key["columns"]) for key in parts["keys"] if key["is_primary"]), ())
    return Table(
        schema=row["schema"],
        name=row["name"],
        rows=row["rows"],
        bytes=row["bytes"],
        guarded=row["guarded"],
        partitioned=row["partitioned"],
        bound=row["bound"],
        columns={each["name"]: Column(**_without(each, "oid")) for each in parts["columns"]},
        indexes=tuple(_index(each) for each in parts["indexes"] if each["is_valid"]),
        primary=primary,
        foreign=tuple(
            ForeignKey(
                key["name"],
                tuple(key["columns"]),
                names[key["target"]],
                tuple(key["target_columns"]),
            )
            for key in parts["keys"]
            if not key["is_primary"] and key["target"] in names
        ),
        policies=tuple(
            Policy(
                each["name"],
                each["command"],
                tuple(each["roles"]),
                each["using_expression"],
                each["check_expression"],
                each["permissive"],
            )
            for each in parts["policies"]
        ),
    )


def _index(row: Mapping[str, Any]) -> Index:
    plain = _without(row, "oid", "is_valid")
    plain["keys"], plain["descending"] = tuple(row["keys"]), tuple(row["descending"])
    return Index(**plain)


def _function(row: Mapping[str, Any]) -> Function:
    plain = _without(row)
    plain["argument_names"] = tuple(row["argument_names"])
    return Function(**plain)


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def usable(indexes: Iterable[Index]) -> list[Index]:
    """B-tree indexes over the whole table."""
    return [index for index in indexes if index.method == "btree" and index.predicate is None]
