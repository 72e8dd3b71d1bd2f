from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from phasegate.model.bottleneck import Resource, bound_by
from phasegate.records import store
from phasegate.records.sampler import SamplerRecord
from phasegate.stack.pgbouncer import running_pgbouncer
from phasegate.stack.pgbouncer_install import find_pgbouncer, install_command
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.sampler import sampling, statements_between


async def _work(dsn: str, times: int, *, seconds: float = 0.0) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for n in range(times):
            await connection.fetch("select g from generate_series(1, $1::int) as g", n % 3)
        if seconds:
            await connection.execute("select pg_sleep($1)", seconds)
    finally:
        await connection.close()


def test_statements_are_those_between_begin_and_end(database: str, tmp_path: Path) -> None:
    with sampling(database, stage="warm", out=tmp_path):
        pass  # makes the extension, so that the work before the second sampling counts
    asyncio.run(_work(database, 5))
    with sampling(database, stage="s", out=tmp_path, interval_s=0.1) as path:
        asyncio.run(_work(database, 36))
    record = store.read(path, SamplerRecord)
    assert record.statements is not None
    found = [one for one in record.statements if "generate_series" in one.sql]
    assert [(one.calls, one.rows) for one in found] == [(36, 36)]
    assert found[0].mean_ms == pytest.approx(found[0].total_ms / 36)
    assert not [one for one in record.statements if "phasegate:sampler" in one.sql]


def test_what_connections_do_and_wait_for_is_sampled(database: str, tmp_path: Path) -> None:
    async def hold_a_lock() -> None:
        holder, waiter = await asyncpg.connect(database), await asyncpg.connect(database)
        try:
            await holder.execute("create table t (x int)")
            await holder.execute("begin; lock table t")
            waiting = asyncio.create_task(waiter.fetch("select * from t"))
            await asyncio.sleep(1.0)
            await holder.execute("commit")
            await waiting
        finally:
            await holder.close()
            await waiter.close()

    with sampling(database, stage="s", out=tmp_path, interval_s=0.1) as path:
        asyncio.run(hold_a_lock())
    record = store.read(path, SamplerRecord)
    assert max(s.waits.get("Lock/relation", 0) for s in record.samples) == 1
    assert max(s.states.get("idle in transaction", 0) for s in record.samples) == 1
    assert record.connections_max == 100
    used = record.used()
    assert used is not None
    assert used.waits["Lock"] > 0.5


def test_a_components_processor_time_and_memory_are_its_own(database: str, tmp_path: Path) -> None:
    pids = {"tests": os.getpid()}
    with sampling(database, stage="s", out=tmp_path, pids=pids, interval_s=0.2) as path:
        until_s = time.perf_counter() + 1.2
        while time.perf_counter() < until_s:
            pass
    record = store.read(path, SamplerRecord)
    shares = [sample.components[0].cpu_share for sample in record.samples]
    assert max(shares) > 0.2  # alone on a core it would be 1; the machine may be shared
    assert record.samples[0].components[0].memory_bytes > 20_000_000


@pytest.mark.integration
def test_a_database_that_is_away_is_named_and_the_rest_is_sampled(tmp_path: Path) -> None:
    dsn = "postgresql://nobody:wrong@127.0.0.1:1/none"
    with sampling(dsn, stage="s", out=tmp_path, interval_s=0.1) as path:
        time.sleep(0.5)
    text = path.read_text(encoding="utf-8")
    assert "wrong" not in text
    record = store.read(path, SamplerRecord)
    assert record.statements is None
    assert record.samples
    assert "could not be reached" in record.not_sampled[0]


def test_totals_that_were_reset_meanwhile_count_from_zero() -> None:
    zero = {"rows": 0, "blocks_hit": 0, "blocks_read": 0, "temp_blocks_written": 0}
    before = {"1": {"sql": "select 1", "calls": 90, "total_ms": 9.0, **zero}}
    after = {"1": {"sql": "select 1", "calls": 10, "total_ms": 1.0, **zero}}
    (statement,) = statements_between(before, after)
    assert (statement.calls, statement.total_ms, statement.mean_ms) == (10, 1.0, 0.1)


def test_the_most_connections_at_one_moment_are_kept_with_their_states(
    database: str, tmp_path: Path
) -> None:
    async def come_and_go() -> None:
        for count in (2, 5, 1):
            connections = [await asyncpg.connect(database) for _ in range(count)]
            await connections[0].execute("begin")
            await asyncio.sleep(0.4)
            for connection in connections:
                await connection.close()

    with sampling(database, stage="s", out=tmp_path, interval_s=5.0) as path:
        asyncio.run(come_and_go())
    peak = store.read(path, SamplerRecord).backends_peak
    assert peak is not None
    assert (peak.count, peak.states) == (5, {"idle": 4, "idle in transaction": 1})


@pytest.mark.skipif(
    find_pgbouncer() is None, reason=f"no PgBouncer on this machine: {install_command()}"
)
def test_clients_that_wait_for_pgbouncers_pool_make_it_what_ran_out(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    async def query(dsn: str, times: int) -> None:
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        try:
            for _ in range(times):
                await connection.execute("select pg_sleep(0.1)")
        finally:
            await connection.close()

    async def four(dsn: str, times: int) -> None:
        await asyncio.gather(*(query(dsn, times) for _ in range(4)))

    folder = postgres.data_dir.with_name("sampled-pooler")
    with running_pgbouncer(folder, database, pool_size=1) as pooler:
        began_s = time.monotonic()
        with sampling(
            database, stage="s", out=tmp_path, pooler_dsn=pooler.dsn, interval_s=0.4
        ) as path:
            asyncio.run(four(pooler.dsn, 6))
        lasted_s = time.monotonic() - began_s
    text = path.read_text(encoding="utf-8")
    assert pooler.dsn not in text
    record = store.read(path, SamplerRecord)
    seen = [sample.pooler for sample in record.samples if sample.pooler is not None]
    assert seen
    assert record.not_sampled == ()
    # One is served, three are in line.
    assert max(each.clients_waiting for each in seen) == 3
    assert max(each.servers_active for each in seen) == 1
    assert record.pooler_clients_peak() == 4
    assert 0.1 < max(each.wait_s_max for each in seen) < lasted_s
    # 24 calls of 0.1 s one after the other: each waits for the three before it.
    assert sum(each.transactions for each in seen) <= 24
    assert sum(each.waited_s for each in seen) < 3 * lasted_s
    assert (record.pooler_wait_ms_mean() or 0) == pytest.approx(300, rel=0.5)
    used = record.used()
    assert used is not None
    bound = bound_by(replace(used, machine_cpu_share=0.2))  # the machine may be busy otherwise
    assert bound.resource is Resource.POOLER
    assert "one of 1 server connections" in bound.detail
    assert record.backends_peak is not None
    assert record.backends_peak.count == 1


def test_a_pooler_that_does_not_answer_is_named(database: str, tmp_path: Path) -> None:
    dsn = "postgresql://nobody:wrong@127.0.0.1:1/none"
    with sampling(database, stage="s", out=tmp_path, pooler_dsn=dsn, interval_s=0.1) as path:
        time.sleep(0.5)
    record = store.read(path, SamplerRecord)
    assert record.samples
    assert [sample.pooler for sample in record.samples] == [None] * len(record.samples)
    assert record.pooler_clients_peak() is None
    assert "console did not answer" in record.not_sampled[0]
