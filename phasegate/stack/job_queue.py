"""Heavy work: accepted at once and done by a worker, or done on the spot for comparison.

Reads and writes `private.heavy_tasks` (stack/sql/heavy_tasks.sql) and pgqueuer's tables in schema
`queue`. Every function takes a connection of the database's owner, as an Edge Function does that
holds the service key: whose task it is, is checked here.

Exactly once, as its user sees it: pgqueuer delivers a job at least once, and the transaction that
does the work also marks it done, so that a second delivery finds nothing left to do.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings

from phasegate.stack.database import connected, execute_sql, run

ENTRYPOINT = "process_heavy_task"

# A schema of its own: the API does not serve it, and row-level security does not come near it.
QUEUE = DBSettings(db_schema="queue")

# The longest that a request may ask to wait for a service elsewhere: an Edge Function's idle limit
# is 150 s; a tenth of it is more than a load test wants to wait for.
WAIT_MS_MAX = 15_000

Status = Literal["processing", "done", "failed"]


@dataclass(frozen=True)
class HeavyTask:
    """One piece of heavy work as its user sees it."""

    task_id: uuid.UUID
    status: Status
    runs: int
    """Times that it was done."""
    result: Any
    """Of the last time; None until done."""
    accepted_at: datetime
    finished_at: datetime | None


def queries(connection: asyncpg.Connection) -> Queries:
    """Pgqueuer's statements over `connection`, on our schema."""
    return Queries(
        AsyncpgDriver(connection),
        qbe=QueryBuilderEnvironment(QUEUE),
        qbq=QueryQueueBuilder(QUEUE),
        qbs=QuerySchedulerBuilder(QUEUE),
    )


def install_query() -> str:
    """The SQL that makes pgqueuer's tables in our schema; it fails where they are there."""
    return QueryBuilderEnvironment(QUEUE).build_install_query()


async def install_on(connection: asyncpg.Connection) -> None:
    """As `install`, on a connection that the caller owns, outside a transaction."""
    await connection.execute("select pg_advisory_lock(hashtext('phasegate.heavy'))")
    try:
        await execute_sql(connection, "heavy_tasks")
        queue = queries(connection)
        if await queue.schema_is_installed():
            await queue.upgrade()
        else:
            await queue.install()
    finally:
        await connection.execute("select pg_advisory_unlock(hashtext('phasegate.heavy'))")


def install(dsn: str) -> None:
    """Make the tables and functions that heavy work needs. Idempotent.

    Raises:
        CannotMeasure: the server cannot be reached.
    """

    async def work() -> None:
        async with connected(dsn) as connection:
            await install_on(connection)

    run(work())


async def is_installed(connection: asyncpg.Connection) -> bool:
    """Whether this database can accept heavy work."""
    return bool(
        await connection.fetchval(
            """
            select to_regclass('private.heavy_tasks') is not null
               and to_regclass('queue.pgqueuer') is not null
            """
        )
    )


async def accept(
    connection: asyncpg.Connection, user: uuid.UUID, task: uuid.UUID | None, wait_ms: int = 0
) -> uuid.UUID | None:
    """Take heavy work on: noted and queued in one transaction, or neither.

    Args:
        connection: of the database's owner.
        user: who asks.
        task: one of the user's tasks; None for a report over the whole account.
        wait_ms: milliseconds that the work waits for a service elsewhere.

    Returns:
        The id to ask after; None where the task is not the user's.
    """
    async with connection.transaction():
        noted = await _noted(connection, user, task, wait_ms)
        if noted is None:
            return None
        if noted["fresh"]:
            await _enqueue(connection, [noted["task_id"]])
    return uuid.UUID(str(noted["task_id"]))


async def note(
    connection: asyncpg.Connection, user: uuid.UUID, task: uuid.UUID | None, wait_ms: int = 0
) -> uuid.UUID | None:
    """As `accept`, without queueing it: for work that its caller does on the spot."""
    noted = await _noted(connection, user, task, wait_ms)
    return None if noted is None else uuid.UUID(str(noted["task_id"]))


async def _noted(
    connection: asyncpg.Connection, user: uuid.UUID, task: uuid.UUID | None, wait_ms: int
) -> asyncpg.Record | None:
    return await connection.fetchrow(
        "select * from private.accept_heavy_task($1, $2, $3)", user, task, wait_ms
    )


async def _enqueue(connection: asyncpg.Connection, tasks: list[uuid.UUID]) -> None:
    """Queue `tasks`; one that is queued already, or with a worker, stays as it is."""
    await queries(connection).enqueue(
        [ENTRYPOINT] * len(tasks),
        [task.bytes for task in tasks],
        [0] * len(tasks),
        dedupe_key=[str(task) for task in tasks],
        on_conflict="skip",
    )


async def status(
    connection: asyncpg.Connection, user: uuid.UUID, task: uuid.UUID
) -> HeavyTask | None:
    """How `task` stands; None where it is not the user's, or was never asked for."""
    row = await connection.fetchrow(
        """
        select id as task_id, status, runs, result, accepted_at, finished_at
        from private.heavy_tasks where id = $1 and user_id = $2
        """,
        task,
        user,
    )
    if row is None:
        return None
    fields = dict(row)
    result = fields.pop("result")
    return HeavyTask(**fields, result=None if result is None else msgspec.json.decode(result))


async def finish(connection: asyncpg.Connection, task: uuid.UUID) -> bool:
    """Do the work of `task` unless it is done; whether this call did it."""
    return bool(await connection.fetchval("select private.finish_heavy_task($1)", task))


async def give_up(connection: asyncpg.Connection, task: uuid.UUID) -> None:
    """Tell the user that `task` failed for good."""
    await connection.execute(
        """
        update private.heavy_tasks set status = 'failed', finished_at = clock_timestamp()
        where id = $1 and status = 'processing'
        """,
        task,
    )


async def wait_of(connection: asyncpg.Connection, task: uuid.UUID) -> int | None:
    """Milliseconds that `task` waits for a service elsewhere; None where nothing is left to do."""
    value = await connection.fetchval(
        "select wait_ms from private.heavy_tasks where id = $1 and status = 'processing'", task
    )
    return None if value is None else int(value)


async def adopt_orphans(connection: asyncpg.Connection) -> int:
    """Queue again what is being processed by nobody; how many that were.

    Accepting is one transaction, so there are none, unless somebody cleared the queue.
    """
    rows = await connection.fetch(
        """
        select h.id from private.heavy_tasks as h
        where h.status = 'processing' and h.accepted_at < now() - interval '1 minute'
          and not exists (
              select from queue.pgqueuer as q
              where q.dedupe_key = h.id::text and q.status in ('queued', 'picked')
          )
        order by h.accepted_at limit 1000
        """
    )
    if rows:
        await _enqueue(connection, [row["id"] for row in rows])
    return len(rows)
