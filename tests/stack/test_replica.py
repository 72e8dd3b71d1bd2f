"""A primary and its replica, both real, shared by the tests of this file."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.project import SeedFolder
from phasegate.stack import replica as replica_module
from phasegate.stack.database import apply_sql
from phasegate.stack.postgres import PostgresServer, running_postgres, stop_postgres
from phasegate.stack.replica import (
    PRIMARY_SETTINGS,
    Replica,
    await_catch_up,
    measure_lag,
    restart_replica,
    running_replica,
    start_replica,
)

pytestmark = pytest.mark.integration

On = Callable[..., Any]
# Processes are killed here, never the machine: what is written stays written without fsync too.
SMALL = {"shared_buffers": "64MB", "max_connections": "30", "fsync": "off"}


@pytest.fixture(scope="module")
def pair() -> Iterator[Replica]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)  # as root, the servers run as another user
        settings = {**SMALL, **PRIMARY_SETTINGS}
        with (
            running_postgres(home / "data", settings=settings) as primary,
            running_replica(primary, home / "replica") as replica,
        ):
            apply_sql(primary.dsn(), SeedFolder().schema)
            await_catch_up(replica)
            yield replica


def profiles(sql_on: On, dsn: str) -> int:
    return int(sql_on(dsn, lambda c: c.fetchval("select count(*) from profiles")))


def add_profile(sql_on: On, dsn: str) -> None:
    sql_on(
        dsn,
        lambda c: c.execute("insert into profiles values (gen_random_uuid(), 'x', 'en', now())"),
    )


def test_what_the_primary_writes_can_be_read_on_the_replica(pair: Replica, sql_on: On) -> None:
    before = profiles(sql_on, pair.dsn())
    add_profile(sql_on, pair.primary.dsn())
    await_catch_up(pair)
    assert profiles(sql_on, pair.dsn()) == before + 1


def test_the_replica_refuses_writes_with_25006(pair: Replica, sql_on: On) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as caught:
        add_profile(sql_on, pair.dsn())
    assert caught.value.sqlstate == "25006"


def test_lag_is_zero_when_caught_up_however_long_the_primary_idles(pair: Replica) -> None:
    await_catch_up(pair)
    time.sleep(0.2)
    lag = measure_lag(pair.primary.dsn(), pair.dsn())
    assert (lag.lag_bytes, lag.lag_s, lag.streaming) == (0, 0.0, True)


def test_lag_grows_in_bytes_and_seconds_while_replay_is_held_up(pair: Replica, sql_on: On) -> None:
    add_profile(sql_on, pair.primary.dsn())
    await_catch_up(pair)
    sql_on(pair.dsn(), lambda c: c.execute("select pg_wal_replay_pause()"))
    try:
        add_profile(sql_on, pair.primary.dsn())
        time.sleep(0.3)
        lag = measure_lag(pair.primary.dsn(), pair.dsn())
    finally:
        sql_on(pair.dsn(), lambda c: c.execute("select pg_wal_replay_resume()"))
    assert lag.lag_bytes > 0
    assert lag.lag_s >= 0.3
    assert await_catch_up(pair).lag_bytes == 0


def test_a_primary_named_as_replica_is_an_error(pair: Replica) -> None:
    with pytest.raises(CannotMeasure, match="not in recovery"):
        measure_lag(pair.primary.dsn(), pair.primary.dsn())


def test_no_setting_and_no_command_line_holds_the_password(pair: Replica) -> None:
    assert pair.primary.password not in str(pair.server.settings)
    assert pair.primary.password not in repr(pair)
    pid = int((pair.server.data_dir / "postmaster.pid").read_text().split()[0])
    for process in (psutil.Process(pid), *psutil.Process(pid).children()):
        assert pair.primary.password not in " ".join(process.cmdline())


def test_the_slot_bounds_the_wal_that_it_keeps(pair: Replica, sql_on: On) -> None:
    row = sql_on(
        pair.primary.dsn(),
        lambda c: c.fetchrow(
            "select active, current_setting('max_slot_wal_keep_size') as bound"
            " from pg_replication_slots"
        ),
    )
    assert row["active"]
    assert row["bound"] == "4GB"


def test_a_replica_that_was_killed_is_reported_and_catches_up_again(
    pair: Replica, sql_on: On
) -> None:
    pid = int((pair.server.data_dir / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)
    with pytest.raises(CannotMeasure, match="Cannot connect"):
        measure_lag(pair.primary.dsn(), pair.dsn())
    add_profile(sql_on, pair.primary.dsn())
    again = restart_replica(pair)
    assert again.server.port == pair.server.port
    assert profiles(sql_on, again.dsn()) == profiles(sql_on, pair.primary.dsn())


def test_a_replica_whose_primary_stops_keeps_answering_and_is_not_streaming(
    pair: Replica, sql_on: On
) -> None:
    sql_on(pair.primary.dsn(), lambda c: c.execute("select 1"))
    walsender = "select pg_terminate_backend(pid) from pg_stat_replication"
    sql_on(
        pair.dsn(),
        lambda c: c.execute("alter system set primary_conninfo = 'host=127.0.0.1 port=1'"),
    )
    try:
        sql_on(pair.dsn(), lambda c: c.execute("select pg_reload_conf()"))
        sql_on(pair.primary.dsn(), lambda c: c.execute(walsender))
        deadline = time.monotonic() + 5
        while measure_lag(pair.primary.dsn(), pair.dsn()).streaming:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert profiles(sql_on, pair.dsn()) >= 0
    finally:
        restart_replica(pair)


def test_a_primary_with_minimal_wal_is_refused_and_nothing_is_copied(
    postgres: PostgresServer,
) -> None:
    folder = postgres.data_dir.with_name("never")
    with pytest.raises(CannotMeasure, match=r"wal_level=minimal.*Nothing was copied"):
        start_replica(postgres, folder)
    assert not folder.exists()


def test_too_little_disk_is_named_before_anything_is_copied(
    pair: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1_000_000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(CannotMeasure, match=r"needs .* GB of disk"):
        start_replica(pair.primary, pair.server.data_dir.with_name("never"))


def test_a_folder_that_holds_something_else_is_left_alone(pair: Replica, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(CannotMeasure, match="does not hold a replica"):
        start_replica(pair.primary, tmp_path)
    assert (tmp_path / "precious").exists()


def test_a_copy_that_was_interrupted_is_cleared_away(tmp_path: Path) -> None:
    half = tmp_path / "replica"
    half.mkdir()
    (half / "base.tar.partial").write_text("x")
    (tmp_path / "replica.pgpass").write_text("x")
    replica_module._remove(half)
    assert list(tmp_path.iterdir()) == []


def test_variables_meant_for_somebodys_own_server_keep_no_replica_from_following(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGREQUIREAUTH", "none")
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)
        settings = {**SMALL, **PRIMARY_SETTINGS}
        with (
            running_postgres(home / "data", settings=settings) as primary,
            running_replica(primary, home / "replica") as replica,
        ):
            assert measure_lag(primary.dsn(), replica.dsn()).lag_bytes == 0


def test_stopping_takes_the_slot_and_the_copy_away() -> None:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        home = Path(name)
        home.chmod(0o755)
        with running_postgres(home / "data", settings={**SMALL, **PRIMARY_SETTINGS}) as primary:
            with running_replica(primary, home / "replica"):
                pass
            assert sorted(path.name for path in home.iterdir()) == [
                "data",
                "data.log",
                "data.password",
            ]
            stop_postgres(primary.data_dir)
