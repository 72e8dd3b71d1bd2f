"""The schema of the tables as the server made them: types of columns, and whether they fit.

Reads the server's catalogues; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from phasegate.model.errors import ConfigurationError
from phasegate.project.declared import FILE, Declared
from phasegate.seeding.columns import Columns, Types, check_table
from phasegate.seeding.dataset_spec import DatasetSpec
from phasegate.seeding.pg_types import PgType
from phasegate.seeding.rights import NOTHING_CHANGED
from phasegate.seeding.server_forms import add_forms
from phasegate.seeding.target import quoted, sql

# What precedes a length in atttypmod, and how a numeric's precision and scale lie in it.
_HEADER, _SCALE_MASK, _PRECISION_SHIFT = 4, 0x7FF, 16
_LENGTHS = ("varchar", "bpchar")
# Types whose modifier is their size itself: bits, or components.
_SIZES = ("bit", "varbit", "vector", "halfvec")


@dataclass(frozen=True)
class Schema:
    """What a load must know of the tables that it fills.

    Attributes:
        types: of the declared tables' columns.
        partitioned: tables that have partitions.
    """

    types: Types
    partitioned: frozenset[str]


async def read_schema(connection: asyncpg.Connection, spec: DatasetSpec) -> Schema:
    """The schema as it was made on `connection`, checked against the declarations.

    Raises:
        ConfigurationError: a table or column is missing, or cannot hold what is declared.
    """
    declared = spec.population.declared
    names = declared.destinations
    rows = await connection.fetch(sql("column_types"), [quoted(name) for name in names])
    types: Types = {name: {} for name in names}
    partitioned = set()
    for row in rows:
        name = names[row["table"]]
        if not row["is_there"]:
            raise ConfigurationError(
                f"{FILE}: {_key(declared, name)}: seed/schema.sql makes no table {name!r}",
                untouched=NOTHING_CHANGED,
                then="Add it there, or remove it here",
            )
        if row["is_partitioned"]:
            partitioned.add(name)
        if row["column"] is not None:
            types[name][row["column"]] = _type(row)
    _check_tables(declared, types, partitioned)
    await add_forms(connection, spec.population, types)
    columns = Columns(spec.population, types)
    for table in declared.tables.values():
        for name, column in columns.of(table.name).items():
            column.check()
            if column.nullable and types[table.name][name].not_null:
                column.place.check_not_null(column)
    return Schema(types, frozenset(partitioned))


def _check_tables(declared: Declared, types: Types, partitioned: set[str]) -> None:
    for table in declared.tables.values():
        for name in table.destinations:
            check_table(table, types[name], name)
            _check_twin(table.name, name, types, table.file.columns)
        strangers = sorted(set(table.destinations) & set(declared.monthly) - partitioned)
        if strangers:
            raise ConfigurationError(
                f"{FILE}: tables.{table.name}.monthly_partitions: {strangers[0]!r} is not "
                "partitioned by range in seed/schema.sql",
                untouched=NOTHING_CHANGED,
                then="Add `partition by range` there, or take it out of the key",
            )


def _key(declared: Declared, name: str) -> str:
    if name in declared.tables:
        return f"tables.{name}"
    table = next(one.name for one in declared.tables.values() if name in one.destinations)
    return f"tables.{table}.also_into"


def _type(row: Any) -> PgType:
    modifier = row["modifier"]
    element = None
    if row["element"] is not None:
        name = "enum" if row["element_is_enum"] else row["element"]
        element = PgType(
            name,
            row["element_oid"],
            labels=tuple(row["labels"]),
            declared=row["element_declared"],
            send=row["element_send"] or "",
        )
        element = msgspec.structs.replace(element, **_limits(name, modifier))
    kind = "enum" if row["is_enum"] else row["type"]
    made = PgType(
        kind,
        row["oid"],
        not_null=row["not_null"],
        labels=tuple(row["labels"]),
        element=element,
        required=bool(row["required"]),
        generated=bool(row["generated"]),
        declared=row["declared"],
        send=row["send"] or "",
        subtype=row["subtype"] or "",
        is_multirange=bool(row["is_multirange"]),
    )
    return msgspec.structs.replace(made, **_limits(kind, modifier))


def _limits(kind: str, modifier: int) -> dict[str, int]:
    """What `atttypmod` says of a type: nothing where it is not positive."""
    if modifier <= 0:
        return {}
    if kind in _LENGTHS:
        return {"length_max": modifier - _HEADER}
    if kind in _SIZES:
        return {"size": modifier}
    if kind == "numeric":
        scale = (modifier - _HEADER) & _SCALE_MASK
        return {"scale": scale, "precision": (modifier - _HEADER) >> _PRECISION_SHIFT}
    return {}


def _check_twin(table: str, twin: str, types: Types, columns: Any) -> None:
    for name in columns:
        if types[table][name].name != types[twin][name].name:
            raise ConfigurationError(
                f"{FILE}: tables.{table}.also_into: column {name!r} has another type in {twin!r}",
                untouched=NOTHING_CHANGED,
                then="Give it one type in seed/schema.sql",
            )
