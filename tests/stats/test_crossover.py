"""N* against crossings worked out by hand, censored ends, and changes of plan."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from phasegate.stats.crossover import Crossover, Need, Outcome, P95s, Size, crossover, need, p95s_of
from phasegate.stats.paired import Ratio


def size(users: int, p95_ms: float, plan: str = "scan", spread: float = 0.0) -> Size:
    """Thirty blocks of four equal calls; `spread` is the deviation of their logarithm."""
    noise = np.random.default_rng(users).normal(0.0, spread, 30) if spread else np.zeros(30)
    return Size(users, np.repeat(p95_ms * np.exp(noise), 4).reshape(30, 4), plan)


def within_a_run(sizes: list[Size]) -> P95s:
    return p95s_of([replace(size, deviation=0.0) for size in sizes], run_deviation=0.0)


def ratio(estimate: float, width: float = 0.02) -> Ratio:
    spread = math.exp(width)
    return Ratio(estimate, estimate / spread, estimate * spread, 30, 30.0, 0.0, 0.95, 1.05)


def test_a_time_that_grows_with_the_users_crosses_where_proportion_says() -> None:
    # 1, 10, 100 ms at 1k, 10k, 100k users: 50 ms at 50k.
    sizes = [size(1_000, 1.0), size(10_000, 10.0), size(100_000, 100.0)]
    found = crossover(sizes, 50.0, p95s=within_a_run(sizes))
    assert found.outcome is Outcome.WITHIN
    assert found.users == pytest.approx(50_000)
    assert found.low == pytest.approx(50_000)
    assert found.high == pytest.approx(50_000)


def test_between_two_sizes_a_line_in_logarithms_is_followed() -> None:
    # From 2 ms at 1k to 20 ms at 100k: √40 ms is halfway in logarithms, at 10k.
    found = crossover([size(1_000, 2.0), size(100_000, 20.0)], math.sqrt(40))
    assert found.users == pytest.approx(10_000, rel=0.01)


def test_what_differs_between_runs_is_in_the_interval() -> None:
    sizes = [size(1_000, 1.0), size(10_000, 10.0), size(100_000, 100.0)]
    found = crossover(
        sizes,
        50.0,
        p95s=p95s_of([replace(each, deviation=0.0) for each in sizes], run_deviation=0.1),
    )
    assert found.low is not None
    assert found.high is not None
    # Times grow in proportion, so 1.96 deviations of a time are as many of N*.
    assert math.log(found.high / found.low) == pytest.approx(2 * 1.96 * 0.1, rel=0.15)


def test_a_few_calls_at_the_largest_size_borrow_the_spread_of_many_at_the_next() -> None:
    # 105 calls at 10k users reach 1.2 times their median; so may those of 100k, of which there are
    # twelve, all alike: N* may lie as much lower.
    many = np.repeat([8.0, 9.6], [95, 10])
    sizes = [
        size(1_000, 1.0),
        Size(10_000, np.random.default_rng(1).permutation(many).reshape(-1, 1), "scan"),
        Size(100_000, np.full((12, 1), 80.0), "scan"),
    ]
    found = crossover(sizes, 50.0, p95s=within_a_run(sizes))
    assert found.low is not None
    assert found.users is not None
    assert found.low < 0.9 * found.users


def test_noise_widens_the_interval_around_the_estimate() -> None:
    sizes = [size(1_000, 1.0, spread=0.3), size(100_000, 100.0, spread=0.3)]
    found = crossover(sizes, 20.0)
    assert found.low is not None
    assert found.users is not None
    assert found.high is not None
    assert found.low < found.users < found.high
    assert found.high / found.low > 1.05


def test_an_objective_that_is_never_broken_is_censored_at_the_largest_size() -> None:
    found = crossover([size(1_000, 1.0), size(100_000, 5.0)], 50.0)
    assert found == Crossover(Outcome.ABOVE, None, None, None, 1_000, 100_000, 120)


def test_an_objective_that_is_always_broken_is_censored_at_the_smallest_size() -> None:
    found = crossover([size(1_000, 60.0), size(100_000, 600.0)], 50.0)
    assert found == Crossover(Outcome.BELOW, None, None, None, 1_000, 100_000, 120)


def test_near_the_largest_size_only_the_upper_bound_is_censored() -> None:
    large = size(100_000, 50.0, spread=0.5)
    found = crossover([size(1_000, 1.0), large], 0.98 * large.p95_ms)
    assert found.low is not None
    assert found.high is None


def test_nothing_is_interpolated_across_a_change_of_plan() -> None:
    found = crossover([size(1_000, 1.0, "seq"), size(10_000, 100.0, "bitmap")], 10.0)
    assert found.outcome is Outcome.BETWEEN
    assert found.users is None
    assert (found.low, found.high) == (pytest.approx(1_000), pytest.approx(10_000))


def test_just_below_the_first_size_of_a_plan_its_law_is_followed() -> None:
    def found(at_10k: float) -> Crossover:
        of_plan = [size(10_000, at_10k, "scan"), size(100_000, 10 * at_10k, "scan")]
        return crossover([size(1_000, 1.0, "seq"), *of_plan], 50.0)

    near = found(52.0)  # linear: 50 ms at 9,615 users; and below 10,000 it lies
    assert near.outcome is Outcome.WITHIN
    assert near.users == pytest.approx(math.sqrt(10_000 * 50 / 52 * 10_000), rel=0.02)
    assert near.low is not None
    assert near.high is not None
    assert 10_000 / 1.5 < near.low < near.users < 10_000 < near.high < 12_000
    far = found(80.0)  # at 6,250: too far below to know its plan
    assert far.outcome is Outcome.BETWEEN
    assert (far.low, far.high) == (pytest.approx(1_000), pytest.approx(10_000))


def test_between_two_plans_each_is_on_its_law() -> None:
    # 50 ms on the first plan's law at 8,000 users, on the other's at 9,000.
    of_first = [size(1_000, 6.25, "seq"), size(3_000, 18.75, "seq")]
    of_other = [size(10_000, 55.6, "scan"), size(100_000, 556.0, "scan")]
    found = crossover([*of_first, *of_other], 50.0)
    assert found.outcome is Outcome.WITHIN
    assert found.users == pytest.approx(math.sqrt(8_000 * 9_000), rel=0.03)
    assert found.low is not None
    assert found.high is not None
    assert 6_000 < found.low < 8_000 < 9_000 < found.high < 10_500


def test_where_two_plans_laws_disagree_only_the_bounds_are_known() -> None:
    # On the first plan's law at 8,000 users, on the other's at 4,000.
    of_first = [size(1_000, 6.25, "seq"), size(3_000, 18.75, "seq")]
    of_other = [size(10_000, 125.0, "scan"), size(100_000, 1250.0, "scan")]
    found = crossover([*of_first, *of_other], 50.0)
    assert found.outcome is Outcome.BETWEEN
    assert found.users is None
    assert found.low is not None
    assert found.high is not None
    assert 2_999 < found.low < 4_100
    assert 7_900 < found.high < 10_001


def test_one_size_says_on_which_side_of_it_the_crossing_lies() -> None:
    assert crossover([size(1_000, 1.0)], 50.0).outcome is Outcome.ABOVE
    assert crossover([size(1_000, 51.0)], 50.0).outcome is Outcome.BELOW


@pytest.mark.parametrize(
    ("sizes", "slo_ms"),
    [
        ([], 50.0),
        ([size(10_000, 1.0), size(1_000, 1.0)], 50.0),
        ([size(1_000, 1.0), size(1_000, 1.0)], 50.0),
        ([size(1_000, 1.0)], 0.0),
        ([Size(1_000, np.empty((0, 1)), "scan")], 50.0),
    ],
)
def test_what_cannot_have_a_crossover_is_refused(sizes: list[Size], slo_ms: float) -> None:
    with pytest.raises(ValueError, match=r"sizes must be|needs calls"):
        crossover(sizes, slo_ms)


ABOVE = Crossover(Outcome.ABOVE, None, None, None, 1_000, 100_000, 120)
BELOW = Crossover(Outcome.BELOW, None, None, None, 1_000, 100_000, 120)
WITHIN = Crossover(Outcome.WITHIN, 20_000.0, 18_000.0, 22_000.0, 1_000, 100_000, 120)
BETWEEN = Crossover(Outcome.BETWEEN, None, 1_000.0, 10_000.0, 1_000, 100_000, 120)


@pytest.mark.parametrize(
    ("crossed", "small", "large", "answer"),
    [
        (WITHIN, ratio(1.0), ratio(0.1), Need.FROM),
        (BETWEEN, ratio(1.0), ratio(0.1), Need.FROM),
        (BELOW, ratio(0.1), ratio(0.1), Need.ALREADY),
        (ABOVE, ratio(0.1), ratio(0.1), Need.NOT_YET),
        (ABOVE, ratio(1.0), ratio(2.0), Need.HARMFUL),
        (WITHIN, ratio(1.0), ratio(2.0), Need.HARMFUL),
        (WITHIN, ratio(0.1), ratio(1.0), Need.CANNOT_TELL),
        (BELOW, ratio(0.9, width=0.5), ratio(0.1), Need.CANNOT_TELL),
    ],
)
def test_the_answer_follows_from_the_crossing_and_the_effect_there(
    crossed: Crossover, small: Ratio, large: Ratio, answer: Need
) -> None:
    assert need(crossed, [(1_000, small), (100_000, large)]) is answer


def test_without_ratios_there_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no ratios"):
        need(ABOVE, [])
