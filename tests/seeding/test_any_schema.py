"""Every shape of table, every type: the server judges, and growing changes no row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from phasegate.project import SeedFolder
from phasegate.records.seed import SeedRecord
from phasegate.seeding import process_pool, seed_database
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

EVERYTHING = SeedFolder(Path(__file__).with_name("everything"))
USERS, FEW, SEED = 400, 40, 3


@pytest.fixture(scope="module")
def everything(postgres: PostgresServer, query: Query) -> Iterator[tuple[str, SeedRecord]]:
    query(postgres.dsn(), "create database everything")
    dsn = postgres.dsn("everything")
    yield dsn, seed_database(dsn, users=USERS, seed=SEED, jobs=1, project=EVERYTHING)
    query(postgres.dsn(), "drop database everything with (force)")


def test_every_constraint_holds_and_no_table_is_empty(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    dsn, record = everything
    kinds = query(
        dsn,
        "select contype::text as kind, count(*) from pg_constraint"
        " where convalidated and contype in ('p', 'u', 'f', 'x', 'c') group by 1",
    )
    assert {row["kind"] for row in kinds} == {"p", "u", "f", "x", "c"}
    assert min(one.rows for one in record.relations) >= 40


def test_rows_that_are_looked_up_are_inside_their_owner(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    strangers = {
        "notes of other orgs": "select count(*) from notes n join auth.users u on u.id = n.user_id"
        " join projects p on p.id = n.project_id where p.org_id <> u.org_id",
        "answers to others": "select count(*) from notes n join notes p on p.id = n.parent_id"
        " where p.user_id <> n.user_id or p.made > n.made",
        "tags of others": "select count(*) from note_tags n join tags t on t.id = n.tag_id"
        " where t.user_id <> n.note_user",
        "big projects of others": "select count(*) from orgs o join projects p"
        " on p.id = o.big_project_id where p.org_id <> o.id",
        "founders elsewhere": "select count(*) from orgs o join auth.users u"
        " on u.id = o.owner_id where u.org_id <> o.id",
    }
    assert {name: query(everything[0], sql)[0][0] for name, sql in strangers.items()} == (
        dict.fromkeys(strangers, 0)
    )
    assert query(everything[0], "select count(distinct b) from friends")[0][0] > USERS / 2


def test_no_value_is_null_that_is_not_to_be_and_values_differ(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    columns = query(
        everything[0],
        "select attname as name from pg_attribute where attrelid = 'types'::regclass"
        " and attnum > 0 and attname <> 'a_gen'",
    )
    counted = ", ".join(
        f'count({row["name"]}) as "{row["name"]}",'
        f' count(distinct {row["name"]}::text) as "{row["name"]} differ"'
        for row in columns
    )
    [found] = query(everything[0], f"select {counted} from types")
    wrong = [
        name
        for name, count in found.items()
        if count != 2 * USERS and not (name.endswith("differ") and count >= 2)
    ]
    assert wrong == []


def test_growing_keeps_every_row_of_every_table(
    everything: tuple[str, SeedRecord], database: str, query: Query
) -> None:
    record = seed_database(database, users=FEW, seed=SEED, jobs=1, project=EVERYTHING)
    for relation in record.relations:
        statement = f"select r::text from {relation.name} as r"
        few, all_rows = (
            [row[0] for row in query(dsn, statement)] for dsn in (database, everything[0])
        )
        assert len(few) == relation.rows
        assert set(few) - set(all_rows) == set(), relation.name


def test_the_bytes_do_not_depend_on_the_number_of_processes(
    everything: tuple[str, SeedRecord], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "USERS_MIN_PER_JOB", 1)
    record = seed_database(database, users=USERS, seed=SEED, jobs=4, project=EVERYTHING)
    assert (record.jobs, record.sha256) == (4, everything[1].sha256)
