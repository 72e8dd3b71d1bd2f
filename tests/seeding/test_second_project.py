"""A project unlike the task app: all shapes of tables, all kinds of columns; the server judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from phasegate.model.population import user_id
from phasegate.project import SeedFolder
from phasegate.records.seed import SeedRecord
from phasegate.seeding import describe, process_pool, seed_database
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

CLUB = SeedFolder(Path(__file__).with_name("club"))
USERS, SEED = 600, 3


@pytest.fixture(scope="module")
def club(postgres: PostgresServer, query: Query) -> Iterator[tuple[str, SeedRecord]]:
    query(postgres.dsn(), "create database club")
    dsn = postgres.dsn("club")
    yield dsn, seed_database(dsn, users=USERS, seed=SEED, jobs=1, project=CLUB)
    query(postgres.dsn(), "drop database club with (force)")


def test_every_constraint_holds_and_every_table_has_the_rows_of_the_record(
    club: tuple[str, SeedRecord], query: Query
) -> None:
    dsn, record = club
    kept = query(dsn, "select contype::text, convalidated from pg_constraint where contype = 'f'")
    assert len(kept) == 10
    assert all(row["convalidated"] for row in kept)
    counted = {one.name: one.rows for one in record.relations}
    assert counted["Members"] == USERS
    assert counted["countries"] == 20
    for name, rows in counted.items():
        table = name if "." in name else f'"{name}"'
        assert query(dsn, f"select count(*) from {table}")[0][0] == rows > 0


@pytest.mark.parametrize("jobs", [2, 5])
def test_the_bytes_do_not_depend_on_the_number_of_processes(
    club: tuple[str, SeedRecord], database: str, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    monkeypatch.setattr(process_pool, "USERS_MIN_PER_JOB", 1)
    record = seed_database(database, users=USERS, seed=SEED, jobs=jobs, project=CLUB)
    assert (record.jobs, record.sha256) == (jobs, club[1].sha256)


def test_users_are_those_that_tokens_are_made_for(
    club: tuple[str, SeedRecord], query: Query
) -> None:
    found = {row["id"] for row in query(club[0], 'select id from "Members"')}
    assert found == {user_id(SEED, index) for index in range(USERS)}


def test_nothing_is_made_before_what_it_belongs_to(
    club: tuple[str, SeedRecord], query: Query
) -> None:
    for early in (
        (
            'memberships x join "Members" o on o.id = x.user_id'
            " where x.since < date_trunc('ms', o.joined)"
        ),
        "memberships x join orgs o on o.id = x.org_id where x.since < date_trunc('ms', o.made)",
        "rooms x join orgs o on o.id = x.org_id where x.made < date_trunc('ms', o.made)",
        (
            "posts x join memberships o on (o.org_id, o.user_id) = (x.org_id, x.author_id)"
            " where x.created < date_trunc('ms', o.since)"
        ),
        (
            "posts x join rooms o on (o.org_id, o.no) = (x.room_org, x.room_no)"
            " where x.created < date_trunc('ms', o.made)"
            " and exists (select from rooms r where r.org_id = o.org_id and r.made < x.created)"
        ),
        "comments x join posts o on o.id = x.post_id where x.made < o.created",
        (
            "billing.lines x join posts o on o.id = x.post_id"
            " where x.made <> o.created at time zone 'UTC'"
        ),
    ):
        assert query(club[0], f"select count(*) from {early}")[0][0] == 0, early


def test_rows_that_are_looked_up_are_inside_the_same_owner(
    club: tuple[str, SeedRecord], query: Query
) -> None:
    strangers = query(
        club[0],
        """
        select count(*) filter (where not exists (
                   select from memberships m
                   where m.org_id = p.org_id and m.user_id = c.by_whom)) as strangers,
               count(distinct c.by_whom) as people,
               count(*) filter (where c.by_whom <> p.author_id) as others
        from comments c join posts p on p.id = c.post_id
        """,
    )[0]
    assert strangers["strangers"] == 0
    assert strangers["others"] > 100
    assert strangers["people"] > 50


def test_identity_keys_count_the_rows_owner_by_owner_and_go_on_from_there(
    club: tuple[str, SeedRecord], query: Query
) -> None:
    rows = query(club[0], "select id from posts order by id")
    assert [row["id"] for row in rows] == list(range(1, len(rows) + 1))
    within = """
        select count(*) from (
            select created < lag(created) over (partition by org_id, author_id order by id) as early
            from posts) as pairs
        where early
    """
    assert query(club[0], within)[0][0] == 0
    following = query(club[0], "select nextval(pg_get_serial_sequence('posts', 'id')) as id")
    assert following[0]["id"] == len(rows) + 1


def test_templates_of_json_texts_and_arrays_hold_what_was_declared(
    club: tuple[str, SeedRecord], query: Query
) -> None:
    found = query(
        club[0],
        """
        select count(*) as posts,
               count(*) filter (where facts ->> 'kind' = 'post'
                   and (facts ->> 'size')::int between 1 and 9
                   and jsonb_typeof(facts -> 'on') = 'boolean'
                   and (facts ->> 'by')::uuid = author_id
                   and facts ->> 'said' = facts ->> 'said'
                   and facts #> '{inner,list}' = '[1, 2]' and facts #> '{inner,none}' = '{}'
                   and facts #>> '{inner,pick}' in ('x', 'y')) as right_json,
               count(*) filter (where facts ->> 'said' like '%"quoted"%/' || id) as quoted,
               avg((price is null)::int)::float as free,
               count(*) filter (where price <> round(price, 2)) as unrounded,
               stddev(weight) as spread
        from posts
        """,
    )[0]
    assert found["right_json"] == found["posts"]
    assert found["quoted"] > 10
    assert found["free"] == pytest.approx(0.2, abs=0.05)
    assert found["unrounded"] == 0
    assert found["spread"] == pytest.approx(10, rel=0.1)
    arrays = query(
        club[0],
        "select count(*) filter (where cardinality(tags) between 0 and 3"
        " and tags <@ '{red,green,blue}') as right_tags, count(*) as rooms,"
        " count(*) filter (where cardinality(sizes) in (1, 2)) as right_sizes from rooms",
    )[0]
    assert arrays["rooms"] == arrays["right_tags"] == arrays["right_sizes"] > 50


# A row of the first users' and all that it refers to, for every table; orgs that 60 users cut off
# have more members when there are more, and their own rows go on.
GROWING = (
    """select to_jsonb(x) from "Members" x where id = any($1)""",
    "select to_jsonb(x) from memberships x where user_id = any($1)",
    "select to_jsonb(x) from posts x where author_id = any($1)",
    """select to_jsonb(c) from comments c join posts p on p.id = post_id where author_id = any($1)
       and org_id < (select max(org_id) from memberships where user_id = any($1))""",
    """select to_jsonb(l) from billing.lines l join posts p on p.id = l.post_id
       where author_id = any($1)""",
    """select to_jsonb(r) from rooms r
       where org_id <= (select max(org_id) from memberships where user_id = any($1))""",
    "select to_jsonb(c) from countries c where $1::uuid[] is not null",
)


def test_growing_keeps_the_first_users_as_they_were(
    club: tuple[str, SeedRecord], database: str, query: Query
) -> None:
    few = 60
    seed_database(database, users=few, seed=SEED, jobs=1, project=CLUB)
    users = [user_id(SEED, index) for index in range(few)]
    for statement in GROWING:
        small, large = (
            sorted(row[0] for row in query(dsn, statement, users)) for dsn in (database, club[0])
        )
        assert small
        assert small == large, statement


def test_another_data_set_takes_the_place_of_all_that_was_made(database: str, query: Query) -> None:
    seed_database(database, users=20, seed=1, jobs=1, project=CLUB)
    query(database, "insert into countries values (99, 'Nowhere')")
    seed_database(database, users=30, seed=2, jobs=1, replace=True, project=CLUB)
    assert query(database, 'select count(*) from "Members"')[0][0] == 30


def test_its_description_needs_no_server() -> None:
    told = describe(1000, 1, project=CLUB)
    assert "memberships per user" in told
    assert "posts.deleted after updated" in told
    assert "few an event" in told
