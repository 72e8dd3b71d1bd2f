"""A soak with a fault that is really there: a view filled again and again, readers shut out."""

from __future__ import annotations

import os
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
from phasegate.report.soak_words import lines
from phasegate.stack.sampler import sampling

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


def test_a_refresh_that_shuts_readers_out_is_found_with_its_period_and_as_the_suspect(
    database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"create materialized view m as select pg_sleep({TAKES_S})::text as i")
    file = tmp_path / "locustfile.py"
    file.write_text(LOCUSTFILE, encoding="utf-8")
    with (
        reading(database) as url,
        refreshing(database),
        sampling(database, stage="soak", out=tmp_path / "sampler", events=True) as sampled,
    ):
        subprocess.run(
            [
                *(sys.executable, "-m", "phasegate.load", "-f", file, "--headless"),
                *("--host", url, "--arrival-rate", "80", "--tasks-per-session", "1"),
                *("--stage-duration", str(SOAK_S), "--intervals", "0.1"),
                *("--stage-name", "soak", "--out", tmp_path / "load", "--only-summary"),
            ],
            cwd=tmp_path,
            check=False,
            capture_output=True,
        )
    load = store.read(tmp_path / "load" / "soak.json", LoadRecord)
    assert load.over_time is not None
    assert sum(each.clicks for each in load.over_time.intervals) == load.actions[0].requests
    soak = of_stage(load, store.read(sampled, SamplerRecord))
    assert soak is not None
    (found,) = soak.recurrence.found
    assert found.suspect is not None
    assert (found.suspect.trial.kind, found.suspect.trial.what) == ("refresh", "m")
    assert found.period_s == pytest.approx(EVERY_S, rel=0.05)
    assert found.times >= 4
    assert found.pvalue <= 0.01
    assert 0.5 * TAKES_S * 1000 < found.latency_ms_p95 < 3 * TAKES_S * 1000
    assert found.typical_ms_p95 < 0.5 * TAKES_S * 1000
    # Whoever waits does so for the lock of the refresh: named beside it.
    assert [other.trial.kind for other in found.also] in ([], ["lock"])
    said = "\n".join(lines(soak))
    assert "suspect: refresh of m" in said
    assert "not met       checkpoint (every 30 min by checkpoint_timeout" in said
