"""One process of the load: a `Job` on standard input, events on standard output.

The job, which holds the DSN, comes as one line of JSON: nothing secret is in the arguments or the
environment. The input stays open as long as the parent lives; when it closes, this process ends at
once and the server rolls its transactions back.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable

import msgspec

from phases.catalogue import Population
from records.seed import Histogram
from seed.lanes import run_lanes
from seed.tables import Tables
from seed.users import make_users

if sys.platform != "win32":
    import uvloop

    EVENT_LOOP = uvloop.new_event_loop
else:
    EVENT_LOOP = asyncio.new_event_loop


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What one process is to load."""

    dsn: str
    lanes: tuple[str, ...]
    seed: int
    users: int
    population: Population


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a worker's output: progress, a table's sum, its own end, or why it failed."""

    table: str = ""
    rows: int = 0
    """Rows more than at the last event, or all of the table's where `sha256` is set."""
    sha256: str = ""
    memory_bytes_max: int = 0
    """Of the whole process; only in the last event."""
    histograms: tuple[Histogram, ...] = ()
    """Of the rows that the process made; only in the last event."""
    error: str = ""


def memory_bytes_max() -> int:
    """Peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def carry_out(job: Job, tell: Callable[[Event], None]) -> None:
    """Load the lanes of `job`; every event goes to `tell`.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError, OSError: the load broke off; each table is whole or empty.
    """
    tables = Tables(make_users(job.seed, job.users, job.population))

    def on_rows(table: str, rows: int) -> None:
        tell(Event(table=table, rows=rows))

    with asyncio.Runner(loop_factory=EVENT_LOOP) as runner:
        loaded = runner.run(run_lanes(job.dsn, job.lanes, tables, on_rows))
    for one in loaded:
        tell(Event(table=one.table, rows=one.rows, sha256=one.sha256))
    tell(Event(memory_bytes_max=memory_bytes_max(), histograms=tables.histograms()))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> None:
    """Read the job, carry it out, say how it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(event: Event) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()

    try:
        carry_out(job, tell)
    except Exception as error:
        tell(Event(error=str(error) or type(error).__name__))
    os._exit(0)  # the thread still waits for the input


if __name__ == "__main__":
    main()
