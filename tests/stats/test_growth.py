"""The law of growth: found again where it is known, and its ends."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.growth import fit

SIZES = np.array([1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0])
EVEN = np.ones(len(SIZES))


def test_a_fixed_part_and_a_power_are_found_again() -> None:
    # 2 ms and 50 ms per 100k users, to the power of 0.8.
    law = fit(SIZES, np.log([2.0 + 50.0 * (SIZES / 100_000) ** 0.8]), EVEN)
    assert law.fixed[0] == pytest.approx(2.0, rel=1e-6)
    assert law.factor[0] == pytest.approx(50.0, rel=1e-6)
    assert law.power[0] == pytest.approx(0.8)
    # 27 ms: (25 / 50) to the power of 1 / 0.8 of 100k.
    assert math.exp(law.log_users(27.0)[0]) == pytest.approx(100_000 * 0.5**1.25, rel=1e-6)
    assert math.exp(law.log_times(3_000)[0]) == pytest.approx(2.0 + 50.0 * 0.03**0.8, rel=1e-6)


def test_a_size_weighs_as_much_as_it_has_calls() -> None:
    # In proportion to the users but for the largest, which is a tenth too slow.
    times = np.log([SIZES * [0.001, 0.001, 0.001, 0.001, 0.0011]])
    few, many = (fit(SIZES, times, np.array([9, 9, 9, 9, calls])) for calls in (1.0, 1_000.0))
    off = [abs(law.log_times(100_000)[0] - math.log(110)) for law in (few, many)]
    assert off[1] < 0.01 < off[0]


def test_what_does_not_grow_or_falls_is_constant_and_never_crosses() -> None:
    law = fit(SIZES, np.log([np.full(5, 3.0), [5.0, 4.0, 3.0, 2.0, 1.0]]), EVEN)
    assert np.exp(law.log_times(50_000)) == pytest.approx([3.0, 25 / 14.6], rel=0.2)
    assert (law.log_users(10.0) > math.log(1e9)).all()


def test_one_size_is_its_own_time() -> None:
    law = fit(np.array([10_000.0]), np.log([[7.0]]), np.ones(1))
    assert math.exp(law.log_times(10_000)[0]) == pytest.approx(7.0)
