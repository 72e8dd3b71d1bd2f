"""Against the PgBouncer of this machine, whichever version it is."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from phasegate.model.errors import CannotMeasure, ConfigurationError, Refused
from phasegate.stack import pgbouncer
from phasegate.stack.database import with_database
from phasegate.stack.pgbouncer import (
    configuration,
    restart_pgbouncer,
    running_pgbouncer,
    start_pgbouncer,
    stop_pgbouncer,
)
from phasegate.stack.pgbouncer_console import PgBouncer, pools
from phasegate.stack.pgbouncer_install import find_pgbouncer, install_command, parse_version
from phasegate.stack.postgres import PostgresServer

OF_ANOTHER_SERVER = {"PGHOSTADDR": "127.0.0.9", "PGREQUIREAUTH": "none"}
needs_pgbouncer = pytest.mark.skipif(
    find_pgbouncer() is None, reason=f"no PgBouncer on this machine: {install_command()}"
)


@pytest.fixture
def pooler(postgres: PostgresServer, database: str) -> Iterator[PgBouncer]:
    # Beside the server's data, where the service user can go.
    folder = postgres.data_dir.with_name("pooler")
    with running_pgbouncer(folder, database, pool_size=2, clients_max=20) as running:
        yield running


async def _connect(pooler: PgBouncer) -> asyncpg.Connection:
    options = {} if pooler.statement_cache_size is None else {"statement_cache_size": 0}
    return await asyncpg.connect(pooler.dsn, timeout=5, **options)


@needs_pgbouncer
def test_a_query_passes_and_the_server_connection_is_given_back(pooler: PgBouncer) -> None:
    async def work() -> set[int]:
        connections = [await _connect(pooler) for _ in range(6)]
        try:
            # One after the other, six clients: the pool of two is never asked for more.
            return {await c.fetchval("select pg_backend_pid() + $1::int", 0) for c in connections}
        finally:
            for connection in connections:
                await connection.close()

    assert len(asyncio.run(work())) <= 2


@needs_pgbouncer
def test_the_same_statement_works_again_and_again_on_changing_servers(pooler: PgBouncer) -> None:
    async def work() -> list[int]:
        async def ten(connection: asyncpg.Connection) -> list[int]:
            return [await connection.fetchval("select $1::int", n) for n in range(10)]

        connections = [await _connect(pooler) for _ in range(4)]
        try:
            answers = await asyncio.gather(*map(ten, connections))
            return [number for answer in answers for number in answer]
        finally:
            for connection in connections:
                await connection.close()

    assert sorted(asyncio.run(work())) == sorted(list(range(10)) * 4)


@needs_pgbouncer
def test_settings_made_for_one_transaction_do_not_leak_into_the_next_client(
    pooler: PgBouncer,
) -> None:
    async def work() -> set[str]:
        first, second = await _connect(pooler), await _connect(pooler)
        try:
            async with first.transaction():
                await first.execute("select set_config('request.jwt.claims', 'alice', true)")
            query = "select current_setting('request.jwt.claims', true)"
            return {await c.fetchval(query) or "" for c in (first, second) for _ in range(4)}
        finally:
            await first.close()
            await second.close()

    assert asyncio.run(work()) == {""}


@needs_pgbouncer
def test_pool_statistics_show_who_waits(pooler: PgBouncer) -> None:
    async def work() -> tuple[int, int, int]:
        connections = [await _connect(pooler) for _ in range(3)]
        try:
            held = []
            for connection in connections[:2]:
                held.append(connection.transaction())
                await held[-1].start()
                await connection.fetchval("select 1")
            waiting = asyncio.create_task(connections[2].fetchval("select 1"))
            await asyncio.sleep(0.3)
            (only,) = await asyncio.to_thread(pools, pooler)
            for transaction in held:
                await transaction.rollback()
            await waiting
            return only.servers_active, only.clients_waiting, only.servers_idle
        finally:
            for connection in connections:
                await connection.close()

    assert asyncio.run(work()) == (2, 1, 0)


@needs_pgbouncer
def test_a_wrong_password_is_refused_by_the_pooler(pooler: PgBouncer) -> None:
    async def work() -> None:
        await asyncpg.connect(pooler.dsn.replace(":", ":x", 2).replace(":x//", "://"), timeout=5)

    with pytest.raises(asyncpg.PostgresError):
        asyncio.run(work())


@needs_pgbouncer
def test_the_password_is_in_one_private_file_and_nowhere_else(
    pooler: PgBouncer, postgres: PostgresServer
) -> None:
    holding = [
        path.name for path in pooler.folder.iterdir() if postgres.password in path.read_text()
    ]
    assert holding == ["userlist.txt"]
    mode = (pooler.folder / "userlist.txt").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert postgres.password not in " ".join(psutil.Process(pooler.pid).cmdline())
    assert postgres.password not in repr(pooler)


@needs_pgbouncer
def test_variables_meant_for_somebodys_own_server_do_not_keep_it_from_starting(
    postgres: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**OF_ANOTHER_SERVER, "PGOPTIONS": "-c enable_tidscan=off"}.items():
        monkeypatch.setenv(name, value)
    folder = postgres.data_dir.with_name("pooler")
    with running_pgbouncer(folder, database, pool_size=2, clients_max=20) as pooler:
        assert pools(pooler) is not None


@needs_pgbouncer
def test_it_never_runs_as_root(pooler: PgBouncer) -> None:
    assert psutil.Process(pooler.pid).uids().effective != 0


@needs_pgbouncer
def test_after_a_restart_new_clients_work_and_old_ones_are_told(pooler: PgBouncer) -> None:
    async def work() -> int:
        old = await _connect(pooler)
        assert await old.fetchval("select 1") == 1
        again = await asyncio.to_thread(restart_pgbouncer, pooler, pool_size=2)
        assert again.port == pooler.port
        assert again.pid != pooler.pid
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await old.fetchval("select 1")
        old.terminate()
        new = await _connect(again)
        try:
            return int(await new.fetchval("select 2"))
        finally:
            await new.close()

    assert asyncio.run(work()) == 2


@needs_pgbouncer
def test_a_pooler_that_was_killed_can_be_started_again(pooler: PgBouncer) -> None:
    killed = psutil.Process(pooler.pid)
    killed.kill()
    killed.wait(5)
    again = start_pgbouncer(pooler.folder, pooler.server_dsn, port=pooler.port)
    assert again.pid != pooler.pid
    assert pools(again) == ()


@needs_pgbouncer
def test_stopping_leaves_no_process_and_can_be_repeated(pooler: PgBouncer) -> None:
    stop_pgbouncer(pooler.folder)
    stop_pgbouncer(pooler.folder)
    assert not pgbouncer.is_running(pooler.folder)
    with pytest.raises(CannotMeasure, match="does not answer"):
        pools(pooler)


@needs_pgbouncer
def test_a_process_that_took_over_the_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pgbouncer.pid").write_text(str(os.getpid()))
    stop_pgbouncer(tmp_path)
    assert not pgbouncer.is_running(tmp_path)


@needs_pgbouncer
def test_a_taken_port_is_named(postgres: PostgresServer) -> None:
    with pytest.raises(Refused, match=f"Port {postgres.port} "):
        start_pgbouncer(postgres.data_dir.with_name("taken"), postgres.dsn(), port=postgres.port)


@needs_pgbouncer
def test_an_unknown_database_is_an_error_and_no_hang(pooler: PgBouncer) -> None:
    async def work() -> None:
        await asyncpg.connect(with_database(pooler.dsn, "no_such_database"), timeout=5)

    with pytest.raises(asyncpg.PostgresError):
        asyncio.run(work())


def test_prepared_statements_are_followed_from_version_1_21_on(tmp_path: Path) -> None:
    def text(version: tuple[int, int]) -> str:
        return configuration(
            "postgresql://me:hush@127.0.0.1:5432/db",
            folder=tmp_path,
            port=6432,
            pool_size=5,
            clients_max=50,
            version=version,
        )

    assert "max_prepared_statements" not in text((1, 20))
    assert "max_prepared_statements = 500" in text((1, 21))
    assert "hush" not in text((1, 21))
    dsn = "postgresql://me@h:1/db"
    assert PgBouncer(tmp_path, 1, 1, (1, 20), dsn).statement_cache_size == 0
    assert PgBouncer(tmp_path, 1, 1, (1, 24), dsn).statement_cache_size is None


def test_versions_are_read_and_old_ones_refused_with_the_remedy() -> None:
    assert parse_version("PgBouncer 1.24.1\nlibevent 2.1.12") == (1, 24)
    with pytest.raises(ConfigurationError, match=r"1\.17 is too old.*Try: "):
        parse_version("PgBouncer 1.17.0")
    with pytest.raises(ConfigurationError, match="not a PgBouncer that phasegate knows"):
        parse_version("something else")


def test_a_named_program_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_PGBOUNCER", "/nowhere/pgbouncer")
    with pytest.raises(ConfigurationError, match="/nowhere/pgbouncer"):
        find_pgbouncer()


def test_without_a_program_the_command_to_get_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pgbouncer, "find_pgbouncer", lambda: None)
    with pytest.raises(ConfigurationError, match=r"no PgBouncer.*Nothing was started.*Try: "):
        start_pgbouncer(tmp_path, "postgresql://me@127.0.0.1:1/db")
