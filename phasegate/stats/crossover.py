"""N*: the number of registered users from which a technique is needed. Pure: numbers in and out.

The p95 of the arm "before" is measured at several sizes; N* is where it crosses its objective.
Between sizes log p95 is interpolated linearly over log N, made monotone first; the interval comes
from what the calls say of each p95 (`stats.quantile`), and is open on the side where they are too
few to bound it. Never interpolated across a change of plan, and censored outside the sizes measured
(docs/method.md#crossover-n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from phasegate.stats.paired import ComparisonResult, Ratio, judge
from phasegate.stats.quantile import CALLS_MIN, P95, between_calls, resampled

# Enough that the 2.5% and 97.5% points stand on ten resamples each; 400 take milliseconds.
RESAMPLES = 400
CONFIDENCE = 0.95

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """One arm at one size.

    Attributes:
        users: registered users, > 0.
        blocks_ms: latency of every call, one row per block; shape (blocks, calls per block).
        plan: hash of the plan; sizes with other hashes are not joined by a line.
        alone_ms: latency of calls made outside the blocks; shape (calls,).
    """

    users: int
    blocks_ms: Array
    plan: str
    alone_ms: Array = field(default_factory=lambda: np.empty(0))

    @property
    def calls_ms(self) -> Array:
        """All of them; shape (calls,)."""
        return np.concatenate([self.blocks_ms.ravel(), self.alone_ms])

    @property
    def p95_ms(self) -> float:
        """95th percentile over all calls."""
        return float(np.percentile(self.calls_ms, 100 * P95))


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
        calls: behind the p95 that the interval rests on: the fewer of the sizes around N*.
    """

    outcome: Outcome
    users: float | None
    low: float | None
    high: float | None
    smallest: int
    largest: int
    calls: int

    @property
    def few_calls(self) -> bool:
        """Whether they are too few for an upper bound of the p95, so that `low` is only a size."""
        return self.calls < CALLS_MIN


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
    share = (log_slo - left) / (right - left) if math.isfinite(left) else 1.0
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
    if slo_ms <= 0 or any(size.calls_ms.size == 0 for size in sizes):
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
        calls=min(size.calls_ms.size for size in sizes[max(0, above - 1) : above + 1]),
    )


def _interval(
    sizes: Sequence[Size], log_users: Array, log_slo: float, seed: int, resamples: int
) -> tuple[float, float]:
    """Bounds of log N*: the wider of what the order of the calls and their blocks say.

    The higher the p95, the smaller N*: so its lower bound comes from the calls above. Since a p95
    does not fall with the users, it is no higher than what bounds it at a larger size, and no lower
    than at a smaller one: so a few calls at a size that another one bounds do no harm.
    """
    random = np.random.default_rng(seed)
    between = [between_calls(size.calls_ms, random, resamples) for size in sizes]
    blocks = np.column_stack([resampled(_in_blocks(size), random, resamples) for size in sizes])
    below, above = (np.column_stack(side) for side in zip(*between, strict=True))
    below = np.maximum.accumulate(below, axis=1)
    above = np.minimum.accumulate(above[:, ::-1], axis=1)[:, ::-1]
    tail = int((1 - CONFIDENCE) / 2 * resamples)
    lows, highs = [], []
    for high_p95, low_p95 in ((above, below), (blocks, blocks)):
        # Order statistics, not interpolated: an infinite neighbour would make a bound infinite.
        lows.append(np.sort(_crossings(sizes, log_users, log_slo, high_p95)[:, 0])[tail])
        highs.append(np.sort(_crossings(sizes, log_users, log_slo, low_p95)[:, 1])[-1 - tail])
    return float(min(lows)), float(max(highs))


def _in_blocks(size: Size) -> Array:
    """All calls by blocks; those made alone are a block each, as long as the others."""
    long = size.blocks_ms.shape[1]
    if size.alone_ms.size < long:
        return size.blocks_ms
    whole = size.alone_ms[: size.alone_ms.size // long * long]
    return np.concatenate([size.blocks_ms, whole.reshape(-1, long)])


def _crossings(sizes: Sequence[Size], log_users: Array, log_slo: float, p95_ms: Array) -> Array:
    """Log N* for each row of the sizes' p95, as low and high: apart where the plan changes."""
    found = []
    with np.errstate(divide="ignore"):  # no call below the p95: its logarithm is -inf
        rows = np.log(p95_ms)
    for row in rows:
        point, above = _crossing(log_users, row, log_slo)
        changed = 0 < above < len(sizes) and sizes[above - 1].plan != sizes[above].plan
        found.append((log_users[above - 1], log_users[above]) if changed else (point, point))
    return np.array(found)


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
    if verdict is ComparisonResult.REGRESSED:
        return Need.HARMFUL
    if crossed.outcome is Outcome.ABOVE:
        return Need.NOT_YET
    if verdict is not ComparisonResult.IMPROVED:
        return Need.CANNOT_TELL
    return Need.ALREADY if crossed.outcome is Outcome.BELOW else Need.FROM
