"""False alarms and power: what quiet and noisy recordings must give."""

from __future__ import annotations

import numpy as np
import pytest

from phasegate.stats.paired import alarms
from phasegate.stats.self_check import redrawn


def noise(deviation: float, blocks: int = 60) -> np.ndarray:
    return np.random.default_rng(5).normal(0.0, deviation, blocks)


def test_quiet_equal_arms_raise_no_alarm_and_a_slow_down_of_5_percent_is_always_found() -> None:
    tally = redrawn(noise(0.03))
    assert (tally.pairs, tally.false_alarms) == (300, 0)
    assert (tally.injections, tally.found) == (200, 200)


def test_noise_costs_power_before_it_costs_false_alarms() -> None:
    tally = redrawn(noise(0.30))
    assert tally.found < 100
    assert tally.false_alarms <= 6


def test_the_rule_finds_five_percent_at_the_wanted_precision() -> None:
    # ±2% at 95% is what the engine stops at: σ/√n = 1.02%, as with 100 blocks of 10.2%.
    random = np.random.default_rng(9)
    found = sum(alarms(random.normal(np.log(1.05), 0.102, 100)) for _ in range(400))
    false = sum(alarms(random.normal(0.0, 0.102, 100)) for _ in range(400))
    assert found / 400 >= 0.95
    assert false / 400 <= 0.01


def test_a_speed_up_is_no_alarm() -> None:
    assert not alarms(noise(0.02) - 0.2)


def test_too_few_blocks_never_alarm() -> None:
    # 2/2^7 > 1%: seven blocks have no 99% interval.
    assert not alarms(np.full(7, 1.0))
    assert alarms(np.full(8, 1.0))


@pytest.mark.parametrize(("logs", "injected"), [(np.array([]), 1.05), (np.array([0.1]), 1.0)])
def test_what_cannot_be_checked_is_refused(logs: np.ndarray, injected: float) -> None:
    with pytest.raises(ValueError, match="needs blocks"):
        redrawn(logs, injected=injected)
