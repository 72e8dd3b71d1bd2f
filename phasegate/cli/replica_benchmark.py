"""The comparison that needs a replica: made after all others, on a replica made for it.

Reads the largest data set and its benchmarks; restarts the server with what feeding a replica takes
(which makes every write dearer: the others are measured without), adds to `bench/<users>.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from phasegate.compare.run import add_replica
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.stack.database import apply_sql
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.replica import feeding, running_replica

# About 40 blocks of it; making the replica takes longer than this.
BUDGET_S = 4.0


def measure(
    server: PostgresServer,
    dsn: str,
    record: BenchmarkRecord,
    *,
    seed: int,
    out: Path,
    folder: Path,
    on_progress: Callable[[str], None],
) -> BenchmarkRecord:
    """The record with that comparison added. The server keeps its new settings until it stops.

    Args:
        server: of ours, running.
        dsn: of the data set on it.
        record: of that data set.
        seed: of the drawn parameters and of the order within blocks.
        out: folder of the benchmarks' files.
        folder: for the replica; as root it must lie where the service user can go.
        on_progress: told what is being done.

    Raises:
        CannotMeasure: there is no room for a replica, it does not start, or the session failed.
    """
    on_progress("restart the server")
    primary = feeding(server)
    apply_sql(dsn, "warm")
    on_progress("copy the server")
    with running_replica(primary, folder / "replica") as replica:
        return add_replica(
            record,
            dsn,
            replica.dsn(dsn.rpartition("/")[2]),
            seed=seed,
            out=out,
            budget_s=BUDGET_S,
            on_progress=on_progress,
        )
