"""The limit that `seeding_perf` measures against: COPY of the same bytes, made beforehand.

A process like `seeding.worker`, with the same lanes and connections, but its rows are encoded
before the clock starts and kept. `Job` as the first line of standard input; then one load per line.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import msgspec

from phasegate.seeding.freed_memory import keep_freed_memory
from phasegate.seeding.table_loader import run_lanes
from phasegate.seeding.tables import Block, Tables
from phasegate.seeding.timeline import Year
from phasegate.seeding.work import Lane
from phasegate.seeding.worker import EVENT_LOOP, Job, tables_of


class EncodedTables:
    """The blocks of `Tables`, made once."""

    def __init__(self, tables: Tables, lanes: tuple[Lane, ...]) -> None:
        self.year: Year = tables.year
        names = {unit.table for lane in lanes for unit in lane}
        self._columns = {name: tables.columns(name) for name in names}
        self._blocks = {name: list(tables.blocks(name)) for name in names}

    def blocks(self, name: str) -> Iterator[Block]:
        """As `Tables.blocks`."""
        return iter(self._blocks[name])

    def columns(self, table: str) -> tuple[str, ...]:
        """As `Tables.columns`."""
        return self._columns[table]


def _no_progress(table: str, rows: int) -> None:
    """The limit draws no progress bar."""


def main() -> None:
    """Encode, then load as often as a line comes; answer each with a line."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    keep_freed_memory()
    tables = EncodedTables(tables_of(job), job.lanes)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with asyncio.Runner(loop_factory=EVENT_LOOP) as runner:
        for _ in sys.stdin.buffer:
            runner.run(run_lanes(job.dsn, job.lanes, tables, _no_progress, summed=False))
            sys.stdout.write("done\n")
            sys.stdout.flush()
