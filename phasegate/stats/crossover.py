"""N*: the number of registered users from which a technique is needed. Pure: numbers in and out.

The p95 of the arm "before" is measured at several sizes; N* is where it crosses its objective. A
law of growth (`stats.growth`) is fitted to the p95s of the sizes that share a plan, each with the
weight of its calls. The interval comes from what the calls say of each p95, with what other
statements' calls say of its distance from the median (`stats.borrowed_tail`), and from what differs
between runs. Nothing is fitted across a change of plan, and N* is censored outside the sizes
measured (docs/method.md#crossover-n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from phasegate.stats.borrowed_tail import LENDER_CALLS_MIN, P95, p95_draws, p95_of, tail_of
from phasegate.stats.growth import fit
from phasegate.stats.paired import ComparisonResult, Ratio, judge
from phasegate.stats.quantile import CALLS_MIN, p95_bounds

# Enough that the 2.5% and 97.5% points stand on ten resamples each; 400 take milliseconds.
RESAMPLES = 400
CONFIDENCE = 0.95

RUN_DEVIATION = 0.045
"""Of the logarithm of all times of a run against another's of one commit on one machine: where rows
and processes lie, how busy the neighbours are. No number of calls within a run shows it
(docs/decisions/0021-intervals-between-runs.md)."""
SIZE_DEVIATION = 0.045
"""Of one size's times against another run's, where nothing better is known: what the turns of a run
say of it that day is in `Size.deviation`."""

GAP_FACTOR_MAX = 1.5
"""Between two sizes with different plans: where nothing is known of the lower plan's growth, so far
down is the upper one's law followed; and so far apart may the ends be for their middle to be N*."""

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
    tails: tuple[Array, ...] = ()
    """Of other statements that take about as long (`borrowed_tail.nearest`); of the statement's own
    sizes on the same plan where there are none."""
    deviation: float = SIZE_DEVIATION
    """Of the logarithm of its times between runs, beyond what moves all sizes alike."""

    @property
    def calls_ms(self) -> Array:
        """All of them; shape (calls,)."""
        return np.concatenate([self.blocks_ms.ravel(), self.alone_ms])

    @property
    def median_ms(self) -> float:
        """Median over all calls."""
        return float(np.median(self.calls_ms))

    @property
    def p95_ms(self) -> float:
        """95th percentile over all calls."""
        return float(np.percentile(self.calls_ms, 100 * P95))


class Outcome(Enum):
    """Where the objective is crossed."""

    WITHIN = "within"
    """Between two of the sizes, on one plan, or on two whose laws agree: `users` is where."""
    BETWEEN = "between"
    """Between two of the sizes, where the plan changes: only the bounds are known."""
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
        calls: behind the p95s that the interval rests on: of the size around N* that has fewer.
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
        """Whether they are too few for a p95 by themselves, so that others' calls count as well."""
        return self.calls < CALLS_MIN


@dataclass(frozen=True)
class P95s:
    """Logarithms of each size's p95, in ms."""

    measured: Array
    """Shape (1, sizes)."""
    drawn: Array
    """Shape (draws, sizes)."""


def p95s_of(
    sizes: Sequence[Size],
    *,
    seed: int = 1,
    draws: int = RESAMPLES,
    run_deviation: float = RUN_DEVIATION,
) -> P95s:
    """What the calls say of each p95.

    Args:
        sizes: at least one, each with calls.
        seed: of the draws.
        draws: how many.
        run_deviation: between runs, of all sizes together.
    """
    random = np.random.default_rng(seed)
    tails = [_tails(sizes, place) for place in range(len(sizes))]
    pairs = list(zip(sizes, tails, strict=True))
    measured = [p95_of(size.calls_ms, lent) for size, lent in pairs]
    drawn = [p95_draws(_in_blocks(size), lent, random, draws) for size, lent in pairs]
    logs = np.log(np.column_stack(drawn))
    logs += random.normal(0.0, run_deviation, (draws, 1))
    logs += random.normal(0.0, [size.deviation for size in sizes], logs.shape)
    return P95s(np.log([measured]), logs)


def crossover(
    sizes: Sequence[Size],
    slo_ms: float,
    *,
    p95s: P95s | None = None,
    factors: Sequence[float] = (),
) -> Crossover:
    """Where the p95 of `sizes` (ascending in users) crosses `slo_ms`.

    Args:
        sizes: as measured.
        slo_ms: the objective.
        p95s: of the sizes, where they are known already (`p95s_of`).
        factors: what each size's times are multiplied by; 1 if left out.

    Raises:
        ValueError: no sizes, not ascending, a size without calls, or an objective ≤ 0.
    """
    users = [size.users for size in sizes]
    if not sizes or users != sorted(set(users)) or users[0] <= 0:
        raise ValueError("sizes must be positive, distinct and ascending")
    if slo_ms <= 0 or any(size.calls_ms.size == 0 for size in sizes):
        raise ValueError("a crossover needs calls at each size and a positive objective")
    known = p95s or p95s_of(sizes)
    moved = np.log(factors) if len(factors) else np.zeros(len(sizes))
    (least,), (most,), (above,) = _crossings(sizes, slo_ms, known.measured + moved)
    lows, highs, _ = _crossings(sizes, slo_ms, known.drawn + moved)
    tail = int((1 - CONFIDENCE) / 2 * len(lows))
    # Order statistics, not interpolated: an infinite neighbour would make a bound infinite.
    low, high = float(np.sort(lows)[tail]), float(np.sort(highs)[-1 - tail])
    around = range(max(0, above - 1), min(above + 1, len(sizes)))
    if any(sizes[at].calls_ms.size < CALLS_MIN and not _tails(sizes, at) for at in around):
        low = min(low, _bounded_below(sizes[:above], slo_ms))
    outcome = Outcome.WITHIN
    if above in (0, len(sizes)):
        outcome = Outcome.ABOVE if above else Outcome.BELOW
    elif most - least > math.log(GAP_FACTOR_MAX):
        outcome = Outcome.BETWEEN
        low, high = min(low, least), max(high, most)
    return Crossover(
        outcome=outcome,
        users=math.exp((least + most) / 2) if outcome is Outcome.WITHIN else None,
        low=math.exp(low) if math.isfinite(low) else None,
        high=math.exp(high) if math.isfinite(high) else None,
        smallest=users[0],
        largest=users[-1],
        calls=min(sizes[place].calls_ms.size for place in around),
    )


def _tails(sizes: Sequence[Size], place: int) -> tuple[Array, ...]:
    """What is lent to the p95 of one size."""
    if sizes[place].tails:
        return sizes[place].tails
    plan = next(plan for plan in _plans(sizes) if place in plan)
    others = [sizes[other].calls_ms for other in plan if other != place]
    return tuple(tail_of(calls) for calls in others if calls.size >= LENDER_CALLS_MIN)


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
    places = [law.log_users(slo_ms) for law in laws]
    for at, (plan, place) in enumerate(zip(plans, places, strict=True)):
        inside = (above > plan.start) & (above < plan.stop)
        low[inside] = high[inside] = place[inside]
        if plan.start:  # between its first size and the one before, whose plan is another
            changed = above == plan.start
            gap = np.log(users[plan.start - 1 : plan.start + 1])
            before = places[at - 1] if len(plans[at - 1]) > 1 else None
            ends = _in_gap(place, before, *gap)
            low[changed], high[changed] = (end[changed] for end in ends)
    return low, high, above


def _in_gap(place: Array, before: Array | None, below: float, first: float) -> tuple[Array, Array]:
    """Where N* lies between `below` and `first`, log users, between which the plan changes.

    One of the two plans is in use there, each on its law: N* lies between the places where these
    meet the objective. `before` is that of the smaller sizes' plan; None where one size says
    nothing of its growth, and then the other's is followed no further than `GAP_FACTOR_MAX`.
    """
    if before is None:
        near = place >= first - math.log(GAP_FACTOR_MAX)
        low, high = np.where(near, place, below), np.full_like(place, first)
    else:
        low, high = np.minimum(place, before), np.maximum(place, before)
    return np.clip(low, below, first), np.clip(high, below, first)


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
