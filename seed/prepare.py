"""Before the rows: empty tables, partitions, and a marker that says `loading`.

Reads `stack/sql/schema.sql` and `seed/sql`; writes the tables of `public` and the marker.
"""

from __future__ import annotations

import asyncpg

from phases.errors import Refused
from seed.calendar import Year
from seed.plan import Plan
from seed.target import NOTHING_CHANGED, sql
from stack.database import read_sql


async def prepare(connection: asyncpg.Connection, plan: Plan, where: str, *, ours: bool) -> None:
    """Make the database ready for the rows of `plan`: all of it, or nothing.

    Args:
        connection: to the database.
        plan: what is to be loaded.
        where: the database as errors name it.
        ours: the database carries our marker, so tables of ours may be there; they are dropped.

    Raises:
        Refused: an object of another origin depends on those tables; nothing was changed.
    """
    months = Year(plan.population).months
    marks = (plan.key, plan.users, plan.seed, months[0].date(), len(months) - 1)
    async with connection.transaction():
        await connection.execute(sql("settings"))
        await connection.execute(sql("marker"))
        await connection.execute(sql("mark_loading"), *marks)
        if ours:
            await _drop(connection, where)
        await connection.execute(read_sql("schema"))
        await connection.execute(sql("make_partitions"))
        await connection.execute(sql("note_tables"))


async def _drop(connection: asyncpg.Connection, where: str) -> None:
    for undo in ("level_3_undo", "level_2_undo"):
        await connection.execute(read_sql(undo))
    try:
        await connection.execute(sql("drop_tables"))
    except asyncpg.DependentObjectsStillExistError as error:
        raise Refused(
            f"Something in {where} depends on the tables that are to be replaced ({error.detail})",
            untouched=NOTHING_CHANGED,
            then="Drop it, or give another database",
        ) from error
