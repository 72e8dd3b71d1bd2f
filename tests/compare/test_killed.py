"""A session killed with SIGKILL: what it started ends with it; the next undoes what it changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from phasegate.compare.libpq import Session
from phasegate.stack.levels import apply_level, current_level
from phasegate.stack.pgbouncer_install import find_pgbouncer

REPOSITORY = Path(__file__).parents[2]

# Of the setup of logs_user.
INDEXES = "select count(*) from pg_indexes where indexname like 'bench\\_%'"


def session(dsn: str, *arguments: str) -> subprocess.Popen[str]:
    """`pytest benchmarks` with these arguments, begun."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "-s", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": dsn},
    )


def killed_while(dsn: str, technique: str, *arguments: str) -> list[psutil.Process]:
    """Kill a session in the middle of `technique`; all processes that it had by then."""
    running = session(dsn, *arguments, "--budget=60")
    assert running.stdout is not None
    for line in running.stdout:
        if f"measures {technique} " in line:
            break
    process = psutil.Process(running.pid)
    started: list[psutil.Process] = []
    while running.poll() is None and not _in_the_middle(dsn, technique, started):
        started = process.children(recursive=True)
    running.send_signal(signal.SIGKILL)
    assert running.wait(10) == -signal.SIGKILL
    running.stdout.close()
    return started


def _in_the_middle(dsn: str, technique: str, started: list[psutil.Process]) -> bool:
    if technique == "pooled":
        return any("pgbouncer" in each.name() for each in started if each.is_running())
    return value(dsn, INDEXES) != "0"


def value(dsn: str, query: str) -> str | None:
    opened = Session(dsn)
    try:
        return opened.once(query).column(0)[0]
    finally:
        opened.close()


def finished(dsn: str, *arguments: str) -> None:
    """A session that ends by itself, and does not measure what was killed."""
    done = session(dsn, "-k", "user_stats_one", "--benchmark-disable", *arguments)
    said, _ = done.communicate(timeout=60)
    assert done.returncode == 0, said


@pytest.mark.timeout(120)
def test_proxies_and_the_pooler_end_with_their_session(populated: str) -> None:
    if find_pgbouncer() is None:
        pytest.skip("there is no PgBouncer on this machine")
    started = killed_while(populated, "pooled", "-k", "join_rtt_1ms or pooled")
    names = {each.pid for each in started}
    assert len(names) >= 3  # proxy, keeper, pooler
    _, alive = psutil.wait_procs(started, timeout=10)
    assert not alive


@pytest.mark.timeout(120)
def test_the_next_session_takes_away_a_setup_and_goes_back_to_the_level_found_before(
    populated: str,
) -> None:
    apply_level(populated, 2)
    killed_while(populated, "logs_user", "-k", "logs_user")
    assert current_level(populated) == 3
    assert value(populated, INDEXES) != "0"
    finished(populated)
    assert value(populated, INDEXES) == "0"
    assert current_level(populated) == 2
    assert value(populated, "select to_regclass('phasegate.benchmark_session')") is None
