"""What goes wrong in production, done on purpose: an answer each time, and no hang."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from phasegate.api import Api, running_api
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer, running_postgres, start_postgres
from phasegate.stack.processes import postmaster_of
from phasegate.stack.tokens import mint

SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone
USER = "00000000-0000-4000-8000-00000000000a"
PATIENCE_S = 6.0
"""Longer than any answer may take here; short of the role's own time-out of 8 s."""

SLEEP = """
    create function slow(seconds float) returns text language sql volatile as
        $$ select 'done' from pg_sleep(seconds) $$;
    create function backend() returns int language sql as $$ select pg_backend_pid() $$;
"""


def _client(api: Api, **options: Any) -> httpx.Client:
    headers = {"apikey": api.anon_key, "authorization": f"Bearer {mint(SECRET, USER)}"}
    return httpx.Client(
        base_url=f"{api.url}/rest/v1",
        headers=headers,
        timeout=options.pop("timeout", 20),
        verify=False,  # noqa: S501 - loading certificates takes longer than most tests
    )


@pytest.fixture
def slow_database(prepared: str) -> str:
    execute(prepared, SLEEP + f"insert into profiles values ('{USER}', 'A', 'en_GB', now());")
    return prepared


@pytest.fixture
def small(slow_database: str) -> Iterator[Api]:
    """An API with one connection, for which a request waits a second at most."""
    with running_api(slow_database, jwt_secret=SECRET, pool_size=1, acquire_timeout_s=1.0) as api:
        yield api


def test_an_exhausted_pool_answers_504_in_time_and_serves_again(small: Api) -> None:
    answers: list[tuple[int, str, float]] = []

    def ask(path: str) -> None:
        with _client(small) as client:
            answer = (
                client.get(path) if path == "/tasks" else client.post(path, json={"seconds": 3})
            )
            said = answer.json()
            code = said.get("code", "") if isinstance(said, dict) else ""
            answers.append((answer.status_code, code, answer.elapsed.total_seconds()))

    holder = threading.Thread(target=ask, args=("/rpc/slow",))
    holder.start()
    time.sleep(0.5)
    waiting = [threading.Thread(target=ask, args=("/tasks",)) for _ in range(5)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(PATIENCE_S)
    assert [answer[:2] for answer in answers] == [(504, "PGRST003")] * 5
    assert all(0.9 < lasted_s < 4 for _, _, lasted_s in answers)
    holder.join(2 * PATIENCE_S)
    ask("/tasks")
    assert answers[-1][0] == 200


def test_a_slow_statement_ends_with_its_roles_time_out(small: Api) -> None:
    with _client(small) as client:
        client.headers["authorization"] = f"Bearer {small.anon_key}"
        answer = client.post("/rpc/slow", json={"seconds": 60})
        assert (answer.status_code, answer.json()["code"]) == (500, "57014")
        assert 2.5 < answer.elapsed.total_seconds() < 5  # anon: 3 s
        assert client.post("/rpc/slow", json={"seconds": 0}).status_code == 200


def test_a_frozen_database_has_an_answer_too(slow_database: str) -> None:
    with (
        running_api(slow_database, jwt_secret=SECRET, pool_size=1, gateway_timeout_s=1.0) as api,
        _client(api) as client,
    ):
        backend = client.post("/rpc/backend", json={}).json()
        os.kill(backend, signal.SIGSTOP)
        try:
            answer = client.get("/tasks")
        finally:
            os.kill(backend, signal.SIGCONT)
        assert (answer.status_code, answer.json()["code"]) == (504, "PGRST003")
        assert answer.elapsed.total_seconds() < 3
        assert client.get("/tasks").status_code == 200


def test_a_client_that_hangs_up_frees_its_connection(small: Api) -> None:
    address = urlsplit(small.url)
    body = json.dumps({"seconds": 7}).encode()
    request = (
        f"POST /rest/v1/rpc/slow HTTP/1.1\r\nhost: x\r\napikey: {small.anon_key}\r\n"
        f"authorization: Bearer {mint(SECRET, USER)}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    began = time.monotonic()
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as caller:
        caller.sendall(request + body)
        time.sleep(0.5)
    with _client(small) as client:
        statuses = []
        while not statuses or statuses[-1] == 504:
            statuses.append(client.get("/tasks").status_code)
    assert statuses[-1] == 200
    assert time.monotonic() - began < 4  # not the seven seconds that the statement wanted


def test_a_client_that_hangs_up_in_its_body_does_no_harm(small: Api) -> None:
    address = urlsplit(small.url)
    head = (
        f"POST /rest/v1/tasks HTTP/1.1\r\nhost: x\r\napikey: {small.anon_key}\r\n"
        "content-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    ).encode()
    for _ in range(20):
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as caller:
            caller.sendall(head + b'{"title": "half of')
    with _client(small) as client:
        assert client.get("/tasks").json() == []


def test_bodies_of_ten_megabytes_are_served_and_larger_ones_refused(slow_database: str) -> None:
    big = {"user_id": USER, "title": "x" * 10_000_000}
    with running_api(slow_database, jwt_secret=SECRET, pool_size=2) as api, _client(api) as client:
        assert client.post("/tasks", json=big).status_code == 201
        back = client.get("/tasks?select=title").json()
        assert len(back[0]["title"]) == 10_000_000
        malformed = client.post("/tasks", content=b"[" + b'{"a":1},' * 1_250_000)
        assert (malformed.status_code, malformed.json()["code"]) == (400, "PGRST102")
        announced = client.post("/tasks", content=b"x" * 21_000_000)
        streamed = client.post("/tasks", content=(b"x" * 1_000_000 for _ in range(21)))
        assert (announced.status_code, streamed.status_code) == (413, 413)
        assert client.get("/tasks?select=id").status_code == 200


def test_a_filter_of_a_thousand_terms_is_answered(service: Any) -> None:
    either = ",".join(f"title.eq.alice {n:04}" for n in range(999)) + ",title.eq.alice 01"
    listed = ",".join(f"alice {n:02}" for n in range(1000))
    with service.client(service.alice) as client:
        assert len(client.get(f"/tasks?or=({either})").json()) == 1
        assert len(client.get(f"/tasks?title=in.({listed})").json()) == 30
        many = "&".join(f"title=neq.{n}" for n in range(1000))
        assert len(client.get(f"/tasks?{many}").json()) == 30


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/tasks?title=eq.a%00b", None),
        ("GET", "/tasks?title=in.(a%00b)", None),
        ("GET", "/tasks?select=%00", None),
        ("GET", "/tasks?select=%22%00%22:title", None),
        ("GET", "/tasks?%00=eq.1", None),
        ("GET", "/ta%00sks", None),
        ("GET", "/rpc/user_stats%00", None),
        ("POST", "/tasks", b'{"title": "a\\u0000b", "user_id": "%b"}' % USER.encode()),
        ("POST", "/tasks", b'{"a\\u0000b": 1}'),
        ("POST", "/tasks", b'{"title": "\x00"}'),
        ("PATCH", "/tasks?title=eq.%00", b'{"title": "x"}'),
    ],
)
def test_a_zero_byte_is_the_callers_mistake(
    service: Any, method: str, path: str, body: bytes | None
) -> None:
    before = service.fingerprint()
    with service.client(service.alice) as client:
        answer = client.request(method, path, content=body)
        assert 200 <= answer.status_code < 500
        assert answer.status_code >= 400 or method == "GET"
        assert client.get("/tasks?limit=1").status_code == 200
    assert service.fingerprint() == before


@pytest.fixture
def own_server(apply_files: Any) -> Iterator[PostgresServer]:
    """A server that may be killed."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as another user
        settings = {"shared_buffers": "32MB"}
        with running_postgres(Path(folder) / "data", settings=settings) as server:
            asyncio.run(apply_files(server.dsn(), "schema", "keys", "supabase", "policies"))
            execute(server.dsn(), f"insert into profiles values ('{USER}', 'A', 'en', now())")
            yield server


@pytest.mark.integration
def test_postgres_killed_and_restarted_under_load(own_server: PostgresServer) -> None:
    answers: list[tuple[int, str, float]] = []
    stop = threading.Event()

    def load(api: Api) -> None:
        with _client(api) as client:
            while not stop.is_set():
                answer = client.get("/profiles?select=name")
                body = answer.json()
                code = body["code"] if isinstance(body, dict) else ""
                answers.append((answer.status_code, code, answer.elapsed.total_seconds()))

    with running_api(own_server.dsn(), jwt_secret=SECRET, pool_size=4) as api:
        threads = [threading.Thread(target=load, args=(api,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        os.kill(postmaster_of(own_server.data_dir), signal.SIGKILL)
        time.sleep(1.0)
        during = len(answers)
        _start_again(own_server)
        time.sleep(1.5)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads)
        with _client(api) as client:
            assert client.get("/profiles?select=name").json() == [{"name": "A"}]
    failed = [answer for answer in answers if answer[0] != 200]
    assert failed, "the server was killed, and nobody noticed"
    assert {status for status, _, _ in failed} == {503}
    known = {"PGRST000", "PGRST001", "57P01", "57P02", "57P03"}
    assert {code for _, code, _ in failed} <= known
    assert max(lasted_s for _, _, lasted_s in answers) < PATIENCE_S
    assert [status for status, _, _ in answers[-20:]] == [200] * 20
    assert len(answers) > during


def _start_again(server: PostgresServer) -> None:
    """On the same port, as soon as the killed server's children are gone."""
    deadline = time.monotonic() + 20
    while True:
        try:
            start_postgres(server.data_dir, port=server.port, settings={"shared_buffers": "32MB"})
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


@pytest.mark.integration
def test_an_api_without_its_database_says_so_until_it_comes(own_server: PostgresServer) -> None:
    with running_api(own_server.dsn(), jwt_secret=SECRET, pool_size=1) as api:
        os.kill(postmaster_of(own_server.data_dir), signal.SIGKILL)
        time.sleep(0.3)
        with _client(api) as client:
            answer = client.get("/profiles")
            assert (answer.status_code, answer.json()["code"]) == (503, "PGRST000")
            assert own_server.password not in answer.text
        _start_again(own_server)
