"""Theil-Sen and Mann-Kendall, with numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.trend import trend


def test_a_straight_line_has_its_own_slope_and_no_doubt() -> None:
    times = np.arange(10.0)
    found = trend(times, 3 + 2 * times)
    assert found is not None
    assert (found.slope, found.low, found.high) == pytest.approx((2, 2, 2))
    # All 45 pairs rise: S = 45, variance 10 · 9 · 25 / 18 = 125, z = 44 / √125.
    assert found.pvalue == pytest.approx(math.erfc(44 / math.sqrt(125) / math.sqrt(2)))
    assert found.is_one


def test_one_wild_point_hardly_moves_the_slope() -> None:
    times = np.arange(12.0)
    values = 5 + times
    values[6] = 500.0
    found = trend(times, values)
    assert found is not None
    assert found.slope == pytest.approx(1.0)
    assert found.low <= 1.0 <= found.high < 2


def test_the_ranks_of_the_interval_are_those_of_the_slopes_in_order() -> None:
    # 2, 1, 4, 3, …: S = 45 - 2 · 5 = 35. M = 45 slopes, C = 1.96 · √125 = 21.91: ranks
    # (45 - 21.91) / 2 = 11.5 and 33.5, the 12th slope and the 35th (Gilbert, 16.5).
    values = np.array([2, 1, 4, 3, 6, 5, 8, 7, 10, 9.0])
    found = trend(np.arange(10.0), values)
    assert found is not None
    slopes = sorted((values[j] - values[i]) / (j - i) for i in range(10) for j in range(i + 1, 10))
    assert found.slope == pytest.approx(1.0)
    assert (found.low, found.high) == pytest.approx((slopes[11], slopes[34]))
    assert found.pvalue == pytest.approx(math.erfc(34 / math.sqrt(125) / math.sqrt(2)))


def test_few_points_have_no_trend_and_equal_ones_a_slope_of_none() -> None:
    assert trend(np.arange(9.0), np.arange(9.0)) is None
    flat = trend(np.arange(20.0), np.full(20, 7.0))
    assert flat is not None
    assert (flat.slope, flat.pvalue, flat.is_one) == (0.0, 1.0, False)


def test_noise_is_a_trend_in_one_case_of_a_hundred_also_where_neighbours_are_alike() -> None:
    random = np.random.default_rng(3)
    alike = 0
    for _ in range(400):
        noise = random.normal(size=40)
        for i in range(1, 40):
            noise[i] += 0.4 * noise[i - 1]
        found = trend(np.arange(40.0), noise)
        alike += found is not None and found.is_one
    assert alike <= 10  # 4 expected; without the correction it is 5 times as many
