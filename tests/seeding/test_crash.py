"""What survives SIGKILL, of the seeder and of the server, at random points of a load."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.seeding import seed_database
from phasegate.stack.postgres import PostgresServer, running_postgres, start_postgres

Query = Callable[..., list[asyncpg.Record]]

USERS = 6000
SEED = 5
# A load of that size takes about this long; the points are drawn over a bit more than that.
LOAD_S = 2.5
DYING_S = 20

# Two worker processes, although there are few users.
SCRIPT = (
    "import sys; from phasegate import seeding; from phasegate.seeding import process_pool;"
    "process_pool.USERS_MIN_PER_JOB = 1;"
    "print('started', flush=True);"
    f"seeding.seed_database(sys.stdin.read(), users={USERS}, seed={SEED}, jobs=2);"
    "print('finished')"
)


@pytest.fixture(scope="module")
def sha256(postgres: PostgresServer, query: Query) -> str:
    """Of the data set, loaded without any mishap."""
    query(postgres.dsn(), "create database undisturbed")
    whole = seed_database(postgres.dsn("undisturbed"), users=USERS, seed=SEED, jobs=1).sha256
    query(postgres.dsn(), "drop database undisturbed with (force)")
    return whole


def start_seeder(dsn: str) -> subprocess.Popen[str]:
    """A seeder that has imported everything and begins."""
    seeder = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert seeder.stdin is not None
    assert seeder.stdout is not None
    seeder.stdin.write(dsn)
    seeder.stdin.close()
    seeder.stdin = None  # or communicate() would flush it
    assert seeder.stdout.readline() == "started\n"
    return seeder


def moments(count: int, rng_seed: int) -> list[float]:
    """Random points of a load, one in each of `count` equal parts of it."""
    rng = random.Random(rng_seed)
    return [round((part + rng.random()) / count * LOAD_S, 3) for part in range(count)]


@pytest.mark.parametrize("after_s", moments(3, rng_seed=1))
def test_after_the_seeder_was_killed_the_same_command_makes_the_data_set_whole(
    database: str, sha256: str, query: Query, after_s: float
) -> None:
    seeder = start_seeder(database)
    time.sleep(after_s)
    workers = psutil.Process(seeder.pid).children() if seeder.poll() is None else []
    seeder.kill()
    seeder.communicate()
    _, alive = psutil.wait_procs(workers, timeout=DYING_S)
    assert alive == []

    again = seed_database(database, users=USERS, seed=SEED, jobs=1)

    assert again.sha256 == sha256
    for relation in again.relations:
        counted = query(database, f"select count(*) from {relation.name}")[0][0]
        assert counted == relation.rows, relation.name


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with running_postgres(home / "data", settings={"shared_buffers": "128MB"}) as server:
            yield server


def kill_server(server: PostgresServer) -> None:
    """SIGKILL to the postmaster, and wait until its children have noticed."""
    pid = int((server.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(family, timeout=DYING_S)


@pytest.mark.parametrize("after_s", moments(2, rng_seed=2))
def test_after_the_server_was_killed_the_seeder_says_what_to_run_and_that_makes_it_whole(
    own_server: PostgresServer, sha256: str, after_s: float
) -> None:
    seeder = start_seeder(own_server.dsn())
    time.sleep(after_s)
    kill_server(own_server)
    told, errors = seeder.communicate(timeout=DYING_S)
    broken = "CannotMeasure" in errors.splitlines()[-1] if errors else False
    assert broken or told == "finished\n", errors

    restarted = start_postgres(own_server.data_dir)
    again = seed_database(restarted.dsn(), users=USERS, seed=SEED, jobs=1)

    assert again.sha256 == sha256


def test_a_load_that_breaks_off_says_what_to_run_and_is_never_taken_for_whole(
    database: str, sha256: str, query: Query
) -> None:
    calls = 0

    def break_off(_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionResetError("the cable was pulled")

    with pytest.raises(CannotMeasure, match=r"failed: the cable.*Run the same command again"):
        seed_database(database, users=USERS, seed=SEED, jobs=1, on_progress=break_off)
    assert query(database, "select state from phasegate.dataset")[0][0] == "loading"
    assert seed_database(database, users=USERS, seed=SEED, jobs=1).sha256 == sha256
