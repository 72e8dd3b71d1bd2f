"""Locustfiles that know nothing of phasegate: driven unedited, in real processes of Locust's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from phasegate.model.verdict import code_of
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.stack.postgres import free_port
from tests.load.test_web import fetch, wait_for

pytestmark = pytest.mark.integration

HEAD = """
import time, uuid
from locust import (FastHttpUser, HttpUser, LoadTestShape, SequentialTaskSet, TaskSet, between,
                    constant, events, tag, task)
"""

# Everything that Locust's own documentation shows.
SHOP = """
class Browse(TaskSet):
    def on_start(self): self.client.get("/catalogue")

    @task
    def look(self): self.client.get("/items/41?with=stock")

    @task
    def leave(self): self.interrupt()


class Checkout(SequentialTaskSet):
    @task
    def basket(self): self.client.get("/basket")

    @task
    def pay(self): self.client.post("/pay", json={"amount": 1})

    @task
    def receipt(self):
        with self.client.get("/receipt", catch_response=True) as answer:
            if answer.json()[0]["owner"] == "nobody":
                answer.failure("it forgot who I am")

    @task
    def over(self): self.interrupt()


class Shopper(HttpUser):
    weight = 2
    wait_time = between(0.1, 0.3)
    tasks = {Browse: 2, Checkout: 3}

    def on_start(self):
        self.client.post("/login", data={"who": str(uuid.uuid4())})

    def on_stop(self):
        self.client.post("/logout")

    @task(2)
    def compare(self):
        for number in range(2):
            self.client.get(f"/item?id={number}", name="/item")
            time.sleep(1)


class Phone(FastHttpUser):
    fixed_count = 1
    wait_time = constant(0.2)

    def on_start(self):
        with self.rest("POST", "/login", json={"who": str(uuid.uuid4())}) as answer:
            assert answer.js["ok"]

    @tag("graph")
    @task
    def graph(self):
        self.client.post("/graphql", json={"query": "query Items { items { of } }"})


class Stages(LoadTestShape):
    def tick(self): return (10, 1)


@events.request.add_listener
def heard(request_type, name, response, **_):
    if name.endswith("/receipt"):
        print("heard", response.status_code)
"""

READER = (
    HEAD
    + """
class Reader(HttpUser):
    wait_time = constant(0.1)

    def on_start(self):
        self.client.post("/login", json={"who": str(uuid.uuid4())})

    @task
    def read(self):
        %s
"""
)


@pytest.fixture(scope="module")
def shop() -> Iterator[Callable[[str], Any]]:
    """Asks the shop's server for a path below its base path; ends it afterwards."""
    program = Path(__file__).with_name("shop_server.py")
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        url = f"http://127.0.0.1:{int(one.stdout.readline())}"

        def ask(path: str) -> Any:
            if not path:
                return f"{url}/api"
            with urllib.request.urlopen(url + path, timeout=10) as answer:  # noqa: S310
                return json.load(answer)

        yield ask
        one.kill()


class Run:
    """What one test left behind."""

    def __init__(self, done: subprocess.CompletedProcess[str], path: Path) -> None:
        self.code, self.said, self._path = done.returncode, done.stdout + done.stderr, path

    @property
    def record(self) -> LoadRecord:
        return store.read(self._path, LoadRecord)

    @property
    def holds(self) -> bool:
        """Whether nothing but a busy machine speaks against it."""
        return self.code in (0, 3) and self.codes <= {"schedule-lag", "generator-cpu"}

    @property
    def codes(self) -> set[str]:
        return {code_of(reason) for reason in self.record.invalid}

    def clicks(self) -> dict[str, int]:
        return {one.name: one.requests for one in self.record.actions}

    def requests(self) -> dict[str, int]:
        return {one.name: one.requests for one in self.record.endpoints}


@pytest.fixture
def drive(shop: Callable[[str], Any], tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Drives the shop with a locustfile of that text, outside any project."""

    def run(text: str, *more: str, rate: float = 40, mode: str = "fine", verb: bool = False) -> Run:
        shop(f"/mode/{mode}")
        shop("/counts")
        (tmp_path / "theirs.py").write_text(text, encoding="utf-8")
        # As `phasegate load` starts it, without the second that starting that takes.
        command = [sys.executable, "-m", "phasegate.load", "-f", "theirs.py", "--headless"]
        command += ["--stage-duration", "1", "--stage-name", "load", "--only-summary"]
        if verb:
            command = [sys.executable, "-m", "phasegate", "load", "-f", "theirs.py"]
            command += ["--duration", "1"]
        command += ["--arrival-rate", str(rate), "--think-time-scale", "0.02"]
        command += ["--out", "out", *(() if "--host" in more else ("--host", shop("")))]
        done = subprocess.run(
            [*command, *more],
            env={name: value for name, value in os.environ.items() if "PHASEGATE" not in name},
            cwd=tmp_path, check=False, capture_output=True, text=True, timeout=90,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Run(done, tmp_path / "out" / "load.json")

    yield run
    shop("/mode/fine")


def test_a_locustfile_of_everything_runs_unedited(
    drive: Callable[..., Run], shop: Callable[[str], Any]
) -> None:
    done = drive(HEAD + SHOP, "--csv", "theirs", verb=True)
    assert done.holds, done.said
    record, sent = done.record, shop("/counts")
    # The server counted what the record has, and the look before whether it is there.
    assert sum(sent.values()) - 1 == sum(one.requests for one in record.endpoints)
    assert set(done.clicks()) == {"look", "basket", "pay", "receipt", "compare", "graph"}
    # A task that sleeps in its middle is a click before it and one behind it.
    assert done.clicks()["compare"] == done.requests()["GET /item"] == sent["GET /api/item"]
    # What on_start and on_stop send, of users and of TaskSets, is recorded and is no click.
    assert sum(done.clicks().values()) == sum(
        count for name, count in done.requests().items() if "log" not in name
    )
    assert done.requests()["POST /api/login"] + done.requests()["POST /login"] >= 20
    # Ids and queries are in no name, and GraphQL is named by its operation.
    assert {"GET /api/items/{id}", "POST /graphql Items"} <= set(done.requests())
    for sentence in ("Stages is left out", "Phone.fixed_count is left out"):
        assert sentence in done.said
    # Nothing takes back what they wrote, and that is said.
    (left,) = re.findall(".*: what these requests wrote is still there", done.said)
    assert f"POST /api/pay {sent['POST /api/pay']}" in left
    assert "GET" not in left
    assert "heard 200" in done.said
    assert "Traceback" not in done.said
    assert done.said.count("Recorded in out/") == 1


def test_a_session_has_the_tasks_that_were_asked_for_and_ends_a_sequence(
    drive: Callable[..., Run], shop: Callable[[str], Any]
) -> None:
    text = """
class Steps(SequentialTaskSet):
    @task
    def one(self): self.client.get("/one")

    @task
    def two(self): self.client.get("/two")

    @task
    def three(self): self.client.get("/three")


class Walker(HttpUser):
    tasks = [Steps]

    def on_stop(self): self.client.get("/left")
"""
    done = drive(HEAD + text, "--tasks-per-session", "4")
    sent = shop("/counts")
    assert done.holds, done.said
    # Four tasks end in the middle of the second walk: it is walked to its end. Sessions that the
    # end of the test cuts short have not left.
    left, due = sent["GET /api/left"], done.record.sessions.due
    assert left > 10
    assert 2 * left <= sent["GET /api/three"] <= sent["GET /api/one"] <= 2 * due


def test_latency_counts_from_when_a_click_was_due(drive: Callable[..., Run]) -> None:
    slow = READER % 'self.client.get("/rows"); time.sleep(0.5); self.client.get("/rows")'
    record = drive(slow, "--tasks-per-session", "1").record
    (click,) = record.actions
    assert click.latency_ms["p50"] < 450  # nobody waits for their own pause of half a second
    (rows,) = (one for one in record.endpoints if one.name == "GET /api/rows")
    assert rows.latency_ms["p50"] >= rows.service_ms["p50"]


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("html", "answers-html", "web pages where JSON was asked for"),
        ("empty", "answers-empty", "were shown nothing at all"),
        ("same", "answers-same", "every user got the same bytes from GET /api/rows"),
        ("page", "answers-truncated", "were cut short (GET /api/rows)"),
    ],
)
def test_answers_that_are_none_get_no_pass_without_a_word_in_the_file(
    mode: str, code: str, words: str, drive: Callable[..., Run]
) -> None:
    asks = 'self.client.get("/rows", headers={"Accept": "application/json"})'
    # Long enough that twenty users come on a machine that is late, too.
    done = drive(READER % asks, "--stage-duration", "3", mode=mode)
    assert done.code == 3
    assert code in done.codes
    assert words in done.said


def test_code_that_trips_over_an_answer_is_a_failed_click_in_one_line(
    drive: Callable[..., Run],
) -> None:
    done = drive(READER % 'self.client.get("/rows").json()[0]["owner"]', mode="empty")
    assert done.code == 3
    assert "answers-unexpected" in done.codes
    assert "KeyError: 0 (theirs.py:14)" in done.said
    assert "Traceback" not in done.said


def test_a_fault_of_the_file_ends_the_test_with_its_line(drive: Callable[..., Run]) -> None:
    done = drive(READER % 'self.client.get("/rows"); undefined', "--stage-duration", "60")
    assert done.code == 3
    assert "generator-error" in done.codes
    assert "nothing can come of it" in done.said
    assert "NameError: name 'undefined' is not defined (theirs.py:14)" in done.said
    assert "Traceback" not in done.said


def test_where_only_reads_are_allowed_tasks_that_write_are_left_out_by_name(
    drive: Callable[..., Run], shop: Callable[[str], Any]
) -> None:
    text = (
        READER % 'self.client.get("/rows")'
        + """
    @task
    def buy(self): self.client.post("/buy", json={"what": 1})

    @task
    def ask(self): self.client.post("/graphql", json={"query": "query Items { items { of } }"})

    @task
    def change(self): self.client.post("/graphql", json={"query": "mutation Buy { buy }"})

    def on_stop(self): self.client.post("/logout")
"""
    )
    done = drive(text, "--reads-only", "--reads", "POST /login")
    sent = shop("/counts")
    assert done.holds, done.said
    assert set(sent) == {"POST /api/login", "GET /api/rows", "POST /api/graphql", "GET /api/"}
    assert set(done.clicks()) == {"read", "ask"}
    assert "Task buy is left out: POST /buy is not sent" in done.said
    assert '--reads "POST /buy"' in done.said
    assert "(GraphQL mutation Buy)" in done.said
    assert "on_stop is left out: POST /logout is not sent" in done.said
    refused = drive(text, "--reads-only")
    assert refused.code == 3
    assert "Reader cannot begin: POST /login is not sent" in refused.said


def test_a_graphql_error_of_status_200_is_a_failure(drive: Callable[..., Run]) -> None:
    done = drive(READER % 'self.client.post("/graphql", json={"query": "{ Broken }"})')
    assert done.code == 3
    assert "answers-unexpected" in done.codes
    assert "a GraphQL error: no such field" in done.said


def test_workers_share_the_users_and_the_budget(
    drive: Callable[..., Run], shop: Callable[[str], Any]
) -> None:
    done = drive(READER % 'self.client.get("/rows")', "--processes", "2", "--request-budget", "41")
    sent = sum(shop("/counts").values())
    assert done.record.workers == 2
    assert sent <= 41
    assert "The budget of 41 requests is spent" in done.said


def test_the_web_ui_starts_one_test_after_the_other(
    shop: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "theirs.py").write_text(READER % 'self.client.get("/rows")', encoding="utf-8")
    web = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "phasegate.load", "-f", "theirs.py", "--out", "out"]
    command += ["--host", shop(""), "--arrival-rate", "20", "--stage-name", "load"]
    command += ["--web-host", "127.0.0.1", "--web-port", str(port)]
    form = {"user_count": 2, "spawn_rate": 2, "host": shop(""), "arrival_rate": 40.0}
    form |= {"stage_duration": 1.0, "think_time_scale": 0.02}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=log) as locust,
    ):
        try:
            wait_for(web)
            for name in ("load", "load-2"):
                path = tmp_path / "out" / f"{name}.json"
                assert json.loads(fetch(f"{web}/swarm", form))["success"]
                until_s = time.monotonic() + 20
                while not path.exists() and time.monotonic() < until_s:
                    time.sleep(0.1)
                record = store.read(path, LoadRecord)
                assert {one.name for one in record.actions} == {"read"}
            # Asked for once alone: Locust answers from a cache for two seconds.
            shown = json.loads(fetch(f"{web}/stats/requests"))["stats"]
            total = next(one["num_requests"] for one in shown if one["name"] == "Aggregated")
            assert total == sum(one.requests for one in record.endpoints) > 20
            shop("/counts")
            fetch(f"{web}/swarm", form | {"arrival_rate": 0.0})
            time.sleep(0.3)
            assert "Reader is no SessionUser" in (tmp_path / "log").read_text()
            assert shop("/counts") == {}
        finally:
            locust.kill()


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        (READER % "pass", ("--host", "http://127.0.0.1:9"), "no answer from 127.0.0.1:9"),
        (READER % "pass", ("--reads", "login"), "'login' is no method and path"),
        (READER % "pass", ("-u", "10"), "--users (or LOCUST_USERS) would have no effect"),
        (READER % "pass", ("--tags", "nope"), "no session has the tag nope"),
        ("import missing_module\n", (), "The locustfile has a fault: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_driven_is_named_in_one_line(
    text: str, more: tuple[str, ...], words: str, drive: Callable[..., Run]
) -> None:
    done = drive(text, *more)
    assert done.code in (2, 3)
    assert words in done.said
    assert not re.search(r"Traceback|Recorded", done.said)


def test_an_unedited_file_drives_a_project_too(shop: Callable[[str], Any], tmp_path: Path) -> None:
    from phasegate.load.run import Target, run_stage
    from phasegate.project import load_project

    (tmp_path / "loadtests").mkdir()
    (tmp_path / "loadtests" / "locustfile.py").write_text(
        READER % 'self.client.get("/rows")', encoding="utf-8"
    )
    (tmp_path / "phasegate.toml").write_text(
        '[project]\nname = "shop"\ntitle = "Shop"\nusers_table = "public.users"\n'
        '[[levels]]\ntitle = "plain"\n[api]\ncommand = "none"\nready = "/health"\n',
        encoding="utf-8",
    )
    record = run_stage(
        Target(shop(""), "", ""), stage="s", project=load_project(tmp_path), level=1, users=1000,
        seed=1, duration_s=1, arrival_rate_per_s=40, out=tmp_path, warm_up_s=0,
    )  # fmt: skip
    reasons = {code_of(reason) for reason in record.invalid}
    assert reasons <= {"schedule-lag", "generator-cpu"}  # of a busy machine
    assert {one.name for one in record.actions} == {"read"}
    assert shop("/counts")["GET /api/health"] == 1  # asked first, since `/` need not be answered
