"""Samples the stack while it is under load: a process of its own, once a second.

Reads pg_stat_statements, pg_stat_activity (ten times a second) and pg_stat_replication by asyncpg,
the processes of each component by psutil, the API's pool from its `/ready`, PgBouncer's from its
console; writes `sampler/<stage>.json`. It runs beside the generator because asyncpg and gevent
cannot share a process.

    with sampling(dsn, stage="level-1", out=run / "sampler", pids={"api": api.pid}) as sampler:
        run_stage(...)
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psutil

from phasegate.model.dsn import Dsn
from phasegate.model.errors import CannotMeasure
from phasegate.records import store
from phasegate.records.sampler import Backends, Sample, SamplerRecord, Statement
from phasegate.stack.component_use import Components
from phasegate.stack.database import CONNECTION_ERRORS, SQL_FOLDER, driver_arguments
from phasegate.stack.disk_watch import DiskWatch, Watched
from phasegate.stack.event_watch import EventWatch
from phasegate.stack.machine import StealWatch
from phasegate.stack.pooler_watch import PoolerWatch

INTERVAL_S = 1.0
# Connections come and go within a second, and it is their peak that a limit is about. A look takes
# the server a third of a millisecond.
BACKENDS_INTERVAL_S = 0.1
STATEMENTS_MAX = 50
VARIABLE = "PHASEGATE_SAMPLER"

# The last look, and the writing of the record.
END_TIMEOUT_S = 20.0
READY_TIMEOUT_S = 20.0
POOL_TIMEOUT_S = 0.5
# A database in trouble answers late; the other samples must not wait for it.
LOOK_TIMEOUT_S = 5.0

ENABLE_STATEMENTS = (
    "pg_stat_statements (enable: add it to shared_preload_libraries, restart, and "
    "`create extension pg_stat_statements`)"
)


class Task(msgspec.Struct, frozen=True):
    """What the child is asked to do; it comes by environment, because the DSN has a password."""

    dsn: str
    stage: str
    out: str
    pids: dict[str, int]
    api_url: str | None
    pooler_dsn: str | None
    interval_s: float
    watched: Watched | None = None
    events: bool = False
    server_log: str | None = None


@contextmanager
def sampling(
    dsn: str,
    *,
    stage: str,
    out: Path,
    pids: Mapping[str, int] | None = None,
    api_url: str | None = None,
    pooler_dsn: str | None = None,
    interval_s: float = INTERVAL_S,
    watched: Watched | None = None,
    events: bool = False,
    server_log: Path | None = None,
) -> Iterator[Path]:
    """Sample until the block ends; yields the path where the record will be.

    Args:
        dsn: the database under load.
        stage: name of the record.
        out: folder of the record.
        pids: root process of each component, by name.
        api_url: where phasegate's own API tells of its pool; another API does not.
        pooler_dsn: of the PgBouncer before the database, whose user may ask its console; None
            where there is none.
        interval_s: seconds between two samples.
        watched: the control group that the server is in; None where it is in none of ours.
        events: whether what the server does beside its statements is watched (`EventWatch`).
        server_log: of a server of ours, which tells of its checkpoints.

    Raises:
        CannotMeasure: the sampler does not start, or wrote no record.
    """
    task = Task(
        dsn, stage, str(out.resolve()), dict(pids or {}), api_url, pooler_dsn, interval_s, watched,
        events, None if server_log is None else str(server_log),
    )  # fmt: skip
    environment = {**os.environ, VARIABLE: msgspec.json.encode(task).decode()}
    path = out / f"{stage}.json"
    path.unlink(missing_ok=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "phasegate.stack.sampler"],
        env=environment,
        stdin=subprocess.PIPE,  # its end is the sign to stop, also when this process is killed
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for us: we end it in order
    )
    try:
        if not child.stdout or child.stdout.readline().strip() != "ready":
            raise CannotMeasure("The sampler did not start", then="Read its message above")
        yield path
    finally:
        _end(child)
    if not path.exists():
        raise CannotMeasure(
            f"The sampler wrote no record of '{stage}'", then="Read its message above"
        )


def _end(child: subprocess.Popen[str]) -> None:
    if child.stdin:
        child.stdin.close()
    try:
        child.wait(timeout=END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdout:
        child.stdout.close()


class _Database:
    """The database's side of a sample; what cannot be read is named once."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self.connections_max: int | None = None
        self.not_sampled: set[str] = set()
        self.backends_peak: Backends | None = None

    async def statements(self) -> dict[str, dict[str, Any]] | None:
        """Running totals by query id; None without pg_stat_statements."""
        try:
            rows = await self.fetch("sample_statements")
        except asyncpg.PostgresError:
            self.not_sampled.add(ENABLE_STATEMENTS)
            return None
        except CONNECTION_ERRORS:
            self._lost()
            return None
        return {row["query_id"]: dict(row) for row in rows}

    async def enable_statements(self) -> None:
        """Create the extension where it is missing, on this machine alone."""
        if not Dsn.of(self._dsn).is_loopback:
            return
        try:
            connection = await self._connected()
            await connection.execute("create extension if not exists pg_stat_statements")
        except CONNECTION_ERRORS:
            pass  # not allowed or not installed: `statements` names it

    async def activity(self) -> tuple[dict[str, int], dict[str, int], Mapping[str, Any]]:
        """Connections by state, active ones by wait, and the server's own figures."""
        states: dict[str, int] = {}
        waits: dict[str, int] = {}
        server: Mapping[str, Any] = {}
        try:
            for row in await self.fetch("sample_activity"):
                states[row["state"]] = states.get(row["state"], 0) + row["connections"]
                if row["wait"] is not None:
                    waits[row["wait"]] = waits.get(row["wait"], 0) + row["connections"]
            server = dict((await self.fetch("sample_server"))[0])
            self.connections_max = server["connections_max"]
        except CONNECTION_ERRORS:
            self._lost()
        return states, waits, server

    async def look_at_backends(self) -> None:
        """Keep `backends_peak` up to date."""
        try:
            rows = await self.fetch("sample_backends")
        except CONNECTION_ERRORS:
            self._lost()
            return
        states = {row["state"]: int(row["connections"]) for row in rows}
        count = sum(states.values())
        if self.backends_peak is None or count > self.backends_peak.count:
            self.backends_peak = Backends(count=count, states=states)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                **driver_arguments(self._dsn, LOOK_TIMEOUT_S), statement_cache_size=0
            )
        return self._connection

    async def fetch(self, name: str) -> list[asyncpg.Record]:
        """The rows of a statement of `stack/sql`."""
        connection = await self._connected()
        sql = (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
        rows: list[asyncpg.Record] = await connection.fetch(sql, timeout=LOOK_TIMEOUT_S)
        return rows

    def _lost(self) -> None:
        self.not_sampled.add("the database in some seconds (it could not be reached)")


def _pool(api_url: str | None) -> tuple[int | None, int | None, int | None]:
    """Size, connections in use and requests that wait; nothing where the API does not tell."""
    if api_url is None:
        return None, None, None
    try:
        with urllib.request.urlopen(f"{api_url}/ready", timeout=POOL_TIMEOUT_S) as answer:  # noqa: S310 - the URL that is under load anyway
            pool = json.load(answer)["pool"]
        return int(pool["size"]), int(pool["in_use"]), int(pool["waiting"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None, None


def statements_between(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> tuple[Statement, ...]:
    """What was run between two looks, by total time; a statement evicted meanwhile is missing."""
    found = []
    for query_id, row in after.items():
        old = before.get(query_id, {})
        if row["calls"] < old.get("calls", 0):
            old = {}  # the totals were reset in between

        def gained(key: str, row: Mapping[str, Any] = row, old: Mapping[str, Any] = old) -> Any:
            return row[key] - old.get(key, 0)

        if gained("calls") > 0:
            found.append(
                Statement(
                    query_id=query_id,
                    sql=row["sql"],
                    calls=gained("calls"),
                    total_ms=gained("total_ms"),
                    mean_ms=gained("total_ms") / gained("calls"),
                    rows=gained("rows"),
                    blocks_hit=gained("blocks_hit"),
                    blocks_read=gained("blocks_read"),
                    temp_blocks_written=gained("temp_blocks_written"),
                )
            )
    found.sort(key=lambda statement: -statement.total_ms)
    return tuple(found[:STATEMENTS_MAX])


async def _sample(
    task: Task,
    database: _Database,
    components: Components,
    pooler: PoolerWatch | None,
    disk: DiskWatch,
    events: EventWatch | None,
    steal: StealWatch,
    began_s: float,
) -> Sample:
    states, waits, server = await database.activity()
    size, in_use, waiting = await asyncio.to_thread(_pool, task.api_url)
    return Sample(
        at_s=round(time.monotonic() - began_s, 3),
        states=states,
        waits=waits,
        connections=int(server.get("connections", 0)),
        components=components.look(),
        machine_cpu_share=psutil.cpu_percent() / 100,
        memory_available_bytes=psutil.virtual_memory().available,
        pool_size=size,
        pool_in_use=in_use,
        pool_waiting=waiting,
        lag_s=server.get("lag_s"),
        lag_bytes=server.get("lag_bytes"),
        pooler=None if pooler is None else await pooler.look(),
        disk=disk.look(server),
        growth=None if events is None else events.take_growth(),
        steal_share=steal.look(),
    )


async def _run(task: Task, stop: asyncio.Event) -> SamplerRecord:
    database, components = _Database(task.dsn), Components(task.pids)
    pooler = PoolerWatch(task.pooler_dsn) if task.pooler_dsn is not None else None
    disk, steal = DiskWatch(task.watched), StealWatch()
    await database.enable_statements()
    before = await database.statements()
    began_s, began_at = time.monotonic(), datetime.now(UTC)
    log = None if task.server_log is None else Path(task.server_log)
    events = EventWatch(database.fetch, log, began_s, 2 * task.interval_s) if task.events else None
    print("ready", flush=True)  # noqa: T201 - read by who started it
    samples = []
    while not stop.is_set():
        samples.append(
            await _sample(task, database, components, pooler, disk, events, steal, began_s)
        )
        due_s = began_s + len(samples) * task.interval_s
        while not stop.is_set():
            await database.look_at_backends()
            if events is not None:
                await events.look()
            left_s = due_s - time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(max(left_s, 0.01), BACKENDS_INTERVAL_S))
            if left_s <= BACKENDS_INTERVAL_S:
                break
    after = await database.statements()
    await database.close()
    if pooler is not None:
        await pooler.close()
    both = before is not None and after is not None
    return SamplerRecord(
        format_version=SamplerRecord.FORMAT_VERSION,
        stage=task.stage,
        started_at=began_at.isoformat(timespec="milliseconds"),
        duration_s=time.monotonic() - began_s,
        interval_s=task.interval_s,
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        connections_max=database.connections_max,
        statements=statements_between(before or {}, after or {}) if both else None,
        # The first look has nothing before it to compare processor times with.
        samples=tuple(samples[1:]),
        not_sampled=_not_sampled(database, pooler, events),
        backends_peak=database.backends_peak,
        pooler_size=pooler.size if pooler else None,
        events=None if events is None else events.finish(),
        rhythms=None if events is None else (*events.rhythms, *(pooler.rhythms if pooler else ())),
    )


def _not_sampled(*watches: _Database | PoolerWatch | EventWatch | None) -> tuple[str, ...]:
    return tuple(sorted({each for watch in watches if watch for each in watch.not_sampled}))


async def _main() -> None:
    task = msgspec.json.decode(os.environ.pop(VARIABLE).encode(), type=Task)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def until_the_end_of_input() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)

    # A daemon thread: it must not keep the process from ending after an error.
    threading.Thread(target=until_the_end_of_input, daemon=True).start()
    record = await _run(task, stop)
    store.write(Path(task.out) / f"{task.stage}.json", record)


if __name__ == "__main__":
    asyncio.run(_main())
