"""Instances by themselves, and the model held against a simulation of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phasegate.model.serverless import Clients, Way, chance, exhausted_at
from phasegate.serverless.climb import modelled, steps
from phasegate.serverless.fleet import Fleet
from phasegate.serverless.simulation import refused_at


def test_an_instance_is_started_where_all_are_busy_and_used_again_when_free() -> None:
    fleet = Fleet(concurrency=1, kept_s=60.0)
    first, started = fleet.take(0)
    assert started
    second, started = fleet.take(0)
    assert started
    assert second is not first
    fleet.give_back(first, 1.0)
    fleet.give_back(second, 2.0)
    assert fleet.take(0) == (second, False)  # the one that was free last
    assert fleet.instances == 2


def test_functions_do_not_lend_each_other_instances() -> None:
    fleet = Fleet(concurrency=1, kept_s=60.0)
    fleet.give_back(fleet.take(0)[0], 1.0)
    assert fleet.take(1)[1]


def test_an_instance_serves_as_many_at_a_time_as_it_may() -> None:
    fleet = Fleet(concurrency=2, kept_s=60.0)
    first, _ = fleet.take(0)
    assert fleet.take(0) == (first, False)
    second, started = fleet.take(0)
    assert started
    fleet.give_back(first, 1.0)
    assert fleet.take(0) == (first, False)
    assert (first.serving, second.serving) == (2, 1)


def test_an_instance_that_nobody_asks_is_reclaimed_and_a_busy_one_is_not() -> None:
    fleet = Fleet(concurrency=2, kept_s=60.0)
    busy, _ = fleet.take(0)
    fleet.take(0)
    idle, _ = fleet.take(0)
    fleet.give_back(idle, 10.0)
    fleet.give_back(busy, 10.0)
    assert fleet.reclaim(69.0) == []
    assert fleet.reclaim(70.0) == [idle]
    assert fleet.instances == 1
    assert fleet.take(0) == (busy, False)


ONE = Clients(requests_per_user_s=1.0, request_s=0.2, query_s=0.01)


@pytest.mark.parametrize(
    ("each", "limit"),
    [(ONE, 12), (replace(ONE, functions=6), 20), (replace(ONE, concurrency=4), 12)],
    ids=["one function", "six functions", "four requests at a time"],
)
def test_the_model_and_a_simulation_run_out_at_the_same_users(each: Clients, limit: int) -> None:
    ramp, above = steps(each, Way(limit))
    chances = [chance(each, Way(limit), [*ramp, *above[: n + 1]]) for n in range(len(above))]
    said = next(users for (users, _), found in zip(above, chances, strict=True) if found >= 0.5)
    assert modelled(each, Way(limit), ramp, above).estimate == pytest.approx(said, rel=0.15)


def test_one_peak_in_two_runs_out_at_the_estimate_and_next_to_none_below_the_interval() -> None:
    found = exhausted_at(ONE, Way(12), 60.0)
    assert found.low is not None
    assert found.high is not None
    # Warm before, as the hour before the peak leaves them.
    out = {
        users: sum(
            refused_at(ONE, 12, [(users / 2, 10.0), (users, 60.0)], seed) is not None
            for seed in range(20)
        )
        for users in (found.low, found.estimate, found.high)
    }
    assert out[found.low] <= 3
    assert 4 <= out[found.estimate] <= 16
    assert out[found.high] >= 17
