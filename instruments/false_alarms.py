"""The long self-check: hundreds of equal comparisons, and the same with a slow-down put in.

Measures on a seeded database and leaves it as it was
(`python -m instruments self-check`). Each comparison is
measured afresh through the whole engine, at a night's budget. Beside our rule stand two that people
use, on the same recordings: pytest-benchmark's `--benchmark-compare-fail=median:5%` and a fixed
threshold of 10%. Both compare what was saved one run before with what is measured now, so each
recording is compared with the one before it: minutes apart at most, where a night is a day.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.technique_folders import self_check
from phasegate.records.benchmark import Comparison
from phasegate.stats.paired import EFFECT_MIN, alarms

PAIRS = 300
INJECTIONS = 200
# Two dozen techniques at three sizes within 150 s, as in `make run`.
BUDGET_S = 2.0

# What is asked of our rule: an alarm wakes somebody, and a slow-down of 5% must not pass.
FALSE_ALARMS_MAX = 0.01
FOUND_MIN = 0.95

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

    @property
    def holds(self) -> bool:
        """Whether both rates, as measured, are what is asked for."""
        return (
            self.false_alarms <= FALSE_ALARMS_MAX * self.pairs
            and self.found >= FOUND_MIN * self.injections
        )


def share_interval(count: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share that was counted (Wilson 1927).

    Raises:
        ValueError: nothing was counted.
    """
    if of <= 0:
        raise ValueError("no share of nothing")
    z = statistics.NormalDist().inv_cdf(0.975)
    centre = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * math.sqrt(count * (of - count) / of + z * z / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


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


def record(
    dsn: str,
    *,
    pairs: int,
    budget_s: float,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:
    """`pairs` comparisons of a statement with itself, each within `budget_s`.

    Raises:
        ConfigurationError: the database is not fit to be measured.
        CannotMeasure: it cannot be reached, or a statement fails.
    """
    bench = BenchmarkSession(
        dsn, users=None, sha256=None, seed=1, budget=Budget(pairs * budget_s, 1), disabled=False
    )
    technique = self_check(bench.project)
    found = []
    with bench, bench.made_ready(technique):
        for done in range(pairs):
            on_progress(f"{done} of {pairs} comparisons")
            found.append(bench.measure_arms(technique, budget_s))
    return found


def lines(comparisons: Sequence[Comparison], rules: Sequence[Rule]) -> Iterator[str]:
    """The table, each share with its 95% interval, under what the recordings are like."""
    blocks = sorted(len(each.before.block_ns) for each in comparisons)
    deviations = sorted(
        float(np.log(np.array(each.after.block_ns) / np.array(each.before.block_ns)).std())
        for each in comparisons
    )
    low, middle, high = (float(np.percentile(deviations, q)) for q in (25, 50, 75))
    yield (
        f"{len(comparisons)} comparisons of {statistics.median(blocks):.0f} blocks (median, "
        f"{blocks[0]} to {blocks[-1]}); deviation of a block's log-ratio {middle:.1%} "
        f"(quartiles {low:.1%} to {high:.1%})"
    )
    for rule in rules:
        yield (
            f"{rule.name:24} false alarms {_share(rule.false_alarms, rule.pairs)}, "
            f"found {_share(rule.found, rule.injections)}"
        )


def _share(count: int, of: int) -> str:
    low, high = share_interval(count, of)
    return f"{count:3} of {of} ({count / of:.1%}; {low:.1%} to {high:.1%})"
