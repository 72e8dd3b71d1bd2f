"""Seeded tables are never open, on a database as hosted Supabase makes it or on a plain one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copy2, copytree

import asyncpg
import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.model.population import user_id
from phasegate.project import SeedFolder
from phasegate.seeding import ensure_dataset, seed_database
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

ROOT = Path(__file__).resolve().parents[2]
USERS = 20
SEED = 1
TABLES = ("profiles", "projects", "tasks", "activity_logs", "activity_logs_partitioned")

WITHOUT_ROW_SECURITY = """
select c.oid::regclass::text as name from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
"""
GRANTS = """
select c.relname, coalesce(r.rolname, 'public') as grantee,
       string_agg(a.privilege_type, ' ' order by a.privilege_type) as granted
from pg_class c cross join aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
where c.relnamespace in (select oid from pg_namespace where nspname in ('public', 'phasegate'))
  and c.relkind in ('r', 'p') and a.grantee <> c.relowner
group by 1, 2 order by 1, 2
"""


def granted(query: Query, dsn: str) -> set[tuple[str, str, str]]:
    return {tuple(row) for row in query(dsn, GRANTS)}


EXACT = {
    (table, role, "DELETE INSERT SELECT UPDATE")
    for table in TABLES
    for role in ("authenticated", "service_role")
}


def test_the_fixture_is_as_open_as_a_hosted_project(hosted: str, query: Query) -> None:
    query(hosted, "create table public.careless (id int)")
    assert ("careless", "anon") in {row[:2] for row in granted(query, hosted)}
    assert not query(hosted, "select rolsuper from pg_roles where rolname = current_user")[0][0]


def test_a_policy_that_the_server_refuses_is_named_with_its_line(
    hosted: str, tmp_path: Path
) -> None:
    copytree(ROOT / "seed", tmp_path / "seed")
    copy2(ROOT / "phasegate.toml", tmp_path)
    policies = tmp_path / "seed" / "policies.sql"
    policies.write_text("-- Two lines.\nselect 1 form public.tasks\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"^seed/policies.sql, line 2: .*Nothing was"):
        seed_database(hosted, users=USERS, seed=SEED, project=SeedFolder(tmp_path))


def test_a_hosted_project_gets_policies_and_exact_grants_with_its_rows(
    hosted: str, query: Query
) -> None:
    seed_database(hosted, users=USERS, seed=SEED)
    assert query(hosted, WITHOUT_ROW_SECURITY) == []
    assert granted(query, hosted) == EXACT
    assert query(hosted, "select count(*) from pg_policies where schemaname = 'public'")[0][0] == 7


def test_anon_reads_nothing_and_a_user_reads_their_own(hosted: str, query: Query) -> None:
    seed_database(hosted, users=USERS, seed=SEED)
    me = str(user_id(SEED, 0))

    async def seen_by(role: str, table: str) -> int:
        connection = await asyncpg.connect(hosted)
        try:
            async with connection.transaction():
                await connection.execute(f"set local role {role}")
                claims = f'{{"sub": "{me}", "role": "{role}"}}'
                await connection.execute(
                    "select set_config('request.jwt.claims', $1, true)", claims
                )
                return int(await connection.fetchval(f"select count(*) from {table}"))
        finally:
            await connection.close()

    partition = query(
        hosted,
        "select inhrelid::regclass::text from pg_inherits"
        " where inhparent = 'activity_logs_partitioned'::regclass limit 1",
    )[0][0]  # fmt: skip
    for table in (*TABLES, partition):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asyncio.run(seen_by("anon", table))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(seen_by("authenticated", partition))
    assert asyncio.run(seen_by("authenticated", "profiles")) == 1
    own = query(hosted, f"select count(*) from tasks where user_id = '{me}'")[0][0]
    assert asyncio.run(seen_by("authenticated", "tasks")) == own < USERS * 10


def test_the_tables_are_closed_before_the_first_row_arrives(hosted: str, query: Query) -> None:
    """What others see while the rows are on their way is what the first transaction committed."""
    seen: list[tuple[list[asyncpg.Record], set[tuple[str, str, str]]]] = []

    def look(_: object) -> None:
        if not seen:  # called inside the seeder's event loop, which cannot run another
            with ThreadPoolExecutor() as pool:
                seen.append(pool.submit(state).result())

    def state() -> tuple[list[asyncpg.Record], set[tuple[str, str, str]]]:
        return query(hosted, WITHOUT_ROW_SECURITY), granted(query, hosted)

    for number in (SEED, SEED + 1):
        seed_database(hosted, users=USERS, seed=number, replace=True, on_progress=look)
        assert seen.pop() == ([], EXACT)


def test_a_level_keeps_a_hosted_projects_grants_exact(hosted: str, query: Query) -> None:
    seed_database(hosted, users=USERS, seed=SEED)
    apply_level(hosted, 3)
    assert granted(query, hosted) == EXACT
    assert query(hosted, WITHOUT_ROW_SECURITY) == []
    may = "select has_function_privilege($1, 'public.user_stats()', 'execute')"
    assert [query(hosted, may, role)[0][0] for role in ("anon", "authenticated")] == [False, True]
    entered = "select has_schema_privilege($1, 'private', 'usage')"
    assert not query(hosted, entered, "authenticated")[0][0]


def test_a_plain_database_gets_closed_tables_until_it_gets_its_level(
    database: str, query: Query
) -> None:
    query(database, "alter default privileges grant all on tables to public")
    seed_database(database, users=USERS, seed=SEED)
    assert query(database, WITHOUT_ROW_SECURITY) == []
    assert granted(query, database) == set()
    apply_level(database, 1)
    assert granted(query, database) == EXACT


def test_what_an_older_phasegate_left_open_is_closed_when_it_is_found(
    hosted: str, query: Query
) -> None:
    seed_database(hosted, users=USERS, seed=SEED)
    for table in TABLES:
        query(hosted, f"alter table {table} disable row level security")
        query(hosted, f"grant all on {table} to anon")
    assert seed_database(hosted, users=USERS, seed=SEED).reused
    assert query(hosted, WITHOUT_ROW_SECURITY) == []
    assert granted(query, hosted) == EXACT


def test_a_grant_that_somebody_made_since_outlives_a_level(hosted: str, query: Query) -> None:
    if not query(hosted, "select from pg_roles where rolname = 'analyst'"):
        query(hosted, "create role analyst")
    seed_database(hosted, users=USERS, seed=SEED)
    query(hosted, "grant select on tasks to analyst")
    apply_level(hosted, 2)
    assert ("tasks", "analyst", "SELECT") in granted(query, hosted)
    query(hosted, "revoke all on tasks from analyst")


def test_our_own_server_serves_a_data_set_as_before(postgres: PostgresServer, query: Query) -> None:
    dsn, _ = ensure_dataset(postgres, users=USERS + 2, seed=SEED)
    assert query(dsn, WITHOUT_ROW_SECURITY) == []
    assert granted(query, dsn) == EXACT
    assert query(dsn, "select count(*) from pg_policies where schemaname = 'public'")[0][0] == 7
