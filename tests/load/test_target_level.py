"""Which level a target runs is asked where it can tell, and said where it was assumed."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phasegate.load.preflight import level_told_by
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.load.conftest import TinyServer

Start = Callable[..., "TinyServer"]


@pytest.fixture
def answering() -> Iterator[Callable[[object], str]]:
    """Starts a server whose every answer is that JSON; its URL."""
    servers = []

    def start(answer: object) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "level"),
    [({"level": 3}, 3), ({"level": 9}, None), ({"status": "ok"}, None), ([1], None), ("3", None)],
)
def test_only_a_level_that_there_is_counts_as_told(
    answer: object, level: int | None, answering: Callable[[object], str]
) -> None:
    assert level_told_by(answering(answer), 3) == level


def driven(
    url: str, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", url]
    command += ["--think-time-scale", "0.05", "--stage-name", "s", *arguments]
    return subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("processes", [1, 2])
def test_the_client_is_that_of_the_level_which_the_target_tells(
    processes: int, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server("--level", "3")
    arguments = ["--arrival-rate", "20", "--stage-duration", "1", "--out", str(tmp_path)]
    arguments += ["--processes", "2"] if processes == 2 else []
    done = driven(server.url, server.environment, *arguments)
    assert "The target says that it runs stack level 3" in done.stderr
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert (record.level, record.arm) == (3, "embedded+cache")


def test_a_level_that_is_assumed_is_said_so(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    arguments = ("--arrival-rate", "20", "--stage-duration", "1", "--out", str(tmp_path))
    done = driven(server.url, server.environment, *arguments)
    assert "level 2 is assumed; give --level N, 1 to 3" in done.stderr
    assert store.read(tmp_path / "s.json", LoadRecord).level == 2
    told = driven(server.url, server.environment, *arguments, "--level", "1")
    assert "does not tell" not in told.stderr
    assert store.read(tmp_path / "s-2.json", LoadRecord).level == 1


def test_a_stage_too_short_for_one_session_says_the_rate_and_what_to_give(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    arguments = ("--users-registered", "1000", "--stage-duration", "2", "--out", str(tmp_path))
    done = driven(server.url, server.environment, *arguments)
    assert done.returncode == 3
    said = store.read(tmp_path / "s.json", LoadRecord).invalid
    # A busy machine may add that its generator was late.
    (reason,) = (one for one in said if "give --stage-duration" in one)
    assert "the rate is one session in 30 s, and the stage lasted 2 s" in reason
    (enough_s,) = re.findall(r"give --stage-duration (\d+)", reason)
    assert int(enough_s) == 840
    assert "--users-registered" in reason
