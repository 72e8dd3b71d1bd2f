"""The project of `examples/`: a schema that names Supabase's roles, functions that need tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.project import SeedFolder, load_project
from phasegate.seeding import ensure_dataset, seed_database
from phasegate.stack.database import apply_sql
from phasegate.stack.levels import FOUNDATION, apply_level, current_level, present_parts
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

HELPDESK = load_project(Path(__file__).parents[2] / "examples" / "helpdesk")
USERS = 60


@pytest.fixture(scope="module")
def helpdesk(postgres: PostgresServer) -> str:
    folder = SeedFolder(HELPDESK.root)
    return ensure_dataset(postgres, users=USERS, seed=7, jobs=1, project=folder)[0]


def test_on_a_server_of_ours_its_policies_are_there_with_its_tables(
    helpdesk: str, postgres: PostgresServer, query: Query
) -> None:
    template = postgres.dsn(f"phasegate_template_{USERS}")
    for dsn in (template, helpdesk):
        assert query(dsn, "select count(*) from pg_policies where schemaname = 'public'")[0][0] == 5
        assert query(dsn, "select has_table_privilege('authenticated', 'tickets', 'insert')")[0][0]


def test_its_parts_come_and_go_and_its_policies_are_made_once(helpdesk: str, query: Query) -> None:
    shipped = query(helpdesk, "select policyname, qual from pg_policies order by 1, 2")
    for level in (1, 2, 2, 1):
        apply_level(helpdesk, level, HELPDESK)
        assert current_level(helpdesk, HELPDESK) == level
    assert present_parts(helpdesk, HELPDESK) == set()
    assert query(helpdesk, "select policyname, qual from pg_policies order by 1, 2") == shipped


def test_a_data_set_takes_the_place_of_tables_and_functions_that_need_each_other(
    database: str, query: Query
) -> None:
    apply_sql(database, *FOUNDATION)
    folder = SeedFolder(HELPDESK.root)
    seed_database(database, users=20, seed=1, jobs=1, project=folder)
    apply_level(database, 2, HELPDESK)
    seed_database(database, users=30, seed=2, jobs=1, replace=True, project=folder)
    assert query(database, "select count(*) from agents")[0][0] == 30
    assert present_parts(database, HELPDESK) == set()


def test_a_server_without_supabases_roles_is_told_apart_from_a_mistake_in_the_schema(
    database: str, query: Query
) -> None:
    query(database, "drop schema if exists auth cascade")
    with pytest.raises(ConfigurationError, match="a Supabase project brings") as caught:
        seed_database(database, users=20, seed=1, jobs=1, project=SeedFolder(HELPDESK.root))
    assert caught.value.untouched == "Nothing was changed"
    assert query(database, "select to_regclass('phasegate.dataset')")[0][0] is None


def test_an_agent_sees_the_organisations_they_are_in_and_no_other(
    helpdesk: str, query: Query
) -> None:
    account, own = query(
        helpdesk,
        "select account_id::text, array_agg(organisation_id order by organisation_id)"
        " from agents join memberships on agent_id = id group by 1 order by count(*) desc limit 1",
    )[0]
    assert len(own) > 1
    for level in (1, 2):
        apply_level(helpdesk, level, HELPDESK)
        assert asyncio.run(_seen_by(helpdesk, account)) == own


async def _seen_by(dsn: str, account: str) -> list[int]:
    connection = await asyncpg.connect(dsn)
    try:
        claims = f'{{"sub": "{account}", "role": "authenticated"}}'
        await connection.fetchval("select set_config('request.jwt.claims', $1, false)", claims)
        await connection.execute("set role authenticated")
        seen = await connection.fetch("select id from organisations order by id")
        tickets = await connection.fetch("select distinct organisation_id from tickets")
        assert {row[0] for row in tickets} <= {row[0] for row in seen}
        return [row["id"] for row in seen]
    finally:
        await connection.close()
