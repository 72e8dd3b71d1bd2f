"""How often the interval of N* holds an N* that is known, and how narrow it is: simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.crossover import RUN_DEVIATION, SIZE_DEVIATION, Size, crossover

SLO_MS = 50.0
# As the default budget of a run makes them: users, blocks, calls per block, calls alone.
SIZES = ((1_000, 12, 10, 0), (3_000, 12, 4, 0), (10_000, 12, 1, 24), (30_000, 12, 1, 24))
LARGEST = (100_000, 12, 1, 0)
TECHNIQUES = 120

Law = tuple[float, float]
"""Fixed part in ms, and power; the factor is such that the p95 crosses at a known N*."""


def drawn(random: np.random.Generator, *shape: int, spread: float) -> np.ndarray:
    """Times around 1: users that differ, blocks that differ, and one call in twenty disturbed."""
    users = np.exp(random.normal(0.0, spread, shape))
    blocks = np.exp(random.normal(0.0, 0.02, (shape[0], 1)))
    disturbed = np.where(random.random(shape) < 0.05, random.uniform(1.0, 1.3, shape), 1.0)
    return np.asarray(users * blocks * disturbed)


def simulated(random: np.random.Generator) -> tuple[float, float | None, float | None]:
    """A known N*, and the interval that a run gives for it."""
    spread = random.uniform(0.01, 0.12)
    high = float(np.percentile(drawn(random, 4_000, 10, spread=spread), 95))
    n_star = math.exp(random.uniform(math.log(2_500), math.log(70_000)))
    fixed, power = random.uniform(0.0, 4.0), random.uniform(0.7, 1.3)
    of_run = math.exp(random.normal(0.0, RUN_DEVIATION))
    sizes = []
    for users, blocks, calls, alone in (*SIZES, LARGEST):
        level = fixed + (SLO_MS / high - fixed) * (users / n_star) ** power
        level *= math.exp(random.normal(0.0, SIZE_DEVIATION))
        times = level * of_run * drawn(random, blocks, calls, spread=spread)
        more = level * of_run * drawn(random, max(alone, 1), 1, spread=spread)[:alone, 0]
        sizes.append(Size(users, times, "scan", more))
    found = crossover(sizes, SLO_MS)
    return n_star, found.low, found.high


@pytest.fixture(scope="module")
def runs() -> list[tuple[float, float | None, float | None]]:
    random = np.random.default_rng(2026)
    return [simulated(random) for _ in range(TECHNIQUES)]


def test_the_interval_holds_the_true_n_star(
    runs: list[tuple[float, float | None, float | None]],
) -> None:
    held = [(low or 0.0) <= n_star <= (high or math.inf) for n_star, low, high in runs]
    assert sum(held) >= 0.93 * TECHNIQUES


def test_most_intervals_lie_within_a_factor_of_one_and_a_half(
    runs: list[tuple[float, float | None, float | None]],
) -> None:
    narrow = [low is not None and high is not None and high <= 1.5 * low for _, low, high in runs]
    assert sum(narrow) >= 0.8 * TECHNIQUES
