"""The long self-check's tally, on recordings made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from instruments.false_alarms import Rule, lines, record, share_interval, tally
from phasegate.records.benchmark import Arm, Comparison


def arm(times_ns: np.ndarray) -> Arm:
    return Arm(
        name="A",
        sql="",
        block_ns=tuple(times_ns),
        call_ns=tuple(int(time) for time in times_ns),
        rows=1,
        plan="",
        plan_hash="",
        shared_buffers=None,
        statements=1,
    )


def recording(seed: int, level_ns: float, deviation: float) -> Comparison:
    random = np.random.default_rng(seed)
    machine = level_ns * np.exp(random.normal(0, deviation, 60))  # noise that both arms share
    own = [np.exp(random.normal(0, 0.02, 60)) for _ in range(2)]
    return Comparison(
        technique="self_check",
        title="",
        stop="budget",
        before=arm(machine * own[0]),
        after=arm(machine * own[1]),
    )


def test_pairs_hold_where_a_machine_changes_between_runs() -> None:
    random = np.random.default_rng(3)
    levels = 1e5 * np.exp(random.normal(0, 0.15, 100))
    ours, median, fixed = tally([recording(n, levels[n], 0.2) for n in range(100)], injections=80)
    assert (ours.pairs, ours.false_alarms) == (100, 0)
    assert (ours.injections, ours.found) == (80, 80)
    assert median.pairs == 99
    assert median.false_alarms > 20
    assert fixed.false_alarms > 10
    assert fixed.found < 60


def test_on_a_machine_that_never_changes_thresholds_do_well_too() -> None:
    ours, median, fixed = tally([recording(n, 1e5, 0.0) for n in range(50)])
    assert ours.false_alarms == median.false_alarms == fixed.false_alarms == 0
    assert fixed.found == 0  # 5% is below it


@pytest.mark.timeout(60)
def test_equal_comparisons_are_recorded_afresh(populated: str) -> None:
    first, second = record(populated, pairs=2, budget_s=0.2)
    assert first.before.call_ns != second.before.call_ns
    assert first.before.sql == first.after.sql


def test_a_share_has_the_interval_of_the_books() -> None:
    # Wilson's, worked out by hand for 1 of 10: (0.1 + 0.19207 ± 0.19290) / 1.38415.
    low, high = share_interval(1, 10)
    assert low == pytest.approx(0.0179, abs=1e-4)
    assert high == pytest.approx(0.4042, abs=1e-4)
    assert share_interval(0, 300) == pytest.approx((0.0, 0.0126), abs=1e-4)
    with pytest.raises(ValueError, match="share of nothing"):
        share_interval(0, 0)


def test_the_rule_holds_up_to_one_false_alarm_in_a_hundred_and_one_miss_in_twenty() -> None:
    assert Rule("ours", 300, 3, 200, 190).holds
    assert not Rule("ours", 300, 4, 200, 190).holds
    assert not Rule("ours", 300, 3, 200, 189).holds


def test_the_table_shows_counts_shares_and_spread() -> None:
    recorded = [recording(n, 1e5, 0.0) for n in range(10)]
    first, ours, *_ = lines(recorded, tally(recorded))
    assert first.startswith("10 comparisons of 60 blocks (median, 60 to 60)")
    assert "false alarms   0 of 10 (0.0%; 0.0% to 27.8%)" in ours
