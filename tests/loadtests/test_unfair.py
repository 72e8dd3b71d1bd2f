"""Stages that must not be judged: what happens to the generator makes them INVALID."""

from __future__ import annotations

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

from loadtests.run import LOCUSTFILE
from phases.cell import code_of
from records import store
from records.load import LoadRecord

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


def test_a_generator_that_gets_no_processor_is_not_believed(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    core = psutil.Process().cpu_affinity()[:1]
    try:
        for hog in hogs:
            psutil.Process(hog.pid).cpu_affinity(core)
        arguments = ("--arrival-rate", "60", "--stage-duration", "4")
        with running_locust(server, tmp_path, *arguments) as process:
            wait_until_asked(server)
            generator = psutil.Process(process.pid)
            generator.nice(19)
            generator.cpu_affinity(core)
            time.sleep(4)
            for hog in hogs:
                hog.kill()
            assert process.wait(timeout=60) == 3
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
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


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_an_interrupted_stage_is_marked_and_leaves_no_row(
    how: str, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    arguments = ("--arrival-rate", "30", "--stage-duration", "60")
    with running_locust(server, tmp_path, *arguments) as process:
        wait_until_asked(server)
        time.sleep(1.5)
        process.send_signal(signal.Signals[how])
        assert process.wait(timeout=30) == 3
    record = store.read(tmp_path / "s.json", LoadRecord)
    assert "interrupted" in codes(tmp_path)
    assert record.rows_created == record.rows_removed > 0
    assert server.counted()["tasks_left"] == 0
