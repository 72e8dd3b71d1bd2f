"""A p95 from few calls: how far it lies above the median is partly taken from other statements.

Numbers in and out. A median is known from a dozen calls, a p95 is not: 36 calls leave its upper end
open (`stats.quantile`). How far it lies above the median hangs on users that differ and on what
disturbs the machine, and is alike for statements that take about as long on one machine on one day.
So a statement's calls are seen as drawn from a distribution that is itself drawn around theirs: a
Dirichlet process (Ferguson 1973, https://doi.org/10.1214/aos/1176342360), whose posterior is the
Bayesian bootstrap (Rubin 1981, https://doi.org/10.1214/aos/1176345338) of its own calls and of
`BORROWED_CALLS` of theirs. With a hundred calls of its own theirs hardly count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

P95 = 0.95

BORROWED_CALLS = 20
"""So many calls of its own count as much as all that is known of others (docs/decisions/0021)."""

LENDERS_MIN = 3
LENDERS_MAX = 8
LENDER_FACTOR_MAX = 2.5
"""Statements lend whose median is at most so many times longer or shorter: what a processor's cache
or a scheduler does to a call of 1 ms says little of one of 50 ms."""
LENDER_CALLS_MIN = 30
"""Of fewer calls the slowest is no p95 either."""
POINTS = 40
"""Of each lender, at equal steps of its calls: two of them beyond its p95."""

Array = npt.NDArray[np.float64]


def tail_of(calls: Array) -> Array:
    """What a statement lends: its calls as ratios to their median, at most `POINTS` of them."""
    ordered = np.sort(calls, axis=None) / np.median(calls)
    if ordered.size <= POINTS:
        return ordered
    found: Array = ordered[((np.arange(POINTS) + 0.5) / POINTS * ordered.size).astype(int)]
    return found


def nearest(median: float, others: list[tuple[float, Array]]) -> tuple[Array, ...]:
    """The tails of those of `others`, each with its median, that take about as long.

    Where hardly any do, the nearest.
    """
    off = sorted((abs(float(np.log(each / median))), at) for at, (each, _) in enumerate(others))
    near = sum(each <= np.log(LENDER_FACTOR_MAX) for each, _ in off)
    return tuple(others[at][1] for _, at in off[: min(max(near, LENDERS_MIN), LENDERS_MAX)])


def p95_of(calls: Array, tails: tuple[Array, ...]) -> float:
    """The likeliest p95 of `calls` (at least one), helped out by `tails`; in their unit."""
    median = float(np.median(calls))
    ratios = np.concatenate([calls.ravel() / median, *tails])
    weights = np.concatenate([np.ones(calls.size), *_shares(tails)])
    return median * float(_quantiles(ratios, weights[None, :])[0])


def p95_draws(
    blocks: Array, tails: tuple[Array, ...], random: np.random.Generator, draws: int
) -> Array:
    """Where the p95 may lie: as many draws as asked for, in the unit of `blocks`.

    Args:
        blocks: calls that may be alike in a row, which are drawn together; shape (blocks, calls).
        tails: of other statements (`tail_of`); without them no draw exceeds the slowest call.
        random: draws.
        draws: how many.
    """
    count, each = blocks.shape
    median = float(np.median(blocks))
    ratios = blocks.ravel() / median

    def own() -> Array:
        return np.repeat(random.exponential(1.0, (draws, count)), each, axis=1)

    medians = _quantiles(ratios, own(), 0.5)
    borrowed = [random.gamma(share, 1.0, (draws, share.size)) for share in _shares(tails)]
    weights = np.concatenate([own(), *borrowed], axis=1)
    found: Array = median * medians * _quantiles(np.concatenate([ratios, *tails]), weights)
    return found


def _shares(tails: tuple[Array, ...]) -> list[Array]:
    """Weights of borrowed calls: `BORROWED_CALLS` in sum, every lender the same."""
    return [np.full(tail.size, BORROWED_CALLS / len(tails) / tail.size) for tail in tails]


def _quantiles(values: Array, weights: Array, share: float = P95) -> Array:
    """Of `values`, the smallest with so much of the weight at or below it; one for each row.

    Between two values of equal weight it lies in their middle, as a percentile does.
    """
    order = np.argsort(values)
    ordered, heavy = values[order], weights[:, order]
    # Each value stands for the middle of its weight.
    reached = (np.cumsum(heavy, axis=1) - heavy / 2) / heavy.sum(axis=1, keepdims=True)
    above = np.clip((reached < share).sum(axis=1), 1, len(values) - 1) if len(values) > 1 else None
    if above is None:
        return np.full(len(weights), ordered[0])
    rows = np.arange(len(weights))
    low, high = reached[rows, above - 1], reached[rows, above]
    step = np.clip((share - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
    found: Array = ordered[above - 1] + step * (ordered[above] - ordered[above - 1])
    return found
