"""A mean from a peak: against numbers worked out by hand, and against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.peak import mean_of_peak


def test_one_look_at_nothing_is_worked_out_by_hand():
    # e^-m = 0.5 at m = ln 2, and 0.025 at m = 3.689.
    found = mean_of_peak(0, 1)
    assert found.estimate == pytest.approx(math.log(2), rel=1e-4)
    assert (found.low, found.high) == (0.0, pytest.approx(3.689, rel=1e-3))


def test_a_look_more_lowers_the_mean_and_a_peak_more_raises_it():
    assert mean_of_peak(5, 60).estimate < mean_of_peak(5, 6).estimate
    assert mean_of_peak(6, 60).estimate > mean_of_peak(5, 60).estimate


@pytest.mark.parametrize("mean", [0.4, 4.0, 30.0])
def test_the_interval_holds_the_mean_as_often_as_it_says(mean):
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        found = mean_of_peak(int(rng.poisson(mean, size=40).max()), 40)
        held += found.low <= mean <= found.high
    assert held >= 182  # 95% of 200 are 190, less three standard deviations of 3


@pytest.mark.parametrize(("peak", "looks"), [(-1, 5), (3, 0)])
def test_what_is_no_peak_is_refused(peak, looks):
    with pytest.raises(ValueError, match="takes a look"):
        mean_of_peak(peak, looks)
