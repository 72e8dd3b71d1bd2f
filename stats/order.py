"""The upper end of a p95's interval by order statistics: pure, and whatever the distribution.

Of n independent values, how many lie below the true p95 is binomial, Bin(n, 0.95). So the k-th
smallest is at or above it with the probability that fewer than k lie below (Conover, Practical
Nonparametric Statistics, 3rd ed., 3.2; David & Nagaraja, Order Statistics, 7.1).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

P95 = 0.95

# The upper end of a two-sided 95% interval: from 72 values on there is one (0.95^72 < 2.5%).
CONFIDENCE = 0.975


@lru_cache(maxsize=1024)
def upper_rank(values: int) -> int | None:
    """Rank (1 is the smallest) whose value is at or above the true p95 with 97.5% confidence.

    Args:
        values: how many there are, taken as independent. Clicks of one session are not quite, so
            the true level is somewhat lower.

    Returns:
        None where there are too few: then even the largest may lie below the p95.
    """
    if values < 1:
        return None
    ranks = np.arange(values, 0, -1, dtype=np.float64)  # from the largest down
    # log of P(exactly k lie below) for k = values, values - 1, …: each from the one before.
    steps = np.log(ranks[:-1] / (values - ranks[:-1] + 1)) + math.log((1 - P95) / P95)
    logs = values * math.log(P95) + np.concatenate([[0.0], np.cumsum(steps)])
    beyond = np.cumsum(np.exp(logs))  # P(k or more lie below)
    enough = int(np.searchsorted(beyond, 1 - CONFIDENCE, side="right"))
    return int(ranks[enough - 1]) if enough else None
