"""Locust's own options do what they say, or are refused in one line with exit code 2."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phasegate.load.locust_options import REFUSED, REFUSED_AT_ONCE, REFUSED_WITH_ARRIVALS
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.stack.postgres import free_port

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.load.conftest import TinyServer

Start = Callable[..., "TinyServer"]

ARRIVALS = ("--arrival-rate", "20", "--stage-duration", "2.5", "--think-time-scale", "0.05")
DOCUMENT = Path(__file__).parents[2] / "docs" / "locust-options.md"


def command(server: TinyServer, *arguments: str) -> list[str]:
    return [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--host", server.url),
        *arguments,
    ]


def locust(
    server: TinyServer, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, *arguments),
        env={**server.environment, **variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def served(server: TinyServer) -> int:
    """Requests that the server answered, without the removal of rows after the test."""
    counted = server.counted()["requests"]
    return sum(count for name, count in counted.items() if name != "DELETE tasks")


def last_row(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))[-1]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_files_of_statistics_hold_the_last_second(
    processes: int, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    files = ("--csv", str(tmp_path / "s"), "--csv-full-history", "--html", str(tmp_path / "s.html"))
    shared = ("--processes", "2") if processes == 2 else ()
    done = locust(
        server,
        "--headless",
        *ARRIVALS,
        *files,
        "--json",
        "--only-summary",
        "--reset-stats",
        *shared,
    )
    assert done.returncode in (0, 3), done.stderr  # 3 on a machine that is busy otherwise
    count = served(server)
    assert count > 100
    assert last_row(tmp_path / "s_stats.csv")["Request Count"] == str(count)
    assert last_row(tmp_path / "s_stats_history.csv")["Total Request Count"] == str(count)
    # One document alone, whatever the number of processes.
    printed = json.JSONDecoder().raw_decode(done.stdout)[0]
    assert sum(entry["num_requests"] for entry in printed) == count
    assert f'"num_requests": {count}' in (tmp_path / "s.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("processes", [1, 2])
def test_the_files_of_statistics_hold_the_last_second_before_ctrl_c(
    processes: int, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    files = ("--csv", str(tmp_path / "s"), "--html", str(tmp_path / "s.html"))
    arguments = ["--headless", "--arrival-rate", "20", "--think-time-scale", "0.05", *files]
    arguments += ["--out", str(tmp_path), "--processes", str(processes)] if processes == 2 else []
    arguments += ["--stage-duration", "30"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command(server, *arguments),
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    while served(server) < 100 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 3  # interrupted, so INVALID
    count = served(server)
    assert last_row(tmp_path / "s_stats.csv")["Request Count"] == str(count)
    assert f'"num_requests": {count}' in (tmp_path / "s.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "variables", "code"),
    [
        (("--exit-code-on-error", "42"), {}, {42}),
        (("--exit-code-on-error", "0"), {}, {0}),
        (("--exit-code-on-error", "1"), {}, {1}),
        ((), {"LOCUST_EXIT_CODE_ON_ERROR": "7"}, {7}),
        ((), {}, {1, 3}),
    ],
)
def test_the_exit_code_of_failures_is_the_one_asked_for(
    arguments: tuple[str, ...], variables: dict[str, str], code: set[int], tiny_server: Start
) -> None:
    server = tiny_server()

    def break_down() -> None:
        while served(server) < 30:
            time.sleep(0.1)
        server.process.kill()

    breaking = threading.Thread(target=break_down)
    breaking.start()
    done = locust(server, "--headless", *ARRIVALS, *arguments, **variables)
    breaking.join()
    assert done.returncode in code, done.stderr


def test_the_exit_code_for_errors_leaves_a_miss_without_errors_alone(tiny_server: Start) -> None:
    slow = tiny_server("--delay-ms", "700")
    done = locust(slow, "--headless", *ARRIVALS, "--exit-code-on-error", "42")
    assert done.returncode in (1, 3), done.stderr
    assert "above 500 ms" in done.stderr or done.returncode == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--stop-timeout", "5"), "--stop-timeout"),
        (("-s", "5"), "--stop-timeout"),
        (("--otel",), "--otel"),
        (("--enable-rebalancing",), "--enable-rebalancing"),
        (("-u", "5"), "--users"),
        (("-r", "5"), "--spawn-rate"),
        (("--show-task-ratio",), "--show-task-ratio"),
        (("--show-task-ratio-json",), "--show-task-ratio-json"),
    ],
)
def test_an_option_without_effect_is_refused_in_one_line(
    arguments: tuple[str, ...], named: str, tiny_server: Start
) -> None:
    server = tiny_server()
    done = locust(server, "--headless", *ARRIVALS, *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = (one for one in done.stderr.splitlines() if "INFO/locust" not in one)
    assert line.startswith(named)
    assert "No request was sent" in line
    assert served(server) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("postgresql://u:hush-hush@h/d",),
        ("-u", "postgresql://odd:/hush-hush@h/d"),
        ("--tags=http://u:hush-hush@h",),
    ],
    ids=lambda given: given[0],
)
def test_an_address_with_a_password_is_refused_and_not_quoted(
    tiny_server: Start, arguments: tuple[str, ...]
) -> None:
    server = tiny_server()
    done = locust(server, "--headless", *arguments)
    assert done.returncode == 2
    (line,) = (done.stdout + done.stderr).strip().splitlines()
    assert "No request was sent" in line
    assert "hush" not in line
    assert served(server) == 0


@pytest.mark.parametrize(
    ("variable", "value"), [("LOCUST_USERS", "5"), ("LOCUST_STOP_TIMEOUT", "5")]
)
def test_a_variable_for_such_an_option_is_refused_as_well(
    variable: str, value: str, tiny_server: Start
) -> None:
    server = tiny_server()
    done = locust(server, "--headless", *ARRIVALS, **{variable: value})
    assert done.returncode == 2, done.stderr
    assert f"(or {variable})" in done.stderr
    assert served(server) == 0


def test_telemetry_is_refused_by_its_variable_too(tiny_server: Start) -> None:
    done = locust(tiny_server(), "--list", LOCUST_ENABLE_OPENTELEMETRY="true")
    assert done.returncode == 2
    assert done.stderr.startswith("--otel is refused")


def test_a_file_of_options_is_heeded(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    config = tmp_path / "locust.conf"
    config.write_text(
        "headless = true\narrival-rate = 20\nstage-duration = 1.5\nthink-time-scale = 0.05\n"
        f"stage-name = written\nout = {tmp_path}\n"
    )
    done = locust(server, "--config", str(config))
    assert done.returncode in (0, 3), done.stderr
    assert store.read(tmp_path / "written.json", LoadRecord).duration_s == 1.5


def test_equal_weights_draw_all_kinds_of_sessions_alike(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    shares = []
    for number, arguments in enumerate(((), ("--equal-weights",))):
        locust(
            server,
            *("--headless", *ARRIVALS, "--tags", "read", "analytics", *arguments),
            *("--out", str(tmp_path), "--stage-name", str(number)),
        )
        record = store.read(tmp_path / f"{number}.json", LoadRecord)
        logs = sum(e.requests for e in record.endpoints if e.name.startswith("GET activity_logs"))
        assert record.sessions is not None
        shares.append(logs / record.sessions.due)
    assert shares[1] > 3 * shares[0]


def test_autostart_ends_by_itself_with_the_verdict_as_exit_code(
    tiny_server: Start, tmp_path: Path
) -> None:
    slow = tiny_server("--delay-ms", "700")
    done = locust(
        slow,
        *("--autostart", "--autoquit", "0", "--web-host", "127.0.0.1"),
        *("--web-port", str(free_port()), *ARRIVALS, "--out", str(tmp_path)),
    )
    assert done.returncode in (1, 3), done.stderr
    assert "stage open: " in done.stderr
    assert (tmp_path / "open.json").exists()


class WebUi:
    """A running `locust` with its web UI."""

    def __init__(self, server: TinyServer, out: Path, *arguments: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = (out / "web.log").open("wb")
        ui = ("--web-host", "127.0.0.1", "--web-port", str(port), "--out", str(out))
        self._process = subprocess.Popen(
            command(server, *ui, *arguments),
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def start_test(self, form: dict[str, Any]) -> None:
        data = urllib.parse.urlencode({"user_count": 1, "spawn_rate": 1, **form}).encode()
        until_s = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/swarm", data=data, timeout=10) as answer:  # noqa: S310
                    assert json.load(answer)["success"]
                    return
            except urllib.error.URLError:
                assert time.monotonic() < until_s
                time.sleep(0.1)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def wait_for(path: Path) -> LoadRecord:
    until_s = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until_s, f"{path} was not written"
        time.sleep(0.1)
    return store.read(path, LoadRecord)


@pytest.mark.parametrize("picker", [(), ("--class-picker",)])
def test_a_second_test_of_the_web_ui_keeps_the_record_of_the_first(
    picker: tuple[str, ...], tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    form: dict[str, Any] = {"host": server.url, "arrival_rate": 30.0, "stage_duration": 1.5}
    form |= {"think_time_scale": 0.05, "users_registered": 500}
    if picker:
        form |= {"user_classes": "AppUser"}
    ui = WebUi(server, tmp_path, *picker)
    try:
        ui.start_test(form)
        first = wait_for(tmp_path / "open.json")
        time.sleep(1.5)  # Locust is still stopping its users
        ui.start_test({**form, "users_registered": 600})
        second = wait_for(tmp_path / "open-2.json")
    finally:
        ui.close()
    assert (first.users, second.users) == (500, 600)
    assert (first.stage, second.stage) == ("open", "open-2")
    assert store.read(tmp_path / "open.json", LoadRecord) == first


def documented() -> dict[str, str]:
    """What docs/locust-options.md says of each of Locust's options."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## `pytest benchmarks`")[0]
    rows = [row.split("|") for row in text.splitlines() if row.startswith("| `--")]
    return {option: row[2] for row in rows for option in re.findall(r"`(--[a-z-]+)`", row[1])}


def test_every_option_of_locust_is_in_the_document() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "locust", "--help", "-f", "-"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    ).stdout
    options = set(re.findall(r"^  (?:-\w(?: [^,]+)?, )?(--[a-z-]+)", shown, re.MULTILINE))
    assert len(options) > 40
    assert set(documented()) == options


def test_the_document_says_which_options_are_refused() -> None:
    said = {option for option, here in documented().items() if "refused" in here}
    always = {option for _, option, _, _ in REFUSED} | set(REFUSED_AT_ONCE)
    assert said == always | {option for _, option, _, _ in REFUSED_WITH_ARRIVALS}
