"""`python -m instruments perf`: our figures beside peers' and limits, in one run.

Writes `results/<time>-perf/perf.json`; each room's rows come from its `perf.rows(server)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

from phasegate.cli import console
from phasegate.records import store
from phasegate.records.faults import require_writable
from phasegate.records.perf import PerfRecord, PerfRow
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

# Imported when asked for: together the rooms take seconds to import.
ROOMS = {
    "seed": "instruments.seeding_perf",
    "seed-peers": "instruments.seeding_peers",
    "api": "instruments.api_perf",
    "loadtests": "instruments.load_perf",
    "benchmarks": "instruments.compare_perf",
}


class _Room(Protocol):
    """What a room's `perf` module offers."""

    def rows(self, server: PostgresServer) -> Iterator[PerfRow]:
        """The room's figures, each measured as it is asked for."""


def measure(rooms: tuple[str, ...], results: Path) -> PerfRecord:
    """Measure `rooms`, each on a server that does nothing else, and store the record."""
    found: list[PerfRow] = []
    require_writable(results, purpose="results")
    with (
        locked(cache_dir(), "make perf"),
        running_postgres(cluster_dir()) as server,
    ):
        for name in rooms:
            room = cast("_Room", importlib.import_module(ROOMS[name]))
            with console.step(name) as show:
                for row in room.rows(server):
                    show(row.name)
                    found.append(row)
    record = PerfRecord(format_version=PerfRecord.FORMAT_VERSION, rows=tuple(found))
    store.write(results / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-perf" / "perf.json", record)
    return record


def table(record: PerfRecord) -> str:
    """The record as lines for a terminal: name, ours, peer, ratio with its spread, goal, holds."""
    cells = [("", "ours", "peer", "ratio (spread)", "goal", "", "")]
    for row in record.rows:
        ratio = f"{row.ratio:.2f} ({row.ratio_low:.2f}–{row.ratio_high:.2f})"
        holds = "holds" if row.holds else "MISSED"
        peer = f"{row.unit}, against {row.peer_name}"
        cells.append(
            (row.name, f"{row.ours:,.4g}", f"{row.peer:,.4g}", ratio, row.goal, holds, peer)
        )
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
