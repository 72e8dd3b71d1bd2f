"""The statistics of pairs, against numbers worked out by hand, R, and the undefined cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.stats.paired import (
    RUN_DEVIATION,
    ComparisonResult,
    Ratio,
    TurnSpread,
    between_runs,
    judge,
    lag1_correlation,
    ratio,
    ratio_of_logs,
    turn_deviation,
    turn_spread,
    walsh_averages,
)


def interval(low: float, estimate: float, high: float) -> Ratio:
    return Ratio(estimate, low, high, 30, 30.0, 0.0, 0.95, 1.05)


def test_walsh_averages_of_three_values_are_the_six_means_of_pairs() -> None:
    assert walsh_averages(np.array([1.0, 2.0, 6.0])).tolist() == [1.0, 1.5, 2.0, 3.5, 4.0, 6.0]


def test_the_estimate_is_the_median_walsh_average_of_the_log_ratios() -> None:
    # Ratios 2, 4, 64 have binary logarithms 1, 2, 6; the median of the six Walsh averages is 2.75.
    found = ratio([1.0, 1.0, 1.0], [2.0, 4.0, 64.0])
    assert found.estimate == pytest.approx(2**2.75)


def test_six_blocks_span_the_interval_from_the_least_to_the_greatest() -> None:
    # P(T = 0) = 1/64 = 0.0156 ≤ 0.025 < P(T ≤ 1) = 2/64: the extreme Walsh averages.
    found = ratio_of_logs(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])[[3, 0, 5, 2, 4, 1]])
    assert (found.low, found.high) == pytest.approx((math.exp(0.1), math.exp(0.6)))


def test_ten_blocks_leave_out_eight_walsh_averages_on_each_side() -> None:
    # The tables give T = 8 for n = 10, two-sided 5%: qsignrank(0.025, 10) = 9, so the interval
    # runs from the 9th smallest of the 55 Walsh averages to the 9th largest.
    logs = np.array([5.0, 1, 8, 2, 10, 4, 7, 3, 9, 6]) / 100
    walsh = walsh_averages(logs)
    found = ratio_of_logs(logs)
    assert found.low == pytest.approx(math.exp(walsh[8]))
    assert found.high == pytest.approx(math.exp(walsh[-9]))


def test_five_blocks_are_too_few_for_an_interval_at_95_percent() -> None:
    # 2 · 1/32 = 6.25% > 5%.
    found = ratio([1.0] * 5, [2.0] * 5)
    assert found.estimate == pytest.approx(2.0)
    assert (found.low, found.high) == (0.0, math.inf)
    assert found.log_half_width == math.inf
    assert judge(found) is ComparisonResult.CANNOT_TELL


def test_the_exact_and_the_approximate_interval_agree_where_they_meet() -> None:
    logs = np.random.default_rng(1).normal(0.0, 0.1, 400)
    exact, approximate = ratio_of_logs(logs[:50]), ratio_of_logs(logs[:51])
    assert exact.log_half_width == pytest.approx(approximate.log_half_width, rel=0.1)


def test_95_percent_intervals_cover_the_truth_in_95_percent_of_cases() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        found = ratio_of_logs(random.normal(0.03, 0.1, 20))
        covered += found.low <= math.exp(0.03) <= found.high
    assert 0.92 <= covered / 400 <= 0.99


def test_what_differs_between_runs_adds_to_the_interval_as_a_square() -> None:
    # Half widths of 0.03 and, in one turn, 1.96 · √(0.02² + 0.06²) = 0.1240: together 0.1275.
    within = Ratio(0.5, 0.5 * math.exp(-0.03), 0.5 * math.exp(0.03), 30, 30.0, 0.0, 0.95, 1.05)
    found = between_runs(within, 1, 0.06)
    assert found.estimate == 0.5
    assert found.log_half_width == pytest.approx(0.1275, abs=1e-4)
    assert math.log(found.high / found.estimate) == pytest.approx(found.log_half_width)
    # In three turns 1.96 · √(0.02² + 0.06²/3) = 0.0784, together 0.0839.
    assert between_runs(within, 3, 0.06).log_half_width == pytest.approx(0.0839, abs=1e-4)
    assert math.isinf(between_runs(ratio([1.0] * 5, [2.0] * 5)).high)


def test_by_hand_turns_differ_by_more_than_their_blocks_explain() -> None:
    # Means of 0, 0.3 and 0.6 have a variance of 0.09; blocks of a turn differ by ±0.1 from theirs:
    # 6 · 0.01 / 3 degrees of freedom = 0.02, halved for a mean of two.
    logs = np.array([-0.1, 0.1, 0.2, 0.4, 0.5, 0.7])
    found = turn_spread(logs, [2, 4, 6])
    assert found is not None
    assert found.of_means == pytest.approx(0.09)
    assert found.by_blocks == pytest.approx(0.01)
    assert turn_spread(logs, [6]) is None
    assert turn_spread(logs[:3], [1, 2, 3]) is None
    assert turn_spread(logs, []) is None


def test_by_hand_many_comparisons_say_how_far_turns_differ_and_none_leaves_what_was_seen() -> None:
    assert turn_deviation([], 0.05) == pytest.approx(0.05, rel=1e-3)
    # Ten as on other days, 0.05², and ten whose means have a variance of 0.02: their mean is right.
    ten = [TurnSpread(0.02, 0.0)] * 10
    assert turn_deviation(ten, 0.05) == pytest.approx(math.sqrt((0.05**2 + 0.02) / 2), rel=1e-3)
    # One wild comparison counts for nine of it at most: (10 · 0.05²) / (11 − 9) = 0.0125.
    assert turn_deviation([TurnSpread(9.0, 0.0)], 0.05) == pytest.approx(
        math.sqrt(0.0125), rel=1e-3
    )


@pytest.mark.parametrize("turn", [0.02, 0.12])
def test_intervals_of_runs_hold_the_truth_on_a_quiet_day_and_on_a_wild_one(turn: float) -> None:
    """Thirty comparisons a run, of six to thirty blocks in three turns; three had but one turn."""
    random, held, cases = np.random.default_rng(1), 0, 0
    for _ in range(12):
        blocks = [3 * int(n) for n in random.integers(2, 11, 30)]
        truth = random.normal(0.0, 1.0, 30)
        logs, turns = [], []
        for place, n in enumerate(blocks):
            count = 1 if place % 10 == 0 else 3
            shift = np.repeat(random.normal(0.0, turn, count), n // count)
            level = truth[place] + random.normal(0.0, RUN_DEVIATION)
            logs.append(level + shift + random.normal(0.0, 0.08, n))
            turns.append([n * (each + 1) // count for each in range(count)])
        spreads = [turn_spread(each, ends) for each, ends in zip(logs, turns, strict=True)]
        deviation = turn_deviation([each for each in spreads if each])
        for each, ends, true in zip(logs, turns, truth, strict=True):
            found = between_runs(ratio_of_logs(each), len(ends), deviation)
            held += found.low <= math.exp(true) <= found.high
            cases += 1
    assert held / cases >= 0.93


def test_correlated_blocks_count_for_fewer() -> None:
    # A slow wave: neighbours are alike.
    wave = np.sin(np.arange(40) / 4) / 10
    found = ratio_of_logs(wave)
    rho = lag1_correlation(wave)
    assert rho > 0.9
    assert found.n_effective == pytest.approx(40 * (1 - min(rho, 0.95)) / (1 + min(rho, 0.95)))
    shuffled = ratio_of_logs(np.random.default_rng(3).permutation(wave))
    assert found.log_half_width > 3 * shuffled.log_half_width


def test_lag_1_correlation_of_a_short_series_worked_by_hand() -> None:
    # Centred: -1.5 -0.5 0.5 1.5; products 0.75 - 0.25 + 0.75 = 1.25; squares 5.
    assert lag1_correlation(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.25)


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0, 2.0]])
def test_lag_1_correlation_is_zero_where_it_is_undefined(values: list[float]) -> None:
    assert lag1_correlation(np.array(values)) == 0.0


def test_the_minimal_detectable_effect_is_found_with_the_stated_power() -> None:
    random = np.random.default_rng(11)
    effects = [ratio_of_logs(random.normal(0.0, 0.1, 45)).minimal_detectable for _ in range(50)]
    # 45 blocks of σ = 10% find 5% with power 0.9.
    assert float(np.median(effects)) == pytest.approx(1.05, abs=0.006)


@pytest.mark.parametrize(
    ("low", "estimate", "high", "verdict"),
    [
        (0.50, 0.60, 0.70, ComparisonResult.IMPROVED),
        (1.50, 1.60, 1.70, ComparisonResult.REGRESSED),
        (0.97, 1.00, 1.03, ComparisonResult.NO_CHANGE),
        (1.01, 1.02, 1.03, ComparisonResult.NO_CHANGE),  # real, but smaller than what matters
        (1.01, 1.03, 1.06, ComparisonResult.CANNOT_TELL),
        (0.90, 1.00, 1.10, ComparisonResult.CANNOT_TELL),
        (0.99, 1.20, 1.50, ComparisonResult.CANNOT_TELL),
        (0.00, 0.10, math.inf, ComparisonResult.CANNOT_TELL),
    ],
)
def test_a_verdict_follows_from_the_interval_alone(
    low: float, estimate: float, high: float, verdict: ComparisonResult
) -> None:
    assert judge(interval(low, estimate, high)) is verdict


def test_an_effect_that_matters_must_be_above_one() -> None:
    with pytest.raises(ValueError, match="above 1"):
        judge(interval(1, 1, 1), effect_min=1.0)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([1.0], [1.0, 2.0], "not pairs"),
        ([], [], "no blocks"),
        ([0.0], [1.0], "positive"),
        ([1.0], [math.nan], "positive"),
        ([math.inf], [1.0], "positive"),
    ],
)
def test_what_is_no_pair_of_times_is_refused(
    before: list[float], after: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        ratio(before, after)


times = st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=60)


@given(times)
def test_swapping_the_arms_inverts_the_ratio(before: list[float]) -> None:
    after = [value * (1 + index % 7) for index, value in enumerate(before)]
    there, back = ratio(before, after), ratio(after, before)
    assert there.estimate * back.estimate == pytest.approx(1.0)
    assert there.low * back.high == pytest.approx(1.0)


@given(times)
def test_the_estimate_lies_inside_its_interval(before: list[float]) -> None:
    found = ratio(before, before[::-1])
    assert found.low * 0.999999 <= found.estimate <= found.high * 1.000001
