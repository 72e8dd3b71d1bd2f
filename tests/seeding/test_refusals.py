from __future__ import annotations

import asyncio
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from phasegate import seeding
from phasegate.model.errors import CannotMeasure, ConfigurationError, ExitCode, Refused, UsageError
from phasegate.seeding import seed_database
from phasegate.seeding.rights import check_server
from phasegate.seeding.target import check_disk
from phasegate.stack.database import with_port
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer, free_port

Query = Callable[..., list[asyncpg.Record]]

USERS = 20


def contents(query: Query, dsn: str) -> list[tuple[object, ...]]:
    """Every relation that is not the server's own, and its size: a refusal changes none."""
    rows = query(
        dsn,
        """
        select n.nspname, c.relname, c.oid, pg_relation_filenode(c.oid), pg_relation_size(c.oid)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') order by 1, 2
        """,
    )
    return [tuple(row) for row in rows]


def test_a_database_with_foreign_tables_is_refused_and_left_as_it_was(
    database: str, query: Query
) -> None:
    query(database, "create table invoices (id int)")
    before = contents(query, database)
    with pytest.raises(Refused, match=r"did not make \(invoices\)\. Nothing was changed") as caught:
        seed_database(database, users=USERS, seed=1, replace=True)
    assert contents(query, database) == before
    assert caught.value.exit_code == ExitCode.WRONG_CALL


def test_a_table_of_our_name_that_somebody_else_made_is_never_dropped(
    database: str, query: Query
) -> None:
    seed_database(database, users=USERS, seed=1)
    query(database, "drop table tasks")
    query(database, "create table tasks (precious text)")
    before = contents(query, database)
    with pytest.raises(Refused, match=r"did not make \(tasks\)"):
        seed_database(database, users=USERS, seed=2, replace=True)
    assert contents(query, database) == before


def test_another_seeds_data_are_replaced_only_on_demand(database: str, query: Query) -> None:
    first = seed_database(database, users=USERS, seed=1)
    before = contents(query, database)
    with pytest.raises(Refused, match=r"another data set \(20 users, seed 1\).*--replace"):
        seed_database(database, users=USERS, seed=2)
    assert contents(query, database) == before
    second = seed_database(database, users=USERS, seed=2, replace=True)
    assert second.sha256 != first.sha256
    assert seed_database(database, users=USERS, seed=2).reused


def test_a_database_at_level_3_can_be_replaced(database: str) -> None:
    first = seed_database(database, users=USERS, seed=1)
    apply_level(database, 3)
    seed_database(database, users=USERS, seed=2, replace=True)
    apply_level(database, 3)
    again = seed_database(database, users=USERS, seed=1, replace=True)
    assert again.sha256 == first.sha256


def test_what_somebody_built_on_our_tables_is_not_dropped_with_them(
    database: str, query: Query
) -> None:
    seed_database(database, users=USERS, seed=1)
    query(database, "create schema mine")
    query(database, "create view mine.open_tasks as select id from public.tasks")
    before = contents(query, database)
    with pytest.raises(Refused, match=r"depends on the tables .*open_tasks"):
        seed_database(database, users=USERS, seed=2, replace=True)
    assert contents(query, database) == before
    assert seed_database(database, users=USERS, seed=1).reused


def test_a_data_set_that_lost_or_gained_rows_is_not_taken_for_the_same(
    database: str, query: Query
) -> None:
    seed_database(database, users=USERS, seed=1)
    query(database, "delete from activity_logs where id = (select min(id) from activity_logs)")
    with pytest.raises(Refused, match="added to or taken from"):
        seed_database(database, users=USERS, seed=1)
    assert not seed_database(database, users=USERS, seed=1, replace=True).reused


def test_a_second_seeder_on_the_same_database_is_sent_away(database: str, query: Query) -> None:
    async def hold_and_try() -> None:
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(7301202507)")
            with pytest.raises(Refused, match="Another phasegate is seeding"):
                await asyncio.to_thread(seed_database, database, users=USERS, seed=1)
        await connection.close()

    asyncio.run(hold_and_try())
    assert contents(query, database) == []


def test_a_read_only_database_is_refused(
    database: str, postgres: PostgresServer, query: Query
) -> None:
    name = database.rpartition("/")[2]
    query(postgres.dsn(), f"alter database {name} set default_transaction_read_only = on")
    with pytest.raises(Refused, match="is read-only"):
        seed_database(database, users=USERS, seed=1)
    assert contents(query, database) == []


@pytest.fixture
def plain_user(database: str, query: Query) -> str:
    """DSN of a user without any privilege beyond connecting."""
    if not query(database, "select from pg_roles where rolname = 'plain'"):
        query(database, "create role plain login password 'plain-secret'")
    user, _, rest = database.removeprefix("postgresql://").partition("@")
    assert user
    return f"postgresql://plain:plain-secret@{rest}"


def test_a_user_who_may_not_create_tables_is_told_what_to_grant(
    plain_user: str, database: str, query: Query
) -> None:
    with pytest.raises(
        Refused, match=r"may not create schemas.*grant create on database"
    ) as caught:
        seed_database(plain_user, users=USERS, seed=1)
    assert "plain-secret" not in str(caught.value)
    assert contents(query, database) == []


def test_a_user_who_is_no_superuser_can_seed_a_database_of_its_own(
    plain_user: str, database: str, query: Query
) -> None:
    name = database.rpartition("/")[2]
    query(database, f"alter database {name} owner to plain")
    query(database, "grant create on schema public to plain")
    reference = seed_database(plain_user, users=USERS, seed=1)
    assert reference.rows > USERS
    query(database, "alter schema public owner to postgres")
    query(database, "reassign owned by plain to postgres")
    query(database, "drop owned by plain")


def test_an_unreachable_server_and_a_wrong_password_are_named_without_the_password(
    database: str, postgres: PostgresServer
) -> None:
    elsewhere = with_port(database, free_port())
    wrong = database.replace(postgres.password, "not-the-password")
    for dsn in (elsewhere, wrong):
        with pytest.raises(CannotMeasure, match="Cannot connect to postgresql://") as caught:
            seed_database(dsn, users=USERS, seed=1)
        assert "not-the-password" not in str(caught.value)
        assert postgres.password not in str(caught.value)


def test_a_dsn_that_is_none_is_refused_without_printing_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        seed_database("mysql://root:hunter2@localhost/app", users=USERS, seed=1)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("users", "number"), [(0, 1), (-5, 1), (10**9, 1), (10, -1), (10, 2**63)])
def test_numbers_out_of_range_are_refused_before_anything_is_opened(
    users: int, number: int
) -> None:
    with pytest.raises(UsageError, match="Nothing was changed"):
        seed_database("postgresql://127.0.0.1:1/none", users=users, seed=number)


def test_an_unknown_locale_is_named() -> None:
    with pytest.raises(UsageError, match="no locale xx_YY"):
        seed_database("postgresql://127.0.0.1:1/none", users=1, seed=1, locales=("xx_YY",))


def test_too_little_disk_is_said_before_anything_is_changed(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5000, 5000))
    with pytest.raises(ConfigurationError, match=r"need .* GB; .* 0\.0 GB free.*Nothing"):
        check_disk(Path("/"), 1_000_000)
    query(postgres.dsn(), "drop database if exists phasegate_21 with (force)")
    query(postgres.dsn(), "create database phasegate_21")
    with pytest.raises(ConfigurationError, match="free"):
        seeding.ensure_dataset(postgres, users=21, seed=1)
    assert query(postgres.dsn(), "select from pg_database where datname = 'phasegate_21'")
    query(postgres.dsn(), "drop database phasegate_21")


def test_a_server_older_than_14_is_refused() -> None:
    found = {
        "version": 130_014,
        "version_text": "13.14",
        "encoding": "UTF8",
    }
    with pytest.raises(Refused, match=r"runs PostgreSQL 13\.14; phasegate needs 14.*Nothing"):
        check_server(found, "postgresql://somewhere/app")
    check_server({**found, "version": 140_000}, "postgresql://somewhere/app")
