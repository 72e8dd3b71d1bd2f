"""The processes of a load: shares the lanes out, adds up what the workers say, ends them all.

Starts processes of `seed.worker`; writes what those write.
"""

from __future__ import annotations

import hashlib
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import asyncpg
import msgspec

from phases.catalogue import Population
from phases.errors import CannotMeasure
from records.seed import Histogram
from seed.lanes import CONTENT_LANE, FLAT_LANE, LANES, PARTITIONED_LANE
from seed.worker import Event, Job, carry_out, memory_bytes_max

# Below this many users a second process costs more than it saves (it starts in half a second).
USERS_MIN_PER_JOB = 10_000
END_TIMEOUT_S = 10

# The lanes of each process. The two log tables hold the same rows: with two processes these are
# encoded once and sent twice. More than three processes have nothing to do.
SHARES: dict[int, tuple[tuple[str, ...], ...]] = {
    1: (LANES,),
    2: ((CONTENT_LANE,), (FLAT_LANE, PARTITIONED_LANE)),
    3: ((CONTENT_LANE,), (FLAT_LANE,), (PARTITIONED_LANE,)),
}
TABLES = ("profiles", "projects", "tasks", "activity_logs", "activity_logs_partitioned")


# A worker's number and a line of its output; an empty one is its end.
_Lines = queue.SimpleQueue[tuple[int, bytes]]


@dataclass
class Tally:
    """What the workers have said so far."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each table that is loaded."""
    sha256s: dict[str, str] = field(default_factory=dict)
    memory_bytes_max: int = 0
    histograms: dict[str, Histogram] = field(default_factory=dict)
    """By name: a table that two processes made is counted once."""

    def sha256(self) -> str:
        """Of the data: over the tables' own sums in a fixed order."""
        lines = (f"{table} {self.rows[table]} {self.sha256s[table]}\n" for table in TABLES)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def shares(jobs: int, users: int) -> tuple[tuple[str, ...], ...]:
    """The lanes of each process, for `jobs` processes at most."""
    useful = max(1, min(jobs, len(SHARES), users // USERS_MIN_PER_JOB))
    return SHARES[useful]


def run_crew(
    dsn: str,
    *,
    seed: int,
    users: int,
    population: Population,
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
                f"The load broke off: {event.error}",
                untouched="Tables that were not finished are empty",
                then="Run the same command again: it starts over",
            )
        if event.sha256:
            tally.rows[event.table] = event.rows
            tally.sha256s[event.table] = event.sha256
        elif event.table:
            on_rows(event.table, event.rows)
        tally.memory_bytes_max += event.memory_bytes_max
        tally.histograms.update({one.name: one for one in event.histograms})

    work = [
        Job(dsn=dsn, lanes=lanes, seed=seed, users=users, population=population)
        for lanes in shares(jobs, users)
    ]
    if len(work) == 1:
        _in_this_process(work[0], take)
    else:
        with _workers(work) as events:
            for event in events:
                take(event)
        tally.memory_bytes_max += memory_bytes_max()
    return tally


def _in_this_process(job: Job, take: Callable[[Event], None]) -> None:
    try:
        carry_out(job, take)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        take(Event(error=str(error) or type(error).__name__))


@contextmanager
def _workers(jobs: list[Job]) -> Iterator[Iterator[Event]]:
    """A process per job; all of them have ended when this is left, come what may."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", "from seed.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in jobs
    ]
    try:
        lines: _Lines = queue.SimpleQueue()
        for number, (process, job) in enumerate(zip(processes, jobs, strict=True)):
            threading.Thread(target=_talk, args=(process, job, number, lines), daemon=True).start()
        yield _events(lines, len(jobs))
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(END_TIMEOUT_S)


def _talk(process: subprocess.Popen[bytes], job: Job, number: int, lines: _Lines) -> None:
    """Hand `job` to a worker and put what it says into `lines`."""
    if process.stdin is not None and process.stdout is not None:
        with suppress(BrokenPipeError):  # a worker that died at once is noticed by its output's end
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            lines.put((number, line))
    lines.put((number, b""))


def _events(lines: _Lines, workers: int) -> Iterator[Event]:
    """Every event until each worker has said its last, or one ends without."""
    finished: set[int] = set()
    ended = 0
    while ended < workers:
        number, line = lines.get()
        if not line:
            ended += 1
            if number not in finished:
                yield Event(error="a process of the seeder was killed")
            continue
        event = msgspec.json.decode(line, type=Event)
        if event.memory_bytes_max:
            finished.add(number)
        yield event
