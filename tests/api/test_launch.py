"""Starting and stopping the service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from phasegate.api import ApiSettings, running_api, start_api, stop_api
from phasegate.model.errors import CannotMeasure, Refused
from phasegate.stack.tokens import mint

SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone


def _gone(pid: int, within_s: float = 8.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            status = Path(f"/proc/{pid}/stat")
            if status.exists() and status.read_text().split(")")[1].split()[0] == "Z":
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_it_is_ready_when_it_is_given_and_gone_afterwards(prepared: str) -> None:
    with running_api(prepared, jwt_secret=SECRET, level=2, pool_size=3) as api:
        ready = httpx.get(f"{api.url}/ready").json()
        assert ready["status"] == "ok"
        assert ready["level"] == 2
        assert ready["pool"]["size"] == 3
        assert os.getsid(api.pid) != os.getsid(0)  # Ctrl-C in our terminal does not reach it
    assert _gone(api.pid, within_s=0.5)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{api.url}/ready")


def test_no_secret_is_on_the_command_line_or_in_the_printed_form(prepared: str) -> None:
    with running_api(prepared, jwt_secret=SECRET) as api:
        line = Path(f"/proc/{api.pid}/cmdline").read_bytes().decode()
        assert SECRET not in line
        assert prepared not in line
        assert "postgresql://" not in line
        assert api.anon_key not in repr(api)
    assert SECRET not in repr(ApiSettings(dsn=prepared, jwt_secret=SECRET))
    assert prepared not in repr(ApiSettings(dsn=prepared, jwt_secret=SECRET))


def test_a_taken_port_is_refused_before_anything_starts(prepared: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(Refused, match=str(port)),
            running_api(prepared, port=port, jwt_secret=SECRET),
        ):
            pass


@pytest.mark.integration
def test_a_database_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasegate.api.launch.READY_TIMEOUT_S", 2.0)
    with (
        pytest.raises(CannotMeasure, match="PGRST002"),
        running_api("postgresql://nobody:hidden@127.0.0.1:9/none", jwt_secret=SECRET),
    ):
        pass


def test_it_ends_when_its_caller_is_killed(prepared: str) -> None:
    program = (
        "import os, sys, time\n"
        "from phasegate.api import running_api\n"
        "with running_api(os.environ['DSN'], jwt_secret='x' * 40, workers=2) as api:\n"
        "    print(api.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        env={**os.environ, "DSN": prepared},
        cwd=Path(__file__).parents[2],
    ) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        caller.send_signal(signal.SIGKILL)
    assert _gone(pid)


def test_a_service_that_outlives_its_caller_is_stopped_by_number(prepared: str) -> None:
    settings = ApiSettings(dsn=prepared, jwt_secret=SECRET)
    started = start_api(settings, outlives_caller=True)
    try:
        assert httpx.get(f"{started.api.url}/ready").status_code == 200
        stop_api(started.api.pid)
        assert _gone(started.api.pid)
        started.process.wait(5)
        stop_api(started.api.pid)  # gone already: nothing to do
    finally:
        started.stop()


@pytest.mark.parametrize("options", [{"workers": 2}, {"pool_size": 0}, {"statement_cache_size": 0}])
def test_it_serves_in_every_arrangement(prepared: str, options: dict[str, Any]) -> None:
    with running_api(prepared, jwt_secret=SECRET, **options) as api:
        token = mint(SECRET, "00000000-0000-4000-8000-0000000000ff")
        headers = {"apikey": api.anon_key, "authorization": f"Bearer {token}"}
        for _ in range(10):
            answer = httpx.get(f"{api.url}/rest/v1/tasks?select=*,projects(*)", headers=headers)
            assert (answer.status_code, answer.json()) == (200, [])
