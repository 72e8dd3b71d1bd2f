"""Before the rows: empty tables, their policies and grants, and a marker that says `loading`.

Reads the project's `seed/schema.sql` and `seed/policies.sql`, and `seeding/sql`; writes the tables
and the marker. One transaction: nobody ever sees the tables without row-level security.
"""

from __future__ import annotations

import asyncpg

from phasegate.model.errors import Refused
from phasegate.project import SeedFolder, load_project
from phasegate.seeding.plan import Plan
from phasegate.seeding.rights import NOTHING_CHANGED, Found, check_may_write
from phasegate.seeding.target import sql
from phasegate.seeding.timeline import Year
from phasegate.stack.background import nothing_beside
from phasegate.stack.database import read_sql
from phasegate.stack.levels import undone


async def prepare(connection: asyncpg.Connection, plan: Plan, where: str, *, ours: bool) -> None:
    """Make the database ready for the rows of `plan`: all of it, or nothing.

    The tables are closed to everybody but their owner. A database with Supabase's roles gets the
    application's policies and grants too; any other gets them with its stack level.

    Args:
        connection: to the database.
        plan: what is to be loaded.
        where: the database as errors name it.
        ours: the database carries our marker, so tables of ours may be there; they are dropped.

    Raises:
        Refused: an object of another origin depends on those tables; nothing was changed.
    """
    project = SeedFolder()
    months = Year(plan.population).months
    marks = (plan.key, plan.users, plan.seed, months[0].date(), len(months) - 1)
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        await connection.execute(sql("marker"))
        await connection.execute(sql("mark_loading"), *marks)
        if ours:
            await _drop(connection, where)
        else:
            await connection.execute(sql("close_marker"))
        await connection.execute(read_sql(project.schema))
        await connection.execute(sql("make_partitions"))
        await connection.execute(sql("note_tables"))
        await _close(connection)


async def _close(connection: asyncpg.Connection) -> None:
    """Row-level security and no grants; then the policies and grants that the application has."""
    await connection.execute(sql("close_tables"))
    if await connection.fetchval(sql("has_api_roles")):
        await connection.execute(read_sql(SeedFolder().policies))


async def close_what_is_open(connection: asyncpg.Connection, found: Found, where: str) -> None:
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
        await _close(connection)


async def _drop(connection: asyncpg.Connection, where: str) -> None:
    for _, undo in (*nothing_beside(), *undone(load_project())):
        await connection.execute(undo)
    try:
        await connection.execute(sql("drop_tables"))
    except asyncpg.DependentObjectsStillExistError as error:
        raise Refused(
            f"Something in {where} depends on the tables to be replaced ({error.detail})",
            untouched=NOTHING_CHANGED,
            then="Drop it, or give another database",
        ) from error
