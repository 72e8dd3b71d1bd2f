"""N*: the number of registered users from which a technique is needed. Pure: numbers in and out.

The p95 of the arm "before" is measured at several sizes; N* is where it crosses its objective.
Between sizes log p95 is interpolated linearly over log N, made monotone first; the interval comes
from a bootstrap over whole blocks, because calls within a block are alike. Never interpolated
across a change of plan, and censored outside the sizes measured (FACTS §7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from stats.paired import Ratio, Verdict, judge

# Enough that the 2.5% and 97.5% points stand on ten resamples each; 400 take milliseconds.
RESAMPLES = 400
CONFIDENCE = 0.95
P95 = 95.0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """One arm at one size.

    Attributes:
        users: registered users, > 0.
        blocks_ms: latency of every call, one row per block; shape (blocks, calls per block).
        plan: hash of the plan; sizes with other hashes are not joined by a line.
    """

    users: int
    blocks_ms: Array
    plan: str

    @property
    def p95_ms(self) -> float:
        """95th percentile over all calls."""
        return float(np.percentile(self.blocks_ms, P95))


class Outcome(Enum):
    """Where the objective is crossed."""

    WITHIN = "within"
    """Between two of the sizes, on one plan: `users` is interpolated."""
    BETWEEN = "between"
    """Between two of the sizes, but the plan changes there: only the bounds are known."""
    ABOVE = "above"
    """Not up to the largest size."""
    BELOW = "below"
    """At the smallest size already."""


@dataclass(frozen=True)
class Crossover:
    """N*, with its interval.

    Attributes:
        outcome: how the rest is to be read.
        users: N*; None unless the outcome is WITHIN.
        low: lower bound of the 95% interval; None where it lies below the smallest size.
        high: upper bound; None where it lies above the largest size.
        smallest: size measured.
        largest: size measured.
    """

    outcome: Outcome
    users: float | None
    low: float | None
    high: float | None
    smallest: int
    largest: int


def monotone(values: Array) -> Array:
    """The non-decreasing sequence nearest to `values` (least squares; pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pools.append((float(value), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (first, few), (second, more) = pools[-2:]
            pools[-2:] = [((first * few + second * more) / (few + more), few + more)]
    return np.array([mean for mean, count in pools for _ in range(count)])


def _crossing(log_users: Array, log_p95: Array, log_slo: float) -> tuple[float, int]:
    """Log N* and the index of the size above it; -inf and 0, or inf and n, where censored."""
    rising = monotone(log_p95)
    above = int(np.searchsorted(rising, log_slo, side="right"))
    if above == 0:
        return -math.inf, 0
    if above == len(rising):
        return math.inf, above
    left, right = rising[above - 1], rising[above]
    share = (log_slo - left) / (right - left)
    return float(log_users[above - 1] + share * (log_users[above] - log_users[above - 1])), above


def crossover(
    sizes: Sequence[Size], slo_ms: float, *, seed: int = 1, resamples: int = RESAMPLES
) -> Crossover:
    """Where the p95 of `sizes` (ascending in users) crosses `slo_ms`.

    Raises:
        ValueError: no sizes, not ascending, a size without calls, or an objective ≤ 0.
    """
    users = [size.users for size in sizes]
    if not sizes or users != sorted(set(users)) or users[0] <= 0:
        raise ValueError("sizes must be positive, distinct and ascending")
    if slo_ms <= 0 or any(size.blocks_ms.size == 0 for size in sizes):
        raise ValueError("a crossover needs calls at each size and a positive objective")
    log_users = np.log(np.array(users, dtype=float))
    point, above = _crossing(log_users, np.log([size.p95_ms for size in sizes]), math.log(slo_ms))
    low, high = _interval(sizes, log_users, math.log(slo_ms), seed, resamples)
    outcome, estimate = Outcome.WITHIN, math.exp(point) if math.isfinite(point) else None
    if above == 0:
        outcome = Outcome.BELOW
    elif above == len(sizes):
        outcome = Outcome.ABOVE
    elif sizes[above - 1].plan != sizes[above].plan:
        outcome, estimate = Outcome.BETWEEN, None
        low = min(low, log_users[above - 1])
        high = max(high, log_users[above])
    return Crossover(
        outcome=outcome,
        users=estimate,
        low=math.exp(low) if math.isfinite(low) else None,
        high=math.exp(high) if math.isfinite(high) else None,
        smallest=users[0],
        largest=users[-1],
    )


def _interval(
    sizes: Sequence[Size], log_users: Array, log_slo: float, seed: int, resamples: int
) -> tuple[float, float]:
    """Percentiles of log N* over resampled blocks; an end of the line where the plan changes."""
    random = np.random.default_rng(seed)
    columns = []
    for size in sizes:
        blocks = size.blocks_ms
        chosen = random.integers(0, len(blocks), (resamples, len(blocks)))
        drawn = blocks[chosen].reshape(resamples, -1)
        columns.append(np.log(np.percentile(drawn, P95, axis=1)))
    found = []
    for row in np.column_stack(columns):
        point, above = _crossing(log_users, row, log_slo)
        changed = 0 < above < len(sizes) and sizes[above - 1].plan != sizes[above].plan
        found.append((log_users[above - 1], log_users[above]) if changed else (point, point))
    tail = (1 - CONFIDENCE) / 2
    lows, highs = np.sort(np.array(found), axis=0).T
    # Order statistics, not interpolated: an infinite neighbour would make a bound infinite.
    return float(lows[int(tail * resamples)]), float(highs[-1 - int(tail * resamples)])


class Need(Enum):
    """When a technique is needed: the honest answers."""

    FROM = "needed from"
    """N* users on; the technique improves things there."""
    ALREADY = "needed already"
    """At the smallest size measured."""
    NOT_YET = "not needed yet"
    """The objective holds without it up to the largest size."""
    HARMFUL = "harmful here"
    """It makes things slower where it would be applied."""
    CANNOT_TELL = "cannot tell"
    """No interval, or no improvement is proven at the size where it would be needed."""


def need(crossed: Crossover, ratios: Sequence[tuple[int, Ratio]]) -> Need:
    """The answer, from where "before" breaks its objective and what the technique does there.

    Args:
        crossed: of the arm "before".
        ratios: users and the ratio after/before at each size, ascending in users.

    Raises:
        ValueError: there are no ratios.
    """
    if not ratios:
        raise ValueError("no ratios to judge by")
    start = {
        Outcome.ABOVE: crossed.largest,
        Outcome.BELOW: crossed.smallest,
        Outcome.WITHIN: crossed.users or crossed.largest,
        Outcome.BETWEEN: crossed.high or crossed.largest,
    }[crossed.outcome]
    # What matters is the effect from the crossing on: at the first size that is not below it.
    at = next((found for users, found in ratios if users >= start), ratios[-1][1])
    verdict = judge(at)
    if verdict is Verdict.REGRESSED:
        return Need.HARMFUL
    if crossed.outcome is Outcome.ABOVE:
        return Need.NOT_YET
    if verdict is not Verdict.IMPROVED:
        return Need.CANNOT_TELL
    return Need.ALREADY if crossed.outcome is Outcome.BELOW else Need.FROM
