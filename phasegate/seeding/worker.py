"""One process of the load: given a `Job`, it loads its lanes and sends `Event`s to its parent.

The job holds the DSN and comes by memory or pipe: nothing secret is in the arguments or the
environment. Writes the tables of its lanes.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import asyncpg
import msgspec

from phasegate.records.seed import Distribution
from phasegate.seeding.columns import Types
from phasegate.seeding.dataset_spec import DatasetSpec, population_of
from phasegate.seeding.faults import fault_of
from phasegate.seeding.freed_memory import keep_freed_memory
from phasegate.seeding.schema import Schema
from phasegate.seeding.table_loader import run_lanes
from phasegate.seeding.tables import Tables
from phasegate.seeding.work import Lane

if sys.platform != "win32":
    import uvloop

    EVENT_LOOP = uvloop.new_event_loop
else:
    EVENT_LOOP = asyncio.new_event_loop


# Often enough for a smooth progress bar; an event per block took a twentieth of the load's time.
PROGRESS_INTERVAL_S = 0.1
# How often a worker looks whether its parent is still there.
PARENT_CHECK_S = 0.1


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is to load."""

    dsn: str
    lanes: tuple[Lane, ...]
    root: str
    """The project's folder."""
    seed: int
    users: int
    locales: tuple[str, ...]
    types: Types


def job_of(dsn: str, spec: DatasetSpec, schema: Schema, lanes: tuple[Lane, ...]) -> Job:
    """The share `lanes` of `spec`."""
    return Job(
        dsn=dsn,
        lanes=lanes,
        root=str(spec.root),
        seed=spec.seed,
        users=spec.users,
        locales=spec.population.declared.file.locales,
        types=schema.types,
    )


def tables_of(job: Job) -> Tables:
    """What makes the rows of `job`."""
    population = population_of(Path(job.root), job.seed, job.users, job.locales)
    return Tables(population, job.types)


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker says: progress, a table's sum, its own end, or why it failed."""

    table: str = ""
    rows: int = 0
    """Rows more than at the last event, or all of the table's where `sha256` is set."""
    sha256: str = ""
    memory_bytes_max: int = 0
    """Of the whole process; only in the last event."""
    histograms: tuple[Distribution, ...] = ()
    """Of the rows that the process made; only in the last event."""
    error: str = ""


def memory_bytes_max() -> int:
    """Peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def said_of(error: BaseException) -> str:
    """Why a table could not be loaded."""
    refused = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
    if isinstance(error, refused):
        return str(fault_of(error))
    return str(error) or type(error).__name__


def carry_out(job: Job, tell: Callable[[Event], None]) -> None:
    """Load the lanes of `job`; every event goes to `tell`.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError, OSError: the load broke off; each table is whole or empty.
    """
    tables = tables_of(job)
    untold: Counter[str] = Counter()
    told_at = time.monotonic()

    def tell_rows() -> None:
        for table, rows in untold.items():
            tell(Event(table=table, rows=rows))
        untold.clear()

    def on_rows(table: str, rows: int) -> None:
        nonlocal told_at
        untold[table] += rows
        if time.monotonic() - told_at >= PROGRESS_INTERVAL_S:
            told_at = time.monotonic()
            tell_rows()

    with asyncio.Runner(loop_factory=EVENT_LOOP) as runner:
        loaded = runner.run(run_lanes(job.dsn, job.lanes, tables, on_rows))
    tell_rows()
    for one in loaded:
        tell(Event(table=one.table, rows=one.rows, sha256=one.sha256))
    tell(Event(memory_bytes_max=memory_bytes_max(), histograms=tables.histograms()))


def _leave(status: int) -> None:
    """End this process at once: what a fork inherited is its parent's to tidy up."""
    os._exit(status)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    _leave(1)


def work(job: Job, events: Connection, parent: int) -> None:
    """A worker process: carry `job` out and say how it went.

    Args:
        job: what to load.
        events: where to send each `Event`, as JSON.
        parent: process id; when that process is gone, this one ends at once, and the server rolls
            its transactions back.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    keep_freed_memory()

    def tell(event: Event) -> None:
        events.send_bytes(msgspec.json.encode(event))

    try:
        carry_out(job, tell)
    except Exception as error:
        tell(Event(error=said_of(error)))
    _leave(0)
