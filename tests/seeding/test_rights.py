"""Who lacks a right is told which, and the statement that is named does mend it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator

import asyncpg
import pytest

from phasegate.model.errors import CannotMeasure, ExitCode, PhasegateError, Refused
from phasegate.seeding import seed_database
from phasegate.seeding.build_indexes import _shared_out, _vacuum
from phasegate.stack.database import connected
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

USERS = 20
SEED = 1
PASSWORD = "of-the-tests"  # noqa: S105 - opens nothing else


@pytest.fixture
def role(database: str, query: Query) -> Iterator[str]:
    """DSN of `odd role`, which may do nothing but connect; its name needs quoting."""
    query(database, f"create role \"odd role\" login password '{PASSWORD}'")
    yield f"postgresql://odd%20role:{PASSWORD}@{database.partition('@')[2]}"
    query(database, f"alter database {database.rpartition('/')[2]} owner to postgres")
    query(database, 'drop owned by "odd role" cascade')
    query(database, 'drop role "odd role"')


def refusal(dsn: str, *, number: int = SEED, replace: bool = False) -> PhasegateError:
    with pytest.raises(Refused, match="Nothing was changed") as caught:
        seed_database(dsn, users=USERS, seed=number, replace=replace)
    assert PASSWORD not in str(caught.value)
    assert caught.value.exit_code == ExitCode.WRONG_CALL
    return caught.value


def mend(query: Query, dsn: str, error: PhasegateError) -> None:
    """Run the statements that the message names, as it names them."""
    statements = re.search(r"run: (.*;)", error.then)
    assert statements, error
    for statement in filter(None, map(str.strip, statements[1].split(";"))):
        query(dsn, statement)


def test_the_grants_that_are_named_are_enough_to_seed(
    role: str, database: str, query: Query
) -> None:
    error = refusal(role)
    assert "may not create schemas, or tables in `public`" in error.what
    mend(query, database, error)
    assert seed_database(role, users=USERS, seed=SEED).rows > USERS


def test_a_database_without_a_schema_public_is_told_to_make_one(
    role: str, database: str, query: Query
) -> None:
    query(database, "drop schema public")
    mend(query, database, refusal(role))
    assert seed_database(role, users=USERS, seed=SEED).rows > USERS


def test_a_role_that_may_not_even_see_the_data_set_is_not_told_that_it_is_incomplete(
    role: str, database: str, query: Query
) -> None:
    whole = seed_database(database, users=USERS, seed=SEED)
    error = refusal(role)
    assert "may not read" in error.what
    assert '"odd role"' in error.then
    mend(query, database, error)
    error = refusal(role)
    assert "may not read all of its rows" in error.what
    assert "incomplete" not in str(error)
    mend(query, database, error)
    found = seed_database(role, users=USERS, seed=SEED)
    assert (found.reused, found.sha256) == (True, whole.sha256)


def test_a_reader_whom_row_level_security_shows_less_to_is_not_told_that_rows_are_gone(
    role: str, database: str, query: Query
) -> None:
    seed_database(database, users=USERS, seed=SEED)
    query(database, 'grant usage on schema phasegate, public to "odd role"')
    query(database, 'grant select on all tables in schema phasegate, public to "odd role"')
    assert "may not read all of its rows" in refusal(role).what


def test_a_data_set_of_another_owner_is_not_replaced_and_its_owner_is_named(
    role: str, database: str, query: Query
) -> None:
    seed_database(database, users=USERS, seed=SEED)
    query(database, 'grant usage on schema phasegate to "odd role"')
    query(database, 'grant select on phasegate.dataset to "odd role"')
    error = refusal(role, number=SEED + 1, replace=True)
    assert "belongs to role postgres" in error.what
    assert 'grant postgres to "odd role";' in error.then


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP", "WIN1252"])
def test_a_database_whose_encoding_lacks_characters_is_refused_before_anything_is_written(
    postgres: PostgresServer, query: Query, encoding: str
) -> None:
    query(
        postgres.dsn(),
        f"create database narrow encoding '{encoding}' locale 'C' template template0",
    )
    try:
        error = refusal(postgres.dsn("narrow"))
        assert encoding in error.what
        assert query(
            postgres.dsn("narrow"),
            "select count(*) from pg_class where relnamespace >= 16384"
            " or relnamespace = 'public'::regnamespace",
        ) == [(0,)]
        statement = error.then.partition(": ")[2].replace("NAME", "wide")
        query(postgres.dsn(), statement.rstrip(";"))
        assert seed_database(postgres.dsn("wide"), users=USERS, seed=SEED).rows > USERS
    finally:
        for name in ("narrow", "wide"):
            query(postgres.dsn(), f"drop database if exists {name} with (force)")


@pytest.mark.parametrize("setting", ["alter role {role}", "alter database {database}",
                                     "alter role {role} in database {database}"])  # fmt: skip
def test_a_read_only_default_is_told_how_to_turn_it_off(
    role: str, database: str, query: Query, setting: str
) -> None:
    name = database.rpartition("/")[2]
    query(database, f'alter database {name} owner to "odd role"')
    whose = setting.format(role='"odd role"', database=name)
    query(database, f"{whose} set default_transaction_read_only = on")
    error = refusal(role)
    assert "replica" not in str(error)
    mend_as_superuser = re.search(r"run: (.*);", error.then)
    assert mend_as_superuser, error
    assert mend_as_superuser[1] == f"{whose} reset default_transaction_read_only"
    query(f"{database}?options=-c%20default_transaction_read_only%3Doff", mend_as_superuser[1])
    assert seed_database(role, users=USERS, seed=SEED).rows > USERS


def test_a_read_only_role_that_finds_all_it_wants_is_content(
    role: str, database: str, query: Query
) -> None:
    query(database, f'alter database {database.rpartition("/")[2]} owner to "odd role"')
    query(database, 'grant usage, create on schema public to "odd role"')
    seed_database(role, users=USERS, seed=SEED)
    query(database, 'alter role "odd role" set default_transaction_read_only = on')
    assert seed_database(role, users=USERS, seed=SEED).reused


def test_a_roles_own_limits_and_search_path_do_not_stand_in_the_way(
    role: str, database: str, query: Query
) -> None:
    query(database, f'alter database {database.rpartition("/")[2]} owner to "odd role"')
    query(database, 'grant usage, create on schema public to "odd role"')
    for setting in (
        "search_path = 'elsewhere'",
        "statement_timeout = '60ms'",
        "transaction_timeout = '60ms'",
        "idle_in_transaction_session_timeout = '60ms'",
        "row_security = off",
        "datestyle = 'SQL, DMY'",
        "client_encoding = 'LATIN1'",
    ):
        query(database, f'alter role "odd role" set {setting}')
    assert seed_database(role, users=2_000, seed=SEED).rows > 2_000
    assert seed_database(role, users=2_000, seed=SEED).reused


def test_a_role_that_may_not_enter_schema_auth_is_told_so_before_its_policies_fail(
    hosted: str, role: str, database: str, query: Query
) -> None:
    query(database, f'alter database {database.rpartition("/")[2]} owner to "odd role"')
    error = refusal(role)
    assert "grant usage on schema auth" in error.then
    mend(query, database, error)
    assert seed_database(role, users=USERS, seed=SEED).rows > USERS


def test_what_fails_before_the_first_change_does_not_claim_an_incomplete_data_set(
    database: str, query: Query
) -> None:
    query(database, "create schema phasegate")
    query(database, "create table phasegate.dataset (key text)")  # not ours: a column is missing
    with pytest.raises(CannotMeasure, match="Nothing was changed") as caught:
        seed_database(database, users=USERS, seed=SEED)
    assert "incomplete" not in str(caught.value)


def test_a_vacuum_that_a_roles_limit_ends_leaves_the_other_tables_theirs(
    role: str, database: str, query: Query
) -> None:
    """VACUUM cannot be told of other limits in a transaction of its own."""
    query(database, 'grant usage, create on schema public to "odd role"')
    for table in ("a", "b", "c"):
        query(role, f"create table {table} as select 1 as id")
    query(database, "alter role \"odd role\" set transaction_timeout = '200ms'")

    async def work() -> None:
        async with connected(database) as other, other.transaction():
            await other.execute("lock table b")
            await _shared_out(role, ["a", "b", "c"], _vacuum)

    asyncio.run(work())
    vacuumed = query(
        database,
        "select relname from pg_stat_user_tables where last_vacuum is not null order by relname",
    )
    assert [row["relname"] for row in vacuumed] == ["a", "c"]
