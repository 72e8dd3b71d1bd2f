"""Heavy work as its user meets it: over HTTP, with a token."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from phasegate.api import Api, running_api
from phasegate.stack.levels import apply_level
from phasegate.stack.tokens import mint
from phasegate.stack.worker import running_worker

On = Callable[..., Any]
SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone
PATH = "/functions/v1/process-heavy-task"


@pytest.fixture(scope="module")
def api(shared_app: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    apply_level(shared_app, 3)
    log = tmp_path_factory.mktemp("worker") / "w.log"
    with (
        running_worker(shared_app, log, heartbeat_timeout_s=1),
        running_api(shared_app, jwt_secret=SECRET, pool_size=4, level=3) as running,
    ):
        yield running


def client_of(api: Api, user: uuid.UUID | None) -> httpx.Client:
    token = api.anon_key if user is None else mint(SECRET, str(user))
    return httpx.Client(
        base_url=api.url, headers={"apikey": api.anon_key, "authorization": f"Bearer {token}"}
    )


@pytest.fixture
def as_alice(api: Api, alice: uuid.UUID) -> Iterator[httpx.Client]:
    with client_of(api, alice) as client:
        yield client


def foreign_task(sql_on: On, dsn: str, owner: uuid.UUID) -> str:
    return str(sql_on(dsn, lambda c: c.fetchval("select id from tasks where user_id = $1", owner)))


def test_it_answers_202_at_once_and_is_done_later(as_alice: httpx.Client) -> None:
    began = time.monotonic()
    answer = as_alice.post(PATH, json={"waitMs": 1500})
    assert time.monotonic() - began < 1.0
    assert answer.status_code == 202
    assert set(answer.json()) == {"status", "taskId"}
    assert answer.json()["status"] == "processing"
    where = f"{PATH}?taskId={answer.json()['taskId']}"
    assert as_alice.get(where).json()["status"] == "processing"
    deadline = time.monotonic() + 10
    while (found := as_alice.get(where).json())["status"] == "processing":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (found["status"], found["runs"]) == ("done", 1)
    assert found["result"]["tasks"]["total"] == 2


def test_the_synchronous_twin_answers_when_it_is_done(as_alice: httpx.Client) -> None:
    began = time.monotonic()
    answer = as_alice.post(f"{PATH}-sync", json={"waitMs": 300})
    assert time.monotonic() - began >= 0.3
    assert answer.status_code == 200
    assert answer.json()["status"] == "done"
    assert answer.json()["result"]["tasks"]["total"] == 2


@pytest.mark.parametrize("path", [PATH, f"{PATH}-sync"])
def test_a_task_of_ones_own_keeps_its_id(
    as_alice: httpx.Client, shared_app: str, sql_on: On, alice: uuid.UUID, path: str
) -> None:
    own = foreign_task(sql_on, shared_app, alice)
    assert as_alice.post(path, json={"taskId": own}).json()["taskId"] == own


@pytest.mark.parametrize("path", [PATH, f"{PATH}-sync"])
def test_a_foreign_task_and_one_that_is_not_there_answer_the_same_404(
    as_alice: httpx.Client, shared_app: str, sql_on: On, bob: uuid.UUID, path: str
) -> None:
    theirs = as_alice.post(path, json={"taskId": foreign_task(sql_on, shared_app, bob)})
    nobodys = as_alice.post(path, json={"taskId": str(uuid.uuid4())})
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content


def test_the_status_of_a_foreign_task_is_a_404(
    api: Api, as_alice: httpx.Client, bob: uuid.UUID
) -> None:
    with client_of(api, bob) as client:
        task = client.post(PATH).json()["taskId"]
        assert client.get(f"{PATH}?taskId={task}").status_code == 200
    assert as_alice.get(f"{PATH}?taskId={task}").status_code == 404


@pytest.mark.parametrize("path", [PATH, f"{PATH}-sync"])
def test_without_a_user_it_is_a_401(api: Api, path: str) -> None:
    with client_of(api, None) as client:
        assert client.post(path).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"taskId": "x"}',
        b'{"taskId": 7}',
        b'{"waitMs": -1}',
        b'{"waitMs": 1e9}',
        b'{"waitMs": "\\u0000"}',
        b'{"taskId": "\' or 1=1 --"}',
    ],
)
@pytest.mark.parametrize("path", [PATH, f"{PATH}-sync"])
def test_a_body_that_cannot_be_used_is_a_400(
    as_alice: httpx.Client, path: str, body: bytes
) -> None:
    assert as_alice.post(path, content=body).status_code == 400


def test_a_status_without_a_usable_id_is_a_400(as_alice: httpx.Client) -> None:
    for query in ("", "?taskId=", "?taskId=%00"):
        assert as_alice.get(f"{PATH}{query}").status_code == 400
    assert as_alice.get(f"{PATH}?taskId=x").status_code == 404


def test_other_methods_are_a_405_that_names_the_right_ones(as_alice: httpx.Client) -> None:
    assert as_alice.delete(PATH).headers["allow"] == "GET, POST"
    assert as_alice.get(f"{PATH}-sync").headers["allow"] == "POST"
    assert as_alice.delete(PATH).status_code == as_alice.get(f"{PATH}-sync").status_code == 405


def test_below_level_3_only_the_synchronous_way_exists(app: str, alice: uuid.UUID) -> None:
    with running_api(app, jwt_secret=SECRET, level=1) as low, client_of(low, alice) as client:
        missing = client.post(PATH)
        assert missing.status_code == 404
        assert missing.json()["message"] == "Requested function was not found"
        assert client.post(f"{PATH}-sync").status_code == 200
