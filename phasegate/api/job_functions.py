"""`/functions/v1/process-heavy-task` and its synchronous twin, for the registry in api.

Each acts as an Edge Function that holds the service key: over a connection of the database's owner,
with the caller's id taken from the checked token and every look-up filtered by it.

    POST process-heavy-task {taskId?, waitMs?}        202 {status: "processing", taskId}
    GET  process-heavy-task?taskId=…                  200 {status, taskId, runs, result, …}
    POST process-heavy-task-sync {taskId?, waitMs?}   200, when it is done

404 for a task that is not the caller's, whether or not it exists; and for process-heavy-task below
stack level 3, where there is nobody who would do the work later.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import msgspec

from phasegate.api import errors
from phasegate.api.database import Database
from phasegate.api.http import Answer, Request, json_answer
from phasegate.api.identity import Identity
from phasegate.api.pool import Connection, answer_to
from phasegate.stack import job_queue as heavy

# The time-out of role `authenticated`: what a user's request may take, done on the spot.
SYNC_TIMEOUT = "8s"


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request for heavy work."""

    task_id: uuid.UUID | None = None
    """One of the caller's tasks; null for a report over the whole account."""
    wait_ms: int = 0
    """How long the work waits for a service elsewhere."""


def _asked(request: Request) -> Asked:
    try:
        asked = msgspec.json.decode(request.body or b"{}", type=Asked)
    except msgspec.DecodeError as error:
        raise errors.invalid_body(str(error)) from error
    if not 0 <= asked.wait_ms <= heavy.WAIT_MS_MAX:
        raise errors.invalid_body(f"waitMs must be between 0 and {heavy.WAIT_MS_MAX}")
    return asked


def _user(identity: Identity) -> uuid.UUID:
    try:
        return uuid.UUID(identity.subject or "")
    except ValueError:
        raise errors.ApiError(401, "PGRST302", "Anonymous access is disabled") from None


def _not_found() -> Answer:
    return json_answer(404, {"code": "NOT_FOUND", "message": "There is no such task of yours"})


def _wrong_method(allowed: str) -> Answer:
    answer = json_answer(405, {"code": "METHOD_NOT_ALLOWED", "message": f"Use {allowed}"})
    return Answer(answer.status, answer.body, [*answer.headers, (b"allow", allowed.encode())])


@asynccontextmanager
async def _owner(database: Database) -> AsyncIterator[Connection]:
    """A connection of the database's owner; what goes wrong on it is answered as PostgREST does."""
    connection = await database.pool.acquire()
    dirty = True
    try:
        yield connection
        dirty = False
    except Exception as error:
        raise answer_to(error, anonymous=False, lost=connection.is_closed()) from error
    finally:
        database.pool.release(connection, dirty=dirty)


def _shown(task: heavy.HeavyTask) -> dict[str, Any]:
    return {
        "status": task.status,
        "taskId": task.task_id,
        "runs": task.runs,
        "result": task.result,
        "acceptedAt": task.accepted_at,
        "finishedAt": task.finished_at,
    }


async def process_heavy_task(request: Request, identity: Identity, database: Database) -> Answer:
    """Accept heavy work at once, or tell how it stands."""
    user = _user(identity)
    if request.method == "GET":
        return await _status(request, user, database)
    if request.method != "POST":
        return _wrong_method("GET, POST")
    asked = _asked(request)
    async with _owner(database) as connection:
        if not await heavy.is_installed(connection):
            return json_answer(
                404, {"code": "NOT_FOUND", "message": "Requested function was not found"}
            )
        task = await heavy.accept(connection, user, asked.task_id, asked.wait_ms)
    if task is None:
        return _not_found()
    return json_answer(202, {"status": "processing", "taskId": task})


async def _status(request: Request, user: uuid.UUID, database: Database) -> Answer:
    named = parse_qs(request.query.decode("latin-1")).get("taskId", [""])[-1]
    try:
        task_id = uuid.UUID(named)
    except ValueError:
        raise errors.ApiError(400, "22P02", "taskId must be a UUID") from None
    async with _owner(database) as connection:
        task = await heavy.status(connection, user, task_id)
    return _not_found() if task is None else json_answer(200, _shown(task))


async def process_heavy_task_sync(
    request: Request, identity: Identity, database: Database
) -> Answer:
    """Do heavy work while the caller waits: what the 202 is compared with."""
    user = _user(identity)
    if request.method != "POST":
        return _wrong_method("POST")
    asked = _asked(request)
    async with _owner(database) as connection:
        task = await heavy.note(connection, user, asked.task_id, asked.wait_ms)
    if task is None:
        return _not_found()
    await asyncio.sleep(asked.wait_ms / 1000)  # without a connection, as a function would
    async with _owner(database) as connection, connection.transaction():
        await connection.execute("select set_config('statement_timeout', $1, true)", SYNC_TIMEOUT)
        await heavy.finish(connection, task)
        done = await heavy.status(connection, user, task)
    return _not_found() if done is None else json_answer(200, _shown(done))


HEAVY_FUNCTIONS: Mapping[str, Callable[[Request, Identity, Database], Awaitable[Answer]]] = {
    "process-heavy-task": process_heavy_task,
    "process-heavy-task-sync": process_heavy_task_sync,
}
