"""What users notice when a part dies under load: a few honest errors, no hang, no lost row."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from phasegate.api import Api, running_api
from phasegate.api.settings import STATEMENT_CACHE_SIZE
from phasegate.stack.pgbouncer import restart_pgbouncer, running_pgbouncer
from phasegate.stack.pgbouncer_console import PgBouncer, pools
from phasegate.stack.pgbouncer_install import find_pgbouncer, install_command
from phasegate.stack.postgres import PostgresServer, running_postgres, start_postgres
from phasegate.stack.tokens import mint

pytestmark = pytest.mark.integration

On = Callable[..., Any]
SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone
# PostgREST's answers to a database that is away, was lost, or has no connection free; 08P01 is
# PgBouncer's while it cannot reach its server.
AWAY = {
    503: {"PGRST000", "PGRST001", "PGRST002", "57P01", "57P02", "57P03", "08P01"},
    504: {"PGRST003"},
}
# The API's own patience with a connection, shortened from PostgREST's 10 s for the test.
ACQUIRE_TIMEOUT_S = 2.0
USERS = 4
# Processes are killed here, never the machine: what is written stays written without fsync too.
SETTINGS = {"shared_buffers": "64MB", "fsync": "off"}

needs_pgbouncer = pytest.mark.skipif(
    find_pgbouncer() is None, reason=f"no PgBouncer on this machine: {install_command()}"
)


@pytest.fixture(scope="module")
def server(fill_app: Callable[[str], None], sql_on: On) -> Iterator[PostgresServer]:
    """A server of this file's own: it is killed."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)  # as root, the server runs as another user
        with running_postgres(home / "data", settings=SETTINGS) as running:
            sql_on(running.dsn(), lambda c: c.execute("create database app"))
            fill_app(running.dsn("app"))
            yield running


@pytest.fixture
def pooler(server: PostgresServer) -> Iterator[PgBouncer]:
    folder = server.data_dir.with_name("pooler")
    with running_pgbouncer(folder, server.dsn("app"), pool_size=3) as running:
        yield running


@dataclass
class Load:
    """What the users of a stretch of load saw."""

    written: set[str] = field(default_factory=set)
    """Titles of the tasks whose creation was answered 201."""
    answers: list[tuple[float, int, str]] = field(default_factory=list)
    """When, status, and the error's code."""
    seconds_max: float = 0.0

    def errors(self) -> list[tuple[int, str]]:
        return [(status, code) for _, status, code in self.answers if status >= 400]

    def unexpected(self) -> list[tuple[int, str]]:
        return [
            (status, code) for status, code in self.errors() if code not in AWAY.get(status, ())
        ]

    def good_since(self, moment: float) -> int:
        return sum(at > moment and status < 300 for at, status, _ in self.answers)


@contextmanager
def loaded(api: Api, user: uuid.UUID) -> Iterator[Load]:
    """Users who read and write without a pause until the block ends."""
    load = Load()
    enough = threading.Event()

    def live(number: int) -> None:
        headers = {
            "apikey": api.anon_key,
            "authorization": f"Bearer {mint(SECRET, str(user))}",
        }
        with httpx.Client(base_url=api.url, headers=headers, timeout=30) as client:
            for turn in range(1_000_000):
                if enough.is_set():
                    return
                title = f"{number}-{turn}-{uuid.uuid4()}"
                began = time.monotonic()
                if turn % 2:
                    answer = client.get("/rest/v1/tasks?select=id&limit=5")
                else:
                    body = {"title": title, "user_id": str(user)}
                    answer = client.post("/rest/v1/tasks", json=body)
                took_s = time.monotonic() - began
                load.seconds_max = max(load.seconds_max, took_s)
                code = "" if answer.status_code < 400 else str(answer.json()["code"])
                load.answers.append((time.monotonic(), answer.status_code, code))
                if answer.status_code == 201:
                    load.written.add(title)
                time.sleep(0.005)

    users = [threading.Thread(target=live, args=(number,)) for number in range(USERS)]
    for one in users:
        one.start()
    try:
        yield load
    finally:
        enough.set()
        for one in users:
            one.join()


def kill(server: PostgresServer) -> None:
    """SIGKILL to the postmaster: what a crash or the kernel's memory killer does."""
    pid = int((server.data_dir / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    backends = postmaster.children()
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([postmaster, *backends], timeout=10)


def until_good(load: Load, since: float, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while load.good_since(since) < 2 * USERS:
        assert time.monotonic() < deadline, load.errors()[-3:]
        time.sleep(0.05)


def titles(sql_on: On, server: PostgresServer) -> set[str]:
    rows = sql_on(server.dsn("app"), lambda c: c.fetch("select title from tasks"))
    return {row["title"] for row in rows}


def assert_survived(load: Load, sql_on: On, server: PostgresServer) -> None:
    assert load.unexpected() == []
    assert load.written - titles(sql_on, server) == set(), "a task that was answered 201 is gone"
    assert load.seconds_max < ACQUIRE_TIMEOUT_S + 10, "a request hung"


def test_postgres_killed_under_load_gives_503_and_comes_back_with_every_row(
    server: PostgresServer, sql_on: On, bob: uuid.UUID
) -> None:
    with (
        running_api(
            server.dsn("app"),
            jwt_secret=SECRET,
            pool_size=3,
            acquire_timeout_s=ACQUIRE_TIMEOUT_S,
        ) as api,
        loaded(api, bob) as load,
    ):
        until_good(load, 0)
        kill(server)
        time.sleep(0.4)
        start_postgres(server.data_dir, port=server.port, settings=server.settings)
        until_good(load, time.monotonic())
    assert load.errors() != []
    assert_survived(load, sql_on, server)


@needs_pgbouncer
def test_pgbouncer_restarted_under_load_gives_503_and_comes_back(
    server: PostgresServer, pooler: PgBouncer, sql_on: On, bob: uuid.UUID
) -> None:
    with api_behind(pooler) as api, loaded(api, bob) as load:
        until_good(load, 0)
        restart_pgbouncer(pooler, pool_size=3)
        until_good(load, time.monotonic())
    assert_survived(load, sql_on, server)


@needs_pgbouncer
def test_postgres_killed_behind_pgbouncer_gives_honest_errors_and_comes_back(
    server: PostgresServer, pooler: PgBouncer, sql_on: On, bob: uuid.UUID
) -> None:
    with api_behind(pooler) as api, loaded(api, bob) as load:
        until_good(load, 0)
        kill(server)
        time.sleep(0.4)
        start_postgres(server.data_dir, port=server.port, settings=server.settings)
        until_good(load, time.monotonic())
    assert_survived(load, sql_on, server)


@needs_pgbouncer
def test_more_clients_than_server_connections_share_them(
    server: PostgresServer, pooler: PgBouncer, bob: uuid.UUID
) -> None:
    with api_behind(pooler, pool_size=USERS) as api, loaded(api, bob) as load:
        until_good(load, 0)
        (only,) = pools(pooler)
    assert only.servers_active + only.servers_idle <= 3
    assert load.errors() == []


@contextmanager
def api_behind(pooler: PgBouncer, pool_size: int = 3) -> Iterator[Api]:
    cache_size = pooler.statement_cache_size
    with running_api(
        pooler.dsn,
        jwt_secret=SECRET,
        pool_size=pool_size,
        acquire_timeout_s=ACQUIRE_TIMEOUT_S,
        statement_cache_size=STATEMENT_CACHE_SIZE if cache_size is None else cache_size,
    ) as api:
        yield api
