"""What a technique saves, with numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phasegate.model.capacity import Fit, Profile, Span
from phasegate.model.catalogue import load
from phasegate.model.savings import Calls, saving

CATALOGUE = load()

# 1 kB a user, nothing else: Pro's smallest size would do for the rest.
LEVEL_2 = Profile(
    level=2,
    database=Fit(Span(1_000.0), 0.0),
    egress_bytes_per_session=Span(1_000.0),
    requests_per_session=Span(5.0),
    service_s=0.001,
    cpu_s_per_session=((100_000, 0.021),),
    held_users=100_000,
    broke_users=None,
    cores=2,
)
# Three calls a session, 0.2 s before and 0.06 s after: 0.42 s a session.
CALLS = Calls(per_session=3.0, before=[(100_000, 0.2)], after=[(100_000, 0.06)])


def test_the_cores_saved_are_the_rate_times_the_time_over_what_may_be_used():
    # 100,000 users start 10/3 sessions a second: 1.4 cores busy, 2 at 70%.
    found = saving(100_000, CALLS, LEVEL_2, CATALOGUE, included=True)
    assert found is not None
    assert found.cores == pytest.approx(2.0)


def test_a_technique_saves_the_next_compute_size():
    # With it 0.1 cores; without it 2.1, for which two cores are too few: xl has four.
    found = saving(100_000, CALLS, LEVEL_2, CATALOGUE, included=True)
    assert found is not None
    assert found.with_it is not None
    assert found.without is not None
    assert (found.with_it.compute, found.without.compute) == ("micro", "xl")
    assert found.usd_per_month == pytest.approx(200.0)  # $210 − $10 of compute


def test_a_level_without_it_is_priced_as_measured_and_less_with_it():
    busy = replace(LEVEL_2, cpu_s_per_session=((100_000, 0.63),))  # 3 cores at 70%
    found = saving(100_000, CALLS, busy, CATALOGUE, included=False)
    assert found is not None
    assert found.with_it is not None
    assert found.without is not None
    assert (found.with_it.compute, found.without.compute) == ("micro", "xl")


def test_a_harmful_technique_saves_less_than_nothing():
    worse = Calls(per_session=3.0, before=CALLS.after, after=CALLS.before)
    found = saving(100_000, worse, LEVEL_2, CATALOGUE, included=False)
    assert found is not None
    assert found.cores == pytest.approx(-2.0)
    assert found.usd_per_month == pytest.approx(-200.0)


def test_without_processor_time_or_sizes_nothing_is_said():
    for lacking in (replace(LEVEL_2, cpu_s_per_session=()), replace(LEVEL_2, database=None)):
        assert saving(100_000, CALLS, lacking, CATALOGUE, included=True) is None


def test_what_no_plan_can_hold_has_no_sum():
    scan = Calls(per_session=3.0, before=[(100_000, 5.0)], after=[(100_000, 0.06)])
    found = saving(100_000, scan, LEVEL_2, CATALOGUE, included=True)
    assert found is not None
    assert found.without is None
    assert found.usd_per_month is None
