"""Change points: which hold, and what a slow rise looks like, in numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from phasegate.stats.drift import ChangePoint, cusum_pvalue, holds, raised, reference_nights, rise

POINT = ChangePoint(
    night="n10", index=10, before=1.0, after=1.05, pvalue=1e-6, nights_after=3
)  # fmt: skip


def names(count: int) -> list[str]:
    return [f"n{index}" for index in range(count)]


def quiet(count: int, spread: float = 0.01) -> list[float]:
    """About 1, up and down by turns."""
    return [math.exp(spread if index % 2 else -spread) for index in range(count)]


def test_a_change_point_holds_if_it_is_large_certain_and_three_nights_old():
    assert holds(POINT)
    assert holds(replace(POINT, after=1 / 1.05))
    assert not holds(replace(POINT, nights_after=2))
    assert not holds(replace(POINT, pvalue=2e-4))
    assert not holds(replace(POINT, after=1.029))


def test_a_series_without_change_points_does_not_rise():
    assert rise(()) is None
    assert rise((replace(POINT, nights_after=1),)) is None


def test_a_slow_down_is_a_rise_and_a_mended_one_is_none():
    found = rise((POINT,))
    assert found is not None
    assert (found.since, found.ratio) == ("n10", pytest.approx(1.05))
    mended = replace(POINT, night="n20", index=20, before=1.05, after=1.005)
    assert rise((POINT, mended)) is None


def test_steps_add_up_and_are_counted_from_the_lowest_level():
    faster = replace(POINT, night="n5", index=5, before=1.0, after=0.9)
    first = replace(POINT, night="n10", before=0.9, after=0.94)
    second = replace(POINT, night="n20", before=0.94, after=0.99)
    found = rise((faster, first, second))
    assert found is not None
    assert (found.since, found.ratio) == ("n10", pytest.approx(0.99 / 0.9))


def test_the_false_alarms_of_a_cusum_follow_siegmunds_formula():
    # k = 1, h = 3: u = 2 · 4.166; (e^8.332 - 8.332 - 1) / 2 = 2,073.6 nights.
    assert cusum_pvalue(1.0, 3.0) == pytest.approx(1 / 2073.6, rel=1e-3)
    assert cusum_pvalue(0.0, 5.0) == 1.0
    assert cusum_pvalue(3.0, 1e6) > 0


def test_the_reference_ends_a_week_ago_and_takes_a_week_at_least():
    assert [reference_nights(n) for n in (10, 14, 20, 100)] == [7, 7, 13, 14]


def test_quiet_nights_do_not_rise_however_many():
    assert raised(names(200), quiet(200)) is None
    assert raised(names(5), [1.0, 1.1, 1.2, 1.3, 1.4]) is None


def test_a_slope_of_five_percent_in_seven_nights_is_found_by_the_seventh():
    ratios = quiet(20, 0.005) + [math.exp(math.log(1.05) * night / 7) for night in range(1, 8)]
    found = raised(names(27), ratios)
    assert found is not None
    assert found.detector == "raised"
    # Nights 1 and 2 rise by 0.7% and 1.4%, less than the allowance of 1.5%; the third does not.
    assert found.night == "n22"
    assert found.before == pytest.approx(1.0, abs=0.002)
    # The median of nights 5 to 7: 1.05^(6/7).
    assert found.after == pytest.approx(1.05 ** (6 / 7))
    assert raised(names(24), ratios[:24]) is None


def test_a_slope_in_a_series_that_stands_elsewhere_is_found_too():
    ratios = [value * 0.8 for value in quiet(20, 0.005)]
    ratios += [0.8 * math.exp(math.log(1.05) * min(night, 7) / 7) for night in range(1, 9)]
    found = raised(names(28), ratios, offset=40)
    assert found is not None
    assert found.index == 62
    assert found.ratio == pytest.approx(1.05, abs=0.01)


def test_one_bad_night_is_no_rise_nor_are_two():
    assert raised(names(24), [*quiet(20), 1.3, 1.0, 1.0, 1.0]) is None
    assert raised(names(24), [*quiet(20), 1.0, 1.3, 1.3, 1.0]) is None


def test_noise_that_grew_with_the_slope_is_no_finding():
    noisy = quiet(20, 0.03)
    rising = [value * 1.03 for value in quiet(6, 0.03)]
    assert raised(names(26), [*noisy, *rising]) is None
