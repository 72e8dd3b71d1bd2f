"""What a server does beside its statements, on real servers, with each thing really done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from phasegate.records import store
from phasegate.records.sampler import SamplerRecord
from phasegate.records.server_events import ServerEvent
from phasegate.stack.command_names import named, verb
from phasegate.stack.event_watch import reconnects
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.sampler import sampling

Do = Callable[[asyncpg.Connection], Awaitable[None]]


def watched(dsn: str, out: Path, do: Do, log: Path | None = None) -> SamplerRecord:
    """The record of what `do` made the server do."""

    async def work() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("create table t as select i from generate_series(1, 200000) i")
            # It takes long enough to be seen by a watch that looks ten times a second.
            await connection.execute("create materialized view m as select i from t, pg_sleep(0.7)")
            await asyncio.sleep(0.3)
            await do(connection)
            await asyncio.sleep(0.7)  # counters are looked at twice a second
        finally:
            await connection.close()

    with sampling(dsn, stage="s", out=out, interval_s=0.25, events=True, server_log=log) as path:
        asyncio.run(work())
    return store.read(path, SamplerRecord)


def of_kind(record: SamplerRecord, kind: str) -> list[ServerEvent]:
    return [event for event in record.events or () if event.kind == kind]


def test_checkpoint_refresh_vacuum_lock_and_growth_are_seen(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    async def do(connection: asyncpg.Connection) -> None:
        await connection.execute("refresh materialized view m")
        await connection.execute("delete from t where i % 2 = 0")
        await connection.execute("vacuum t")
        await connection.execute("checkpoint")
        waiter = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute("lock table t")
            await connection.execute("select 'a secret of a row'")
            waiting = asyncio.create_task(waiter.fetch("select count(*) from t"))
            await asyncio.sleep(0.7)
        await waiting
        await waiter.close()

    record = watched(database, tmp_path, do, postgres.log)
    assert [event.what for event in of_kind(record, "refresh")] == ["m"]
    assert [event.what for event in of_kind(record, "vacuum")] in (["t"], ["public.t"])
    (checkpoint,) = of_kind(record, "checkpoint")
    assert "buffers in" in checkpoint.detail
    assert checkpoint.end_s is not None
    assert 0.3 < checkpoint.begin_s <= checkpoint.end_s < record.duration_s
    # Who holds the lock that another waits for is named without a value.
    (lock,) = of_kind(record, "lock")
    assert (lock.what, lock.detail) == ("t, held by select", "its transaction was idle")
    assert lock.end_s is not None
    assert lock.end_s - lock.begin_s == pytest.approx(0.7, abs=0.3)
    assert "secret" not in (tmp_path / "s.json").read_text(encoding="utf-8")
    growth = next(s.growth for s in record.samples if s.growth is not None)
    assert growth.size_bytes > 1_000_000
    rhythms = {rhythm.kind: rhythm.every_s for rhythm in record.rhythms or ()}
    assert rhythms["checkpoint"] == 1800  # of the server of the tests
    assert record.not_sampled == ()


def test_checkpoints_of_a_server_whose_log_is_not_ours_are_told_by_its_counters(
    database: str, tmp_path: Path
) -> None:
    async def do(connection: asyncpg.Connection) -> None:
        await asyncio.sleep(0.3)  # the first look at the counters has nothing before it
        await connection.execute("checkpoint")

    (checkpoint,) = of_kind(watched(database, tmp_path, do), "checkpoint")
    assert 0.45 < checkpoint.within_s < 2  # since the look before
    assert checkpoint.end_s is not None


@pytest.mark.parametrize(
    ("query", "kind", "what"),
    [
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY public.m", "refresh", "public.m"),
        ("/* x */ refresh materialized view m with data", "refresh", "m"),
        ("autovacuum: VACUUM ANALYZE public.orders", "autovacuum", "public.orders"),
        ("autovacuum: ANALYZE public.orders", "autoanalyze", "public.orders"),
        ("vacuum (verbose, analyze) public.orders", "vacuum", "public.orders"),
        ("VACUUM FULL orders", "vacuum", "orders"),
        ("vacuum", "vacuum", ""),
        ("analyze orders", "analyze", "orders"),
        (
            "create unique index on orders (note) where note = 'x'",
            "maintenance",
            "create unique index",
        ),
        ("alter table orders add check (note <> 'x')", "maintenance", "alter table"),
    ],
)
def test_a_command_is_called_by_its_verb_and_its_table(query: str, kind: str, what: str) -> None:
    assert named(query) == (kind, what)


def test_of_a_statement_only_its_verb_is_kept() -> None:
    assert verb("update orders set note = 'x'") == "update"
    assert verb("lock table orders") == "lock table"
    assert verb("-- who\n  select 'x'") == "select"
    assert verb("refresh materialized view m") == "refresh materialized view"


def test_new_connections_are_an_event_where_they_are_else_kept() -> None:
    kept = [(2.0 * i, 10 + (5 if i >= 20 else 0)) for i in range(40)]
    (event,) = reconnects(kept)
    assert (event.begin_s, event.within_s, event.detail) == (40.0, 2.0, "5 new connections")
    assert reconnects([(2.0 * i, 7 * i) for i in range(40)]) == []  # one for each request
    assert reconnects([(0.0, 3)]) == []
