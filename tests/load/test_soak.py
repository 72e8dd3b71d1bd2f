"""A soak with a fault that is really there: a view filled again and again, readers shut out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.records.sampler import SamplerRecord
from phasegate.report.soak import of_stage

pytestmark = pytest.mark.integration

LOCUSTFILE = """
from locust import FastHttpUser, task

class Reader(FastHttpUser):
    @task
    def read(self):
        self.client.get("/m", name="read")
"""
EVERY_S, TAKES_S, SOAK_S = 1.0, 0.2, 7.5


@contextmanager
def reading(dsn: str) -> Iterator[str]:
    program = Path(__file__).with_name("reading_server.py")
    server = subprocess.Popen(
        [sys.executable, program, "select i from m"],
        env={**os.environ, "DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@contextmanager
def refreshing(dsn: str) -> Iterator[None]:
    """`m` is filled again, without CONCURRENTLY, on every beat."""
    over = threading.Event()

    def work() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            began_s = time.monotonic()
            for beat in range(60):
                if over.wait(max(began_s + beat * EVERY_S - time.monotonic(), 0)):
                    return
                connection.execute("refresh materialized view m")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def begun(dsn: str) -> bool:
    """Whether somebody reads."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where query like 'select i from m%'"
        ).fetchone()
    return row is not None and row[0] > 0


@pytest.mark.alone
def test_a_refresh_that_shuts_readers_out_is_the_suspect_of_a_soak_ended_by_hand(
    database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create materialized view m as select pg_sleep({TAKES_S})::text as i")
    file = tmp_path / "locustfile.py"
    file.write_text(LOCUSTFILE, encoding="utf-8")
    with reading(database) as url, refreshing(database):
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "phasegate", "load", "-f", file, "--host", url),
                *("--arrival-rate", "80", "--soak", "60s", "--results", tmp_path / "results"),
                *("--tasks-per-session", "1"),
            ],
            cwd=tmp_path,
            env={**os.environ, "DATABASE_URL": database},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until_s = time.monotonic() + 20
        while not begun(database) and time.monotonic() < until_s:
            time.sleep(0.1)
        time.sleep(SOAK_S)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=30)[0]
    assert "suspect: refresh of m" in said
    assert "not met       checkpoint (every 30 min by checkpoint_timeout" in said
    (folder,) = (tmp_path / "results").iterdir()
    load = store.read(folder / "load" / "load.json", LoadRecord)
    assert load.over_time is not None
    assert sum(each.clicks for each in load.over_time.intervals) == load.actions[0].requests
    soak = of_stage(load, store.read(folder / "sampler" / "load.json", SamplerRecord))
    assert soak is not None
    (found,) = soak.recurrence.found
    assert found.suspect is not None
    assert (found.suspect.trial.kind, found.suspect.trial.what) == ("refresh", "m")
    assert found.period_s == pytest.approx(EVERY_S, rel=0.05)
    assert found.times >= 5
    assert found.pvalue <= 0.01
    assert 0.5 * TAKES_S * 1000 < found.latency_ms_p95 < 3 * TAKES_S * 1000
    assert found.typical_ms_p95 < 0.5 * TAKES_S * 1000
    # Whoever waits does so for the lock of the refresh: named beside it.
    assert [other.trial.kind for other in found.also] in ([], ["lock"])
