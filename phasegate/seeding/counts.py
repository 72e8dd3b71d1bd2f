"""How many rows an owner has: a fixed number, or drawn from a distribution.

Pure: of (seed, table, owner).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import activity_rank, hashed, rounded, thresholds
from phasegate.project.declared import Table
from phasegate.project.population import ROWS_FEW_MAX
from phasegate.seeding.entity import I64, Entity

if TYPE_CHECKING:
    from phasegate.seeding.population import Population

# Counts are looked up in tables of this many equally likely outcomes.
QUANTILE_BITS = 12
# Of the distance between two midpoints: fifty times what `rounded` moves a share by.
CLOSE = 1e-4
# Those of so many small numbers are worked out once.
_LOG_FACTORIALS = 4096

Counts = NDArray[np.unsignedinteger]


@lru_cache(maxsize=64)
def geometric_bounds(mean: float, most: int) -> tuple[int, ...]:
    """Bounds on 0..2^32 of the numbers 1, 2, …, `most`, geometric from 1 on."""
    stop = 1 / mean
    shares = [stop * (1 - stop) ** number for number in range(most - 1)]
    return thresholds([*shares, max(0.0, 1 - sum(shares))])


@lru_cache(maxsize=1024)
def poisson_quantiles(mean: float) -> NDArray[np.uint16]:
    """Counts of a Poisson distribution at the 2^12 midpoints of equally likely outcomes."""
    spread = 8 * math.sqrt(mean) + 8
    first = max(0, math.floor(mean - spread))
    counts = np.arange(first, math.ceil(mean + spread) + 1)
    masses = np.exp(counts * math.log(mean) - mean - _log_factorials(counts))
    bounds = np.cumsum(masses) / masses.sum()
    outcomes = 1 << QUANTILE_BITS
    # Rounding is slow, and matters only where it could move a bound across a midpoint.
    places = bounds * outcomes - 0.5
    for close in np.flatnonzero(np.abs(places - np.rint(places)) < CLOSE):
        places[close] = rounded(float(bounds[close])) * outcomes - 0.5
    # A count's outcomes end with the last midpoint that is not above its bound.
    ends = np.clip(np.floor(places).astype(np.int64) + 1, 0, outcomes)
    ends[-1] = outcomes
    ends[1:] -= ends[:-1].copy()
    return np.repeat(counts, ends).astype(np.uint16)


def _log_factorials(counts: I64) -> NDArray[np.float64]:
    """ln(n!) of consecutive numbers."""
    if counts[-1] < _LOG_FACTORIALS:
        return _first_log_factorials()[counts[0] : counts[-1] + 1]
    return np.array([math.lgamma(count + 1) for count in counts.tolist()])


@lru_cache(maxsize=1)
def _first_log_factorials() -> NDArray[np.float64]:
    return np.array([math.lgamma(count + 1) for count in range(_LOG_FACTORIALS)])


def most_rows(table: Table) -> int:
    """The most rows that an owner of `table` can have, where it is not one with activity."""
    rows = table.rows
    if table.fixed is not None:
        return table.fixed
    if rows.mean is not None:
        return int(poisson_quantiles(rows.mean).max())
    return 1 if rows.share is not None else rows.max


def drawn_counts(population: Population, table: Table, owner: Entity, indices: I64) -> I64:
    """Rows of `table` that the rows `indices` of `owner`, which is kept, have."""
    if table.fixed is not None:
        return np.full(indices.size, table.fixed, dtype=np.int64)
    rows = table.rows
    chance = hashed(population.key(f"{table.name}: rows"), indices.view(np.uint64))
    if rows.mean is not None:
        return _poisson(population, table, owner, indices, chance)
    rank = chance & np.uint64(0xFFFFFFFF)
    if rows.share is not None:
        return (rank < np.uint64(round(rows.share * (1 << 32)))).astype(np.int64)
    if rows.follow_activity and not table.is_global:
        users = owner.above.get(population.declared.users_table)
        user = indices if users is None else users.take(indices)
        activity = activity_rank(population.seed, user.astype(np.uint64))
        follows = np.uint64(round(rows.follow_activity * (1 << 32)))
        rank = np.where(chance >> np.uint64(32) < follows, activity, rank)
    bounds = np.array(geometric_bounds(rows.from_one_mean or 1, rows.max), dtype=np.uint64)
    return np.searchsorted(bounds, rank, side="right") + 1


def _poisson(
    population: Population, table: Table, owner: Entity, indices: I64, chance: NDArray[np.uint64]
) -> I64:
    """Of the mean; where the owner has a life, in proportion to its user's activity."""
    mean = table.rows.mean or 0.0
    place = (chance >> np.uint64(64 - QUANTILE_BITS)).view(np.int64)
    if table.is_global or table.is_of_event:
        return poisson_quantiles(mean).take(place).astype(np.int64)
    steps = population.steps(owner, indices)
    found = np.zeros(indices.size, dtype=np.int64)
    for step in np.unique(steps):
        of_step = steps == step
        found[of_step] = poisson_quantiles(mean * population.activities[step]).take(place[of_step])
    return np.minimum(found, ROWS_FEW_MAX)
