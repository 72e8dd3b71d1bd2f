"""The shape of a database: tables, columns, constraints, policies, as the catalogues have them.

Reads `pg_catalog` of a local copy; writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import asyncpg

from phasegate.stack.database import read_sql

SQL = Path(__file__).with_name("sql")

Place = tuple[str, str]
"""Schema and name of a table."""


@dataclass(frozen=True)
class Check:
    """A CHECK constraint of a table or of a domain.

    Attributes:
        name: of the constraint.
        sql: its expression, as `pg_get_expr` writes it; a domain's says VALUE.
        columns: that it reads; empty for a domain's.
    """

    name: str
    sql: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Type:
    """Type of a column, domains taken off.

    Attributes:
        name: `pg_type.typname` of the base type; `enum` for every enum.
        sql: as `format_type` writes it, with its length: what a literal is cast to.
        kind: `b` base, `c` composite, `e` enum, `r` range, `m` multirange, `p` pseudo.
        category: `pg_type.typcategory` of the base type; `A` is an array.
        length_max: characters of a varchar or char, or bits; 0 where it says nothing.
        precision: digits of a numeric; 0 where it says nothing.
        scale: places of a numeric behind the point; -1 where it says nothing.
        dimensions: of a vector; 0 where it says nothing.
        labels: of an enum.
        element: of an array.
        subtype: of a range or multirange.
        fields: of a composite type, by name.
        checks: of the domains that were taken off.
        extension: that brings the type; empty for PostgreSQL's own and the app's.
    """

    name: str
    sql: str
    kind: str = "b"
    category: str = "U"
    length_max: int = 0
    precision: int = 0
    scale: int = -1
    dimensions: int = 0
    labels: tuple[str, ...] = ()
    element: Type | None = None
    subtype: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()
    checks: tuple[Check, ...] = ()
    extension: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: of the column.
        type: without its domains.
        not_null: whether it takes no null, by itself or by its domain.
        default: its expression, `nextval(…)` of a serial among them; empty where there is none.
        identity: `a` always, `d` by default, empty where it is none.
        generated: whether the server computes it from others.
    """

    name: str
    type: Type
    not_null: bool = False
    default: str = ""
    identity: str = ""
    generated: bool = False

    @property
    def is_numbered(self) -> bool:
        """Whether the server would count it up: identity or serial."""
        return bool(self.identity) or self.default.startswith("nextval(")


@dataclass(frozen=True)
class Unique:
    """A primary key, a unique constraint or a unique index.

    Attributes:
        name: of the constraint or index.
        columns: that it reads, also inside expressions.
        expressions: those of its parts that are no plain column; empty mostly.
        where: its predicate, where it is partial.
        is_primary: whether it is the primary key.
        nulls_equal: whether two nulls are the same to it.
    """

    name: str
    columns: tuple[str, ...]
    expressions: tuple[str, ...] = ()
    where: str = ""
    is_primary: bool = False
    nulls_equal: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key.

    Attributes:
        name: of the constraint.
        columns: that refer.
        table: that is referred to.
        targets: its columns, in the same order.
        deferrable: whether it can wait for the end of a transaction.
        on_delete: `a` no action, `r` restrict, `c` cascade, `n` set null, `d` set default.
    """

    name: str
    columns: tuple[str, ...]
    table: Place
    targets: tuple[str, ...]
    deferrable: bool = False
    on_delete: str = "a"


@dataclass(frozen=True)
class Exclusion:
    """An exclusion constraint.

    Attributes:
        name: of the constraint.
        elements: of its parts: the expression, and the operator that must not hold for two rows.
        columns: that it reads.
        sql: as `pg_get_constraintdef` writes it.
        where: its predicate, where it is partial.
    """

    name: str
    elements: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    sql: str
    where: str = ""


@dataclass(frozen=True)
class Policy:
    """A policy of row-level security.

    Attributes:
        name: of the policy.
        command: `select`, `insert`, `update`, `delete` or `all`.
        using: its expression for rows that are there; empty where there is none.
        check: its expression for rows that are written.
    """

    name: str
    command: str
    using: str = ""
    check: str = ""


@dataclass(frozen=True)
class Table:
    """A table, partitioned ones among them; partitions themselves are not listed.

    Attributes:
        place: schema and name.
        kind: `r` table, `p` partitioned, `f` foreign.
        columns: in the order that they have there.
        uniques: primary key, unique constraints and unique indexes.
        foreign_keys: of the table.
        checks: of the table, those of domains apart.
        exclusions: of the table.
        policies: of the table.
        row_security: whether row-level security is on.
        triggers: names of the app's own, which do not fire during a load.
        partition_by: as `pg_get_partkeydef` writes it; empty where it is not partitioned.
        partition_columns: columns of that key.
        partitions: the bounds of each partition, as the server writes them.
        inherits: tables that it inherits from.
    """

    place: Place
    kind: str = "r"
    columns: tuple[Column, ...] = ()
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    policies: tuple[Policy, ...] = ()
    row_security: bool = False
    triggers: tuple[str, ...] = ()
    partition_by: str = ""
    partition_columns: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    inherits: tuple[Place, ...] = ()

    @property
    def name(self) -> str:
        """As `population.toml` has it: without the schema where that is public."""
        return declared_name(self.place)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Its columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def primary(self) -> Unique | None:
        """Its primary key."""
        return next((unique for unique in self.uniques if unique.is_primary), None)


@dataclass(frozen=True)
class Shape:
    """What a database is made of.

    Attributes:
        tables: by schema and name, in that order.
        views: views and materialised views, which get no rows of their own.
    """

    tables: dict[Place, Table]
    views: tuple[Place, ...] = ()


def declared_name(place: Place) -> str:
    """`schema.table`, without the schema where that is public."""
    schema, name = place
    return name if schema == "public" else f"{schema}.{name}"


async def read_shape(connection: asyncpg.Connection, schemas: Sequence[str]) -> Shape:
    """The tables of `schemas` in the database behind `connection`.

    A table of another schema that a foreign key leads to (`auth.users`) is listed as well, with
    all that it refers to in turn.
    """
    types = {row["oid"]: dict(row) for row in await connection.fetch(read_sql(SQL / "types.sql"))}
    found: dict[Place, Table] = {}
    for row in await connection.fetch(read_sql(SQL / "tables.sql"), list(schemas)):
        table = _table(json.loads(row["shape"]), types)
        found[table.place] = table
    views = await connection.fetch(read_sql(SQL / "views.sql"), list(schemas))
    return Shape(found, tuple((row["schema"], row["name"]) for row in views))


_Types = dict[int, dict[str, Any]]

# What precedes a length in a type's modifier, and how a numeric's two numbers lie in it.
_HEADER, _SCALE_MASK, _PRECISION_SHIFT = 4, 0x7FF, 16
_COMMANDS = {"r": "select", "a": "insert", "w": "update", "d": "delete", "*": "all"}


def _table(row: dict[str, Any], types: _Types) -> Table:
    constraints = row["constraints"]
    return Table(
        place=(row["schema"], row["name"]),
        kind=row["kind"],
        columns=tuple(_column(one, types) for one in row["columns"]),
        uniques=tuple(
            Unique(
                one["name"],
                tuple(one["columns"]),
                tuple(one["expressions"]),
                one["where"],
                one["is_primary"],
                one["nulls_equal"],
            )
            for one in row["uniques"]
        ),
        foreign_keys=tuple(
            ForeignKey(
                one["name"],
                tuple(one["columns"]),
                (one["schema"], one["table"]),
                tuple(one["targets"]),
                one["deferrable"],
                one["on_delete"],
            )
            for one in constraints
            if one["kind"] == "f"
        ),
        checks=tuple(
            Check(one["name"], one["expression"], tuple(one["columns"]))
            for one in constraints
            if one["kind"] == "c"
        ),
        exclusions=tuple(
            Exclusion(
                one["name"],
                tuple((element, operator) for element, operator in one["elements"]),
                tuple(one["columns"]),
                one["definition"],
                one["where"] or "",
            )
            for one in constraints
            if one["kind"] == "x"
        ),
        policies=tuple(
            Policy(one["name"], _COMMANDS[one["command"]], one["using"] or "", one["check"] or "")
            for one in row["policies"]
        ),
        row_security=row["row_security"],
        triggers=tuple(row["triggers"]),
        partition_by=row["partition_by"] or "",
        partition_columns=tuple(row["partition_columns"]),
        partitions=tuple(row["partitions"]),
        inherits=tuple((schema, name) for schema, name in row["inherits"]),
    )


def _column(row: dict[str, Any], types: _Types) -> Column:
    kind, not_null, default = _type(row["type"], row["modifier"], types)
    return Column(
        row["name"],
        kind,
        row["not_null"] or not_null,
        row["default"] or default,
        row["identity"],
        row["generated"],
    )


def _type(oid: int, modifier: int, types: _Types) -> tuple[Type, bool, str]:
    """The base type of `oid`; whether a domain takes no null; the domain's default."""
    row, checks, not_null, default = types.get(oid), [], False, ""
    if row is None:
        return Type("unknown", "unknown", kind="p"), False, ""
    domain = _quoted(row) if row["base"] else ""
    while row["base"]:
        checks += [Check(name, text) for name, text in json.loads(row["checks"] or "[]")]
        not_null = not_null or row["not_null"]
        default = default or row["default"] or ""
        modifier = row["modifier"] if modifier < 0 else modifier
        row = types[row["base"]]
    name = "enum" if row["kind"] == "e" else row["name"]
    made = Type(
        name=name,
        sql=domain or _quoted(row) + _suffix(name, modifier),
        kind=row["kind"],
        category=row["category"],
        length_max=_length(name, modifier),
        precision=(modifier - _HEADER) >> _PRECISION_SHIFT
        if name == "numeric" and modifier > 0
        else 0,
        scale=(modifier - _HEADER) & _SCALE_MASK if name == "numeric" and modifier > 0 else -1,
        dimensions=max(0, modifier) if name in ("vector", "halfvec", "sparsevec") else 0,
        labels=tuple(row["labels"]),
        element=_type(row["element"], modifier, types)[0] if row["element"] else None,
        subtype=_type(row["subtype"], -1, types)[0] if row["subtype"] else None,
        fields=tuple(
            (field, _type(kind, size, types)[0])
            for field, kind, size in json.loads(row["fields"] or "[]")
        ),
        checks=tuple(checks),
        extension=row["extension"],
    )
    return made, not_null, default


def _length(name: str, modifier: int) -> int:
    if modifier <= 0:
        return 0
    if name in ("bit", "varbit"):
        return modifier
    return modifier - _HEADER if name in ("varchar", "bpchar") else 0


def _suffix(name: str, modifier: int) -> str:
    """A length in parentheses, where a literal needs one to be cast right."""
    length = _length(name, modifier)
    return f"({length})" if length else ""


def _quoted(row: dict[str, Any]) -> str:
    parts = (row["schema"], row["name"])
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
