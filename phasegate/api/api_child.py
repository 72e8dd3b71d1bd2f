"""Requests to the API, measured when told to: the child process of `stack.remote_measure` for HTTP.

    python -m phasegate.api.api_child

Brings the database to stack level 3 and starts the API, both of its own checkout. Each kind of
request is a series, asked over one connection that is kept alive. What the server did
for a request is counted by pg_stat_statements.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from phasegate.api.launch import Api, running_api
from phasegate.model.errors import CannotMeasure
from phasegate.records.night import Evidence
from phasegate.stack.database import connected, run
from phasegate.stack.levels import apply_level
from phasegate.stack.remote_measure import Named, serve
from phasegate.stack.tokens import mint

HERE = Path(__file__).resolve().parent
LEVEL = 3
# Enough that no user's pages are the warm ones.
USERS_DRAWN = 128
# One request at a time, so one connection: each tree then has its statements prepared alike.
POOL_SIZE = 1
REHEARSAL_CALLS = 3
TIMEOUT_S = 60.0
# Long enough for any night.
TOKEN_LIFETIME_S = 86_400
PAGE = "order=created_at.desc&limit=20"
TASKS = "/rest/v1/tasks"


@dataclass(frozen=True)
class Drawn:
    """A user, by activity, and one of their projects."""

    user_id: str
    project_id: str
    token: str


class Client:
    """One connection to the API."""

    def __init__(self, api: Api) -> None:
        where = urlsplit(api.url)
        self._connection = http.client.HTTPConnection(
            where.hostname or "", where.port, timeout=TIMEOUT_S
        )
        self._key = api.anon_key

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def ask(self, drawn: Drawn, method: str, path: str, body: Any = None, prefer: str = "") -> Any:
        """What one request answers, decoded.

        Raises:
            CannotMeasure: the API refuses, fails or hangs up.
        """
        headers = {"apikey": self._key, "Authorization": f"Bearer {drawn.token}"}
        sent = None
        if body is not None:
            sent = json.dumps(body)
            headers["Content-Type"] = "application/json"
        if prefer:
            headers["Prefer"] = prefer
        try:
            self._connection.request(method, path, sent, headers)
            answer = self._connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise CannotMeasure(
                f"{method} {urlsplit(path).path} is not answered: {error}"
            ) from error
        if answer.status >= http.client.BAD_REQUEST:
            raise CannotMeasure(f"{method} {urlsplit(path).path} is answered {answer.status}")
        return json.loads(told) if told else None


def _embedded(client: Client, drawn: Drawn) -> None:
    select = "select=*,projects(name,color)"
    client.ask(drawn, "GET", f"{TASKS}?{select}&user_id=eq.{drawn.user_id}&{PAGE}")


def _n_plus_1(client: Client, drawn: Drawn) -> None:
    tasks = client.ask(drawn, "GET", f"{TASKS}?select=*&user_id=eq.{drawn.user_id}&{PAGE}")
    for project in dict.fromkeys(task["project_id"] for task in tasks if task["project_id"]):
        client.ask(drawn, "GET", f"/rest/v1/projects?select=name,color&id=eq.{project}")


def _project(client: Client, drawn: Drawn) -> None:
    client.ask(drawn, "GET", f"{TASKS}?select=*&project_id=eq.{drawn.project_id}&{PAGE}")


def _count(client: Client, drawn: Drawn) -> None:
    path = f"{TASKS}?select=id&user_id=eq.{drawn.user_id}&limit=1"
    client.ask(drawn, "GET", path, prefer="count=exact")


def _create(client: Client, drawn: Drawn) -> None:
    task = {"user_id": drawn.user_id, "project_id": drawn.project_id, "title": "of the nightly"}
    (made,) = client.ask(drawn, "POST", TASKS, task, prefer="return=representation")
    client.ask(drawn, "DELETE", f"{TASKS}?id=eq.{made['id']}")


def _stats(client: Client, drawn: Drawn) -> None:
    client.ask(drawn, "POST", "/rest/v1/rpc/user_stats", {})


def _health(client: Client, drawn: Drawn) -> None:
    client.ask(drawn, "GET", "/auth/v1/health")


Kind = Callable[[Client, Drawn], None]

KINDS: Mapping[str, tuple[str, Kind]] = {
    "api/tasks-embedded": ("GET tasks, embedded", _embedded),
    "api/tasks-n-plus-1": ("GET tasks, N+1", _n_plus_1),
    "api/project": ("GET one project's tasks", _project),
    "api/tasks-count": ("GET tasks, counted", _count),
    "api/task-create": ("POST and DELETE a task", _create),
    "api/user-stats": ("POST rpc/user_stats", _stats),
    "api/health": ("GET auth/v1/health", _health),
}
"""By id, which is stable: results are kept under it."""


def _sql(name: str) -> str:
    return (HERE / f"{name}.sql").read_text(encoding="utf-8")


class Requests:
    """An API with one client."""

    def __init__(self, dsn: str, client: Client, drawn: Sequence[Drawn]) -> None:
        self._dsn = dsn
        self._client = client
        self._drawn = drawn
        self._kind: Kind = _embedded
        self._last: Sequence[Drawn] = ()

    def all_series(self) -> tuple[Named, ...]:
        """The kinds of requests."""
        return tuple(Named(id=id_, name=name) for id_, (name, _) in KINDS.items())

    def begin(self, series: str) -> None:
        """Nothing needs to be set up."""
        self._kind = KINDS[series][1]
        gc.collect()
        gc.disable()

    def rehearse(self) -> float:
        """See `Instrument`."""
        self._times(self._drawn[:1])
        return min(self._times(self._drawn[:REHEARSAL_CALLS]))

    def block(self, number: int, calls: int, warm_up: bool) -> float:
        """See `Instrument`."""
        size = len(self._drawn)
        drawn = [self._drawn[(number * calls + i) % size] for i in range(calls)]
        if warm_up:
            self._times(drawn[:1])
        return statistics.geometric_mean(self._times(drawn))

    def _times(self, drawn: Sequence[Drawn]) -> list[int]:
        """Nanoseconds of each call."""
        self._last = drawn
        times = []
        for each in drawn:
            began = time.perf_counter_ns()
            self._kind(self._client, each)
            times.append(time.perf_counter_ns() - began)
        return times

    def evidence(self) -> Evidence:
        """See `Instrument`; statements and blocks of the server, per call of the last block."""
        before = self._work()
        self._times(self._last)
        calls, blocks = (
            round((now - then) / len(self._last))
            for now, then in zip(self._work(), before, strict=True)
        )
        return Evidence(plan_hash="", shared_buffers=blocks, statements=calls)

    def _work(self) -> tuple[int, int]:
        async def ask() -> tuple[int, int]:
            async with connected(self._dsn) as connection:
                found = await connection.fetchrow(_sql("turns_statements"))
                return found["calls"], found["blocks"]

        return run(ask())

    def end(self) -> None:
        """See `Instrument`."""
        gc.enable()


async def _prepare(dsn: str, seed: int, secret: str) -> list[Drawn]:
    async with connected(dsn) as connection:
        await connection.execute("create extension if not exists pg_stat_statements")
        rows = await connection.fetch(_sql("turns_draw"), seed, USERS_DRAWN)
    if not rows:
        raise CannotMeasure("The table of tasks is empty")
    return [
        Drawn(
            str(row["user_id"]),
            str(row["project_id"]),
            mint(secret, str(row["user_id"]), lifetime_s=TOKEN_LIFETIME_S),
        )
        for row in rows
    ]


def _share_core(pids: Sequence[int]) -> None:
    """Put client, API and backends on one core, as `compare.cpu_affinity` does and why."""
    if not hasattr(os, "sched_setaffinity"):
        return
    core = max(os.sched_getaffinity(0))
    for pid in pids:
        try:
            os.sched_setaffinity(pid, {core})
        except OSError:  # another user's process; the figures scatter more
            continue


async def _backends(dsn: str) -> list[int]:
    async with connected(dsn) as connection:
        rows = await connection.fetch(_sql("turns_backends"))
    return [row["pid"] for row in rows]


@contextmanager
def opened(dsn: str, seed: int) -> Iterator[Requests]:
    """An API on the seeded database behind `dsn`, and a client of it."""
    apply_level(dsn, LEVEL)
    secret = secrets.token_urlsafe()
    drawn = run(_prepare(dsn, seed, secret))
    _share_core([0])  # what is started from here on inherits it
    with running_api(dsn, jwt_secret=secret, pool_size=POOL_SIZE, level=LEVEL) as api:
        client = Client(api)
        try:
            _embedded(client, drawn[0])  # opens the pool's connection
            _share_core(run(_backends(dsn)))
            yield Requests(dsn, client, drawn)
        finally:
            client.close()


if __name__ == "__main__":
    serve(opened, HERE.parents[1])
