from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from phasegate.model.population import user_id
from phasegate.project import SeedFolder
from phasegate.project.population_columns import ColumnFile
from phasegate.records.seed import SeedRecord
from phasegate.seeding import Progress, seed_database
from phasegate.seeding import process_pool as crew
from phasegate.seeding.timeline import Year
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

USERS = 2000
SEED = 11
# Of the data set above. It changes with seed/, Faker's version and the seeder's code; the latter
# must then raise seeding.dataset_spec.DATA_VERSION.
SHA256 = "bb6ad78fd10dbf267333d2501eab0fae1e87f6d18db43b226413f1fa2d8859d0"


@pytest.fixture(scope="module")
def seeded(postgres: PostgresServer, query: Query) -> Iterator[tuple[str, SeedRecord]]:
    query(postgres.dsn(), "create database seeded")
    dsn = postgres.dsn("seeded")
    yield dsn, seed_database(dsn, users=USERS, seed=SEED, jobs=1)
    query(postgres.dsn(), "drop database seeded with (force)")


def test_the_same_seed_gives_the_same_bytes_on_any_day_and_machine(
    seeded: tuple[str, SeedRecord],
) -> None:
    assert seeded[1].sha256 == SHA256


def test_the_bytes_do_not_depend_on_the_number_of_processes_nor_on_pythons_hash_seed(
    seeded: tuple[str, SeedRecord], database: str
) -> None:
    script = (
        "import sys; from phasegate import seeding; from phasegate.seeding import process_pool;"
        "process_pool.USERS_MIN_PER_JOB = 1;"
        f"r = seeding.seed_database(sys.stdin.read(), users={USERS}, seed={SEED}, jobs=3);"
        "print(r.jobs, r.sha256)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        input=database,
        env={**os.environ, "PYTHONHASHSEED": "1234"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.split() == ["3", seeded[1].sha256]


def test_the_record_counts_what_is_in_the_tables(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    dsn, record = seeded
    counted = {
        one.name: query(dsn, f"select count(*) from {one.name}")[0][0] for one in record.relations
    }
    assert counted == {one.name: one.rows for one in record.relations}
    assert record.rows == sum(counted.values())
    assert counted["profiles"] == USERS


def test_profiles_have_the_ids_that_tokens_are_made_for(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    found = {row["id"] for row in query(seeded[0], "select id from profiles")}
    assert found == {user_id(SEED, index) for index in range(USERS)}


def test_flat_and_partitioned_logs_hold_the_same_rows(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    rows = query(
        seeded[0],
        """
        (table activity_logs except all table activity_logs_partitioned)
        union all
        (table activity_logs_partitioned except all table activity_logs)
        """,
    )
    assert rows == []
    assert query(seeded[0], "select from activity_logs_partitioned_default") == []


def test_a_project_belongs_to_its_tasks_user_and_was_there_before_the_task(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    rows = query(
        seeded[0],
        """
        select count(*) as tasks,
               count(project_id) as with_project,
               count(*) filter (where p.user_id is distinct from t.user_id) as foreign_project,
               count(*) filter (where p.created_at >= t.created_at) as too_early
        from tasks t left join projects p on p.id = t.project_id
        """,
    )
    found = rows[0]
    assert found["foreign_project"] == found["tasks"] - found["with_project"]
    assert found["too_early"] == 0
    assert found["with_project"] / found["tasks"] == pytest.approx(0.70, abs=0.02)


def test_tasks_are_completed_after_their_creation_and_say_so(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    declared = SeedFolder().population
    completed = declared.tables["tasks"].column("completed_at")
    assert isinstance(completed, ColumnFile)
    rows = query(
        seeded[0],
        """
        select count(*) filter (where completed_at <= created_at) as too_early,
               count(*) filter (where (status = 'done') <> (completed_at is not null)) as mismatch,
               count(*) filter (where completed_at >= $1) as in_the_future,
               avg((completed_at is not null)::int)::float as done_share,
               percentile_cont(0.5) within group (order by completed_at - created_at) as delay
        from tasks
        """,
        Year(declared.file).end,
    )
    found = rows[0]
    assert (found["too_early"], found["mismatch"], found["in_the_future"]) == (0, 0, 0)
    assert found["done_share"] == pytest.approx(completed.happens, abs=0.03)
    median_h = found["delay"].total_seconds() / 3600
    assert median_h == pytest.approx(completed.median_h, rel=0.1)


def test_nobody_does_anything_before_signing_up(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    for table in ("projects", "tasks", "activity_logs"):
        rows = query(
            seeded[0],
            f"""
            select count(*) from {table} t join profiles u on u.id = t.user_id
            where t.created_at < date_trunc('milliseconds', u.created_at)
            """,
        )
        assert rows[0][0] == 0, table


@pytest.mark.parametrize(
    "table", ["profiles", "projects", "tasks", "activity_logs", "activity_logs_partitioned"]
)
def test_rows_lie_in_the_order_of_their_creation(
    seeded: tuple[str, SeedRecord], query: Query, table: str
) -> None:
    rows = query(
        seeded[0],
        f"""
        select count(*) from (
            select created_at, lag(created_at) over (order by tableoid, ctid) as before from {table}
        ) t where created_at < before
        """,
    )
    assert rows[0][0] == 0


def test_all_keys_are_there_and_valid(seeded: tuple[str, SeedRecord], query: Query) -> None:
    rows = query(
        seeded[0],
        """
        select conrelid::regclass::text as table, contype::text as kind, convalidated
        from pg_constraint
        where connamespace = 'public'::regnamespace and contype in ('p', 'f') and conparentid = 0
        """,
    )
    assert all(row["convalidated"] for row in rows)
    assert sorted((row["table"], row["kind"]) for row in rows) == sorted(
        [
            ("profiles", "p"),
            ("projects", "p"),
            ("projects", "f"),
            ("tasks", "p"),
            ("tasks", "f"),
            ("tasks", "f"),
            ("activity_logs", "p"),
            ("activity_logs", "f"),
            ("activity_logs_partitioned", "p"),
            ("activity_logs_partitioned", "f"),
        ]
    )


def test_growing_keeps_the_first_users_as_they_were(
    seeded: tuple[str, SeedRecord], database: str, query: Query
) -> None:
    few = 200
    seed_database(database, users=few, seed=SEED, jobs=1)
    users = [user_id(SEED, index) for index in range(few)]
    for table in ("profiles", "projects", "tasks", "activity_logs"):
        column = "id" if table == "profiles" else "user_id"
        statement = (
            f"select md5(string_agg(t::text, chr(10) order by id)) from {table} t"
            f" where {column} = any($1)"
        )
        small, large = (query(dsn, statement, users)[0][0] for dsn in (database, seeded[0]))
        assert small is not None
        assert small == large, table


def test_progress_counts_every_row_once_and_ends_at_the_total(
    database: str,
) -> None:
    seen: list[Progress] = []
    record = seed_database(database, users=50, seed=SEED, jobs=1, on_progress=seen.append)
    assert [p.rows_done for p in seen] == sorted(p.rows_done for p in seen)
    assert seen[-1].rows_done == seen[-1].rows_total == record.rows


def test_seeding_again_finds_the_data_set_and_loads_nothing(database: str) -> None:
    first = seed_database(database, users=50, seed=SEED, jobs=1)
    calls: list[Any] = []
    again = seed_database(database, users=50, seed=SEED, jobs=1, on_progress=calls.append)
    assert (first.reused, again.reused, again.sha256) == (False, True, first.sha256)
    assert calls == []


def test_rows_lie_by_time_with_their_users_interleaved_as_the_planner_sees_it(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    rows = query(
        seeded[0],
        """
        select tablename, attname, correlation from pg_stats
        where schemaname = 'public' and attname in ('created_at', 'user_id')
            and tablename in ('projects', 'tasks', 'activity_logs', 'activity_logs_partitioned')
        """,
    )
    found = {(row["tablename"], row["attname"]): row["correlation"] for row in rows}
    assert len(found) == 8
    for (table, column), correlation in found.items():
        # ANALYZE numbers a partitioned table's rows partition by partition, in no set order.
        if column == "created_at" and table != "activity_logs_partitioned":
            assert correlation > 0.99, table
        if column == "user_id":
            assert abs(correlation) < 0.1, table


def test_the_histograms_of_the_record_are_those_of_the_rows(
    seeded: tuple[str, SeedRecord], query: Query
) -> None:
    dsn, record = seeded
    found = {one.name: one for one in record.distributions}
    per_user = query(
        dsn,
        """
        select width_bucket(n, $1::float[]::bigint[]) as bin, count(*) as users
        from (select count(t.id) as n from profiles p left join tasks t on t.user_id = p.id
              group by p.id) s
        group by 1 order by 1
        """,
        found["tasks per user"].edges,
    )
    in_bins = {number + 1: count for number, count in enumerate(found["tasks per user"].counts)}
    assert {row["bin"]: row["users"] for row in per_user} == {
        number: count for number, count in in_bins.items() if count
    }
    hours = query(
        dsn,
        "select extract(hour from created_at at time zone 'UTC')::int as hour, count(*) as tasks"
        " from tasks group by 1 order by 1",
    )
    assert [row["tasks"] for row in hours] == list(found["tasks by hour of day"].counts)
    days = query(
        dsn,
        "select count(*) as tasks from tasks"
        " group by extract(isodow from created_at at time zone 'UTC')"
        " order by extract(isodow from created_at at time zone 'UTC')",
    )
    assert [row["tasks"] for row in days] == list(found["tasks by weekday"].counts)
    done = query(dsn, "select count(completed_at) from tasks")[0][0]
    assert sum(found["tasks.completed_at after created_at"].counts) == done
    for name in ("sign-ups by month", "projects per user", "activity_logs per user"):
        assert sum(found[name].counts) == USERS


def test_processes_that_cannot_be_forked_load_the_same(
    seeded: tuple[str, SeedRecord], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "_processes", multiprocessing.get_context("spawn"))
    monkeypatch.setattr(crew, "USERS_MIN_PER_JOB", 1)
    record = seed_database(database, users=USERS, seed=SEED, jobs=2)
    assert (record.jobs, record.sha256) == (2, seeded[1].sha256)
