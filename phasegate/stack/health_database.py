"""The health of a database, by SQL: ours or any Supabase project's.

Reads the server's statistics and, where they are there, phasegate's own tables; writes nothing.
"""

from __future__ import annotations

import asyncio
import time

import asyncpg

from phasegate.model.errors import ConfigurationError, PhasegateError
from phasegate.stack.checks import Check, absent, failed, measured, not_allowed
from phasegate.stack.database import CONNECTION_ERRORS, connected, read_sql, run
from phasegate.stack.partitions import state_on

# A check that takes longer has found something; an hourly job must not hang on it.
TIMEOUT_S = 5.0
DATABASE_TIMEOUT_S = 15.0

# Reads on the replica are allowed to be as old as a page that somebody looked at for a moment.
LAG_S_MAX = 10.0
# A fifth of connections left is what a deployment needs that starts new ones before it stops old.
CONNECTIONS_SHARE_MAX = 0.8
# In intervals of its schedule: one missed refresh is late, two are a fault.
REFRESH_AGE_MAX = 2.0
# Rows in DEFAULT make the partition of their month expensive to add; there should be none.
DEFAULT_ROWS_MAX = 0
# Below one month ahead, the first of the month is an incident.
AHEAD_MONTHS_MIN = 1
# A job is promised "in a moment"; nobody waits for a minute.
QUEUE_AGE_S_MAX = 60.0

DATABASE_CHECKS = (
    "database",
    "connections",
    "replica_lag",
    "refresh_age",
    "default_partition",
    "partitions_ahead",
    "queue_age",
)


def database_checks(database_url: str | None) -> tuple[Check, ...]:
    """Ask the database behind `database_url`; None skips each question.

    Raises:
        ConfigurationError: `database_url` is no DSN.
    """
    if database_url is None:
        return _without_database("No database URL was given")

    async def work() -> tuple[Check, ...]:
        async with (
            asyncio.timeout(DATABASE_TIMEOUT_S),
            # No prepared statements: it may be a transaction pooler.
            connected(database_url, statement_cache_size=0, timeout_s=TIMEOUT_S) as connection,
        ):
            return await _ask(connection)

    try:
        return run(work())
    except ConfigurationError:
        raise
    except (*CONNECTION_ERRORS, PhasegateError) as error:
        said = str(error)
        if isinstance(error, PhasegateError):
            said = ". ".join(part for part in (error.what, error.then) if part)
        lost = failed("database", said or "The database does not answer in time")
        return (lost, *_without_database("The database does not answer")[1:])


def _without_database(said: str) -> tuple[Check, ...]:
    return tuple(Check(name=name, outcome="skipped", said=said) for name in DATABASE_CHECKS)


async def _ask(connection: asyncpg.Connection) -> tuple[Check, ...]:
    began = time.perf_counter()
    row = await connection.fetchrow(read_sql("health"))
    took_ms = (time.perf_counter() - began) * 1e3
    return (
        Check(
            name="database",
            outcome="ok",
            said=f"PostgreSQL {row['version']}, {took_ms:.0f} ms",
            value=took_ms,
            unit="ms",
        ),
        _connections(row),
        _replica_lag(row),
        await _refresh_age(connection) if row["has_refreshes"] else absent("refresh_age"),
        *(
            await _partitions(connection)
            if row["has_partitions"]
            else (absent("default_partition"), absent("partitions_ahead"))
        ),
        await _queue_age(connection) if row["has_jobs"] else absent("queue_age"),
    )


def _connections(row: asyncpg.Record) -> Check:
    usable = row["connections_max"] - row["connections_reserved"]
    share = row["connections"] / usable
    said = f"{row['connections']} of {usable} connections in use ({share:.0%})"
    return measured("connections", said, share, "share", CONNECTIONS_SHARE_MAX)


def _replica_lag(row: asyncpg.Record) -> Check:
    if row["slots_inactive"]:
        said = f"{row['slots_inactive']} of {row['slots']} replication slots have no replica"
        return failed("replica_lag", f"{said}: a replica has stopped, and WAL piles up for it")
    if not row["replicas"]:
        return Check(name="replica_lag", outcome="skipped", said="There is no replica")
    # Null where everything is replayed: PostgreSQL measures nothing while nothing is sent.
    lag_s, lag_bytes = row["lag_s"] or 0.0, row["lag_bytes"] or 0
    said = f"{lag_s:.1f} s, {lag_bytes} bytes behind"
    return measured("replica_lag", said, lag_s, "s", LAG_S_MAX)


async def _refresh_age(connection: asyncpg.Connection) -> Check:
    """Of the view that is the latest, measured by its own schedule."""
    try:
        row = await connection.fetchrow(
            "select view, every_s, duration_s,"
            " extract(epoch from now() - refreshed_at)::float8 as age_s"
            " from phasegate_stack.refreshes"
            " order by (now() - refreshed_at) / every_s desc limit 1"
        )
    except asyncpg.InsufficientPrivilegeError:
        return not_allowed("refresh_age")
    if row is None:
        return absent("refresh_age")
    said = f"{row['view']} was refreshed {row['age_s'] / 60:.0f} min ago"
    if row["duration_s"] is not None:
        said += f", which took {row['duration_s']:.1f} s"
    return measured("refresh_age", said, row["age_s"], "s", REFRESH_AGE_MAX * row["every_s"])


async def _partitions(connection: asyncpg.Connection) -> tuple[Check, Check]:
    try:
        states = await state_on(connection)
    except asyncpg.InsufficientPrivilegeError:
        return not_allowed("default_partition"), not_allowed("partitions_ahead")
    if not states:
        return absent("default_partition"), absent("partitions_ahead")
    rows = max(state.default_rows or 0 for state in states)
    kept = ", ".join(sorted({state.keeper or "nobody" for state in states}))
    ahead = await connection.fetchval(
        """
        select min(extract(year from age(s.newest_end, date_trunc('month', now()))) * 12
                   + extract(month from age(s.newest_end, date_trunc('month', now()))) - 1)::int
        from phasegate_stack.partition_policy as p
        cross join lateral phasegate_stack.partition_state(p.parent::regclass) as s
        """
    )
    months = -1 if ahead is None else int(ahead)
    return (
        measured(
            "default_partition",
            f"{rows} rows wait in DEFAULT for a partition",
            rows,
            "rows",
            DEFAULT_ROWS_MAX,
        ),
        Check(
            name="partitions_ahead",
            outcome="failed" if months < AHEAD_MONTHS_MIN else "ok",
            said=f"partitions reach {months} months ahead, kept by {kept}"
            if months >= 0
            else f"this month has no partition, kept by {kept}",
            value=months,
            unit="months",
            limit=AHEAD_MONTHS_MIN,
        ),
    )


async def _queue_age(connection: asyncpg.Connection) -> Check:
    row = await _read(
        connection,
        "select count(*) as waiting,"
        " coalesce(max(extract(epoch from now() - accepted_at)), 0)::float8 as age_s"
        " from phasegate_stack.jobs where status = 'processing'",
    )
    if row is None:
        return not_allowed("queue_age")
    said = f"{row['waiting']} jobs wait, the oldest for {row['age_s']:.0f} s"
    return measured("queue_age", said, row["age_s"], "s", QUEUE_AGE_S_MAX)


async def _read(connection: asyncpg.Connection, query: str) -> asyncpg.Record | None:
    """A row, or None where this role may not see it."""
    try:
        return await connection.fetchrow(query)
    except asyncpg.InsufficientPrivilegeError:
        return None
