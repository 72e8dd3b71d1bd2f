"""The first users' rows, loaded and held against every key before the others, and taken back.

Reads the project's `seed/keys.sql`. Writes into the tables just made, inside the transaction that
makes them; a savepoint takes all of it back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg

from phasegate.model.errors import ConfigurationError
from phasegate.project.declared import NOTHING
from phasegate.seeding.build_indexes import foreign_last, key_statements
from phasegate.seeding.copy_encoder import HEADER, TRAILER
from phasegate.seeding.dataset_spec import DatasetSpec
from phasegate.seeding.faults import Fault, fault_of
from phasegate.seeding.schema import Schema
from phasegate.seeding.tables import Tables
from phasegate.seeding.target import quoted, sql

# Enough for what few owners have; loaded within a second.
USERS = 200
# A load of fewer is over as soon, and names its first fault itself.
USERS_MIN = 2_000
SHOWN_MAX = 20


async def rehearse(connection: asyncpg.Connection, spec: DatasetSpec, schema: Schema) -> None:
    """Load the first users of `spec` into its empty tables, make the keys, and take all back.

    Raises:
        ConfigurationError: rows satisfy not all; every table and constraint is named.
    """
    faults = await find_faults(connection, spec, schema)
    if faults:
        shown = [str(fault) for fault in faults[:SHOWN_MAX]]
        tables = ", ".join(dict.fromkeys(fault.table for fault in faults))
        raise ConfigurationError(
            "\n".join([*shown, f"{len(faults)} constraints do not hold: {tables}"]),
            untouched=NOTHING,
            then="Correct them, or say skip = true in those tables",
        )


async def find_faults(
    connection: asyncpg.Connection, spec: DatasetSpec, schema: Schema
) -> tuple[Fault, ...]:
    """What the first users' rows do not satisfy; the tables are left empty, without keys."""
    savepoint = connection.transaction()
    await savepoint.start()
    try:
        of_rows = await _load(connection, spec, schema)
        return (*of_rows, *await _make_keys(connection, spec, {one.table for one in of_rows}))
    finally:
        await savepoint.rollback()


async def _load(connection: asyncpg.Connection, spec: DatasetSpec, schema: Schema) -> list[Fault]:
    """Rows that types, domains and checks refuse."""
    faults = []
    few = replace(spec.population, users=min(spec.users, USERS), _entities={})
    tables = Tables(few, schema.types)
    for table in few.declared.tables.values():
        for destination in table.destinations:
            for row in await connection.fetch(sql("own_triggers"), quoted(destination)):
                await connection.execute(row["disable"])
            try:
                async with connection.transaction():
                    await _copy(connection, tables, table.name, destination)
            except asyncpg.PostgresError as error:
                faults.append(fault_of(error, destination))
    return faults


async def _make_keys(
    connection: asyncpg.Connection, spec: DatasetSpec, refused: set[str]
) -> list[Fault]:
    """Keys that rows do not satisfy; those of the tables `refused` are not told apart."""
    faults = []
    for name, statement in foreign_last(key_statements(spec.folder)):
        try:
            async with connection.transaction():
                await connection.execute(statement)
        except asyncpg.IntegrityConstraintViolationError as error:
            if name not in refused:
                faults.append(fault_of(error, name))
        except asyncpg.PostgresError:
            # What lacks something else, or is wrong in itself, is named by the load.
            continue
    return faults


async def _copy(
    connection: asyncpg.Connection, tables: Tables, name: str, destination: str
) -> None:
    async def blocks() -> AsyncIterator[bytes | memoryview]:
        yield HEADER
        for block in tables.blocks(name):
            yield block.data
        yield TRAILER

    schema, _, table = destination.rpartition(".")
    await connection.copy_to_table(
        table,
        schema_name=schema or "public",
        columns=tables.columns(name),
        source=blocks(),
        format="binary",
    )
