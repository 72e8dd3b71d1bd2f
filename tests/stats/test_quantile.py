"""Bounds of a p95 and of N* on simulated times whose truth is known: how often they hold it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from phasegate.stats.crossover import Crossover, P95s, Size, crossover, p95s_of
from phasegate.stats.quantile import CALLS_MIN, between_calls, p95_bounds

Array = npt.NDArray[np.float64]
Times = Callable[[np.random.Generator, int], Array]


def even(random: np.random.Generator, n: int) -> Array:
    return np.exp(random.normal(0, 0.02, n))


def skewed(random: np.random.Generator, n: int) -> Array:
    return 1 + 0.05 * random.exponential(1, n)


def wide(random: np.random.Generator, n: int) -> Array:
    return random.exponential(1, n)


def disturbed(random: np.random.Generator, n: int) -> Array:
    """Six calls in a hundred take half as long again: a dozen calls mostly show none of them."""
    return even(random, n) * np.where(random.random(n) < 0.06, 1.5, 1.0)


SHAPES = (even, skewed, wide, disturbed)


def within_a_run(sizes: list[Size]) -> P95s:
    return p95s_of([replace(size, deviation=0.0) for size in sizes], run_deviation=0.0)


def true_p95(times: Times) -> float:
    return float(np.percentile(times(np.random.default_rng(9), 500_000), 95))


@pytest.mark.parametrize("times", SHAPES)
@pytest.mark.parametrize("calls", [6, 12, 30, CALLS_MIN, 150])
def test_the_p95_lies_within_its_bounds_whatever_the_distribution(times: Times, calls: int) -> None:
    random, truth, cases = np.random.default_rng(1), true_p95(times), 250
    found = [p95_bounds(times(random, calls)) for _ in range(cases)]
    held = sum(low <= truth <= high for low, high in found) / cases
    assert held >= 0.92  # 0.95 less two deviations of so many cases
    assert all(math.isfinite(high) == (calls >= CALLS_MIN) for _, high in found)


def test_by_hand_one_call_lies_below_the_p95_in_95_of_100_draws() -> None:
    low, high = between_calls(np.array([7.0]), np.random.default_rng(1), 100)
    assert sorted(low.tolist()) == [0.0] * 5 + [7.0] * 95
    assert sorted(high.tolist()) == [7.0] * 5 + [math.inf] * 95


def test_with_many_calls_the_bounds_close_in_on_the_p95() -> None:
    low, high = p95_bounds(np.arange(1, 10_001, dtype=float))
    # ±1.96 · sqrt(10,000 · 0.95 · 0.05) = ±43 calls.
    assert low == pytest.approx(9_457, abs=3)
    assert high == pytest.approx(9_544, abs=3)


@pytest.mark.parametrize("times", SHAPES)
@pytest.mark.parametrize("calls", [6, 12, 30, 77])
def test_n_star_lies_within_its_interval_whatever_the_distribution(
    times: Times, calls: int
) -> None:
    """Times in proportion to the users, `calls` at the largest size and enough below it."""
    random, truth, cases = np.random.default_rng(3), 50_000 / true_p95(times), 30
    held = 0
    for _ in range(cases):
        sizes = [
            Size(users, times(random, n).reshape(-1, 1) * users / 1_000, "scan")
            for users, n in ((1_000, 12), (10_000, 105), (100_000, calls))
        ]
        found = crossover(sizes, 50.0, p95s=within_a_run(sizes))
        held += (found.low or 0) <= truth <= (found.high or math.inf)
    assert held / cases >= 0.9


def test_n_star_has_a_lower_bound_near_it_only_with_enough_calls() -> None:
    random = np.random.default_rng(5)

    def found_with(*calls: int, plans: str = "aaa") -> Crossover:
        sizes = [
            Size(users, even(random, n).reshape(-1, 1) * users / 1_000, plan)
            for users, n, plan in zip((1_000, 10_000, 100_000), calls, plans, strict=True)
        ]
        return crossover(sizes, 50.0, p95s=within_a_run(sizes))

    for calls in ((120, 120, 77), (120, 120, 12), (120, 12, 77), (120, 12, 12)):
        assert found_with(*calls).low == pytest.approx(48_400, rel=0.07)
    # Calls of another plan say nothing, and two dozen are too few: what is sure to keep its
    # objective is the smallest size alone.
    few = found_with(120, 12, 12, plans="abb")
    assert few.few_calls
    assert few.low == pytest.approx(1_000)


def test_calls_made_alone_count_for_the_p95() -> None:
    few = Size(1_000, np.full((12, 1), 10.0), "scan", alone_ms=np.full(65, 20.0))
    assert few.p95_ms == 20.0
    assert few.calls_ms.size == 77
