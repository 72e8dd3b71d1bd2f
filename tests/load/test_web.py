"""Locust's web UI with our arguments in its form."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.stack.postgres import free_port

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.loadtests.conftest import TinyServer

Start = Callable[..., "TinyServer"]

OURS = ("users_registered", "level", "arrival_rate", "stages", "with", "without", "request_budget")


def fetch(url: str, form: dict[str, Any] | None = None) -> str:
    data = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data=data, timeout=10) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


def wait_for(url: str) -> str:
    for _ in range(100):
        try:
            return fetch(url)
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_a_test_started_from_the_form_runs_with_our_arguments(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    port = free_port()
    web = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", server.url]
    command += ["--web-host", "127.0.0.1", "--web-port", str(port), "--out", str(tmp_path)]
    with (tmp_path / "log").open("wb") as log:
        locust = subprocess.Popen(
            command,
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        page = wait_for(web)
        assert not [name for name in OURS if f'"{name}"' not in page]
        assert server.environment["SUPABASE_JWT_SECRET"] not in page
        form = {"user_count": 1, "spawn_rate": 1, "host": server.url, "stages": "1k,2k"}
        form |= {"stage_duration": 1.5, "think_time_scale": 0.05, "level": 1}
        assert json.loads(fetch(f"{web}/swarm", form))["success"]
        until_s = time.monotonic() + 20
        while not (tmp_path / "2000-users.json").exists() and time.monotonic() < until_s:
            time.sleep(0.2)
        first, second = (store.read(tmp_path / f"{n}-users.json", LoadRecord) for n in (1000, 2000))
        assert (first.users, first.arm, second.duration_s) == (1000, "n-plus-1", 1.5)
        form |= {"stages": "", "arrival_rate": 30.0, "users_registered": 500, "level": 2}
        form |= {"stage_name": "again"}
        assert json.loads(fetch(f"{web}/swarm", form))["success"]
        while not (tmp_path / "again.json").exists() and time.monotonic() < until_s:
            time.sleep(0.2)
        again = store.read(tmp_path / "again.json", LoadRecord)
        shown = json.loads(fetch(f"{web}/stats/requests"))["stats"]
        total = next(one["num_requests"] for one in shown if one["name"] == "Aggregated")
        assert total == sum(endpoint.requests for endpoint in again.endpoints) > 50
    finally:
        locust.kill()
        locust.wait()
