"""Databases that are not fit to be measured are refused by name; draws follow activity."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from phasegate.compare.dataset import DataSet, draw_population, read_dataset
from phasegate.compare.libpq import Session
from phasegate.compare.technique import Parameters
from phasegate.model.errors import ConfigurationError
from phasegate.project import load_project


def read(dsn: str, *before: str, users: int | None = None) -> DataSet:
    session = Session(dsn)
    try:
        for statement in before:
            session.execute(statement)
        return read_dataset(session, users=users)
    finally:
        session.close()


def drawn(dsn: str, seed: int) -> Sequence[Parameters]:
    session = Session(dsn)
    try:
        return draw_population(session, load_project(), seed)
    finally:
        session.close()


def test_a_seeded_database_says_what_it_holds(populated: str) -> None:
    found = read(populated, users=300)
    assert (found.users, found.seed, found.sha256) == (300, 1, "feed")
    assert found.server_version[0].isdigit()


def test_a_database_without_the_seeders_marker_is_refused(database: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no seeded data.*phasegate seed"):
        read(database)


def test_a_load_that_was_never_finished_is_refused(populated: str) -> None:
    with pytest.raises(ConfigurationError, match="incomplete"):
        read(populated, "update phasegate.dataset set state = 'loading'")


def test_another_size_is_refused(populated: str) -> None:
    with pytest.raises(ConfigurationError, match="holds 300 users, and 1,000 were asked for"):
        read(populated, users=1000)


def test_tables_without_statistics_are_named(populated: str) -> None:
    with pytest.raises(ConfigurationError, match="no statistics of tasks, so its plans"):
        read(populated, "delete from pg_statistic where starelid = 'public.tasks'::regclass")


def test_the_same_seed_draws_the_same_parameters_and_another_draws_others(populated: str) -> None:
    first = drawn(populated, 1)
    assert first == drawn(populated, 1)
    assert first != drawn(populated, 2)
    assert 300 <= len(first) <= 512


def test_active_users_come_up_more_often(populated: str) -> None:
    # The population gives its first 75 users half of all tasks (the square of a uniform draw).
    population = drawn(populated, 1)
    active = sum(int(parameters.sub[-4:], 16) <= 75 for parameters in population)
    assert active / len(population) == pytest.approx(0.5, abs=0.1)


def test_a_server_that_is_too_old_is_refused_before_anything_is_asked(
    populated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "server_major", 13)
    with pytest.raises(ConfigurationError, match="PostgreSQL 13; the benchmarks need 14"):
        read(populated)


def test_a_pooler_is_refused_since_its_process_is_not_the_servers(
    populated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "backend_pid", 1)  # as PgBouncer makes one up
    with pytest.raises(ConfigurationError, match="connection pooler's"):
        read(populated)
