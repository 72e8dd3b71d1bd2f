"""How far a measured p95 can be trusted, whatever the distribution. Pure: numbers in and out.

Of n independent calls, how many lie below the true p95 is binomial, Bin(n, 0.95), whatever the
distribution. So the p95 lies between the k-th and the k+1-th smallest call with the probability of
that k (Conover, Practical Nonparametric Statistics, 3rd ed., 3.2; David & Nagaraja, Order
Statistics, 7.1), and above the slowest call with probability 0.95^n: 2.5% for 72 calls, 54% for 12.
Below 72 calls there is no upper bound at 95%, and none is made up. A bootstrap cannot know this: it
never draws more than the slowest call seen, and its 95% interval held the truth in 45% of simulated
cases with 12 calls. What N* rests on borrows from other statements instead (`stats.borrowed_tail`).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

P95 = 0.95

CALLS_MIN = 72
"""Fewest calls with which a p95 has an upper bound at 95%: 0.95^72 < 2.5%."""

DRAWS = 400
"""Enough that the 2.5% and 97.5% points stand on ten draws each."""
TAIL = 0.025

PARTS_MIN = 5
"""Of a stage: with fewer their variance says too little."""
NORMAL_975 = 1.959964

Array = npt.NDArray[np.float64]


def _cumulative_below(values: int) -> Array:
    """P(k or fewer of so many values lie below the p95), for k = 0 .. values."""
    k = np.arange(values)
    # In logarithms, each probability from the one before: 0.05^n alone would underflow.
    steps = np.log((values - k) / (k + 1)) + math.log(P95 / (1 - P95))
    logs = values * math.log1p(-P95) + np.concatenate([[0.0], np.cumsum(steps)])
    found: Array = np.cumsum(np.exp(logs))
    return found


@lru_cache(maxsize=1024)
def upper_rank(values: int) -> int | None:
    """Rank (1 is the smallest) of the value that bounds the p95 from above, at 97.5%.

    Returns:
        None where there are too few: then even the largest may lie below the p95.
    """
    if values < CALLS_MIN:
        return None
    return int(np.searchsorted(_cumulative_below(values), 1 - TAIL)) + 1


@lru_cache(maxsize=256)
def _counts_below(calls: int, draws: int) -> npt.NDArray[np.int64]:
    """How many of `calls` lie below the p95: the points at equal steps of the binomial's levels.

    Steps and not random draws: with few calls a bound hangs on whether 2.4% or 2.6% of the draws
    lie beyond the slowest call, which chance would decide anew each time.
    """
    levels = (np.arange(draws) + 0.5) / draws
    return np.minimum(np.searchsorted(_cumulative_below(calls), levels), calls)


def between_calls(calls: Array, random: np.random.Generator, draws: int) -> tuple[Array, Array]:
    """Where the p95 may lie, by the order of the calls alone.

    Args:
        calls: at least one, any shape and order.
        random: shuffles the draws.
        draws: how many.

    Returns:
        For each draw the calls between which the p95 lies: the one below (0 where there is none)
        and the one above (infinite where there is none).
    """
    ends = np.concatenate([[0.0], np.sort(calls, axis=None), [math.inf]])
    below = random.permutation(_counts_below(calls.size, draws))
    return ends[below], ends[below + 1]


def p95_bounds(calls: Array) -> tuple[float, float]:
    """The 95% interval of the p95 by the order of the calls; its upper end may be infinite."""
    low, high = between_calls(calls, np.random.default_rng(1), DRAWS)
    tail = int(TAIL * DRAWS)
    return float(np.sort(low)[tail]), float(np.sort(high)[-1 - tail])


def student_t_975(freedom: int) -> float:
    """The 97.5% point of Student's t with `freedom` degrees, 4 or more (within 1%).

    Cornish-Fisher expansion about the normal's (Abramowitz & Stegun, 26.7.5).
    """
    z = NORMAL_975
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def share_between(counted: Array, totals: Array) -> tuple[float, float]:
    """The 95% interval of a share of calls, from consecutive parts of one stage.

    Calls that wait in one queue are alike, so that parts count and not calls: a ratio estimate with
    the variance between the parts (Cochran, Sampling Techniques, 3rd ed., 6.4), never narrower than
    that of independent calls. As levels of a distribution such a pair bounds its quantile
    (Woodruff, J. Am. Stat. Assoc. 47, 1952).

    Args:
        counted: calls of each part that have the property.
        totals: calls of each part; `PARTS_MIN` parts or more.
    """
    parts, whole = len(totals), float(totals.sum())
    share = float(counted.sum()) / whole
    left = counted - share * totals
    between = parts / (parts - 1) * float(left @ left) / whole**2
    spread = student_t_975(parts - 1) * math.sqrt(max(between, share * (1 - share) / whole))
    return max(share - spread, 0.0), min(share + spread, 1.0)
