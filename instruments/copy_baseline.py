"""The limit that `seeding_perf` measures against: COPY of the same bytes, made beforehand.

A process like `seeding.worker`, with the same lanes and connections, but its rows are encoded
before the clock starts and kept. `Job` as the first line of standard input; then one load per line.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import msgspec

from phasegate.seeding.table_loader import CONTENT_LANE, run_lanes
from phasegate.seeding.tables import Block, Tables
from phasegate.seeding.timeline import Year
from phasegate.seeding.users import make_users
from phasegate.seeding.worker import EVENT_LOOP, Job, keep_freed_memory


class EncodedTables:
    """The blocks of `Tables`, made once."""

    def __init__(self, tables: Tables, lanes: tuple[str, ...]) -> None:
        self.year: Year = tables.year
        content = CONTENT_LANE in lanes
        self._profiles = list(tables.profiles()) if content else []
        self._projects = list(tables.projects()) if content else []
        self._tasks = list(tables.tasks()) if content else []
        self._logs = list(tables.logs()) if lanes != (CONTENT_LANE,) else []

    def profiles(self) -> Iterator[Block]:
        """As `Tables.profiles`."""
        return iter(self._profiles)

    def projects(self) -> Iterator[Block]:
        """As `Tables.projects`."""
        return iter(self._projects)

    def tasks(self) -> Iterator[Block]:
        """As `Tables.tasks`."""
        return iter(self._tasks)

    def logs(self) -> Iterator[Block]:
        """As `Tables.logs`."""
        return iter(self._logs)


def _no_progress(table: str, rows: int) -> None:
    """The limit draws no progress bar."""


def main() -> None:
    """Encode, then load as often as a line comes; answer each with a line."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    keep_freed_memory()
    tables = EncodedTables(Tables(make_users(job.seed, job.users, job.population)), job.lanes)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with asyncio.Runner(loop_factory=EVENT_LOOP) as runner:
        for _ in sys.stdin.buffer:
            runner.run(run_lanes(job.dsn, job.lanes, tables, _no_progress, summed=False))
            sys.stdout.write("done\n")
            sys.stdout.flush()
