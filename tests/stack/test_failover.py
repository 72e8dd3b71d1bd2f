"""A replica behind the API, and what users notice when it goes away: nothing."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from phasegate.api import Api, running_api
from phasegate.api.failover import RETRY_AFTER_S
from phasegate.stack.postgres import running_postgres
from phasegate.stack.replica import (
    PRIMARY_SETTINGS,
    Replica,
    await_catch_up,
    restart_replica,
    running_replica,
)
from phasegate.stack.tokens import mint

pytestmark = pytest.mark.integration

On = Callable[..., Any]
SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone
MARKED = {"x-read-replica": "true"}
TASKS = "/rest/v1/tasks?select=id"


@pytest.fixture(scope="module")
def pair(fill_app: Callable[[str], None], sql_on: On) -> Iterator[Replica]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)  # as root, the servers run as another user
        settings = {"shared_buffers": "64MB", "fsync": "off", **PRIMARY_SETTINGS}
        with running_postgres(home / "data", settings=settings) as primary:
            sql_on(primary.dsn(), lambda c: c.execute("create database app"))
            fill_app(primary.dsn("app"))
            with running_replica(primary, home / "replica") as replica:
                yield replica


@pytest.fixture(scope="module")
def api(pair: Replica) -> Iterator[Api]:
    with running_api(
        pair.primary.dsn("app"), jwt_secret=SECRET, pool_size=4, replica_dsn=pair.dsn("app")
    ) as running:
        yield running


@pytest.fixture
def as_alice(api: Api, alice: uuid.UUID) -> Iterator[httpx.Client]:
    headers = {"apikey": api.anon_key, "authorization": f"Bearer {mint(SECRET, str(alice))}"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=20) as client:
        yield client


def kill(pair: Replica) -> None:
    pid = int((pair.server.data_dir / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    postmaster.wait(5)


def test_marked_reads_go_to_the_replica_and_the_others_to_the_primary(
    pair: Replica, as_alice: httpx.Client, sql_on: On
) -> None:
    where = "/rest/v1/rpc/where_am_i"
    sql_on(
        pair.primary.dsn("app"),
        lambda c: c.execute(
            "create function where_am_i() returns boolean language sql stable"
            " as 'select pg_is_in_recovery()';"
            "grant execute on function where_am_i() to authenticated"
        ),
    )
    await_catch_up(pair)
    time.sleep(2.1)  # the API reads its catalogue again, no more often than every two seconds
    assert as_alice.get(where, headers=MARKED).json() is True
    assert as_alice.get(where).json() is False
    # The mark is for reads: what writes goes to the primary, whatever it says.
    assert as_alice.post(where, headers=MARKED, json={}).json() is False


def test_an_api_on_the_replica_itself_refuses_writes_with_405_and_25006(
    pair: Replica, alice: uuid.UUID
) -> None:
    with running_api(pair.dsn("app"), jwt_secret=SECRET, pool_size=2) as api:
        headers = {"apikey": api.anon_key, "authorization": f"Bearer {mint(SECRET, str(alice))}"}
        with httpx.Client(base_url=api.url, headers=headers) as client:
            assert len(client.get(TASKS).json()) == 2
            row = {"title": "x", "user_id": str(alice)}
            for refused in (
                client.post("/rest/v1/tasks", json=row),
                client.patch("/rest/v1/tasks?title=eq.one", json={"title": "y"}),
                client.delete("/rest/v1/tasks?title=eq.one"),
            ):
                assert (refused.status_code, refused.json()["code"]) == (405, "25006")


def test_when_the_replica_is_killed_under_load_no_read_fails_and_it_is_reported(
    pair: Replica, as_alice: httpx.Client
) -> None:
    statuses: list[int] = []
    enough = threading.Event()

    def read() -> None:
        with httpx.Client(base_url=as_alice.base_url, headers=as_alice.headers) as client:
            while not enough.is_set():
                statuses.append(client.get(TASKS, headers=MARKED, timeout=20).status_code)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        time.sleep(0.4)
        assert as_alice.get("/ready").json()["replica"] == "serving"
        kill(pair)
        time.sleep(0.6)
        assert as_alice.get("/ready").json()["replica"] == "away"
        restart_replica(pair)
        deadline = time.monotonic() + 10
        while as_alice.get("/ready").json()["replica"] != "serving":
            assert time.monotonic() < deadline
            time.sleep(RETRY_AFTER_S / 10)
    finally:
        enough.set()
        for reader in readers:
            reader.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_a_statement_that_is_wrong_is_not_asked_of_the_primary_too(
    as_alice: httpx.Client,
) -> None:
    wrong = as_alice.get("/rest/v1/tasks?title=cd.%5B1%2C2%5D", headers=MARKED)
    assert wrong.status_code in (400, 404)
    assert as_alice.get("/ready").json()["replica"] == "serving"
