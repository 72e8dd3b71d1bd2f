"""Monthly partitions: made ahead, DEFAULT watched and emptied, old months dropped.

Reads `stack/sql/partitions*.sql`; writes schema `private`, the partitions themselves and, where the
server has pg_partman 4 or 5, that extension's configuration in schema `partman`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from phasegate.stack.database import connected, execute_sql, run

PARENT = "public.activity_logs_partitioned"

# Three months ahead: maintenance may fail for a whole quarter before a row falls into DEFAULT.
AHEAD_MONTHS = 3
# A hundred years, so nothing is dropped unless asked for: the seeded year is a fixed one
# (`population.start`), and a retention counted from today would one day eat it.
KEEP_MONTHS = 1200

PARTMAN_VERSIONS = (4, 5)
OWN = "own functions"


@dataclass(frozen=True)
class Maintenance:
    """What one round did to one table."""

    parent: str
    made: int
    """Partitions made, ahead or for rows that lay in DEFAULT."""
    dropped: int
    """Partitions dropped by retention."""
    moved: int
    """Rows moved from DEFAULT into their month."""


@dataclass(frozen=True)
class PartitionState:
    """How a table's partitions stand."""

    parent: str
    keeper: str | None
    """`own functions` or `pg_partman 4.7.2`; None where nobody looks after the table."""
    partitions: int
    """Without DEFAULT."""
    oldest: datetime | None
    """First moment of the oldest partition; None without one."""
    newest_end: datetime | None
    """Last moment (exclusive) of the newest partition; None without one."""
    default_rows: int | None
    """Rows in DEFAULT, counted up to 10,000; None where there is no DEFAULT partition."""
    maintained_at: datetime | None


async def partman_version(connection: asyncpg.Connection) -> int | None:
    """Major version of pg_partman that the server could install or has; None without."""
    version = await connection.fetchval(
        """
        select coalesce(installed_version, default_version)
        from pg_available_extensions where name = 'pg_partman'
        """
    )
    if version is None:
        return None
    major = int(str(version).split(".")[0])
    return major if major in PARTMAN_VERSIONS else None


async def manage_on(
    connection: asyncpg.Connection,
    *,
    parent: str = PARENT,
    ahead_months: int = AHEAD_MONTHS,
    keep_months: int = KEEP_MONTHS,
    use_partman: bool = True,
) -> str:
    """As `manage`, on a connection that the caller owns."""
    async with connection.transaction():
        await execute_sql(connection, "partitions")
        await connection.execute(
            """
            insert into private.partition_policy (parent, ahead_months, keep_months)
            values ($1, $2, $3)
            on conflict (parent) do update
            set ahead_months = excluded.ahead_months, keep_months = excluded.keep_months
            """,
            parent,
            ahead_months,
            keep_months,
        )
        major = await partman_version(connection) if use_partman else None
        if major is not None:
            await execute_sql(connection, f"partitions_partman_{major}", "partitions_partman")
        keeper = await connection.fetchval(
            "select keeper from private.partition_policy where parent = $1", parent
        )
    return str(keeper)


def manage(
    dsn: str,
    *,
    parent: str = PARENT,
    ahead_months: int = AHEAD_MONTHS,
    keep_months: int = KEEP_MONTHS,
    use_partman: bool = True,
) -> str:
    """Put `parent` under maintenance; changes no partition yet. Idempotent.

    Args:
        dsn: of the database.
        parent: schema-qualified table, partitioned by range over one time column.
        ahead_months: months after the current one that shall always have a partition.
        keep_months: a partition is dropped once its last moment is older than this.
        use_partman: whether pg_partman is used where the server has it.

    Returns:
        Who does it: `own functions`, or `pg_partman` with its version.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: as for a table that does not exist; nothing was changed.
    """

    async def work() -> str:
        async with connected(dsn) as connection:
            return await manage_on(
                connection,
                parent=parent,
                ahead_months=ahead_months,
                keep_months=keep_months,
                use_partman=use_partman,
            )

    return run(work())


async def maintain_on(connection: asyncpg.Connection) -> tuple[Maintenance, ...]:
    """One round over every table under maintenance; empty while another round is under way."""
    rows = await connection.fetch("select * from private.maintain_partitions()")
    return tuple(Maintenance(**dict(row)) for row in rows)


def maintain(dsn: str) -> tuple[Maintenance, ...]:
    """As `maintain_on`, on a connection of its own.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: as when a lock could not be had within 5 s; nothing was changed.
    """

    async def work() -> tuple[Maintenance, ...]:
        async with connected(dsn) as connection:
            return await maintain_on(connection)

    return run(work())


async def state_on(connection: asyncpg.Connection) -> tuple[PartitionState, ...]:
    """How every table under maintenance stands; empty where there is none."""
    if await connection.fetchval("select to_regclass('private.partition_policy')") is None:
        return ()
    rows = await connection.fetch(
        """
        select p.parent, p.keeper, p.maintained_at, s.*
        from private.partition_policy as p
        cross join lateral private.partition_state(p.parent::regclass) as s
        order by p.parent
        """
    )
    return tuple(PartitionState(**dict(row)) for row in rows)
