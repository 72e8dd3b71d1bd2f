"""The long self-check: hundreds of equal comparisons, and the same with a slow-down put in.

`python -m benchmarks.self_check [pairs]` on the data set behind `DATABASE_URL`; prints a table and
changes nothing. Each comparison is measured afresh through the whole engine, at a night's budget.
Beside our rule stand two that people use, on the same recordings: pytest-benchmark's
`--benchmark-compare-fail=median:5%` and a fixed threshold of 10%. Both compare what was saved one
run before with what is measured now, so each recording is compared with the one before it: minutes
apart at most, where a night is a day.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.agreed import DSN_VARIABLE
from benchmarks.bench_self_check import SELF_CHECK
from benchmarks.lab import Budget, Lab
from phases.errors import ConfigurationError
from records.benchmark import Comparison
from stats.paired import EFFECT_MIN, alarms

PAIRS = 300
INJECTIONS = 200
# Two dozen techniques at three sizes within 150 s, as in `make run`.
BUDGET_S = 2.0

MEDIAN_RULE = 1.05
FIXED_RULE = 1.10


@dataclass(frozen=True)
class Rule:
    """One way to call a slow-down: how often it cried wolf, and how often it saw one of 5%."""

    name: str
    pairs: int
    false_alarms: int
    injections: int
    found: int


def tally(comparisons: Sequence[Comparison], injections: int = INJECTIONS) -> tuple[Rule, ...]:
    """Our rule and the two others on the same recordings of equal arms.

    Args:
        comparisons: two or more, of one statement with itself, in the order measured.
        injections: how many of them, from the first on, are judged with the slow-down put in.
    """
    logs = [
        np.log(np.array(each.after.block_ns) / np.array(each.before.block_ns))
        for each in comparisons
    ]
    shifts = [
        math.log(statistics.median(now.before.call_ns) / statistics.median(last.before.call_ns))
        for last, now in itertools.pairwise(comparisons)
    ]
    slower = math.log(EFFECT_MIN)

    def above(threshold: float) -> Callable[[float], bool]:
        return lambda shift: shift > math.log(threshold)

    return (
        Rule(
            "paired blocks",
            len(logs),
            sum(alarms(each) for each in logs),
            min(injections, len(logs)),
            sum(alarms(each + slower) for each in logs[:injections]),
        ),
        *(
            Rule(
                name,
                len(shifts),
                sum(map(rule, shifts)),
                min(injections, len(shifts)),
                sum(rule(shift + slower) for shift in shifts[:injections]),
            )
            for name, rule in (
                ("compare-fail=median:5%", above(MEDIAN_RULE)),
                ("fixed threshold of 10%", above(FIXED_RULE)),
            )
        ),
    )


def record(dsn: str, *, pairs: int, budget_s: float) -> list[Comparison]:
    """`pairs` comparisons of a statement with itself, each within `budget_s`."""
    lab = Lab(
        dsn, users=None, sha256=None, seed=1, budget=Budget(pairs * budget_s, 1), disabled=False
    )
    with lab:
        return [lab.measure_arms(SELF_CHECK, budget_s) for _ in range(pairs)]


def main() -> None:
    """Record, judge, print."""
    dsn = os.environ.get(DSN_VARIABLE)
    if not dsn:
        raise ConfigurationError(f"{DSN_VARIABLE} is not set", then="Name a seeded database in it")
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    comparisons = record(dsn, pairs=pairs, budget_s=BUDGET_S)
    blocks = statistics.median(len(each.before.block_ns) for each in comparisons)
    deviations = [
        float(np.log(np.array(each.after.block_ns) / np.array(each.before.block_ns)).std())
        for each in comparisons
    ]
    write = sys.stdout.write
    write(f"{pairs} comparisons of {blocks:.0f} blocks (median), ")
    write(f"deviation of a block's log-ratio {statistics.median(deviations):.1%} (median)\n")
    for rule in tally(comparisons):
        write(
            f"{rule.name:24} false alarms {rule.false_alarms:3} of {rule.pairs} "
            f"({rule.false_alarms / rule.pairs:.1%}), found {rule.found:3} of {rule.injections} "
            f"({rule.found / rule.injections:.1%})\n"
        )


if __name__ == "__main__":
    main()
