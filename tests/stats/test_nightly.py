"""The nightly's rule of alarm, in numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasegate.stats.nightly import SLOWER, SUSPICIOUS, slower, suspicious, together


def blocks(ratio: float, spread: float = 0.01, count: int = 20):
    """Log-ratios evenly about `ratio`, without correlation of neighbours."""
    steps = [((7 * block) % count - (count - 1) / 2) / count for block in range(count)]
    return np.array([math.log(ratio) + 2 * spread * step for step in steps])


def test_the_bars_are_two_and_three_percent():
    assert pytest.approx(1.0197, abs=1e-4) == SUSPICIOUS
    assert pytest.approx(1.0297, abs=1e-4) == SLOWER


def test_a_suspicion_needs_no_certainty():
    assert suspicious(blocks(1.021, spread=0.2))
    assert not suspicious(blocks(1.019, spread=0.001))


def test_both_together_are_weighted_by_their_blocks():
    assert together(1.0, 10, 1.1, 10) == pytest.approx(math.sqrt(1.1))
    assert together(1.0, 10, 1.1, 30) == pytest.approx(1.1**0.75)


def test_slower_takes_a_suspicion_a_certain_confirmation_and_a_ratio_above_the_bar():
    assert slower(blocks(1.05), blocks(1.05))
    assert not slower(blocks(1.019), blocks(1.10))  # no suspicion: it would not be measured again
    assert not slower(blocks(1.05), blocks(1.04, spread=0.2))  # its bound is below 1
    assert not slower(blocks(1.03), blocks(1.028))  # 2.9% together
    assert slower(blocks(1.03), blocks(1.031))
    assert not slower(blocks(0.9), blocks(0.9))


def test_the_confirmation_counts_for_more_where_it_has_more_blocks():
    assert slower(blocks(1.022), blocks(1.034, count=60))
    assert not slower(blocks(1.022, count=60), blocks(1.034))
