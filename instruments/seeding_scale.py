"""How a load grows: `python -m instruments.seeding_scale [--project DIR] [USERS …]`.

Loads each size into a database of its own on the server that phasegate runs itself, and drops it
again; a million users take 15 GB of disk and minutes. Prints a table; stores nothing.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from instruments.shared_memory import peak_memory
from phasegate.project import SeedFolder
from phasegate.records.seed import SeedRecord
from phasegate.seeding.dataset import seed_database
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

DATABASE = "phasegate_seed_scaling"
SIZES = (10_000, 100_000, 1_000_000)
SEED = 1
# Small loads are soon done and scatter most.
REPETITIONS_MAX = 5
USERS_REPEATED = 300_000
"""A size is repeated until so many users were loaded."""

EXPONENT_MAX = 1.05
MEMORY_MAX_MB = 400


@dataclass(frozen=True)
class Size:
    """Loads of one size: medians."""

    users: int
    rows: int
    repetitions: int
    wall_s: float
    """From an empty database to a whole data set, keys and statistics included."""
    load_wall_s: float
    """Of it: making and copying rows."""
    memory_mb: float
    """Largest: all processes of the seeder, each page counted once (PSS)."""

    @classmethod
    def of(cls, loads: Sequence[tuple[SeedRecord, int]]) -> Size:
        """Of repeated loads of the same data set: records, and bytes of memory."""
        records = [record for record, _ in loads]
        return cls(
            users=records[0].users,
            rows=records[0].rows,
            repetitions=len(records),
            wall_s=statistics.median(one.wall_s for one in records),
            load_wall_s=statistics.median(one.load_wall_s or math.nan for one in records),
            memory_mb=max(memory_bytes for _, memory_bytes in loads) / 1e6,
        )


def exponent(small: Size, large: Size) -> float:
    """The power of the number of users that wall time grows with, from one size to another."""
    return math.log(large.wall_s / small.wall_s) / math.log(large.users / small.users)


def measure(
    server: PostgresServer, sizes: Sequence[int], project: SeedFolder | None = None
) -> Iterator[Size]:
    """Each of `sizes` on `server`, which should do nothing else meanwhile."""
    for users in sizes:
        repetitions = max(1, min(REPETITIONS_MAX, USERS_REPEATED // users))
        yield Size.of([_load(server, users, project) for _ in range(repetitions)])


def _load(server: PostgresServer, users: int, project: SeedFolder | None) -> tuple[SeedRecord, int]:
    drop = f"drop database if exists {DATABASE} with (force)"
    execute(server.dsn(), drop, f"create database {DATABASE} template template0", "checkpoint")
    try:
        with peak_memory() as peak:
            dsn = server.dsn(DATABASE)
            record = seed_database(dsn, users=users, seed=SEED, project=project)
        return record, peak.bytes
    finally:
        execute(server.dsn(), drop)


def lines(sizes: Iterator[Size]) -> Iterator[str]:
    """The table, a line as soon as its size was measured, then the goals."""
    yield f"{'users':>10}{'rows':>13}{'n':>3}{'wall s':>9}{'load s':>9}{'MB':>6}{'exponent':>10}"
    done: list[Size] = []
    for size in sizes:
        since = f"{exponent(done[-1], size):10.2f}" if done else ""
        done.append(size)
        yield (
            f"{size.users:>10,}{size.rows:>13,}{size.repetitions:>3}{size.wall_s:>9.2f}"
            f"{size.load_wall_s:>9.2f}{size.memory_mb:>6.0f}{since}"
        )
    most = max(size.memory_mb for size in done)
    yield f"memory {most:.0f} MB (goal ≤ {MEMORY_MAX_MB})"
    if len(done) > 1:
        whole = exponent(done[0], done[-1])
        yield f"exponent from the first size to the last {whole:.2f} (goal ≤ {EXPONENT_MAX})"


def main(arguments: Sequence[str]) -> None:
    """Measure the sizes of the command line."""
    parser = argparse.ArgumentParser(prog="python -m instruments.seeding_scale")
    parser.add_argument("--project", type=Path, help="Whose tables [this folder's].")
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="USERS")
    given = parser.parse_args(arguments)
    project = None if given.project is None else SeedFolder(given.project)
    with (
        locked(cache_dir(), "instruments.seeding_scale"),
        running_postgres(cluster_dir()) as server,
    ):
        for line in lines(measure(server, given.sizes, project)):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
