"""The part of a stack level that lives in the database.

Reads and runs `stack/sql/level_<n>.sql` and `level_<n>_undo.sql`; at level 3 it also installs the
queue (`stack.background`) and puts the log's partitions under maintenance (`stack.partitions`). The
other parts of a level (pooler, replica, worker) are processes: `levels.up_down`.
"""

from __future__ import annotations

from pathlib import Path

import asyncpg

from phasegate.model.errors import UsageError
from phasegate.project import SeedFolder, load_project
from phasegate.stack.background import arrange_on, background_of
from phasegate.stack.database import connected, execute_sql, run
from phasegate.stack.partitions import manage_on

LEVELS = (1, 2, 3)
LEVEL_OF_WORKER = 3


def steps(level: int) -> tuple[str | Path, ...]:
    """The SQL files that bring a database of any level to `level`, in order.

    Raises:
        UsageError: there is no such level.
    """
    if level not in LEVELS:
        raise UsageError(
            f"There is no stack level {level}",
            untouched="Nothing was changed",
            then=f"Choose one of {', '.join(map(str, LEVELS))}",
        )
    down = tuple(f"level_{n}_undo" for n in reversed(LEVELS) if n > level)
    up = tuple(f"level_{n}" for n in LEVELS if n <= level)
    # Roles, the auth schema and the project's row-level security: every level stands on these.
    return ("supabase", SeedFolder().policies, *down, *up)


async def bring_to_level(connection: asyncpg.Connection, level: int) -> None:
    """As `apply_level`, on a connection that the caller owns."""
    await execute_sql(connection, *steps(level))
    project = load_project()
    await arrange_on(connection, background_of(project, project.parts_of(level)))
    if level == LEVEL_OF_WORKER:
        await manage_on(connection)


def apply_level(dsn: str, level: int) -> None:
    """Bring the database behind `dsn` to `level`, from whichever level it is at.

    Indexes, view and functions come and go in one transaction; applying the same level again
    changes nothing, and a materialised view that is there keeps its contents and its age.

    Raises:
        UsageError: there is no such level.
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: a statement failed, as when the tables are missing; nothing was
            changed.
    """
    steps(level)  # a wrong level is named before anything is opened

    async def work() -> None:
        async with connected(dsn) as connection:
            await bring_to_level(connection, level)

    run(work())


async def _current(connection: asyncpg.Connection) -> int:
    found = await connection.fetchrow(
        """
        select to_regclass('public.idx_tasks_user_created') is not null
                   and to_regclass('public.idx_tasks_project') is not null as indexed,
               to_regclass('private.user_stats') is not null as summarised
        """
    )
    if found["indexed"] and found["summarised"]:
        return 3
    return 2 if found["indexed"] else 1


def current_level(dsn: str) -> int:
    """The level whose database part is in force behind `dsn`: what is there, not what was asked.

    Raises:
        CannotMeasure: the server cannot be reached.
    """

    async def work() -> int:
        async with connected(dsn) as connection:
            return await _current(connection)

    return run(work())
