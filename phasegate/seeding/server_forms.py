"""Values of types that only the server can write: their binary forms, asked for before a load.

Reads the declarations, and asks the server to cast each literal; writes nothing. Texts of such a
type are made as a pool of so many, that rows then draw from.
"""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import msgspec
import numpy as np

from phasegate.model.errors import ConfigurationError
from phasegate.project.declared import FILE, NOTHING, Table
from phasegate.project.population_columns import ColumnFile
from phasegate.seeding.column import Place
from phasegate.seeding.columns import Types, by_type
from phasegate.seeding.columns_patterns import Pattern
from phasegate.seeding.columns_texts import Text
from phasegate.seeding.pg_types import Literal, PgType, is_written_by_server
from phasegate.seeding.population import Population
from phasegate.seeding.rows import Rows
from phasegate.seeding.target import sql

POOL = 1024


async def add_forms(connection: asyncpg.Connection, population: Population, types: Types) -> None:
    """Give the types of `types` the forms of the literals that their columns take.

    Raises:
        ConfigurationError: the server takes one for no value of its type.
    """
    for table, name, column in population.declared.columns():
        kind = types[table.name][name]
        file = by_type(population, kind, column)
        if isinstance(file, str):
            continue
        place = Place(population, table, name, kind, file)
        element = kind.element
        if file.array is not None and element is not None:
            inner = by_type(population, element, file.array)
            if isinstance(inner, ColumnFile):
                inside = Place(population, table, f"{name}[0]", element, inner)
                element = await _with_forms(connection, inside)
            kind = msgspec.structs.replace(kind, element=element)
        else:
            kind = await _with_forms(connection, place)
        types[table.name][name] = kind


async def _with_forms(connection: asyncpg.Connection, place: Place) -> PgType:
    kind = place.pg
    if not is_written_by_server(kind) or not isinstance(place.file, ColumnFile):
        return kind
    literals = tuple(dict.fromkeys(_literals(place, place.file)))
    if not literals:
        return kind
    if not kind.send:
        place.refuse(f"type {kind.declared} has no binary form: give the column a default")
    statement = await connection.fetchval(sql("binary_forms"), kind.send, kind.declared)
    try:
        rows = await connection.fetch(statement, literals)
    except asyncpg.PostgresError as error:
        raise ConfigurationError(
            f"{FILE}: {place.key}: {error}",
            untouched=NOTHING,
            then=f"Write the value as {kind.declared} takes it",
        ) from error
    forms = {literal: row["form"] for literal, row in zip(literals, rows, strict=True)}
    return msgspec.structs.replace(kind, forms=forms)


def _literals(place: Place, file: ColumnFile) -> Iterator[str]:
    if file.text is not None or file.pattern is not None:
        yield from texts_of(place, file)
    values: tuple[Literal | None, ...] = (file.value, *file.by_number)
    if file.if_null:
        values += (file.then, file.otherwise)
    for value in (*values, *(file.choice or ())):
        if value is not None:
            yield as_literal(value)


def as_literal(value: Literal) -> str:
    """`value` as PostgreSQL reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def texts_of(place: Place, file: ColumnFile) -> Iterator[str]:
    """`POOL` texts of a column, as its first rows would have them."""
    make = Pattern if file.pattern is not None else Text
    column = make(Place(place.population, place.table, place.name, PgType("text"), file))
    field = column.make(_any_rows(place.population, place.table))
    parts = [
        [bytes(item)[:length] for item, length in zip(items, lengths, strict=True)]
        for items, lengths in field.body()
    ]
    for texts in zip(*parts, strict=True):
        yield b"".join(texts).decode()


def _any_rows(population: Population, table: Table) -> Rows:
    numbers = np.arange(POOL, dtype=np.int64)
    rows = Rows(
        population,
        table,
        counter=numbers.view(np.uint64),
        moment_us=np.zeros(POOL, dtype=np.int64),
        ordinal=numbers,
        number=numbers,
    )
    # They belong to nobody.
    rows.memo["locale"] = numbers.astype(np.intp) % len(population.declared.file.locales)
    return rows
