"""Calls of one arm alone: how many its p95 lacks, what they would take. Pure.

A ratio needs a dozen blocks; a p95 with an upper bound needs 72 calls (`stats.quantile`). Of a slow
statement a dozen blocks are a dozen calls, so the rest is made without the other arm.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from phasegate.records.benchmark import Comparison
from phasegate.stats.quantile import p95_bounds

# N* rests on the p95 of the two sizes around it, each with its own chance of lying above all calls:
# 0.95^77 + 0.95^105 < 2.5%. The more where they cost little, as at the smaller one.
CALLS_MIN = 77
CALLS_CHEAP = 105
CHEAP_MS_MAX = 50

# Of the calls' own time, for what goes on between them: warm-ups, claims, rolling back.
OVERHEAD = 1.15


CALLS_OF_A_SIZE = 36
"""Two neighbouring sizes then have the 72 calls between them that a p95 needs for its bound
(`stats.crossover`); more are made of what is left of a budget."""

CALLS_NEAR = 48
"""Of a size whose old way takes about as long as its objective allows: N* lies beside it, and is as
wide as what is known of that p95. Twice as many would make it narrower by a third."""
NEAR_BELOW = 5.0
"""How many times shorter than the objective a median may be: sizes lie a factor of 3.3 apart."""
NEAR_ABOVE = 1.25


def near(call_ns: Sequence[int], objective_ms: float) -> bool:
    """Whether N* for this objective lies beside the size of these calls."""
    median_ms = statistics.median(call_ns) / 1e6
    return objective_ms / NEAR_BELOW <= median_ms <= objective_ms * NEAR_ABOVE


def calls_missing(call_ns: Sequence[int]) -> int:
    """How many more calls the p95 of these needs (at least one of them), to have a bound."""
    cheap = statistics.median(call_ns) < CHEAP_MS_MAX * 1e6
    return max(0, (CALLS_CHEAP if cheap else CALLS_MIN) - len(call_ns))


def seconds_for(call_ns: Sequence[int], calls: int) -> float:
    """What so many more of them would take."""
    return statistics.median(call_ns) / 1e9 * calls * OVERHEAD


def beyond(comparisons: Iterable[Comparison], slo_ms_p95: float) -> set[str]:
    """Techniques whose old way surely breaks its objective here: N* lies below this size.

    At larger sizes nothing hangs on how far it is broken.
    """
    return {
        each.technique
        for each in comparisons
        if p95_bounds(np.array(each.before.call_ns + each.before.alone_ns) / 1e6)[0] > slo_ms_p95
    }
