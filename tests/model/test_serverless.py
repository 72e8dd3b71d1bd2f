"""Users at which functions exhaust connections, with numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasegate.model.catalogue import load
from phasegate.model.serverless import (
    Clients,
    Way,
    chance,
    clients,
    connections_per_instance,
    exhausted_at,
    passages_s,
    pool_runs_out,
    straight,
    users_at,
    waiting_share,
)

CATALOGUE = load()
# A user asks once a second, and is answered after one: as many users, as many under way.
ONE = Clients(requests_per_user_s=1.0, request_s=1.0, query_s=0.01)


def test_the_time_until_so_many_are_under_way_follows_from_erlangs_formula() -> None:
    # B(0) = 1, B(1) = 1/2, B(2) = 1/5, B(3) = 1/16 at a load of one: 1 + 2 + 5 + 16 seconds.
    assert passages_s(1.0, 1.0, 3) == [1.0, 3.0, 8.0, 24.0]
    assert passages_s(10.0, 1.0, 1) == pytest.approx([0.1, 0.3])  # ten times as fast


def test_half_of_nobody_waits_and_all_wait_where_servers_are_too_few() -> None:
    assert waiting_share(2, 1.0) == pytest.approx(1 / 3)  # an M/M/2 queue at half its load
    assert waiting_share(2, 2.0) == 1.0


def test_the_chance_of_running_out_is_that_of_the_first_passage() -> None:
    # More than two at once: after 8 s in the mean.
    assert chance(ONE, Way(2), [(1.0, 8.0)]) == pytest.approx(1 - math.exp(-1))
    # In two stretches of half that time each, it is as likely.
    assert chance(ONE, Way(2), [(1.0, 4.0), (1.0, 4.0)]) == pytest.approx(1 - math.exp(-1))


def test_two_functions_cannot_use_each_others_connections() -> None:
    # Each is asked once a second: none of its instances is there with e^-1, one at most e^-1/3.
    two, none, one = replace(ONE, functions=2), math.exp(-1), math.exp(-1 / 3)
    free = none * none + 2 * none * (one - none)
    assert chance(two, Way(1), [(2.0, 1.0)]) == pytest.approx(1 - free)


def test_an_idle_connection_that_is_closed_in_time_makes_room() -> None:
    two = replace(ONE, functions=2)
    frozen = chance(two, Way(4), [(2.0, 60.0)])
    assert chance(replace(two, idle_s=10.0), Way(4), [(2.0, 60.0)]) < frozen


def test_each_request_holds_as_many_connections_as_it_has_statements_under_way() -> None:
    three = replace(ONE, queries_at_once=3)
    assert connections_per_instance(three, 5.0, 60.0) == 3
    assert connections_per_instance(replace(three, pool_max=2), 5.0, 60.0) == 2
    # So six connections serve two at once, as above.
    assert chance(three, Way(6), [(1.0, 8.0)]) == pytest.approx(1 - math.exp(-1))


def test_a_deployment_at_the_peak_needs_as_many_as_come_within_a_cold_start() -> None:
    # 10 requests a second, 0.1 s each: one under way; with a start of 0.9 s, ten start cold.
    quick = Clients(10.0, 0.1, 0.01, cold_start_s=0.9)
    way = Way(12)
    assert chance(quick, way, [(1.0, 10.0)]) < 0.001
    assert chance(quick, way, [(1.0, 10.0)], deployed=True) > 0.3
    alone = 1 - sum(math.exp(-10) * 10**n / math.factorial(n) for n in range(13))
    assert chance(quick, way, [(1.0, 1e-9)], deployed=True) == pytest.approx(alone, rel=1e-3)


def test_where_the_poolers_own_connections_are_too_few_they_run_out_first() -> None:
    slow = replace(ONE, query_s=0.9)  # two connections serve 2.2 requests a second
    assert pool_runs_out(slow, Way(1000, pool=2), 60.0)
    assert users_at(0.5, slow, Way(1000, pool=2), 60.0) < 2.3
    assert not pool_runs_out(ONE, Way(10, pool=5), 60.0)
    assert not pool_runs_out(slow, Way(10), 60.0)


def test_no_connection_at_all_is_asked_for_by_the_first_request() -> None:
    assert chance(ONE, Way(0), [(1.0, 100.0)]) == pytest.approx(1.0)


def test_the_smallest_size_of_the_catalogue_by_hand() -> None:
    # 60 connections less a reserve of 3 and 10 of others; a user asks 5 times in each of
    # 0.2 · 2 · 0.15 / 3600 · 2 sessions a second, for 0.21 s.
    way = straight(CATALOGUE.compute[0], CATALOGUE)
    assert way == Way(47)
    each = clients(CATALOGUE, 5.0)
    assert each.requests_per_user_s == pytest.approx(5 * 0.2 * 2 * 0.15 / 3600 * 2)
    found = exhausted_at(each, way, CATALOGUE.serverless.peak_s)
    assert found.low is not None
    assert found.high is not None
    # 24.7 under way: 47 is 4.5 standard deviations more, met once in 14 minutes.
    load = found.estimate * each.requests_per_user_s * each.request_s
    assert load == pytest.approx(24.7, abs=0.1)
    assert passages_s(load / each.request_s, load, 47)[-1] == pytest.approx(866, rel=0.02)
    assert found.low < found.estimate < found.high


SHAPES = st.builds(
    Clients,
    requests_per_user_s=st.floats(1e-4, 1.0),
    request_s=st.floats(0.02, 2.0),
    query_s=st.floats(0.001, 0.02),
    functions=st.integers(1, 5),
    pool_max=st.integers(1, 10),
    queries_at_once=st.integers(1, 5),
    idle_s=st.sampled_from([10.0, 2700.0]),
    cold_start_s=st.floats(0.1, 2.0),
)
WAYS = st.builds(Way, limit=st.integers(1, 60), pool=st.one_of(st.none(), st.integers(1, 30)))


@settings(max_examples=60, deadline=None)
@given(SHAPES, WAYS, st.floats(1.0, 1000.0), st.floats(1.01, 10.0), st.booleans())
def test_more_users_never_make_it_less_likely(
    each: Clients, way: Way, users: float, factor: float, deployed: bool
) -> None:
    fewer = chance(each, way, [(users, 60.0)], deployed=deployed)
    more = chance(each, way, [(users * factor, 60.0)], deployed=deployed)
    assert 0.0 <= fewer <= more + 1e-9
    assert more <= 1.0


@settings(max_examples=60, deadline=None)
@given(SHAPES, WAYS, st.floats(1.0, 1000.0), st.integers(1, 5))
def test_a_larger_pool_or_a_smaller_limit_never_makes_it_less_likely(
    each: Clients, way: Way, users: float, more: int
) -> None:
    here = chance(each, way, [(users, 60.0)])
    larger = replace(each, pool_max=each.pool_max + more)
    # Behind a pooler too: an instance's own pool is never what its single request waits for.
    if each.pool_max >= each.queries_at_once:
        assert chance(larger, way, [(users, 60.0)]) == pytest.approx(here)
    elif way.pool is None and each.request_s > each.query_s * each.queries_at_once:
        assert chance(larger, way, [(users, 60.0)]) >= here - 1e-9
    roomier = replace(way, limit=way.limit + more)
    assert chance(each, roomier, [(users, 60.0)]) <= here + 1e-9
