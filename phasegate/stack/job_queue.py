"""Background jobs: accepted at once and done by a worker, or done on the spot for comparison.

Reads and writes `phasegate_stack.jobs` (stack/sql/jobs.sql) and pgqueuer's schema `queue`. What
a job does is the project's SQL (`[jobs.NAME]` of phasegate.toml), which `stack.background` declares
to the database. Every function takes a connection of the database's owner, as an Edge Function does
that holds the service key: whose a job is, is checked here.

Exactly once, as its user sees it: pgqueuer delivers a job at least once, and the transaction that
does the work also marks it done, so that a second delivery finds nothing left to do.
"""

from __future__ import annotations

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

# A schema of its own: the API does not serve it, and row-level security does not come near it.
QUEUE = DBSettings(db_schema="queue")

# The longest that a request may ask to wait for a service elsewhere: an Edge Function's idle limit
# is 150 s; a tenth of it is more than a load test wants to wait for.
WAIT_MS_MAX = 15_000

Status = Literal["processing", "done", "failed"]


@dataclass(frozen=True)
class Job:
    """A job as its user sees it."""

    task_id: str
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
    """Make pgqueuer's tables, or bring them up to its version; outside a transaction."""
    await connection.execute("select pg_advisory_lock(hashtext('phasegate.queue'))")
    try:
        queue = queries(connection)
        if await queue.schema_is_installed():
            await queue.upgrade()
        else:
            await queue.install()
    finally:
        await connection.execute("select pg_advisory_unlock(hashtext('phasegate.queue'))")


async def is_queued(connection: asyncpg.Connection, job: str) -> bool:
    """Whether this database can accept `job`: somebody is there who does it later."""
    try:
        known = "select exists (select from phasegate_stack.queued_jobs where job = $1)"
        return bool(await connection.fetchval(known, job))
    except asyncpg.UndefinedTableError:  # nor is any other
        return False


async def queued_jobs(connection: asyncpg.Connection) -> tuple[str, ...]:
    """The names of the jobs that a worker does in this database."""
    try:
        rows = await connection.fetch("select job from phasegate_stack.queued_jobs order by job")
    except asyncpg.UndefinedTableError:
        return ()
    return tuple(row["job"] for row in rows)


async def accept(
    connection: asyncpg.Connection, job: str, user: str, named: str | None, wait_ms: int = 0
) -> str | None:
    """Take a job on: noted and queued in one transaction, or neither.

    Args:
        connection: of the database's owner.
        job: its name in the project.
        user: who asks: the `sub` of their token.
        named: what it is about, an id of the user's; None for the whole account.
        wait_ms: milliseconds that the work waits for a service elsewhere.

    Returns:
        The id to ask after; None where what was named is not the user's.
    """
    async with connection.transaction():
        noted = await _noted(connection, job, user, named, wait_ms)
        if noted is None:
            return None
        if noted["fresh"]:
            await _enqueue(connection, [(job, noted["task_id"])])
    return str(noted["task_id"])


async def note(
    connection: asyncpg.Connection, job: str, user: str, named: str | None, wait_ms: int = 0
) -> str | None:
    """As `accept`, without queueing it: for work that its caller does on the spot."""
    noted = await _noted(connection, job, user, named, wait_ms)
    return None if noted is None else str(noted["task_id"])


async def _noted(
    connection: asyncpg.Connection, job: str, user: str, named: str | None, wait_ms: int
) -> asyncpg.Record | None:
    return await connection.fetchrow(
        "select * from phasegate_stack.accept_job($1, $2, $3, $4)", job, user, named, wait_ms
    )


async def _enqueue(connection: asyncpg.Connection, jobs: list[tuple[str, str]]) -> None:
    """Queue `jobs` (name, id); one that is queued already, or with a worker, stays as it is."""
    await queries(connection).enqueue(
        [job for job, _ in jobs],
        [task.encode() for _, task in jobs],
        [0] * len(jobs),
        dedupe_key=[f"{job}/{task}" for job, task in jobs],
        on_conflict="skip",
    )


async def status(connection: asyncpg.Connection, job: str, user: str, task: str) -> Job | None:
    """How `task` stands; None where it is not the user's, or was never asked for."""
    row = await connection.fetchrow(
        "select * from phasegate_stack.job_status($1, $2, $3)", job, user, task
    )
    if row is None:
        return None
    fields = dict(row)
    result = fields.pop("result")
    return Job(**fields, result=None if result is None else msgspec.json.decode(result))


async def finish(connection: asyncpg.Connection, job: str, task: str) -> bool:
    """Do the work of `task` unless it is done; whether this call did it."""
    return bool(await connection.fetchval("select phasegate_stack.finish_job($1, $2)", job, task))


async def give_up(connection: asyncpg.Connection, job: str, task: str) -> None:
    """Tell the user that `task` failed for good."""
    await connection.execute(
        """
        update phasegate_stack.jobs set status = 'failed', finished_at = clock_timestamp()
        where job = $1 and task_id = $2 and status = 'processing'
        """,
        job,
        task,
    )


async def wait_of(connection: asyncpg.Connection, job: str, task: str) -> int | None:
    """Milliseconds that `task` waits for a service elsewhere; None where nothing is left to do."""
    value = await connection.fetchval(
        """
        select wait_ms from phasegate_stack.jobs
        where job = $1 and task_id = $2 and status = 'processing'
        """,
        job,
        task,
    )
    return None if value is None else int(value)


async def adopt_orphans(connection: asyncpg.Connection) -> int:
    """Queue again what is being processed by nobody; how many that were.

    Accepting is one transaction, so there are none, unless somebody cleared the queue.
    """
    if not await queued_jobs(connection):
        return 0  # nor, then, need there be a table of what was asked for
    rows = await connection.fetch(
        """
        select j.job, j.task_id from phasegate_stack.jobs as j
        join phasegate_stack.queued_jobs using (job)
        where j.status = 'processing'
          and j.accepted_at < now() - interval '1 minute'
          and not exists (
              select from queue.pgqueuer as q
              where q.dedupe_key = j.job || '/' || j.task_id and q.status in ('queued', 'picked')
          )
        order by j.accepted_at limit 1000
        """
    )
    if rows:
        await _enqueue(connection, [(row["job"], row["task_id"]) for row in rows])
    return len(rows)
