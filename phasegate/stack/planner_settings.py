"""The planner settings of a database that differ from PostgreSQL's defaults.

Reads catalogues by `stack/sql/planner_settings.sql`; writes nothing. asyncpg does not read
PGOPTIONS; what holds in libpq's sessions, `compare.dataset` asks there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from phasegate.records.planner_settings import API_ROLES, PlannerSetting
from phasegate.stack.database import connected, read_sql, run

SQL = read_sql("planner_settings")


def as_settings(rows: Iterable[Sequence[str | None]]) -> tuple[PlannerSetting, ...]:
    """Rows of that statement: name, value, default, source."""
    return tuple(
        PlannerSetting(name=str(name), value=str(value), default=str(default), source=str(source))
        for name, value, default, source in rows
    )


async def planner_settings_on(connection: asyncpg.Connection) -> tuple[PlannerSetting, ...]:
    """Of the session, and of the API's roles."""
    found = await connection.fetch(SQL, list(API_ROLES))
    return as_settings([tuple(row) for row in found])


def planner_settings(dsns: Iterable[str]) -> tuple[PlannerSetting, ...]:
    """Of several databases, each setting once.

    Raises:
        CannotMeasure: a server cannot be reached.
    """

    async def of(dsn: str) -> tuple[PlannerSetting, ...]:
        async with connected(dsn) as connection:
            return await planner_settings_on(connection)

    return tuple(dict.fromkeys(one for dsn in dsns for one in run(of(dsn))))
