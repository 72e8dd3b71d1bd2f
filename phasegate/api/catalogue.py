"""What the database offers: relations, columns, keys, relationships, functions, roles.

Reads the system catalogues through the four .sql files beside this module. Every identifier in a
statement of the API comes from here, quoted; what a request names is only ever looked up.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

ROLES = ("anon", "authenticated", "service_role")
"""The roles that a token may name."""

SUGGESTION_SIMILARITY_MIN = 0.75
"""PostgREST's, below which a hint would name something unrelated."""

_HERE = Path(__file__).parent


def quoted(identifier: str) -> str:
    """As an identifier in a statement."""
    return '"' + identifier.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column. `sql_type` is quoted and ready for a statement; so is `default`."""

    name: str
    sql_type: str
    default: str | None
    is_json: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of schema public, or the rows that a function returns."""

    name: str
    columns: Mapping[str, ColumnType]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()

    @property
    def sql(self) -> str:
        """Qualified and quoted."""
        return f'"public".{quoted(self.name)}'


@dataclass(frozen=True, slots=True)
class Relationship:
    """A foreign key, seen from `parent`: to one row of `child`, or to many."""

    constraint: str
    parent: str
    child: str
    pairs: tuple[tuple[str, str], ...]
    """(column of parent, column of child)."""
    to_one: bool
    cardinality: str


@dataclass(frozen=True, slots=True)
class Argument:
    """Of a function."""

    name: str
    sql_type: str
    required: bool
    shown_type: str


@dataclass(frozen=True, slots=True)
class Routine:
    """A function of schema public."""

    name: str
    arguments: tuple[Argument, ...]
    reads_only: bool
    returns_set: bool
    returns_void: bool
    returns_row: bool
    rows: Relation
    """Columns of the answer; named after the relation whose rows it returns, if it is one."""

    @property
    def sql(self) -> str:
        """Qualified and quoted."""
        return f'"public".{quoted(self.name)}'

    def accepts(self, given: frozenset[str]) -> bool:
        """Whether these arguments, by name, make a call."""
        required = {argument.name for argument in self.arguments if argument.required}
        return required <= given <= {argument.name for argument in self.arguments}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One reading of the database."""

    relations: Mapping[str, Relation]
    relationships: Mapping[tuple[str, str], tuple[Relationship, ...]]
    routines: Mapping[str, tuple[Routine, ...]]
    role_settings: Mapping[str, tuple[tuple[str, str], ...]]

    def similar_relation(self, name: str) -> str | None:
        """The relation that somebody who wrote `name` may have meant."""
        return _similar(name, self.relations)

    def similar_routine(self, name: str) -> str | None:
        """The function that somebody who wrote `name` may have meant."""
        return _similar(name, self.routines)


def _similar(name: str, known: Mapping[str, object]) -> str | None:
    found = difflib.get_close_matches(name[:64], known, 1, SUGGESTION_SIMILARITY_MIN)
    return found[0] if found and found[0] != name else None


class Reader(Protocol):
    """What of an asyncpg connection is needed here."""

    async def fetch(self, query: str) -> list[Any]:
        """Rows of a query without parameters."""


async def read_catalogue(connection: Reader) -> Catalogue:
    """Read the database that `connection` is connected to."""
    tables = await connection.fetch(_sql("relations"))
    keys = await connection.fetch(_sql("relationships"))
    routines = await connection.fetch(_sql("routines"))
    roles = await connection.fetch(_sql("roles"))
    relations = {row["name"]: _relation(row) for row in tables}
    by_name: dict[str, list[Routine]] = {}
    for row in routines:
        by_name.setdefault(row["name"], []).append(_routine(row, relations))
    return Catalogue(
        relations,
        _relationships(keys, relations),
        {name: tuple(found) for name, found in by_name.items()},
        {row["name"]: _settings(row["settings"]) for row in roles},
    )


def _sql(name: str) -> str:
    return (_HERE / f"{name}.sql").read_text("utf-8")


def _columns(text: str) -> dict[str, ColumnType]:
    listed = msgspec.json.decode(text, type=list[tuple[str, str, str | None, bool]])
    return {name: ColumnType(name, *rest) for name, *rest in listed}  # type: ignore[arg-type]


def _relation(row: Mapping[str, Any]) -> Relation:
    keys = msgspec.json.decode(row["keys"], type=list[tuple[bool, tuple[str, ...]]])
    return Relation(
        row["name"],
        _columns(row["columns"]),
        next((columns for is_primary, columns in keys if is_primary), ()),
        tuple(columns for _, columns in keys),
    )


def _routine(row: Mapping[str, Any], relations: Mapping[str, Relation]) -> Routine:
    listed = msgspec.json.decode(row["arguments"], type=list[tuple[str, str, bool, str]])
    returned = row["returns_relation"]
    rows = relations.get(returned) or Relation(row["name"], _columns(row["columns"]))
    return Routine(
        row["name"],
        tuple(Argument(*argument) for argument in listed),
        row["reads_only"],
        row["returns_set"],
        row["returns_void"],
        row["returns_row"],
        rows,
    )


def _relationships(
    rows: list[Any], relations: Mapping[str, Relation]
) -> dict[tuple[str, str], tuple[Relationship, ...]]:
    found: dict[tuple[str, str], list[Relationship]] = {}
    for row in rows:
        source, target = row["source"], row["target"]
        pairs = tuple(zip(row["source_columns"], row["target_columns"], strict=True))
        unique = {frozenset(key) for key in relations[source].unique_keys}
        one_to_one = frozenset(row["source_columns"]) in unique
        forth = "one-to-one" if one_to_one else "many-to-one"
        back = "one-to-one" if one_to_one else "one-to-many"
        found.setdefault((source, target), []).append(
            Relationship(row["name"], source, target, pairs, True, forth)
        )
        turned = tuple((there, here) for here, there in pairs)
        found.setdefault((target, source), []).append(
            Relationship(row["name"], target, source, turned, one_to_one, back)
        )
    return {ends: tuple(kept) for ends, kept in found.items()}


def _settings(configured: list[str]) -> tuple[tuple[str, str], ...]:
    parts = (setting.partition("=") for setting in configured)
    return tuple((name, value) for name, _, value in parts)
