"""Is it well? API, auth, database, pool, connections, replica, statistics view, partitions, queue.

Reads an API by HTTP and a database by SQL; writes nothing. Any Supabase project can be asked: what
only phasegate's own stack can tell is skipped there, each time with the reason. Draws nothing: the
command line makes a table of the records, a workflow takes `github_annotations`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import asyncpg

from phases.errors import ConfigurationError, PhasegateError
from records.store import Part
from stack.database import CONNECTION_ERRORS, connected, read_sql, run
from stack.partitions import state_on

# A check that takes longer has found something; an hourly job must not hang on it.
TIMEOUT_S = 5.0
DATABASE_TIMEOUT_S = 15.0

# Reads on the replica are allowed to be as old as a page that somebody looked at for a moment.
LAG_S_MAX = 10.0
# A fifth of connections left is what a deployment needs that starts new ones before it stops old.
CONNECTIONS_SHARE_MAX = 0.8
# The view is refreshed every hour: one missed refresh is late, two are a fault.
STATS_AGE_S_MAX = 2 * 3600.0
# Rows in DEFAULT make the partition of their month expensive to add; there should be none.
DEFAULT_ROWS_MAX = 0
# Below one month ahead, the first of the month is an incident.
AHEAD_MONTHS_MIN = 1
# Heavy work is promised "in a moment"; nobody waits for a minute.
QUEUE_AGE_S_MAX = 60.0

Outcome = Literal["ok", "failed", "skipped"]


class Check(Part, frozen=True, kw_only=True):
    """One question and its answer."""

    name: str
    """`api`, `auth`, `database`, …: stable, for scripts."""
    outcome: Outcome
    """`skipped` is neither good nor bad: `said` tells why it could not be asked."""
    said: str
    """One sentence, without a password or a key."""
    value: float | None = None
    """What was measured; null where there is no figure."""
    unit: str = ""
    limit: float | None = None
    """Beyond it the check fails; null where there is none."""


def check(
    url: str | None, database_url: str | None = None, *, anon_key: str | None = None
) -> tuple[Check, ...]:
    """Ask everything that can be asked, and never hang.

    Args:
        url: of a Supabase project or of our own API; None skips what needs it.
        database_url: DSN of its database; None skips what needs it.
        anon_key: the project's public key; without it a hosted project answers 401.

    Raises:
        ConfigurationError: neither is given, or `url` is not an http(s) address.
    """
    if url is None and database_url is None:
        raise ConfigurationError(
            "There is nothing to check", then="Give a URL, a database URL, or both"
        )
    return (*_api_checks(url, anon_key), *_database_checks(database_url))


def is_healthy(checks: tuple[Check, ...]) -> bool:
    """Whether nothing failed."""
    return all(one.outcome != "failed" for one in checks)


def github_annotations(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """GitHub's workflow commands for what failed, one line each."""

    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    return tuple(
        f"::error title=phasegate health ({one.name})::{escaped(one.said)}"
        for one in checks
        if one.outcome == "failed"
    )


# ------------------------------------------------------------------------------------ by HTTP


def _api_checks(url: str | None, anon_key: str | None) -> tuple[Check, ...]:
    if url is None:
        return tuple(
            Check(name=name, outcome="skipped", said="No URL was given")
            for name in ("api", "auth", "pool", "replica_serving")
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is not an http or https address")
    headers = {"apikey": anon_key, "Authorization": f"Bearer {anon_key}"} if anon_key else {}

    def get(path: str) -> tuple[int, Any, float]:
        return _get(url, path, headers)

    return (_api(get), _auth(get), *_own_api(get))


def _get(url: str, path: str, headers: dict[str, str]) -> tuple[int, Any, float]:
    """Status, body as JSON (None where it is none) and milliseconds of one GET.

    Raises:
        OSError, http.client.HTTPException: there is no answer.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    began = time.perf_counter()
    try:
        connection.request("GET", parts.path.rstrip("/") + path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    took_ms = (time.perf_counter() - began) * 1e3
    try:
        return answer.status, json.loads(body), took_ms
    except ValueError:
        return answer.status, None, took_ms


Get = Callable[[str], tuple[int, Any, float]]


def _api(get: Get) -> Check:
    try:
        status, body, took_ms = get("/rest/v1/")
    except (OSError, http.client.HTTPException) as error:
        return _failed("api", f"The API does not answer: {error or type(error).__name__}")
    code = body.get("code") if isinstance(body, dict) else None
    if status == http.client.UNAUTHORIZED:
        return _failed("api", "The API refuses the key (401): check SUPABASE_ANON_KEY")
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return _failed("api", f"The API answers {status} {code or ''}".rstrip())
    # Its root is often closed (404, PGRST126); that it says so proves that it lives.
    return Check(
        name="api", outcome="ok", said=f"answers in {took_ms:.0f} ms", value=took_ms, unit="ms"
    )


def _auth(get: Get) -> Check:
    try:
        # Not /health, which there is none of; and this one names no status, only its version.
        status, body, took_ms = get("/auth/v1/health")
    except (OSError, http.client.HTTPException) as error:
        return _failed("auth", f"Auth does not answer: {error or type(error).__name__}")
    if status != http.client.OK or not isinstance(body, dict) or "version" not in body:
        return _failed("auth", f"Auth answers {status}")
    return Check(
        name="auth",
        outcome="ok",
        said=f"version {str(body['version'])[:40]}, {took_ms:.0f} ms",
        value=took_ms,
        unit="ms",
    )


def _own_api(get: Get) -> tuple[Check, ...]:
    """What only phasegate's own API tells: its pool, and whether its replica serves."""
    try:
        status, body, _ = get("/ready")
    except (OSError, http.client.HTTPException):
        status, body = 0, None
    pool = body.get("pool") if isinstance(body, dict) else None
    if status != http.client.OK or not isinstance(body, dict) or not isinstance(pool, dict):
        said = "Only phasegate's own API tells"
        return (
            Check(name="pool", outcome="skipped", said=said),
            Check(name="replica_serving", outcome="skipped", said=said),
        )
    waiting = int(pool["waiting"])
    said = f"{pool['in_use']} of {pool['size']} connections in use, {waiting} requests wait"
    saturated = Check(
        name="pool",
        outcome="failed" if waiting else "ok",
        said=said,
        value=waiting,
        unit="requests",
        limit=0,
    )
    return saturated, _replica_serving(body.get("replica"))


def _replica_serving(state: object) -> Check:
    if state is None:
        return Check(name="replica_serving", outcome="skipped", said="The API has no replica")
    if state != "serving":
        return _failed("replica_serving", "The replica is away; its reads go to the primary")
    return Check(name="replica_serving", outcome="ok", said="The replica serves reads")


# ------------------------------------------------------------------------------------- by SQL

DATABASE_CHECKS = (
    "database",
    "connections",
    "replica_lag",
    "user_stats_age",
    "default_partition",
    "partitions_ahead",
    "queue_age",
)


def _database_checks(database_url: str | None) -> tuple[Check, ...]:
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
        said = error.what if isinstance(error, PhasegateError) else str(error)
        lost = _failed("database", said or "The database does not answer in time")
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
        await _stats_age(connection) if row["has_stats"] else _absent("user_stats_age"),
        *(
            await _partitions(connection)
            if row["has_partitions"]
            else (_absent("default_partition"), _absent("partitions_ahead"))
        ),
        await _queue_age(connection) if row["has_heavy_tasks"] else _absent("queue_age"),
    )


def _absent(name: str) -> Check:
    return Check(name=name, outcome="skipped", said="This database has none of ours (level 3)")


def _failed(name: str, said: str) -> Check:
    return Check(name=name, outcome="failed", said=said)


def _measured(name: str, said: str, value: float, unit: str, limit: float) -> Check:
    outcome: Outcome = "failed" if value > limit else "ok"
    return Check(name=name, outcome=outcome, said=said, value=value, unit=unit, limit=limit)


def _connections(row: asyncpg.Record) -> Check:
    usable = row["connections_max"] - row["connections_reserved"]
    share = row["connections"] / usable
    said = f"{row['connections']} of {usable} connections in use ({share:.0%})"
    return _measured("connections", said, share, "share", CONNECTIONS_SHARE_MAX)


def _replica_lag(row: asyncpg.Record) -> Check:
    if row["slots_inactive"]:
        said = f"{row['slots_inactive']} of {row['slots']} replication slots have no replica"
        return _failed("replica_lag", f"{said}: a replica has stopped, and WAL piles up for it")
    if not row["replicas"]:
        return Check(name="replica_lag", outcome="skipped", said="There is no replica")
    # Null where everything is replayed: PostgreSQL measures nothing while nothing is sent.
    lag_s, lag_bytes = row["lag_s"] or 0.0, row["lag_bytes"] or 0
    said = f"{lag_s:.1f} s, {lag_bytes} bytes behind"
    return _measured("replica_lag", said, lag_s, "s", LAG_S_MAX)


async def _stats_age(connection: asyncpg.Connection) -> Check:
    row = await _read(
        connection,
        "select extract(epoch from now() - refreshed_at)::float8 as age_s, duration_s"
        " from private.user_stats_refresh",
    )
    if row is None:
        return _not_allowed("user_stats_age")
    said = f"refreshed {row['age_s'] / 60:.0f} min ago, which took {row['duration_s']:.1f} s"
    return _measured("user_stats_age", said, row["age_s"], "s", STATS_AGE_S_MAX)


async def _partitions(connection: asyncpg.Connection) -> tuple[Check, Check]:
    try:
        states = await state_on(connection)
    except asyncpg.InsufficientPrivilegeError:
        return _not_allowed("default_partition"), _not_allowed("partitions_ahead")
    if not states:
        return _absent("default_partition"), _absent("partitions_ahead")
    rows = max(state.default_rows or 0 for state in states)
    kept = ", ".join(sorted({state.keeper or "nobody" for state in states}))
    ahead = await connection.fetchval(
        """
        select min(extract(year from age(s.newest_end, date_trunc('month', now()))) * 12
                   + extract(month from age(s.newest_end, date_trunc('month', now()))) - 1)::int
        from private.partition_policy as p
        cross join lateral private.partition_state(p.parent::regclass) as s
        """
    )
    months = -1 if ahead is None else int(ahead)
    return (
        _measured(
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
        " from private.heavy_tasks where status = 'processing'",
    )
    if row is None:
        return _not_allowed("queue_age")
    said = f"{row['waiting']} heavy tasks wait, the oldest for {row['age_s']:.0f} s"
    return _measured("queue_age", said, row["age_s"], "s", QUEUE_AGE_S_MAX)


async def _read(connection: asyncpg.Connection, query: str) -> asyncpg.Record | None:
    """A row, or None where this role may not see it."""
    try:
        return await connection.fetchrow(query)
    except asyncpg.InsufficientPrivilegeError:
        return None


def _not_allowed(name: str) -> Check:
    return Check(name=name, outcome="skipped", said="This role may not look")
