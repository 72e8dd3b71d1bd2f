"""The processes of a load: shares the lanes out, adds up what the workers say, ends them all.

Starts processes of `seeding.worker`; writes what those write.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

import asyncpg
import msgspec

from phasegate.model.errors import CannotMeasure
from phasegate.records.seed import Distribution
from phasegate.seeding.dataset_spec import DatasetSpec
from phasegate.seeding.schema import Schema
from phasegate.seeding.work import Lane, share_out
from phasegate.seeding.worker import Event, Job, carry_out, job_of, memory_bytes_max, said_of, work

# Below this many users a second process costs more than it saves.
USERS_MIN_PER_JOB = 5_000
END_TIMEOUT_S = 10

# A forked process has everything imported, a fresh one takes half a second: a tenth of the load of
# 100k users. What a fork must not touch (the parent's event loop, its output) a worker does not.
# Elsewhere than on Linux, system libraries do not survive a fork.
if sys.platform == "linux":
    _processes = multiprocessing.get_context("fork")
else:
    _processes = multiprocessing.get_context("spawn")

START_OVER = (
    "Run the same command again: it starts over; what it then says again has to be mended first"
)

# More processes than this do not make a load faster, whatever is asked for.
JOBS_MAX = 16


@dataclass
class Tally:
    """What the workers have said so far."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each table that is loaded."""
    sha256s: dict[str, str] = field(default_factory=dict)
    memory_bytes_max: int = 0
    histograms: dict[str, Distribution] = field(default_factory=dict)
    """By name: a table that two processes made is counted once."""

    def sha256(self) -> str:
        """Of the data: over the tables' own sums, in the order of their names."""
        lines = (
            f"{table} {self.rows[table]} {self.sha256s[table]}\n" for table in sorted(self.rows)
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def shares(jobs: int, spec: DatasetSpec, schema: Schema) -> tuple[tuple[Lane, ...], ...]:
    """The lanes of each process, for `jobs` processes at most."""
    useful = max(1, min(jobs, JOBS_MAX, spec.users // USERS_MIN_PER_JOB))
    return share_out(spec.population, schema.partitioned, useful)


def run_crew(
    dsn: str,
    spec: DatasetSpec,
    schema: Schema,
    *,
    jobs: int,
    on_rows: Callable[[str, int], None],
) -> Tally:
    """Load all tables and return the tally.

    Raises:
        CannotMeasure: a worker failed; what it said is quoted.
    """
    tally = Tally()

    def take(event: Event) -> None:
        if event.error:
            raise CannotMeasure(
                f"Seeding failed: {event.error}",
                untouched="Tables that were not finished are empty",
                then=START_OVER,
            )
        if event.sha256:
            tally.rows[event.table] = event.rows
            tally.sha256s[event.table] = event.sha256
        elif event.table:
            on_rows(event.table, event.rows)
        tally.memory_bytes_max += event.memory_bytes_max
        tally.histograms.update({one.name: one for one in event.histograms})

    jobs_shared = [job_of(dsn, spec, schema, lanes) for lanes in shares(jobs, spec, schema)]
    if len(jobs_shared) == 1:
        _in_this_process(jobs_shared[0], take)
    else:
        with _workers(jobs_shared) as events:
            for event in events:
                take(event)
        tally.memory_bytes_max += memory_bytes_max()
    return tally


def _in_this_process(job: Job, take: Callable[[Event], None]) -> None:
    try:
        carry_out(job, take)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        take(Event(error=said_of(error)))


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Keep Ctrl-C back meanwhile: a worker just forked would answer it as this process does."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _workers(jobs: list[Job]) -> Iterator[Iterator[Event]]:
    """A process per job; all of them have ended when the context is left, also after an error."""
    ends: list[Connection] = []
    processes = []
    try:
        for job in jobs:
            ours, theirs = _processes.Pipe(duplex=False)
            process = _processes.Process(target=work, args=(job, theirs, os.getpid()), daemon=True)
            with _interrupts_later():
                process.start()
            theirs.close()
            ends.append(ours)
            processes.append(process)
        yield _events(ends)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join(END_TIMEOUT_S)
        for end in ends:
            end.close()


def _events(ends: list[Connection]) -> Iterator[Event]:
    """Every event until each worker has said its last, or one ends without."""
    unfinished = list(ends)
    while unfinished:
        ready = wait(unfinished)
        for end in [one for one in unfinished if one in ready]:
            try:
                event = msgspec.json.decode(end.recv_bytes(), type=Event)
            except EOFError:
                event = Event(error="a process of the seeder was killed")
            if event.memory_bytes_max:
                unfinished.remove(end)
            yield event
