from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from instruments.planted_faults import plant
from phasegate import seeding
from phasegate.project import load_project
from phasegate.stack.levels import apply_level, current_level
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

USERS = 60
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clean(postgres: PostgresServer, query: Query) -> PostgresServer:
    for name in (f"phasegate_{USERS}", f"phasegate_template_{USERS}"):
        query(postgres.dsn(), f"drop database if exists {name} with (force)")
    return postgres


def test_a_data_set_is_loaded_once_and_then_copied_whatever_was_done_to_the_copy(
    clean: PostgresServer, query: Query
) -> None:
    dsn, first = seeding.ensure_dataset(clean, users=USERS, seed=1)
    rows = query(dsn, "select count(*) from tasks")[0][0]
    query(dsn, "delete from tasks")
    apply_level(dsn, 3)

    again_dsn, again = seeding.ensure_dataset(clean, users=USERS, seed=1)

    assert (first.reused, again.reused) == (False, True)
    assert (again_dsn, again.sha256, again.load_wall_s) == (dsn, first.sha256, None)
    assert query(dsn, "select count(*) from tasks")[0][0] == rows
    assert current_level(dsn) == 1


def test_another_seed_or_the_wish_for_a_fresh_one_loads_again(clean: PostgresServer) -> None:
    first = seeding.ensure_dataset(clean, users=USERS, seed=1)[1]
    other = seeding.ensure_dataset(clean, users=USERS, seed=2)[1]
    fresh = seeding.ensure_dataset(clean, users=USERS, seed=2, fresh=True)[1]
    assert other.sha256 != first.sha256
    assert (other.reused, fresh.reused) == (False, False)
    assert fresh.sha256 == other.sha256


def test_policies_that_were_changed_are_those_of_the_next_copy(
    clean: PostgresServer, query: Query, tmp_path: Path
) -> None:
    root = plant(ROOT, tmp_path / "project", [])
    folder = load_project(root).seed
    seeding.ensure_dataset(clean, users=USERS, seed=1, project=folder)
    written = folder.policies.read_text(encoding="utf-8")
    folder.policies.write_text(written.replace("own tasks", "their tasks"), encoding="utf-8")

    dsn, record = seeding.ensure_dataset(clean, users=USERS, seed=1, project=folder)

    assert not record.reused
    named = query(dsn, "select policyname from pg_policies where tablename = 'tasks'")
    assert [row[0] for row in named] == ["their tasks"]
