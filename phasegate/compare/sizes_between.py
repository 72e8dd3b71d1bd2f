"""Which techniques are measured at a size between two others: those whose N* lies there. Pure.

A law of growth is known best beside the sizes that it goes through, and a change of plan leaves N*
open between two of them (`stats.crossover`). Elsewhere another size would say nothing of N*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from phasegate.records.benchmark import Arm, BenchmarkRecord

MARGIN = 1.25
"""A p95 so near its objective may lie on its other side in another run."""

BUDGET_SHARE = 0.25
"""Of a run's budget, for these sizes: few techniques, each with more calls than elsewhere."""


def techniques_between(
    records: Sequence[BenchmarkRecord], sizes: Iterable[int], slo_ms_p95: float
) -> dict[int, tuple[str, ...]]:
    """For each of `sizes`, those that may break their objective between its measured neighbours.

    Args:
        records: of the sizes measured, ascending.
        sizes: that lie between them; others are left out, and those where nothing is to be learnt.
        slo_ms_p95: the objective.
    """
    found = {}
    for size in sizes:
        below = [record for record in records if record.users < size]
        above = [record for record in records if record.users > size]
        if below and above and size not in (record.users for record in records):
            holds = {
                each.technique
                for each in below[-1].comparisons
                if _p95_ms(each.before) <= slo_ms_p95 * MARGIN
            }
            wanted = tuple(
                each.technique
                for each in above[0].comparisons
                if each.technique in holds and _p95_ms(each.before) >= slo_ms_p95 / MARGIN
            )
            if wanted:
                found[size] = wanted
    return found


def _p95_ms(arm: Arm) -> float:
    return float(np.percentile(arm.call_ns + arm.alone_ns, 95)) / 1e6
