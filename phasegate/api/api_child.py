"""Requests to the API, measured when told to: the child process of `stack.remote_measure` for HTTP.

    python -m phasegate.api.api_child

Brings the database to the last stack level and starts the API, both of its own checkout. Each of
the project's `[requests]` is a series, asked over one connection that is kept alive. What the
server did for a request is counted by pg_stat_statements.
"""

from __future__ import annotations

import gc
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from phasegate.api.declared_requests import Client, Values, check_places
from phasegate.api.launch import Api, running_api
from phasegate.api.own_command import start_command
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import Project, RequestFile, load_project
from phasegate.records.night import Evidence
from phasegate.stack.database import connected, run
from phasegate.stack.levels import apply_level
from phasegate.stack.remote_measure import Named, serve
from phasegate.stack.tokens import mint

HERE = Path(__file__).resolve().parent
# Enough that no user's pages are the warm ones.
USERS_DRAWN = 128
# One request at a time, so one connection: each tree then has its statements prepared alike.
POOL_SIZE = 1
REHEARSAL_CALLS = 3
# Long enough for any night.
TOKEN_LIFETIME_S = 86_400
DRAW = "benchmarks/draw.sql"
NOTHING = "Nothing was measured"
TEXTS = ("text", "varchar")
USER = "sub"
"""The drawn column that says whom to act as."""


@dataclass(frozen=True)
class Drawn:
    """A user, by activity, and what was drawn with them."""

    token: str
    values: Values


def _sql(name: str) -> str:
    return (HERE / f"{name}.sql").read_text(encoding="utf-8")


class Requests:
    """An API with one client."""

    def __init__(
        self,
        dsn: str,
        client: Client,
        drawn: Sequence[Drawn],
        requests: Mapping[str, RequestFile],
    ) -> None:
        self._dsn = dsn
        self._client = client
        self._drawn = drawn
        self._requests = {f"api/{id_}": request for id_, request in requests.items()}
        self._request: RequestFile | None = None
        self._last: Sequence[Drawn] = ()

    def all_series(self) -> tuple[Named, ...]:
        """The project's requests."""
        return tuple(Named(id=id_, name=one.title) for id_, one in self._requests.items())

    def begin(self, series: str) -> None:
        """Nothing needs to be set up."""
        self._request = self._requests[series]
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
        if self._request is None:
            raise CannotMeasure("No series was begun")
        self._last = drawn
        times = []
        for each in drawn:
            began = time.perf_counter_ns()
            self._client.carry_out(self._request, each.token, each.values)
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


async def _prepare(dsn: str, seed: int, secret: str, project: Project) -> list[Drawn]:
    statement = project.text(DRAW)
    async with connected(dsn) as connection:
        await connection.execute("create extension if not exists pg_stat_statements")
        try:
            prepared = await connection.prepare(statement)
            # `md5(id::text || $1)` makes a text of the seed; libpq would send either as it is.
            given = [
                str(value) if type_.name in TEXTS else value
                for type_, value in zip(
                    prepared.get_parameters(), (seed, USERS_DRAWN), strict=False
                )
            ]
            rows = await prepared.fetch(*given)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise ConfigurationError(
                f"{DRAW}: {error}", untouched=NOTHING, then="Correct the statement"
            ) from error
    if not rows:
        raise CannotMeasure(
            f"{DRAW} draws nothing: its tables are empty",
            untouched=NOTHING,
            then="Draw from tables that seed/population.toml fills",
        )
    if USER not in rows[0]:
        raise ConfigurationError(
            f"{DRAW} must give a column `{USER}`: the user to act as",
            untouched=NOTHING,
            then=f"Select the user's key as {USER}",
        )
    for id_, request in project.requests.items():
        check_places(id_, request, set(rows[0].keys()))
    return [
        Drawn(
            mint(secret, str(row[USER]), lifetime_s=TOKEN_LIFETIME_S),
            {name: str(value) for name, value in row.items()},
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
def _serving(project: Project, dsn: str, secret: str, level: int) -> Iterator[Api]:
    """The project's own API where it has one, ours otherwise."""
    if not project.api.command:
        with running_api(dsn, jwt_secret=secret, pool_size=POOL_SIZE, level=level) as api:
            yield api
        return
    with tempfile.TemporaryDirectory(prefix="phasegate-api-") as folder:
        started = start_command(
            project.api, root=project.root, folder=Path(folder), dsn=dsn, jwt_secret=secret,
            port=None, outlives_caller=False,
        )  # fmt: skip
        try:
            yield started.api
        finally:
            started.stop()


@contextmanager
def opened(dsn: str, seed: int) -> Iterator[Requests]:
    """An API on the seeded database behind `dsn`, and a client of it."""
    project = load_project()
    level = len(project.levels)
    apply_level(dsn, level, project)
    secret = secrets.token_urlsafe()
    drawn = run(_prepare(dsn, seed, secret, project))
    _share_core([0])  # what is started from here on inherits it
    with _serving(project, dsn, secret, level) as api:
        client = Client(api)
        try:
            for first in list(project.requests.values())[:1]:  # opens the pool's connection
                client.carry_out(first, drawn[0].token, drawn[0].values)
            _share_core(run(_backends(dsn)))
            yield Requests(dsn, client, drawn, project.requests)
        finally:
            client.close()


if __name__ == "__main__":
    serve(opened, HERE.parents[1])
