"""What techniques cost: index size, slower writes, refresh time, bloat. Probes for `Technique`.

Each probe asks the session's database and returns `records.benchmark.Cost`; what it writes is
rolled back or removed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from phasegate.compare.connection import Connection
from phasegate.compare.dataset import SQL
from phasegate.compare.technique import Probe, Technique, Workbench
from phasegate.records.benchmark import Cost
from phasegate.stats.paired import between_runs, ratio

SIZE = (SQL / "size.sql").read_text(encoding="utf-8")

# Of the seconds that the arms were allowed: the cost of a write needs fewer blocks than the answer.
WRITE_COST_SHARE = 0.5


def relation_size(name: str, relation: str, *, of: str) -> Probe:
    """Bytes of an index or table with all that hangs on it, beside those of the table `of`."""

    def probe(bench: Workbench) -> Sequence[Cost]:
        size, other = _size(bench, relation), _size(bench, of)
        note = f"{size / other:.0%} of {of} with its indexes" if other else ""
        return [Cost(name=name, value=float(size), unit="bytes", note=note)]

    return probe


def write_slow_down(name: str, technique: Technique) -> Probe:
    """The ratio with/without of a write, measured as any comparison is."""

    def probe(bench: Workbench) -> Sequence[Cost]:
        comparison = bench.measure_arms(technique, bench.allowance_s * WRITE_COST_SHARE)
        found = between_runs(ratio(comparison.before.block_ns, comparison.after.block_ns))
        unbounded = found.low <= 0
        return [
            Cost(
                name=name,
                value=found.estimate,
                low=None if unbounded else found.low,
                high=None if unbounded else found.high,
                unit="×",
                note=f"{comparison.after.name} against {comparison.before.name}",
            )
        ]

    return probe


def refresh_costs(
    name: str, view: str, every_s: float, touch: str, writes: str, note: str
) -> Probe:
    """Seconds of a plain and a concurrent refresh, and the bytes that a concurrent one leaves.

    Before the concurrent one, `touch` changes what the view reads, since only the difference is
    written; the transaction is rolled back and its traces are vacuumed.

    Args:
        name: of the cost.
        view: materialised, schema-qualified.
        every_s: how often it is refreshed, hence how old its answers are.
        touch: statement that writes, and returns how many did.
        writes: tables that it writes to.
        note: what it did, after that number.
    """

    def probe(bench: Workbench) -> Sequence[Cost]:
        raw = bench.caller
        plain_s = _seconds(bench, refresh_of(raw, view))
        before = _size(bench, view)
        raw.execute("begin")
        try:
            touched = int(raw.once(touch).column(0)[0] or 0)
            concurrent_s = _seconds(bench, refresh_of(raw, view, concurrently=True))
            grown = _size(bench, view) - before
        finally:
            raw.execute("rollback")
        raw.execute(f"vacuum {writes}, {view}")
        return [
            Cost(name=name, value=plain_s, unit="s", note="plain: locks readers out"),
            Cost(
                name=f"{name} concurrently",
                value=concurrent_s,
                unit="s",
                note=f"after {touched:,} {note}".rstrip(),
            ),
            Cost(
                name="bloat",
                value=float(max(0, grown)),
                unit="bytes",
                note=f"by that concurrent refresh, on {before:,} bytes",
            ),
            Cost(name="staleness", value=every_s, unit="s", note="at most, between refreshes"),
        ]

    return probe


def refresh_of(caller: Connection, view: str, *, concurrently: bool = False) -> str:
    """The statement that fills a materialised view anew; its name as the server quotes it."""
    named = caller.once("select $1::text::regclass::text", view).column(0)[0]
    return f"refresh materialized view {'concurrently ' if concurrently else ''}{named}"


def estimate_off(name: str, counting: str, planning: str) -> Probe:
    """How the planner's estimate compares with the count.

    Args:
        name: of the cost.
        counting: a statement that counts.
        planning: EXPLAIN (FORMAT JSON) of the same.
    """

    def probe(bench: Workbench) -> Sequence[Cost]:
        counted = int(bench.caller.once(counting).column(0)[0] or 0)
        told = bench.caller.once(planning).column(0)[0] or ""
        estimated = int(json.loads(told)[0]["Plan"]["Plan Rows"])
        return [
            Cost(
                name=name,
                value=estimated / max(counted, 1),
                unit="×",
                note=f"{estimated:,} estimated, {counted:,} counted",
            )
        ]

    return probe


def _size(bench: Workbench, relation: str) -> int:
    return int(bench.caller.once(SIZE, relation).column(0)[0] or 0)


def _seconds(bench: Workbench, sql: str) -> float:
    start = time.perf_counter()
    bench.caller.execute(sql)
    return time.perf_counter() - start


def stated(name: str, value: float, unit: str, note: str) -> Probe:
    """A cost that is known without measuring, as a cache's greatest age."""

    def probe(_: Workbench) -> Sequence[Cost]:
        return [Cost(name=name, value=value, unit=unit, note=note)]

    return probe
