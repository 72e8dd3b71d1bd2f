"""From the most that was seen at once to the mean that lies behind it. Pure.

How many of something are under way at one moment, where it arrives at random, follows a Poisson
distribution (Palm–Khinchin for the sum of many rare users). Looked at n times independently, the
largest count is at most k with probability F(k; mean)^n: a distribution whose median and 95%
interval are found by bisection.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MEAN_MAX = 1e6
PRECISION = 1e-6
"""Of a mean, as a ratio: finer than any count can tell."""

TAIL = 0.025


@dataclass(frozen=True)
class Mean:
    """The mean that a peak speaks for, and its 95% interval."""

    estimate: float
    low: float
    high: float


def mean_of_peak(peak: int, looks: int) -> Mean:
    """The mean of a Poisson count of which `peak` was the largest in `looks` looks.

    Looks that follow each other closely see the same ones: fewer count, and the mean lies higher.
    Pass those that are independent.

    Raises:
        ValueError: `peak` is negative, or there was no look.
    """
    if peak < 0 or looks < 1:
        raise ValueError("a peak is not negative, and takes a look")
    low = 0.0 if peak == 0 else _mean_where(peak - 1, looks, 1 - TAIL)
    return Mean(_mean_where(peak, looks, 0.5), low, _mean_where(peak, looks, TAIL))


def _mean_where(most: int, looks: int, probability: float) -> float:
    """The mean at which none of `looks` counts exceeds `most` with `probability`."""
    low, high = 1e-9, MEAN_MAX
    target = math.log(probability) / looks
    while high / low > 1 + PRECISION:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _log_cdf(most, middle) > target else (low, middle)
    return math.sqrt(low * high)


def _log_cdf(most: int, mean: float) -> float:
    """Log P(X ≤ most) of a Poisson count; summed from its largest term."""
    logs = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(most + 1)]
    largest = max(logs)
    return min(0.0, largest + math.log(sum(math.exp(each - largest) for each in logs)))
