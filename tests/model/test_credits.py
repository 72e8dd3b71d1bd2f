from __future__ import annotations

import math

import pytest

from phasegate.model import catalogue
from phasegate.model.credits import (
    CREDIT_CORE_S,
    Budget,
    Stretch,
    day_of,
    modelled_day,
    of_bytes,
    of_operations,
    of_processor,
    outlook,
    runs_out,
)
from phasegate.model.prices import Compute

CATALOGUE = catalogue.load()


def _size(name: str) -> Compute:
    return next(size for size in CATALOGUE.compute if size.name == name)


def test_credits_are_earned_and_kept_as_aws_says() -> None:
    # AWS's table of burstable instances: credits an hour, and the most that are kept.
    for name, an_hour, kept in (
        ("nano", 6, 144),
        ("micro", 12, 288),
        ("small", 24, 576),
        ("medium", 24, 576),
    ):
        budget = of_processor(_size(name))
        assert budget.baseline_per_s * 3600 / CREDIT_CORE_S == pytest.approx(an_hour)
        assert budget.kept / CREDIT_CORE_S == pytest.approx(kept)
    assert not of_processor(_size("large")).bursts


def test_full_credits_of_a_micro_last_two_hours_and_forty_minutes_on_both_cores() -> None:
    micro = of_processor(_size("micro"))
    # 288 credits are 17,280 core seconds; two cores spend 2 and earn 0.2: 17,280 / 1.8 = 9,600 s
    assert micro.lasts_s(2.0) == pytest.approx(9600)
    assert micro.lasts_s(5.0) == pytest.approx(9600)  # it has no third core
    assert micro.lasts_s(0.2) == math.inf


def test_the_disk_budget_is_the_instances_and_the_disk_caps_its_use() -> None:
    micro = of_operations(_size("micro"), CATALOGUE.disk)
    # 500 for ever; 11,800 for half an hour: 11,300 · 1,800 = 20,340,000 above the baseline
    assert (micro.baseline_per_s, micro.max_per_s, micro.kept) == (500, 3000, 20_340_000)
    assert micro.lasts_s(3000) == pytest.approx(20_340_000 / 2500)
    # Large has 3,600 for ever, its disk 3,000: there is nothing to burst to.
    assert of_operations(_size("large"), CATALOGUE.disk) == Budget(3000, 3000, 0.0)
    assert of_bytes(_size("micro"), CATALOGUE.disk).baseline_per_s == 11e6


def test_the_modelled_day_has_a_peak_of_7_2_times_its_mean() -> None:
    day = modelled_day(1.0, CATALOGUE.workload)
    # 15% of a day in one hour, at twice its mean for half of it: 0.5 · 3600 = 1,800 of 12,000
    assert sum(each.duration_s for each in day) == 86_400
    total = sum(each.duration_s * each.used_per_s for each in day)
    assert total == pytest.approx(12_000)
    assert 1.0 / (total / 86_400) == pytest.approx(7.2)


def test_a_micro_lasts_every_day_that_peaks_at_one_core() -> None:
    found = outlook(of_processor(_size("micro")), modelled_day(1.0, CATALOGUE.workload))
    # The peak spends (1 - 0.2) · 1,800 = 1,440 core seconds, which 23 hours at 0.123 cores earn.
    assert found.runs_out_on is None
    assert found.usual.least == pytest.approx(17_280 - 1440)
    assert (found.usual.earned, found.usual.spent) == (
        pytest.approx(17_280),
        pytest.approx(12_000),
    )


def test_a_micro_runs_out_on_the_third_day_that_peaks_at_two_cores() -> None:
    found = outlook(of_processor(_size("micro")), modelled_day(2.0, CATALOGUE.workload))
    # A day asks for 24,000 and earns 17,280: by night 20,400 - 16,560 = 3,840 too much, half an
    # hour without use gives 360 back, the peak takes 1.8 · 1,800 = 3,240. From 17,280: 10,560,
    # then 3,840, and on the third day the night leaves nothing.
    assert found.runs_out_on == 3
    first = day_of(of_processor(_size("micro")), modelled_day(2.0, CATALOGUE.workload), 17_280)
    assert first.end == pytest.approx(10_560)
    # From then on a peak has 360 left, which last 200 s; the other 1,600 s are at the baseline,
    # and so is the whole night, which asks for more than that.
    assert found.usual.held_back_s == pytest.approx(1600 + 23 * 3600)


def test_a_day_is_that_of_a_simulation_second_by_second() -> None:
    budget = Budget(0.4, 2.0, 9_000.0)
    day = [Stretch(3000, 0.1), Stretch(4000, 1.7), Stretch(5000, 0.9), Stretch(2000, 0.0)]
    balance, spent, held_back = 8_500.0, 0.0, 0
    for stretch in day:
        for _ in range(int(stretch.duration_s)):
            need = stretch.used_per_s - budget.baseline_per_s
            late = need > 0 and balance < need
            used = budget.baseline_per_s if late else stretch.used_per_s
            held_back += late
            spent += used
            balance = min(balance + budget.baseline_per_s - used, budget.kept)
    found = day_of(budget, day, 8_500.0)
    assert found.end == pytest.approx(balance, abs=2)
    assert found.spent == pytest.approx(spent, abs=2)
    assert found.held_back_s == pytest.approx(held_back, abs=2)


@pytest.mark.parametrize("peak", [0.2, 1.0, 1.3, 1.4399, 1.4401, 1.6, 2.0])
def test_two_days_tell_what_a_year_of_them_would(peak: float) -> None:
    day, micro = modelled_day(peak, CATALOGUE.workload), of_processor(_size("micro"))
    # A day asks for 12,000 core seconds for each core of its peak, and earns 17,280: 1.44 cores.
    assert runs_out(micro, day) is (peak > 1.44)
    assert (outlook(micro, day).runs_out_on is not None) is (peak > 1.45)
