"""Speeds against the reference, blends of them, machines that wander, and N* on another core."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.crossover import RUN_DEVIATION, Outcome, Size
from phasegate.stats.yardstick import (
    WAITING,
    WANDER_MAX,
    Speed,
    blended,
    crossover_elsewhere,
    latency_elsewhere,
    speed,
    wander,
)


def size(users: int, ms: float, plan: str = "scan") -> Size:
    """Thirty blocks of four equal calls."""
    return Size(users, np.full((30, 4), ms), plan)


def test_a_speed_is_the_reference_over_the_mean_of_the_rounds_without_the_extremes() -> None:
    # Of 0.1, 1, 2, … 8, 1000 ms one is left out on each side: mean of 1 … 8 = 4.5. Winsorised:
    # 1, 1, 2, … 7, 8, 8, whose squares about 4.5 add up to 42 + 2 · 12.25 = 66.5; so the deviation
    # is √(66.5/9) = 2.718, the error 2.718 / (0.8 · √10) = 1.0745, and 1.96 · 1.0745 / 4.5 = 0.468.
    times = [3.0, 8.0, 1.0, 6.0, 1000.0, 5.0, 2.0, 7.0, 0.1, 4.0]
    found = speed(times, reference=9.0)
    assert found.estimate == pytest.approx(2.0)
    assert math.log(found.high / 2.0) == pytest.approx(0.468, abs=0.001)
    assert math.log(2.0 / found.low) == pytest.approx(0.468, abs=0.001)


def test_rounds_that_resemble_their_neighbours_count_for_fewer() -> None:
    drifting = np.arange(1.0, 26.0)
    shuffled = np.random.default_rng(1).permutation(drifting)
    wide, narrow = (speed(times.tolist(), 26.0) for times in (drifting, shuffled))
    assert wide.estimate == narrow.estimate
    assert wide.high > 1.5 * narrow.high


def test_the_interval_of_a_speed_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        found = speed(np.exp(rng.normal(0.0, 0.2, 40)).tolist(), 1.0)  # whose trimmed mean is 1.014
        held += found.low * 1.014 <= 1.0 <= found.high * 1.014
    assert 930 <= held <= 985


def test_too_few_rounds_give_no_speed() -> None:
    with pytest.raises(ValueError, match="10 rounds"):
        speed([1.0] * 9, 1.0)


def test_a_statement_that_scans_and_sorts_takes_what_both_take_there() -> None:
    # 8 ms of scanning at 0.5 and 2 ms of sorting at 1.0: 4 + 2 of 10 ms.
    speeds = {"scan": Speed(0.5, 0.4, 0.6), "sort": Speed(1.0, 1.0, 1.0)}
    found = blended(speeds, {"scan": 8.0, "sort": 2.0}, error=0.0)
    assert found.estimate == pytest.approx(0.6)
    assert found.low == pytest.approx(0.52)
    assert found.high == pytest.approx(0.68)
    worse = blended(speeds, {"scan": 8.0, "sort": 2.0}, error=math.log(1.1))
    assert worse.low == pytest.approx(0.52 / 1.1)
    assert worse.high == pytest.approx(0.68 * 1.1)


def test_work_of_an_unknown_kind_is_anything_between_the_known_ones() -> None:
    speeds = {"scan": Speed(0.5, 0.4, 0.6), "sort": Speed(2.0, 1.9, 2.1)}
    found = blended(speeds, {"joins": 1.0}, error=0.0)
    assert found.estimate == pytest.approx(1.0)
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(2.1))


def test_what_waits_for_the_network_takes_as_long_on_any_core() -> None:
    speeds = {"waiting": WAITING, "scan": Speed(0.5, 0.5, 0.5)}
    assert blended(speeds, {"waiting": 5.0}, error=0.5) == Speed(1.0, 1.0, 1.0)
    half = blended(speeds, {"waiting": 5.0, "scan": 5.0}, error=0.2)
    assert half.estimate == pytest.approx(0.75)
    assert half.high == pytest.approx(0.75 * math.exp(0.1))


def test_on_a_core_half_as_fast_the_objective_breaks_at_half_the_users() -> None:
    # 1, 10, 100 ms at 1k, 10k, 100k users: 50 ms at 50k here, and at 25k where all takes twice as
    # long. If it takes between 1.6 and 2.5 times as long there: 31,250 and 20,000, and a little
    # farther out by what differs between runs, as squares of logarithms.
    of_speed, of_run = math.log(1.25), 1.96 * RUN_DEVIATION
    farther = math.exp(math.hypot(of_speed, of_run))
    sizes = [size(1_000, 1.0), size(10_000, 10.0), size(100_000, 100.0)]
    found = crossover_elsewhere(sizes, [Speed(2.0, 1.6, 2.5)] * 3, 50.0)
    assert found.outcome is Outcome.WITHIN
    assert found.users == pytest.approx(25_000)
    assert found.low == pytest.approx(25_000 / farther, rel=0.02)
    assert found.high == pytest.approx(25_000 * farther, rel=0.02)


def test_each_size_is_held_against_the_machine_as_it_was_then() -> None:
    # The machine was half as fast while the largest was measured: without the yardstick 10k would
    # take 10 ms and 100k 200 ms.
    sizes = [size(1_000, 1.0), size(10_000, 10.0), size(100_000, 200.0)]
    speeds = [Speed(1.0, 1.0, 1.0), Speed(1.0, 1.0, 1.0), Speed(0.5, 0.5, 0.5)]
    assert crossover_elsewhere(sizes, speeds, 50.0).users == pytest.approx(50_000)


def test_errors_of_calls_and_of_speeds_add_as_squares() -> None:
    noise = np.exp(np.random.default_rng(1).normal(0.0, 0.3, (30, 4)))
    sizes = [Size(users, users / 1000 * noise, "scan") for users in (1_000, 10_000, 100_000)]
    sure = crossover_elsewhere(sizes, [Speed(1.0, 1.0, 1.0)] * 3, 30.0)
    unsure = crossover_elsewhere(sizes, [Speed(1.0, 0.8, 1.25)] * 3, 30.0)
    assert sure.users is not None
    assert sure.low is not None
    assert unsure.low is not None
    calls, speeds = math.log(sure.users / sure.low), math.log(1.25)
    assert math.log(sure.users / unsure.low) == pytest.approx(math.hypot(calls, speeds), rel=0.01)


def test_an_end_that_lies_outside_the_sizes_stays_open() -> None:
    sizes = [size(1_000, 1.0), size(100_000, 100.0)]
    found = crossover_elsewhere(sizes, [Speed(0.6, 0.4, 0.7)] * 2, 50.0)
    assert found.users == pytest.approx(50_000 / 0.6)
    assert found.high is None
    beyond = crossover_elsewhere(sizes, [Speed(0.1, 0.1, 0.1)] * 2, 50.0)
    assert beyond.outcome is Outcome.ABOVE
    already = crossover_elsewhere(sizes, [Speed(60.0, 60.0, 60.0)] * 2, 50.0)
    assert already.outcome is Outcome.BELOW


def test_a_machine_that_slows_down_half_way_wanders() -> None:
    # Means of six windows of eight: 10 ms three times, then 14 ms three times.
    assert wander([10.0] * 24 + [14.0] * 24) == pytest.approx(1.4)
    assert wander([10.0, 14.0] * 7) == 1.0  # too few for two windows


def test_noise_alone_does_not_wander() -> None:
    rng = np.random.default_rng(5)
    named = sum(wander(np.exp(rng.normal(0.0, 0.12, 48)).tolist()) > WANDER_MAX for _ in range(500))
    assert named <= 25


def test_a_latency_under_load_grows_faster_than_the_work_does() -> None:
    # 100 ms at half the cores: 50 ms of work. At 1.5 times the work: 75 ms at three quarters: 300.
    assert latency_elsewhere(100.0, 0.5, 1.5) == pytest.approx(300.0)
    assert latency_elsewhere(100.0, 0.5, 1.0) == pytest.approx(100.0)
    assert latency_elsewhere(100.0, 0.0, 2.0) == pytest.approx(200.0)


def test_what_no_core_could_do_has_no_latency() -> None:
    assert latency_elsewhere(100.0, 0.5, 2.0) is None
    assert latency_elsewhere(100.0, 0.99, 0.5) is None
