"""Before the rows: empty tables, their policies and grants, and a marker that says `loading`.

Reads the project's `seed/schema.sql` and `seed/policies.sql`, and `seeding/sql`; writes the tables
and the marker. One transaction: nobody ever sees the tables without row-level security.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg

from phasegate.model.errors import ConfigurationError, Refused
from phasegate.project import load_project
from phasegate.seeding.dataset_spec import DatasetSpec
from phasegate.seeding.rights import NOTHING_CHANGED, Found, check_may_write
from phasegate.seeding.schema import Schema, read_schema
from phasegate.seeding.target import quoted, sql
from phasegate.stack.background import nothing_beside
from phasegate.stack.database import read_sql, sql_fault
from phasegate.stack.levels import undone

CORRECT_IT = "Correct it: tables, types and functions alone; keys go to seed/keys.sql"
NO_SUPABASE = (
    "Where it asks for what a Supabase project brings (roles anon, authenticated, service_role; "
    "schema auth), make that first: this server has none; phasegate's own server, which is seeded "
    "without a database URL, has it"
)


Rehearse = Callable[[asyncpg.Connection, DatasetSpec, Schema], Awaitable[None]]


async def prepare(
    connection: asyncpg.Connection,
    spec: DatasetSpec,
    where: str,
    *,
    ours: bool,
    rehearse: Rehearse | None = None,
) -> Schema:
    """Make the database ready for the rows of `spec`: all of it, or nothing.

    The tables are closed to everybody but their owner. A database with Supabase's roles gets the
    application's policies and grants too; any other gets them with its stack level.

    Args:
        connection: to the database.
        spec: what is to be loaded.
        where: the database as errors name it.
        ours: the database carries our marker, so tables of ours may be there; they are dropped.
        rehearse: called with the tables made and empty; what it raises takes all back.

    Returns:
        The tables as the server made them.

    Raises:
        ConfigurationError: `seed/schema.sql` fails, or lacks what `seed/population.toml` declares.
        Refused: an object of another origin depends on those tables; nothing was changed.
    """
    months = spec.population.year.months
    marks = (spec.key, spec.users, spec.seed, months[0].date(), len(months) - 1)
    # One snapshot: what others make meanwhile is not taken for ours.
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute(read_sql("settings"))
        await connection.execute(sql("marker"))
        await connection.execute(sql("mark_loading"), *marks)
        if ours:
            await _drop(connection, spec, where)
        else:
            await connection.execute(sql("close_marker"))
        before = await objects(connection)
        await _make(connection, spec)
        schema = await read_schema(connection, spec)
        for table in spec.population.declared.monthly:
            arguments = (quoted(table), months[0].date(), len(months) - 1)
            made = await connection.fetch(sql("partition_statements"), *arguments)
            for row in made:
                await connection.execute(row["statement"])
        await note(connection, before, "note_tables")
        if rehearse is not None:
            await rehearse(connection, spec, schema)
        await _close(connection, spec)
        await note(connection, before, "note_tables")  # what the policies ask is ours as well
    return schema


Objects = set[tuple[str, int]]
"""Relations, routines, types and schemas, by kind and oid."""


async def objects(connection: asyncpg.Connection) -> Objects:
    """What is there, beside the server's own."""
    return {(row["kind"], row["oid"]) for row in await connection.fetch(sql("objects"))}


async def note(connection: asyncpg.Connection, before: Objects, statement: str) -> None:
    """Note in the marker what this transaction made since `before`: it is ours to drop."""
    new = sorted(await objects(connection) - before)
    kinds = ("relation", "routine", "type", "schema")
    noted = ([oid for kind, oid in new if kind == wanted] for wanted in kinds)
    await connection.execute(sql(statement), *noted)


async def _make(connection: asyncpg.Connection, spec: DatasetSpec) -> None:
    """Run the project's schema; a path or time-out that it sets ends here."""
    is_supabase = await connection.fetchval(sql("has_api_roles"))
    text = read_sql(spec.folder.schema)
    try:
        await connection.execute(text)
    except asyncpg.PostgresError as error:
        raise ConfigurationError(
            sql_fault("seed/schema.sql", text, error),
            untouched=NOTHING_CHANGED,
            then=CORRECT_IT if is_supabase else f"{CORRECT_IT}. {NO_SUPABASE}",
        ) from error
    await connection.execute(read_sql("settings"))


async def _close(connection: asyncpg.Connection, spec: DatasetSpec) -> None:
    """Row-level security, no policies, no grants; then those that the project has."""
    await connection.execute(sql("close_tables"))
    if spec.folder.policies.exists() and await connection.fetchval(sql("has_api_roles")):
        text = read_sql(spec.folder.policies)
        try:
            await connection.execute(text)
        except asyncpg.SyntaxOrAccessError as error:
            raise ConfigurationError(
                sql_fault("seed/policies.sql", text, error),
                untouched=NOTHING_CHANGED,
                then="Correct the statement, then run the same command again",
            ) from error


async def close_what_is_open(
    connection: asyncpg.Connection, spec: DatasetSpec, found: Found, where: str
) -> None:
    """Close tables of a data set that is there already, where an older version left them open.

    Raises:
        Refused: some are open, and the role may not change them; nothing was changed.
    """
    async with connection.transaction(readonly=True):
        await connection.execute(read_sql("settings"))
        if not await connection.fetch(sql("open_tables")):
            return
    check_may_write(found, where)
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        await _close(connection, spec)


async def _drop(connection: asyncpg.Connection, spec: DatasetSpec, where: str) -> None:
    for _, undo in (*nothing_beside(), *undone(load_project(spec.root))):
        await connection.execute(undo)
    try:
        await _drop_in_any_order(connection)
    except asyncpg.DependentObjectsStillExistError as error:
        raise Refused(
            f"Something in {where} depends on the tables to be replaced ({error.detail})",
            untouched=NOTHING_CHANGED,
            then="Drop it, or give another database",
        ) from error


async def _drop_in_any_order(connection: asyncpg.Connection) -> None:
    """Drop what the marker lists: a table may need a function that needs the type of a table.

    Raises:
        asyncpg.DependentObjectsStillExistError: something else depends on what is left.
    """
    left = [row["statement"] for row in await connection.fetch(sql("drop_statements"))]
    while left:
        needed = []
        for statement in left:
            try:
                async with connection.transaction():
                    await connection.execute(statement)
            except asyncpg.DependentObjectsStillExistError as error:
                needed.append(statement)
                failure = error
        if len(needed) == len(left):
            raise failure
        left = needed
