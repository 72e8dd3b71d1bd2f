"""Fits, limits and alerts, with numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from phasegate.model.capacity import (
    Fit,
    Profile,
    Span,
    at_an_end,
    bill_at,
    connections_at,
    cores_at,
    cpu_s_at,
    fit,
    missing,
    sessions_per_month,
    users_with_connections,
)
from phasegate.model.catalogue import load
from phasegate.model.limits import limits

CATALOGUE = load()


def test_a_line_through_exact_sizes_is_found_with_no_spread():
    found = fit([(1_000, 5e6), (10_000, 23e6), (100_000, 203e6)])  # 3 MB + 2,000 bytes a user
    assert found.per_user == Span(2000.0, 2000.0, 2000.0)
    assert found.fixed == pytest.approx(3e6)
    assert found.at(50_000) == pytest.approx(103e6)


def test_the_range_of_a_fit_is_that_of_its_pairs_of_sizes():
    found = fit([(1_000, 1e6), (2_000, 3e6), (3_000, 4e6)])  # slopes 2000, 1500, 1000
    assert (found.per_user.low, found.per_user.estimate, found.per_user.high) == (1000, 1500, 2000)


def test_one_size_gives_a_quotient_and_no_range():
    assert fit([(2_000, 4e6)]) == Fit(Span(2000.0), 0.0)


@pytest.mark.parametrize("points", [[], [(0, 1.0)], [(5, 1.0), (5, 2.0)]])
def test_a_fit_without_distinct_users_is_refused(points):
    with pytest.raises(ValueError, match="distinct, positive"):
        fit(points)


PROFILE = Profile(
    level=1,
    database=Fit(Span(10_000.0, 8_000.0, 12_500.0), 0.0),
    egress_bytes_per_session=Span(50_000.0, 40_000.0, 62_500.0),
    requests_per_session=Span(20.0, 16.0, 25.0),
    service_s=0.01,
    cpu_s_per_session=((1_000, 0.007), (10_000, 0.07)),
    held_users=10_000,
    broke_users=None,
    cores=2,
)


def by_name(profile, catalogue=CATALOGUE):
    return {limit.name: limit for limit in limits(profile, catalogue)}


def test_a_month_of_sessions_follows_the_workload_model():
    # 0.2 of the users, twice a day, for thirty days.
    assert sessions_per_month(1000, CATALOGUE) == pytest.approx(12_000)


def test_each_limit_is_met_where_arithmetic_says():
    found = by_name(PROFILE)
    disk = found["Free: 0.5 GB disk"]
    assert (disk.low, disk.users, disk.high) == (40_000, 50_000, 62_500)
    assert found["Free: 80% of 0.5 GB disk"].users == 40_000
    assert found["Pro: 8 GB disk, grown at 90%"].users == 720_000
    # 5 GB over 50 kB a session are 100,000 sessions a month: 12 a user.
    assert found["Free: 5 GB egress a month"].users == pytest.approx(100_000 / 12)
    assert found["Free: 50,000 monthly active users"].users == 50_000


def test_limits_come_in_the_order_in_which_they_are_met():
    users = [limit.users for limit in limits(PROFILE, CATALOGUE) if limit.users is not None]
    assert users == sorted(users)


def test_connections_follow_littles_law_and_its_inverse_agrees():
    # λ per user = 0.2 · 2 · 0.15 / 3600 · 2; 20 requests of 10 ms: 0.2 s a session.
    mean = 100_000 * (0.2 * 2 * 0.15 / 3600 * 2) * 0.2
    expected = mean + 3.1 * math.sqrt(mean)
    assert connections_at(100_000, PROFILE, CATALOGUE) == pytest.approx(expected)
    users = users_with_connections(60, PROFILE, CATALOGUE)
    assert users is not None
    assert connections_at(users, PROFILE, CATALOGUE) == pytest.approx(60)


PEAK = replace(
    PROFILE,
    connection_s_per_session=((1_000, Span(0.1)), (10_000, Span(0.4, 0.2, 0.6))),
    cpu_factors=(0.5, 2.0),
)


def test_a_measured_peak_of_connections_goes_before_littles_law():
    # 1/3 session/s at 10,000 users, each keeping a connection for 0.4 s.
    mean = 1 / 3 * 0.4
    assert connections_at(10_000, PEAK, CATALOGUE) == pytest.approx(mean + 3.1 * math.sqrt(mean))
    name = "Nano compute: 60 connections"
    assert by_name(PEAK)[name].note == "from the measured peak of connections"
    assert by_name(PROFILE)[name].note == "by Little's law: no connection was sampled"


def test_each_limit_has_an_interval_that_holds_it_or_says_why_not(tmp_path):
    path = tmp_path / "phasegate.toml"
    path.write_text("[alerts]\napi_requests_per_month = 240_000")
    for name, limit in by_name(PEAK, load(path)).items():
        assert limit.users is not None, name
        if limit.exact:
            assert "monthly active users" in name
            assert (limit.low, limit.high) == (None, None)
            continue
        assert limit.low is not None, name
        assert limit.high is not None, name
        assert limit.low <= limit.users <= limit.high, name


def test_the_ends_of_an_interval_are_those_that_cost_more_and_less():
    # More bytes, egress, processor time and connections: the budget is reached by fewer users.
    budget = by_name(PEAK)["100% of the $300 budget"]
    assert budget.low < budget.users < budget.high
    dear = at_an_end(PEAK, dear=True)
    assert dear.database.per_user.estimate == 12_500.0
    assert dear.cpu_s_per_session == ((1_000, 0.014), (10_000, 0.14))
    # Half as much again on the largest data: so on every size.
    assert [each.estimate for _, each in dear.connection_s_per_session] == pytest.approx(
        [0.15, 0.6]
    )


def test_one_size_alone_makes_a_limit_in_proportion_that_says_so():
    single = replace(PROFILE, database=fit([(10_000, 100e6)]))
    disk = by_name(single)["Free: 0.5 GB disk"]
    assert disk.users == pytest.approx(50_000)
    assert disk.note == "in proportion to one size, no interval"


def test_the_budget_alerts_come_where_the_bill_reaches_their_share():
    found = by_name(PROFILE)
    first = found["50% of the $300 budget"].users
    assert first is not None
    before = bill_at(int(first) - 1, PROFILE, CATALOGUE)
    after = bill_at(int(first), PROFILE, CATALOGUE)
    assert before is not None
    assert before.usd_per_month < 150
    assert after is None or after.usd_per_month >= 150


@pytest.mark.parametrize(
    ("users", "seconds"),
    [(100, 0.007), (1_000, 0.007), (3_162, 0.02213), (10_000, 0.07), (20_000, 0.14)],
)
def test_a_session_costs_what_lies_between_the_sizes_measured_and_goes_on_beyond(users, seconds):
    assert cpu_s_at(users, PROFILE.cpu_s_per_session) == pytest.approx(seconds, rel=1e-3)


def test_a_session_never_grows_faster_than_the_data_beyond_what_was_measured():
    assert cpu_s_at(20_000, ((1_000, 0.001), (10_000, 0.1))) == pytest.approx(0.2)
    assert cpu_s_at(20_000, ((1_000, 0.1), (10_000, 0.01))) == pytest.approx(0.01)


def test_cores_follow_sessions_and_their_cost_and_stay_below_the_share():
    # 1/3 session/s at 10,000 users, 0.07 s each, at most 70%: a thirtieth of a core.
    assert cores_at(10_000, PROFILE, CATALOGUE) == pytest.approx(1 / 3 * 0.07 / 0.7)


def test_a_machine_that_broke_had_too_few_cores():
    broken = replace(PROFILE, broke_users=20_000.0)
    before, after = (bill_at(users, broken, CATALOGUE) for users in (19_999, 20_000))
    assert before is not None
    assert after is not None
    assert (before.compute, after.compute) == ("micro", "xl")


def test_what_was_not_measured_is_named_and_never_a_number():
    empty = Profile(1, None, None, None, None, (), None, None, 2)
    assert missing(empty) == ("egress", "connections", "cores")
    found = by_name(empty)
    assert found["Free: 0.5 GB disk"].users is None
    assert found["Free: 5 GB egress a month"].note == "no load was measured"
    assert found["100% of the $300 budget"].users is None
    assert bill_at(1000, empty, CATALOGUE) is None


def test_an_allowance_of_ones_own_makes_the_api_request_alert_fire(tmp_path):
    path = tmp_path / "phasegate.toml"
    path.write_text("[alerts]\napi_requests_per_month = 240_000")
    # 80% of it at 20 requests in each of 12 sessions a month: 192,000 / 240.
    assert by_name(PROFILE, load(path))["API requests: 80% of your allowance"].users == 800
