"""Two functions for each background job of the project: to accept it, and to do it on the spot.

Each acts as an Edge Function that holds the service key: over a connection of the database's owner,
with the caller's id taken from the checked token and every look-up filtered by it.

    POST NAME {taskId?, waitMs?}        202 {status: "processing", taskId}
    GET  NAME?taskId=…                  200 {status, taskId, runs, result, …}
    POST NAME-sync {taskId?, waitMs?}   200, when it is done

404 for a task that is not the caller's, whether or not it exists; and for NAME in a stack without
the part `jobs`, where there is nobody who would do the work later.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import msgspec

from phasegate.api import errors
from phasegate.api.database import Database
from phasegate.api.http import Answer, Request, json_answer
from phasegate.api.identity import Identity
from phasegate.stack import job_queue

# The time-out of role `authenticated`: what a user's request may take, done on the spot.
SYNC_TIMEOUT = "8s"


class Asked(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request for a job."""

    task_id: str | None = None
    """What it is about, an id of the caller's; null for the whole account."""
    wait_ms: int = 0
    """How long the work waits for a service elsewhere."""


def _asked(request: Request) -> Asked:
    try:
        asked = msgspec.json.decode(request.body or b"{}", type=Asked)
    except msgspec.DecodeError as error:
        raise errors.invalid_body(str(error)) from error
    if not 0 <= asked.wait_ms <= job_queue.WAIT_MS_MAX:
        raise errors.invalid_body(f"waitMs must be between 0 and {job_queue.WAIT_MS_MAX}")
    return asked


def _user(identity: Identity) -> str:
    if not identity.subject:
        raise errors.ApiError(401, "PGRST302", "Anonymous access is disabled")
    return identity.subject


def _not_found() -> Answer:
    return json_answer(404, {"code": "NOT_FOUND", "message": "There is no such task of yours"})


def _wrong_method(allowed: str) -> Answer:
    answer = json_answer(405, {"code": "METHOD_NOT_ALLOWED", "message": f"Use {allowed}"})
    return Answer(answer.status, answer.body, [*answer.headers, (b"allow", allowed.encode())])


def _shown(task: job_queue.Job) -> dict[str, Any]:
    return {
        "status": task.status,
        "taskId": task.task_id,
        "runs": task.runs,
        "result": task.result,
        "acceptedAt": task.accepted_at,
        "finishedAt": task.finished_at,
    }


async def accept(request: Request, identity: Identity, database: Database, job: str) -> Answer:
    """Accept `job` at once, or tell how it stands."""
    user = _user(identity)
    if request.method == "GET":
        return await _status(request, user, database, job)
    if request.method != "POST":
        return _wrong_method("GET, POST")
    asked = _asked(request)
    async with database.owner() as connection:
        if not await job_queue.is_queued(connection, job):
            return json_answer(
                404, {"code": "NOT_FOUND", "message": "Requested function was not found"}
            )
        task = await job_queue.accept(connection, job, user, asked.task_id, asked.wait_ms)
    if task is None:
        return _not_found()
    return json_answer(202, {"status": "processing", "taskId": task})


async def _status(request: Request, user: str, database: Database, job: str) -> Answer:
    task = parse_qs(request.query.decode("latin-1")).get("taskId", [""])[-1]
    if not task:
        raise errors.ApiError(400, "22P02", "taskId must say which task")
    async with database.owner() as connection:
        found = await job_queue.status(connection, job, user, task)
    return _not_found() if found is None else json_answer(200, _shown(found))


async def on_the_spot(request: Request, identity: Identity, database: Database, job: str) -> Answer:
    """Do `job` while the caller waits: what the 202 is compared with."""
    user = _user(identity)
    if request.method != "POST":
        return _wrong_method("POST")
    asked = _asked(request)
    async with database.owner() as connection:
        task = await job_queue.note(connection, job, user, asked.task_id, asked.wait_ms)
    if task is None:
        return _not_found()
    await asyncio.sleep(asked.wait_ms / 1000)  # without a connection, as a function would
    async with database.owner() as connection, connection.transaction():
        await connection.execute("select set_config('statement_timeout', $1, true)", SYNC_TIMEOUT)
        await job_queue.finish(connection, job, task)
        done = await job_queue.status(connection, job, user, task)
    return _not_found() if done is None else json_answer(200, _shown(done))
