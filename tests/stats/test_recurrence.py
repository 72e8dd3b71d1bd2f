"""What recurs: hand-made series, and how often chance is taken for a rhythm or a suspect."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.recurrence import (
    Array,
    apart_s,
    binomial_tail,
    coincidence,
    excursions,
    period_of,
    rolling_median,
    threshold_ms,
)

WIDTH_S = 0.5


def stage(
    bursts_s: tuple[tuple[float, float], ...] = (),
    *,
    length_s: float = 300.0,
    rate: float = 40.0,
    share: float = 0.02,
    hit: float = 0.6,
    seed: int = 1,
) -> tuple[Array, Array]:
    """Clicks and slow clicks: Poisson arrivals, `share` of them slow, `hit` of them in bursts."""
    random = np.random.default_rng(seed)
    at_s = np.arange(round(length_s / WIDTH_S)) * WIDTH_S
    shares = np.full(len(at_s), share)
    for begin_s, end_s in bursts_s:
        shares[(at_s >= begin_s) & (at_s < end_s)] = hit
    clicks = random.poisson(rate * WIDTH_S, len(at_s))
    return clicks.astype(float), random.binomial(clicks, shares).astype(float)


def test_a_binomial_tail_is_that_of_the_formula() -> None:
    # P(X ≥ 2) of 3 trials of a half: 3/8 + 1/8.
    assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)
    assert binomial_tail(0, 3, 0.5) == 1.0
    assert binomial_tail(3, 3, 0.1) == pytest.approx(1e-3)
    assert binomial_tail(200, 10_000, 0.002) < 1e-100


def test_a_rolling_median_passes_over_a_spike_and_over_gaps() -> None:
    values = np.array([1, 1, 9, 1, math.nan, 2, 2])
    assert rolling_median(values, 3).tolist() == [1, 1, 1, 5, 1.5, 2, 2]
    assert np.isnan(rolling_median(np.array([math.nan]), 3)).all()


def test_a_click_is_slow_from_half_as_much_again_and_five_milliseconds_more() -> None:
    assert threshold_ms(np.array([2.0, 100.0])).tolist() == [7.0, 150.0]


def test_a_run_of_slow_clicks_is_one_excursion_with_its_counts() -> None:
    clicks, slow = np.full(200, 10.0), np.zeros(200)
    slow[60:64] = [6, 8, 0, 7]
    (run,) = excursions(clicks, slow, WIDTH_S)
    assert (run.begin_s, run.end_s, run.clicks, run.slow) == (30.0, 32.0, 40, 21)
    assert run.chance < 1e-20


def test_a_single_slow_click_is_none() -> None:
    clicks, slow = np.full(200, 10.0), np.zeros(200)
    slow[60] = 1
    assert excursions(clicks, slow, WIDTH_S) == ()
    assert excursions(np.zeros(50), np.zeros(50), WIDTH_S) == ()


def test_one_stage_in_fifty_has_a_false_excursion() -> None:
    found = sum(len(excursions(*stage(seed=seed), WIDTH_S)) for seed in range(150))
    assert found <= 8


def test_a_rhythm_is_found_with_its_period_though_beats_are_missing() -> None:
    beats = [7.0 + 20.0 * k for k in range(14) if k not in (3, 8)]
    found = period_of(sorted([*beats, 55.0]), 300.0, WIDTH_S, 2.0)
    assert found is not None
    assert found.period_s == pytest.approx(20.0, abs=0.3)
    assert found.pvalue <= 0.01


def test_three_excursions_are_no_rhythm() -> None:
    assert period_of([10.0, 110.0, 210.0], 300.0, WIDTH_S, 2.0) is None


def test_onsets_at_random_have_a_rhythm_in_one_stage_of_a_hundred() -> None:
    random, found = np.random.default_rng(5), 0
    for count in (4, 5, 8, 12, 20) * 12:
        onsets = np.sort(random.uniform(0, 300 - 2.0 * count, count)) + 2.0 * np.arange(count)
        found += period_of(onsets.tolist(), 300.0, WIDTH_S, 2.0) is not None
    assert found <= 3  # 0.6 expected


@pytest.mark.parametrize(("period_s", "lasts_s"), [(5.0, 0.5), (20.0, 1.0), (60.0, 3.0)])
def test_a_fault_in_a_rhythm_is_found_with_its_period_and_its_event(
    period_s: float, lasts_s: float
) -> None:
    begins = np.arange(4.0, 300.0, period_s)
    clicks, slow = stage(tuple((b, b + lasts_s) for b in begins))
    runs = excursions(clicks, slow, WIDTH_S)
    assert len(runs) == pytest.approx(len(begins), abs=1)
    found = period_of([run.begin_s for run in runs], 300.0, WIDTH_S, apart_s(clicks, WIDTH_S))
    assert found is not None
    assert found.period_s == pytest.approx(period_s, rel=0.02)
    windows = np.stack([begins - 0.1, begins + lasts_s + 0.1], axis=1)
    result = coincidence(clicks, slow, WIDTH_S, windows, period_s)
    assert result.pvalue <= 0.001
    assert result.hits == len(begins)
    assert result.share_outside == pytest.approx(0.02, abs=0.01)
    assert result.share_inside > 0.2
    elsewhere = np.mod(windows + period_s / 2, 299.0)
    assert coincidence(clicks, slow, WIDTH_S, elsewhere, period_s).pvalue > 0.5


def test_events_that_have_nothing_to_do_with_it_are_suspect_in_one_case_of_a_hundred() -> None:
    random, found = np.random.default_rng(7), 0
    for seed in range(60):
        # A machine that is busy for a while, at some time: no event's doing.
        busy_s = random.uniform(0, 270)
        clicks, slow = stage(((busy_s, busy_s + 30.0),), hit=0.2, seed=seed)
        events = np.sort(random.uniform(0, 295, 12))
        windows = np.stack([events, events + 1.5], axis=1)
        gap_s = float(np.median(np.diff(events)))
        found += coincidence(clicks, slow, WIDTH_S, windows, gap_s).pvalue <= 0.01
    assert found <= 3
