"""A project's own locustfile: what the user class does for it, in real processes of Locust's."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phasegate.model.verdict import code_of
from phasegate.records import store
from phasegate.records.load import LoadRecord

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.load.conftest import TinyServer

Start = Callable[..., "TinyServer"]

PROJECT = """
[project]
name = "shop"
title = "A shop"
users_table = "public.customers"

[[levels]]
title = "plain"

[[levels]]
title = "hurried"
parts = ["hurry", "pooler"]

[parts.hurry]
title = "the client asks for less"

[parts.patience]
title = "the client asks for all"
replaces = ["hurry"]
"""

HEAD = """
from locust import SequentialTaskSet, User, between, constant, tag, task
from phasegate.load import *
"""

OPEN = ("--arrival-rate", "40", "--stage-duration", "1.5", "--think-time-scale", "0.05")


@pytest.fixture
def drive(tiny_server: Start, tmp_path: Path) -> Callable[..., Run]:
    """Drives a server with a locustfile of that text, in a project of its own."""
    (tmp_path / "loadtests").mkdir()
    (tmp_path / "phasegate.toml").write_text(PROJECT, encoding="utf-8")
    users = tmp_path / "users"
    users.write_text("".join(f"{uuid.uuid4()}\n" for _ in range(50)), encoding="utf-8")

    def run(text: str, *arguments: str, told: tuple[str, ...] = ()) -> Run:
        server = tiny_server(*told)
        file = tmp_path / "loadtests" / "locustfile.py"
        file.write_text(HEAD + text, encoding="utf-8")
        command = [sys.executable, "-m", "locust", "-f", str(file), "--headless"]
        command += ["--host", server.url, "--users-file", str(users), "--out", str(tmp_path)]
        done = subprocess.run(
            [*command, "--stage-name", "s", *(arguments or OPEN)],
            env={k: v for k, v in server.environment.items() if k != "PHASEGATE_PROJECT"},
            cwd=Path(__file__).parent, check=False, capture_output=True, text=True, timeout=90,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Run(done, server, tmp_path / "s.json")

    return run


class Run:
    """What a test of Locust left behind."""

    def __init__(
        self, done: subprocess.CompletedProcess[str], server: TinyServer, record: Path
    ) -> None:
        self.code, self.said, self._record = done.returncode, done.stderr, record
        self.served: dict[str, int] = server.counted()["requests"]

    @property
    def record(self) -> LoadRecord:
        assert self._record.exists(), self.said
        return store.read(self._record, LoadRecord)

    @property
    def clicks(self) -> dict[str, int]:
        return {action.name: action.requests for action in self.record.actions}

    @property
    def requests(self) -> dict[str, int]:
        return {endpoint.name: endpoint.requests for endpoint in self.record.endpoints}


Drive = Callable[..., Run]

TWO_CLASSES = """
class Buyer(SessionUser):
    weight = 3

    @task
    def look(self):
        with self.click("look"):
            self.client.get(f"/things?for={self.user.id}", name="things")
            self.client.get("/prices", params={"of": "all"})
        with self.click("look closer"):
            self.client.get("/things")


class Seller(SessionUser):
    @task
    def list_orders(self):
        self.client.get("/orders")
"""


def test_sessions_of_ones_own_are_driven_by_the_weights_of_their_classes(drive: Drive) -> None:
    found = drive(TWO_CLASSES)
    clicks = found.clicks
    assert set(clicks) == {"look", "look closer", "GET /orders"}
    assert clicks["look"] > clicks["GET /orders"] > 0
    # A session between two clicks at the end goes no further.
    assert clicks["look"] >= clicks["look closer"] > 0
    served = {name: count for name, count in found.served.items() if name != "GET /things"}
    assert served == {"GET /prices": clicks["look"], "GET /orders": clicks["GET /orders"]}
    assert found.requests == {
        "GET things": clicks["look"],
        "GET /prices": clicks["look"],
        "GET /things": clicks["look closer"],
        "GET /orders": clicks["GET /orders"],
    }
    assert found.record.arm == ""


def test_locusts_own_users_carry_the_same_sessions_out_in_the_closed_model(drive: Drive) -> None:
    found = drive(TWO_CLASSES, "-u", "4", "-r", "4", "-t", "3s", "--think-time-scale", "0.05")
    assert found.clicks["look"] > 10
    assert found.clicks["GET /orders"] > 10
    assert {"Buyer", "Seller"} <= {word.strip('"{:') for word in found.said.split()}


def test_a_failed_request_ends_its_click_and_the_session_goes_on(drive: Drive) -> None:
    found = drive(
        """
class Visitor(SessionUser):
    @task
    def visit(self):
        with self.click("broken") as click:
            self.client.get("/broken", expects=Rows({"id": TEXT}))
            self.client.get("/never")
        if click.failed:
            self.client.get("/went-on")
        with self.click("judged"):
            with self.client.get("/judged", catch_response=True) as response:
                if response.json() == {"message": "as told"}:
                    response.success()
        with self.click("refused"):
            with self.client.get("/refused", catch_response=True) as response:
                response.failure("not what was meant")
        with self.click("alone"):
            with self.client.get("/alone", catch_response=True):
                pass
""",
        told=("--status", "500", "--after", "8"),
    )
    failed = {action.name: action.failures / action.requests for action in found.record.actions}
    assert failed["broken"] > 0.9
    assert failed["judged"] == 0
    assert failed["refused"] == 1
    assert failed["alone"] > 0.9
    assert found.served.get("GET /never", 0) < 8
    assert found.served["GET /went-on"] > 8


def test_what_a_session_is_not_asked_for_is_left_out(drive: Drive) -> None:
    text = """
class Visitor(SessionUser):
    @task
    def read(self):
        self.client.get("/read")

    @tag("known")
    @writes
    @task(3)
    def write(self):
        self.client.post("/write", json={})
        self.created("/write?id=eq.1")

    @tag("rare", "known")
    @on_demand
    @task(3)
    def rarely(self):
        self.client.get("/rare")
"""
    found = drive(text)
    assert set(found.requests) == {"GET /read", "POST /write"}
    assert found.record.rows_created == found.record.rows_removed == found.served["DELETE /write"]
    assert set(drive(text, *OPEN, "--reads-only").served) == {"GET /read"}
    asked = drive(text, *OPEN, "--reads-only", "--tags", "known")
    assert set(asked.served) == {"GET /rare"}
    assert "Left out, since they write: Visitor.write; --allow-writes" in asked.said
    assert set(drive(text, *OPEN, "--tags", "rare").served) == {"GET /rare"}


def test_the_parts_of_the_level_are_the_sessions_to_go_by(drive: Drive) -> None:
    text = """
class Visitor(SessionUser):
    @task
    def read(self):
        self.client.get(f"/level-{self.level}/{'+'.join(sorted(self.parts))}")
"""
    plain = drive(text)
    assert set(plain.served) == {"GET /level-1/"}
    assert "level 1 is assumed" in plain.said
    found = drive(text, *OPEN, "--level", "2", "--without", "pooler")
    assert set(found.served) == {"GET /level-2/hurry"}
    found = drive(text, *OPEN, "--level", "2", "--with", "patience,replica")
    assert set(found.served) == {"GET /level-2/patience+pooler+replica"}


def test_signing_in_is_no_click_and_think_time_is_the_locustfiles(drive: Drive) -> None:
    found = drive(
        """
class Visitor(SessionUser):
    wait_time = constant(4)

    def on_start(self):
        self.client.get("/login")

    def on_stop(self):
        self.client.get("/logout")

    @task
    def read(self):
        for _ in range(2):
            with self.click("read"):
                self.client.get("/read")
""",
        *OPEN,
    )
    assert set(found.clicks) == {"read"}
    assert found.requests["GET /login"] > 10
    # Four seconds, scaled to a fifth of one: later than that, no second click was due any more.
    seconds = {second.at_s: second.requests for second in found.record.seconds}
    assert seconds
    assert found.clicks["read"] < 2 * found.requests["GET /login"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = nothing\n", "NameError: name 'nothing' is not defined (locustfile.py:4)"),
        (
            "class V(SessionUser):\n    @task\n    def see(self):\n        self.client.gett('/')\n",
            "AttributeError: 'Client' object has no attribute 'gett' (locustfile.py:7)",
        ),
        (
            (
                "class V(SessionUser):\n    @task\n    def see(self):\n"
                "        with self.click('a'), self.click('b'):\n            ...\n"
            ),
            "the click 'b' begins inside the click 'a' (locustfile.py:7)",
        ),
        (
            (
                "class V(SessionUser):\n    @task\n    class Tasks(SequentialTaskSet):\n"
                "        @task\n        def a(self): ...\n"
            ),
            "Tasks: a session cannot carry out a TaskSet",
        ),
        (
            "class V(SessionUser):\n    @on_demand\n    @task\n    def rare(self): ...\n",
            "V.rare is on demand, and has no tag",
        ),
    ],
)
def test_a_fault_of_the_locustfile_is_one_line_with_its_place(
    text: str, said: str, drive: Drive
) -> None:
    found = drive(text)
    assert found.code == 2, found.said
    (line,) = (line for line in found.said.splitlines() if said in line)
    assert "No request was sent" in line or "No load was sent" in line
    assert "Traceback" not in found.said
    assert not found.served


def test_the_old_option_is_refused_with_what_to_give_now(drive: Drive) -> None:
    found = drive(TWO_CLASSES, "--arm", "embedded")
    assert found.code == 2
    assert "--arm is refused" in found.said
    assert "--with" in found.said


def test_clicks_that_show_nothing_make_any_stage_invalid(drive: Drive) -> None:
    found = drive(
        """
class Visitor(SessionUser):
    @task
    def read(self):
        with self.click("see things", shows=USUALLY):
            self.client.get("/things")
        with self.click("see a kept page", shows=ALWAYS) as click:
            click.saw("a page")
"""
    )
    (reason,) = (one for one in found.record.invalid if code_of(one) == "answers-empty")
    assert "'see things' showed nothing" in reason
    assert "kept page" not in reason
