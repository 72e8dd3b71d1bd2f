from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import asyncpg
import pytest

from records import store
from records.sampler import SamplerRecord
from stack.sampler import sampling, statements_between


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
