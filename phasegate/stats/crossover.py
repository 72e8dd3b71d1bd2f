"""N*: the number of registered users from which a technique is needed. Pure: numbers in and out.

The p95 of the arm "before" is measured at several sizes; N* is where it crosses its objective. A
law of growth (`stats.growth`) is fitted to the p95s of the sizes that share a plan, each with the
weight of its calls. The interval comes from what the calls say of each p95 (`stats.quantile`) and
from what differs between runs; it is open on the side where the calls are too few. Nothing is
fitted across a change of plan, and N* is censored outside the sizes measured
(docs/method.md#crossover-n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from phasegate.stats.growth import fit
from phasegate.stats.paired import ComparisonResult, Ratio, judge
from phasegate.stats.quantile import CALLS_MIN, P95, between_calls, p95_bounds, resampled

# Enough that the 2.5% and 97.5% points stand on ten resamples each; 400 take milliseconds.
RESAMPLES = 400
CONFIDENCE = 0.95

RUN_DEVIATION = 0.06
"""Of the logarithm of a time between runs of one commit on one machine, where the calls of each say
the same: where rows and processes lie in memory, how busy the neighbours are. No number of calls
within a run shows it (docs/decisions/0021-intervals-between-runs.md)."""

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


def crossover(
    sizes: Sequence[Size],
    slo_ms: float,
    *,
    seed: int = 1,
    resamples: int = RESAMPLES,
    run_deviation: float = RUN_DEVIATION,
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
    p95s = _p95s(sizes, np.random.default_rng(seed), resamples, run_deviation)
    (point,), _, (above,) = _crossings(sizes, slo_ms, p95s.measured)
    low, high = _interval(sizes, slo_ms, p95s)
    around = range(max(0, above - 1), min(above + 1, len(sizes)))
    calls = min(_tail(sizes, place).size for place in around)
    if calls < CALLS_MIN:
        low = min(low, _bounded_below(sizes[:above], slo_ms))
    outcome = Outcome.WITHIN
    if above in (0, len(sizes)):
        outcome = Outcome.ABOVE if above else Outcome.BELOW
    elif sizes[above - 1].plan != sizes[above].plan:
        outcome = Outcome.BETWEEN
        low, high = min(low, math.log(users[above - 1])), max(high, math.log(users[above]))
    return Crossover(
        outcome=outcome,
        users=math.exp(point) if outcome is Outcome.WITHIN else None,
        low=math.exp(low) if math.isfinite(low) else None,
        high=math.exp(high) if math.isfinite(high) else None,
        smallest=users[0],
        largest=users[-1],
        calls=calls,
    )


@dataclass(frozen=True)
class _P95s:
    """Logarithms of each size's p95; each of shape (rows, sizes), `measured` with one row."""

    measured: Array
    blocks: Array
    """Drawn by resampling blocks."""
    below: Array
    """Drawn by the order of the calls: the call below the p95."""
    above: Array


def _p95s(
    sizes: Sequence[Size], random: np.random.Generator, draws: int, run_deviation: float
) -> _P95s:
    """As measured and as drawn."""
    blocks, below, above = [], [], []
    for place, size in enumerate(sizes):
        calls, tail = size.calls_ms, _tail(sizes, place)
        lower, upper = between_calls(calls, random, draws)
        # Above the slowest call: as far above the median as calls that are enough say. Where they
        # are too few as well, this is finite, and the caller leaves the bound open.
        beyond = np.minimum(between_calls(tail, random, draws)[1], tail.max()) * np.median(calls)
        upper = np.where(np.isinf(upper), np.maximum(calls.max(), beyond), upper)
        blocks.append(resampled(_in_blocks(size), random, draws))
        below.append(np.maximum(lower, calls.min()))
        above.append(upper)
    of_run = random.normal(0.0, run_deviation, (draws, 1))
    drawn = (np.log(np.column_stack(each)) + of_run for each in (blocks, below, above))
    return _P95s(np.log([[size.p95_ms for size in sizes]]), *drawn)


def _tail(sizes: Sequence[Size], place: int) -> Array:
    """Calls that say how far a size's p95 lies above its median, as ratios to their median.

    Its own, and where they are too few for a p95 those of the nearest sizes on its plan as well,
    until there are enough.
    """
    plan = next(plan for plan in _plans(sizes) if place in plan)
    found = np.empty(0)
    for other in sorted(plan, key=lambda other: abs(other - place)):
        if found.size < CALLS_MIN:
            calls = sizes[other].calls_ms
            found = np.concatenate([found, calls / np.median(calls)])
    return found


def _plans(sizes: Sequence[Size]) -> list[range]:
    """Places of neighbouring sizes that share a plan."""
    starts = [0]
    starts += [at for at in range(1, len(sizes)) if sizes[at].plan != sizes[at - 1].plan]
    return [range(*ends) for ends in zip(starts, [*starts[1:], len(sizes)], strict=True)]


def _in_blocks(size: Size) -> Array:
    """All calls by blocks; those made alone are a block each, as long as the others."""
    long = size.blocks_ms.shape[1]
    if size.alone_ms.size < long:
        return size.blocks_ms
    whole = size.alone_ms[: size.alone_ms.size // long * long]
    return np.concatenate([size.blocks_ms, whole.reshape(-1, long)])


def _bounded_below(sizes: Sequence[Size], slo_ms: float) -> float:
    """Log users of the largest size whose p95 surely keeps the objective; -inf where none does."""
    kept = [size.users for size in sizes if p95_bounds(size.calls_ms)[1] <= slo_ms]
    return math.log(kept[-1]) if kept else -math.inf


def _interval(sizes: Sequence[Size], slo_ms: float, p95s: _P95s) -> tuple[float, float]:
    """Bounds of log N*: the wider of what the order of the calls and their blocks say.

    The higher the p95, the smaller N*: so its lower bound comes from the calls above.
    """
    drawn = np.concatenate([p95s.above, p95s.blocks, p95s.below])
    low, high, _ = (np.split(found, 3) for found in _crossings(sizes, slo_ms, drawn))
    tail = int((1 - CONFIDENCE) / 2 * len(p95s.blocks))
    # Order statistics, not interpolated: an infinite neighbour would make a bound infinite.
    lows = [np.sort(each)[tail] for each in low[:2]]
    highs = [np.sort(each)[-1 - tail] for each in high[1:]]
    return float(min(lows)), float(max(highs))


def _crossings(
    sizes: Sequence[Size], slo_ms: float, log_p95: Array
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Where each row of the sizes' p95 crosses.

    Returns:
        Log N*, as low and high, which a change of plan sets apart; and the place of the size above.
    """
    users = np.array([size.users for size in sizes], dtype=float)
    calls = np.array([size.calls_ms.size for size in sizes], dtype=float)
    plans = _plans(sizes)
    laws = [fit(users[plan], log_p95[:, plan], calls[plan]) for plan in plans]
    fitted = np.column_stack(
        [law.log_times(users[at]) for plan, law in zip(plans, laws, strict=True) for at in plan]
    )
    above = (np.maximum.accumulate(fitted, axis=1) <= math.log(slo_ms)).sum(axis=1)
    low = np.where(above == 0, -math.inf, math.inf)
    high = low.copy()
    for plan, law in zip(plans, laws, strict=True):
        inside = (above > plan.start) & (above < plan.stop)
        low[inside] = high[inside] = law.log_users(slo_ms)[inside]
        if plan.start:  # between its first size and the one before, whose plan is another
            changed = above == plan.start
            low[changed], high[changed] = np.log(users[plan.start - 1 : plan.start + 1])
    return low, high, above


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
    """No interval, or no improvement is proven at the size where it would be needed; or the
    objective may break below the largest size as well as above it."""


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
    if crossed.outcome is Outcome.ABOVE:  # and perhaps it is not, where the interval begins below
        return Need.NOT_YET if crossed.low is None else Need.CANNOT_TELL
    if verdict is not ComparisonResult.IMPROVED:
        return Need.CANNOT_TELL
    return Need.ALREADY if crossed.outcome is Outcome.BELOW else Need.FROM
