"""Stages that must not be judged: what happens to the generator makes them INVALID."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from phasegate.model.verdict import code_of
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.loadtests.conftest import TinyServer

Start = Callable[..., "TinyServer"]


@contextmanager
def running_locust(
    server: TinyServer, out: Path, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
    command += ["--host", server.url, "--out", str(out), "--stage-name", "s"]
    command += ["--think-time-scale", "0.05", *arguments]
    with (out / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=server.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            for child in psutil.Process(process.pid).children() if process.poll() is None else []:
                child.kill()
            process.kill()
            process.wait()


def wait_until_asked(server: TinyServer) -> None:
    for _ in range(200):
        if server.counted()["requests"]:
            return
        time.sleep(0.1)
    pytest.fail("no request came")


def codes(out: Path) -> set[str]:
    return {code_of(reason) for reason in store.read(out / "s.json", LoadRecord).invalid}


def test_a_generator_that_works_at_its_limit_is_not_believed(
    tiny_server: Start, tmp_path: Path
) -> None:
    arguments = ("--arrival-rate", "4000", "--stage-duration", "3")
    with running_locust(tiny_server(), tmp_path, *arguments) as process:
        assert process.wait(timeout=90) == 3
    assert codes(tmp_path) & {"generator-cpu", "schedule-lag"}


def test_a_generator_that_gets_a_quarter_of_a_processor_is_not_believed(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    arguments = ("--arrival-rate", "30", "--stage-duration", "4")
    with running_locust(server, tmp_path, *arguments) as process:
        wait_until_asked(server)
        # What a scheduler does to one process among many, but the same on every machine.
        for _ in range(20):
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.15)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        assert process.wait(timeout=60) == 3
    assert "schedule-lag" in codes(tmp_path)


def test_a_killed_worker_is_not_overlooked(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    arguments = ("--arrival-rate", "40", "--stage-duration", "5", "--processes", "2")
    with running_locust(server, tmp_path, *arguments) as process:
        wait_until_asked(server)
        time.sleep(1)
        psutil.Process(process.pid).children()[0].kill()
        assert process.wait(timeout=60) == 3
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert record.workers_lost == 1
    assert "worker-lost" in codes(tmp_path)


def test_a_test_whose_workers_all_died_ends_and_says_so(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    arguments = ("--arrival-rate", "40", "--stage-duration", "60", "--processes", "1")
    with running_locust(server, tmp_path, *arguments) as process:
        wait_until_asked(server)
        psutil.Process(process.pid).children()[0].kill()
        assert process.wait(timeout=60) == 3
    assert {"worker-lost", "interrupted"} <= codes(tmp_path)


@pytest.mark.parametrize(("how", "processes"), [("SIGINT", 1), ("SIGTERM", 1), ("SIGINT", 2)])
def test_an_interrupted_stage_is_marked_and_leaves_no_row(
    how: str, processes: int, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    arguments = ["--arrival-rate", "30", "--stage-duration", "60"]
    if processes > 1:
        arguments += ["--processes", str(processes)]
    with running_locust(server, tmp_path, *arguments) as process:
        wait_until_asked(server)
        time.sleep(1.5)
        os.killpg(process.pid, signal.Signals[how])  # as a terminal does: to all of them
        assert process.wait(timeout=30) == 3
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert "interrupted" in codes(tmp_path)
    assert record.workers_lost == 0
    assert record.rows_created == record.rows_removed > 0
    counted = server.counted()
    assert counted["tasks_left"] == 0
    assert sum(endpoint.requests for endpoint in record.endpoints) == sum(
        count for name, count in counted["requests"].items() if name != "DELETE tasks"
    )


def test_ctrl_c_in_the_caller_of_a_stage_ends_the_generator_in_order(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    program = (
        "import os; from pathlib import Path; from phasegate.load.run import Target, run_stage\n"
        "from phasegate.project import load_project\n"
        f"target = Target({server.url!r}, os.environ['SUPABASE_ANON_KEY'],"
        " os.environ['SUPABASE_JWT_SECRET'])\n"
        "run_stage(target, stage='s', project=load_project(), level=2, users=1000, seed=1,"
        f" duration_s=60, arrival_rate_per_s=30, out=Path({str(tmp_path)!r}), warm_up_s=0)"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", program], env=server.environment, stderr=subprocess.DEVNULL
    )
    wait_until_asked(server)
    (generator,) = psutil.Process(caller.pid).children()
    time.sleep(1.5)
    caller.send_signal(signal.SIGINT)
    assert caller.wait(timeout=30) != 0
    assert not generator.is_running()
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert "interrupted" in codes(tmp_path)
    assert record.rows_created == record.rows_removed > 0
    assert server.counted()["tasks_left"] == 0
