"""Monthly partitions: made ahead, DEFAULT watched and emptied, old months dropped.

Reads `stack/sql/partitions*.sql`; writes schema `phasegate_stack`, the partitions and, where the
server has pg_partman 4 or 5, that extension's configuration in schema `partman`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from phasegate.project import Partitions
from phasegate.stack.database import connected, literal, read_sql, run

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


def upkeep_sql(tables: Sequence[Partitions], partman: int | None) -> tuple[tuple[str, str], ...]:
    """The SQL that puts `tables` under maintenance, and no other: (what it is, text) each.

    It changes no partition, may run in one transaction, and twice.

    Args:
        tables: schema-qualified, partitioned by range over one time column.
        partman: major version of pg_partman that does it; None for our own functions.
    """
    declared = literal(msgspec.json.encode(tables).decode())
    pieces = [
        ("partitions", read_sql("partitions")),
        (
            f"tables of the project: {', '.join(table.parent for table in tables)}",
            f"select phasegate_stack.declare_partitions({declared});",
        ),
    ]
    if partman is not None:
        names = (f"partitions_partman_{partman}", "partitions_partman")
        pieces += [(name, read_sql(name)) for name in names]
    return tuple(pieces)


async def maintain_on(connection: asyncpg.Connection) -> tuple[Maintenance, ...]:
    """One round over every table under maintenance; empty while another round is under way."""
    if await connection.fetchval("select to_regclass('phasegate_stack.partition_policy')") is None:
        return ()
    rows = await connection.fetch("select * from phasegate_stack.maintain_partitions()")
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
    if await connection.fetchval("select to_regclass('phasegate_stack.partition_policy')") is None:
        return ()
    rows = await connection.fetch(
        """
        select p.parent, p.keeper, p.maintained_at, s.*
        from phasegate_stack.partition_policy as p
        cross join lateral phasegate_stack.partition_state(p.parent::regclass) as s
        order by p.parent
        """
    )
    return tuple(PartitionState(**dict(row)) for row in rows)
