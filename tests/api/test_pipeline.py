"""Several statements in one round trip, and the pool that hands out the connections."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uvloop

from phasegate.api.errors import ApiError
from phasegate.api.pipeline import ConnectionBroken, PipelinedConnection, ServerError
from phasegate.api.pool import Pool

CACHED = 10


def _on_connection(dsn: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(dsn, connection_class=PipelinedConnection)
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=5)

    return asyncio.run(run())


@pytest.mark.parametrize("cache_size", [CACHED, 0])
def test_each_statement_gives_its_first_row_as_text(database: str, cache_size: int) -> None:
    statements = [
        ("select $1::int + 1, null, $2::text", (1, "ä")),
        ("select generate_series(5, 9)", ()),
        ("select 1 where false", ()),
        ("", ()),
        ("select repeat('x', 3000000)", ()),
    ]

    async def work(connection: Any) -> Any:
        rows = [await connection.exchange(statements, cache_size=cache_size) for _ in range(3)]
        assert await connection.fetchval("select 7") == 7  # asyncpg's own way still works
        return rows

    for rows in _on_connection(database, work):
        assert rows[0] == (b"2", None, "ä".encode())
        assert rows[1:4] == [(b"5",), (), ()]
        assert rows[4] == (b"x" * 3_000_000,)


@pytest.mark.integration
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_exchange_works_over_tls(
    serving_tls: Callable[[Path], AbstractContextManager[Any]], new_loop: Callable[[], Any]
) -> None:
    in_use = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

    async def work(dsn: str) -> Any:
        connection = await asyncpg.connect(dsn, connection_class=PipelinedConnection)
        statements = [(in_use, ()), ("select repeat('x', 3000000)", ())]
        rows = [await connection.exchange(statements, cache_size=CACHED) for _ in range(3)]
        assert await connection.fetchval("select 7") == 7
        await connection.close(timeout=5)
        return rows

    # Debian 12's: the embedded server has no TLS.
    with (
        serving_tls(Path("/usr/lib/postgresql/15/bin")) as tls,
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        rows = runner.run(work(f"{tls.server.dsn()}?sslmode=require"))
    assert rows == [[(b"t",), (b"x" * 3_000_000,)]] * 3


def test_an_error_undoes_the_whole_exchange_and_leaves_the_connection_usable(
    database: str,
) -> None:
    async def work(connection: Any) -> Any:
        await connection.execute("create table t (n int primary key)")
        with pytest.raises(ServerError) as refused:
            await connection.exchange(
                [
                    ("insert into t values (1)", ()),
                    ("insert into t values ($1::int)", ("x",)),
                    ("select 'never prepared'", ()),
                ],
                cache_size=CACHED,
            )
        assert refused.value.sqlstate == "22P02"
        with pytest.raises(ServerError):
            await connection.exchange([("select nonsense", ())], cache_size=CACHED)
        again = await connection.exchange([("select 'never prepared'", ())], cache_size=CACHED)
        assert again == [(b"never prepared",)]
        assert connection.settled
        return await connection.fetchval("select count(*) from t")

    assert _on_connection(database, work) == 0


def test_settings_and_role_hold_for_the_exchange_alone(prepared: str) -> None:
    async def work(connection: Any) -> Any:
        rows = await connection.exchange(
            [
                ("select set_config('role', 'anon', true), set_config('a.b', 'x', true)", ()),
                ("select current_user, current_setting('a.b', true)", ()),
            ],
            cache_size=CACHED,
        )
        after = await connection.exchange(
            [("select current_user, current_setting('a.b', true)", ())], cache_size=CACHED
        )
        return rows[1], after[0]

    assert _on_connection(prepared, work) == ((b"anon", b"x"), (b"postgres", b""))


def test_old_statements_make_room_for_new_ones(database: str) -> None:
    async def work(connection: Any) -> Any:
        for number in [*range(25), *range(25)]:
            rows = await connection.exchange([(f"select {number}", ())], cache_size=CACHED)
            assert rows == [(str(number).encode(),)]
        return await connection.fetchval(
            "select count(*) from pg_prepared_statements where name like 'phasegate%'"
        )

    assert _on_connection(database, work) == CACHED


def test_a_statement_of_a_thousand_terms_is_not_kept(database: str) -> None:
    async def work(connection: Any) -> Any:
        long = f"select {' + '.join('1' for _ in range(3000))}"
        for _ in range(3):
            assert await connection.exchange([(long, ())], cache_size=CACHED) == [(b"3000",)]
        return await connection.fetchval(
            "select count(*) from pg_prepared_statements where name like 'phasegate%'"
        )

    assert _on_connection(database, work) == 0


def test_an_exchange_that_is_given_up_is_stopped_on_the_server(database: str) -> None:
    async def work(connection: Any) -> Any:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connection.exchange([("select pg_sleep(30)", ())], cache_size=CACHED)
        assert not connection.settled
        began = loop.time()
        await connection.settle()
        assert loop.time() - began < 5
        assert connection.settled
        return await connection.exchange([("select 1", ())], cache_size=CACHED)

    assert _on_connection(database, work) == [(b"1",)]


def test_a_server_process_that_dies_breaks_the_exchange(database: str) -> None:
    async def work(connection: Any) -> Any:
        killer = asyncio.get_running_loop().call_later(
            0.2, os.kill, connection.get_server_pid(), signal.SIGTERM
        )
        with pytest.raises((ServerError, ConnectionBroken)) as broken:
            await connection.exchange([("select pg_sleep(30)", ())], cache_size=CACHED)
        assert killer.when() > 0
        assert getattr(broken.value, "sqlstate", "57P01") == "57P01"
        assert connection.is_closed()
        with pytest.raises(ConnectionBroken):
            await connection.exchange([("select 1", ())], cache_size=CACHED)

    _on_connection(database, work)


def _pool(dsn: str, size: int, timeout_s: float = 1.0) -> Pool:
    return Pool(
        lambda: asyncpg.connect(dsn, connection_class=PipelinedConnection),
        size=size,
        acquire_timeout_s=timeout_s,
    )


def test_a_pool_opens_no_more_than_its_size_and_serves_in_order(database: str) -> None:
    async def work() -> None:
        pool = _pool(database, 2)
        first, second = await pool.acquire(), await pool.acquire()
        served: list[int] = []

        async def wait(number: int) -> None:
            connection = await pool.acquire()
            served.append(number)
            pool.release(connection)

        waiting = [asyncio.ensure_future(wait(number)) for number in range(5)]
        await asyncio.sleep(0.05)
        assert (pool.in_use, pool.waiting) == (2, 5)
        pool.release(first)
        await asyncio.gather(*waiting)
        assert served == [0, 1, 2, 3, 4]
        pool.release(second)
        assert (pool.in_use, pool.waiting) == (0, 0)
        await pool.close()

    asyncio.run(work())


def test_waiters_that_give_up_or_are_cancelled_lose_no_connection(database: str) -> None:
    async def work() -> None:
        pool = _pool(database, 1, timeout_s=0.1)
        held = await pool.acquire()
        with pytest.raises(ApiError) as refused:
            await pool.acquire()
        assert (refused.value.status, refused.value.code) == (504, "PGRST003")
        for delay_s in (0, 0.05, 0.0999, 0.1):
            waiter = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(delay_s)
            pool.release(held)
            waiter.cancel()
            try:
                held = await waiter
            except (asyncio.CancelledError, ApiError):
                held = await pool.acquire()
        pool.release(held)
        assert (pool.in_use, pool.waiting) == (0, 0)
        await pool.close()

    asyncio.run(work())


def test_a_pool_replaces_connections_that_died(database: str) -> None:
    async def work() -> None:
        pool = _pool(database, 2)
        held = [await pool.acquire() for _ in range(2)]
        for connection in held:
            os.kill(connection.get_server_pid(), signal.SIGTERM)
        pool.release(held[0])
        await asyncio.sleep(0.3)
        pool.release(held[1], dirty=True)
        await asyncio.sleep(0.1)
        assert (pool.in_use, pool.waiting) == (0, 0)
        again = [await pool.acquire() for _ in range(2)]
        assert [await connection.fetchval("select 1") for connection in again] == [1, 1]
        for connection in again:
            pool.release(connection)
        await pool.close()

    asyncio.run(work())


def test_without_a_pool_each_request_has_a_connection_of_its_own(database: str) -> None:
    async def work() -> None:
        pool = _pool(database, 0)
        held = [await pool.acquire() for _ in range(5)]
        assert len({connection.get_server_pid() for connection in held}) == 5
        for connection in held:
            pool.release(connection)
        await asyncio.sleep(0.2)
        assert all(connection.is_closed() for connection in held)
        assert pool.in_use == 0

    asyncio.run(work())


def test_a_database_that_is_not_there_is_503(database: str) -> None:
    async def work() -> None:
        pool = _pool("postgresql://nobody@127.0.0.1:9/none", 1)
        for _ in range(3):  # a failure takes no place away
            with pytest.raises(ApiError) as refused:
                await pool.acquire()
            assert (refused.value.status, refused.value.code) == (503, "PGRST000")
        assert pool.in_use == 0

    asyncio.run(work())
