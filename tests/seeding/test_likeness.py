"""How like life the population is, before any database: who owns how much, and when."""

from __future__ import annotations

import numpy as np
import pytest

from phasegate.project import SeedFolder
from phasegate.seeding.entity import CODE_BITS
from phasegate.seeding.events import Events
from phasegate.seeding.population import Population
from phasegate.seeding.timeline import HOUR_MS

DECLARED = SeedFolder().population


def test_a_few_power_users_own_thousands_of_tasks_and_most_users_a_handful() -> None:
    population = Population(DECLARED, 1, 100_000)
    events = Events(population, DECLARED.tables["tasks"])
    for week in range(population.year.weeks):
        events.week(week)
    owned = np.sort(events.per_owner)
    assert owned[-1] > 2000
    assert 5 < np.count_nonzero(owned > 1000) < 200
    assert np.median(owned) < owned.mean() / 3
    # The population's comment on activity_sigma: the busiest 1% own a quarter of all tasks.
    assert owned[-1000:].sum() / owned.sum() == pytest.approx(0.25, abs=0.06)


def test_days_and_weeks_have_the_declared_rhythm() -> None:
    population = Population(DECLARED, 2, 20_000)
    events = Events(population, DECLARED.tables["activity_logs"])
    hours = np.zeros(7 * 24, dtype=np.int64)
    for week in range(population.year.weeks):
        of_week = (events.week(week) >> np.uint64(CODE_BITS)) // np.uint64(HOUR_MS)
        hours += np.bincount(of_week.astype(np.intp), minlength=hours.size)
    days = np.roll(hours.reshape(7, 24), population.year.start.weekday(), axis=0)
    for found, weights in (
        (days.sum(axis=1), DECLARED.file.weekday_weights),
        (days.sum(axis=0), DECLARED.file.hour_weights),
    ):
        expected = np.array(weights) / sum(weights)
        assert found / found.sum() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("seed", range(1, 5))
def test_at_ten_thousand_users_ids_are_in_no_order_of_time_whatever_the_seed(seed: int) -> None:
    # With a thousand users one in ten seeds is above 0.1: a single busy user then owns 7% of all
    # rows, all of them after the sign-up.
    population = Population(DECLARED, seed, 10_000)
    events = Events(population, DECLARED.tables["tasks"])
    users = population.entity("profiles")
    assert users.uuids is not None
    owners = np.concatenate(
        [users.indices(events.week(week)) for week in range(population.year.weeks)]
    )
    by_id = np.argsort(users.uuids.view("S16"))
    rank = np.empty(users.count, dtype=np.intp)
    rank[by_id] = np.arange(users.count)
    # As ANALYZE: equal values are in the order that they lie in.
    order = np.argsort(rank[owners], kind="stable")
    correlation = np.corrcoef(order, np.arange(order.size))[0, 1]
    assert abs(correlation) < 0.1
