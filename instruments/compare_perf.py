"""The accuracy of the benchmarks: the median of a statement here against `pgbench -M prepared`.

Works in a database of its own on the given server, dropped at the end; pgbench's logs go to a
temporary folder. Both clients run the same statement in turn, on the same core as their backend:
the postmaster's affinity, which backends inherit, is set for that long and given back.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from instruments.perf_row import perf_row
from phasegate.compare.connection import Connection
from phasegate.compare.cpu_affinity import Placement
from phasegate.model.errors import CannotMeasure
from phasegate.records.perf import PerfRow
from phasegate.stack.binaries import give_to_service_user
from phasegate.stack.postgres import PostgresServer, run_program
from phasegate.stack.processes import postmaster_of

DATABASE = "phasegate_benchmarks_perf"
SETUP = Path(__file__).with_name("compare_perf.sql")

REPETITIONS = 15
# Seconds per client and repetition: together with the repetitions about 25 s for five statements.
REPETITION_S = 0.12
CALLS_MIN = 5

# The smallest effect that the benchmarks claim to find (docs/method.md#goals-for-our-own-tools).
RATIO_OFF_MAX = 0.05

# From about 50 µs to 100 ms: rows sent, then rows read.
STATEMENTS = {
    "200 rows by key": "select id, value, text from perf_items where id between 5000 and 5199",
    "1,000 rows by key": "select id, value from perf_items where id between 5000 and 5999",
    "5,000 rows counted": "select count(*) from perf_items where id < 5000 and value % 2 = 0",
    "100,000 rows counted": "select count(*) from perf_items where id < 100000 and value % 2 = 0",
    "1,000,000 rows counted": "select count(*) from perf_items where value % 2 = 0",
}


def rows(server: PostgresServer) -> Iterator[PerfRow]:
    """One row per statement."""
    admin = Connection(server.dsn())
    admin.execute(f"drop database if exists {DATABASE}")
    admin.execute(f"create database {DATABASE}")
    try:
        caller = Connection(server.dsn(DATABASE))
        caller.execute(SETUP.read_text(encoding="utf-8"))
        caller.execute("vacuum perf_items")
        caller.close()
        with _one_core(server), tempfile.TemporaryDirectory(prefix="phasegate-") as folder:
            home = Path(folder)
            give_to_service_user(home)  # pgbench writes its log there as the server's user
            for name, sql in STATEMENTS.items():
                yield _row(server, home, name, sql)
    finally:
        admin.execute(f"drop database if exists {DATABASE} with (force)")
        admin.close()


@contextmanager
def _one_core(server: PostgresServer) -> Iterator[None]:
    """This process, pgbench and the backends of both on one core, as the benchmarks run."""
    placement = Placement(server.dsn())
    pid = postmaster_of(server.data_dir)
    before = os.sched_getaffinity(pid) if hasattr(os, "sched_getaffinity") else set()
    placement.take(pid)
    try:
        yield
    finally:
        placement.release()
        if before:
            os.sched_setaffinity(pid, before)


def _row(server: PostgresServer, folder: Path, name: str, sql: str) -> PerfRow:
    ours, peers = [], []
    caller = Connection(server.dsn(DATABASE))
    try:
        once_us = _ours_us(caller, sql, CALLS_MIN)
        calls = max(CALLS_MIN, int(REPETITION_S * 1e6 / once_us))
        for number in range(REPETITIONS):
            if number % 2:
                peer = _pgbench_us(server, folder, sql, calls)
                own = _ours_us(caller, sql, calls)
            else:
                own = _ours_us(caller, sql, calls)
                peer = _pgbench_us(server, folder, sql, calls)
            ours.append(own)
            peers.append(peer)
    finally:
        caller.close()
    ratio = statistics.median(one / other for one, other in zip(ours, peers, strict=True))
    return perf_row(
        f"median of a statement: {name}",
        "µs",
        ours,
        peers,
        "pgbench -M prepared",
        "0.95 – 1.05",
        holds=abs(ratio - 1) <= RATIO_OFF_MAX,
    )


def _ours_us(caller: Connection, sql: str, calls: int) -> float:
    """Median time of one call, taken as the engine takes it."""
    times = []
    for _ in range(calls):
        start_ns = caller.busy_ns
        caller.fetch(sql)
        times.append(caller.busy_ns - start_ns)
    return statistics.median(times) / 1000


def _pgbench_us(server: PostgresServer, folder: Path, sql: str, calls: int) -> float:
    """Median latency that pgbench logs per transaction.

    It looks at the clock when it waits: where the answer is there before, as often on one core that
    others use too, it logs 0. Those say nothing.

    Raises:
        CannotMeasure: it timed less than half of them.
    """
    script = folder / "statement.sql"
    script.write_text(f"{sql};\n", encoding="utf-8")
    script.chmod(0o644)
    run_program(
        "pgbench",
        *("--no-vacuum", "--protocol=prepared", f"--transactions={calls}", f"--file={script}"),
        *("--log", f"--log-prefix={folder / 'log'}"),
        env=server.libpq_environment(DATABASE),
    )
    logs = list(folder.glob("log.*"))
    # Columns: client, transaction, latency in µs, … (PostgreSQL manual, pgbench, per-transaction).
    times = [int(line.split()[2]) for log in logs for line in log.read_text().splitlines()]
    for log in logs:
        log.unlink()
    timed = [time_us for time_us in times if time_us > 0]
    if len(times) != calls or len(timed) < calls / 2:
        raise CannotMeasure(
            f"pgbench logged {len(times)} of {calls} transactions and timed {len(timed)}",
            then="Measure again while nothing else runs",
        )
    return float(statistics.median(timed))
