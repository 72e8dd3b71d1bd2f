"""Every migration that is printed runs on a live database, and its undo takes it away."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from phasegate import seeding
from phasegate.model.errors import UsageError
from phasegate.model.population import user_id
from phasegate.project import load_project, transactional
from phasegate.stack.database import execute, fetch
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer

PROJECT = load_project()
migration_of = PROJECT.migration_of
MIGRATIONS = [id_ for id_, technique in PROJECT.techniques.items() if technique.migration]
CLIENTS = [id_ for id_, technique in PROJECT.techniques.items() if technique.client]
SEED = 3
USERS = 120
LOCK_TIMEOUT_S = 5.0

# All that a migration could leave behind: relations with their options and rights, columns,
# constraints, indexes, policies, functions, views, comments. Names only, no object ids.
CATALOGUE = r"""
with own as (
    select c.* from pg_class as c
    where c.relnamespace in (select oid from pg_namespace where nspname in ('public', 'private'))
)
select array_agg(line order by line) from (
    select format('%s %s rls %s %s rights %s', oid::regclass, relkind, relrowsecurity, reloptions,
                  (select array_agg(acl::text order by acl::text) from unnest(relacl) as acl))
    from own
    union all
    select format('%s.%s %s not null %s default %s', attrelid::regclass, attname,
                  format_type(atttypid, atttypmod), attnotnull,
                  (select pg_get_expr(adbin, adrelid) from pg_attrdef
                   where adrelid = attrelid and adnum = attnum))
    from pg_attribute where attrelid in (select oid from own where relkind <> 'i') and attnum > 0
    union all
    select format('%s %s %s %s', conrelid::regclass, conname,
                  pg_get_constraintdef(oid), convalidated)
    from pg_constraint
    where connamespace in (select oid from pg_namespace where nspname in ('public', 'private'))
    union all
    select format('%s valid %s', pg_get_indexdef(indexrelid), indisvalid)
    from pg_index where indrelid in (select oid from own)
    union all
    select format('%s %s %s %s %s %s %s', tablename, policyname, permissive, roles, cmd, qual,
                  with_check)
    from pg_policies where schemaname = 'public'
    union all
    select format('%s %s', oid::regprocedure, regexp_replace(prosrc, '\s+', ' ', 'g'))
    from pg_proc
    where pronamespace in (select oid from pg_namespace where nspname in ('public', 'private'))
    union all
    select format('%s %s', matviewname, definition) from pg_matviews
) as found (line)
"""

COUNTS = """
select (select count(*) from tasks), (select count(*) from activity_logs),
       (select sum(hashtextextended(l::text, 0)) from activity_logs as l)
"""


def statements(text: str) -> list[str]:
    """Split as the Supabase CLI does: each statement by itself; `$$` bodies stay whole."""
    pattern = r"(\$\$.*?\$\$)|^[ ]*--[^\n]*$"
    bare = re.sub(pattern, lambda m: m[1] or "", text, flags=re.MULTILINE | re.DOTALL)
    parts = re.findall(r"(?:\$\$.*?\$\$|[^;$])+", bare, flags=re.DOTALL)
    return [part.strip() for part in parts if part.strip()]


def migrate(dsn: str, text: str) -> None:
    execute(dsn, *statements(text))


def look(dsn: str) -> tuple[list[str], tuple[int, ...]]:
    """The catalogue, and what the tables hold."""
    return list(fetch(dsn, CATALOGUE)[0][0]), tuple(fetch(dsn, COUNTS)[0])


@pytest.fixture(scope="module")
def app(postgres: PostgresServer) -> str:
    """DSN of a seeded application at level 1; every test leaves it as it found it."""

    execute(postgres.dsn(), "create database live_app")
    dsn = postgres.dsn("live_app")
    seeding.seed_database(dsn, users=USERS, seed=SEED, jobs=1)
    apply_level(dsn, 1)
    bare = 'alter policy "own projects" on projects using (user_id = auth.uid())'
    migrate(dsn, bare)  # what `rls_uid` is there for
    return dsn


class Writer:
    """Somebody who creates a task and a log entry again and again, and reads the log."""

    def __init__(self) -> None:
        self.written = 0
        self.slowest_s = 0.0
        self._wrote = asyncio.Event()

    async def goes_on(self, times: int) -> None:
        """Return once it wrote so many times more."""
        for _ in range(times):
            self._wrote.clear()
            await self._wrote.wait()

    async def work(self, dsn: str, stop: asyncio.Event) -> None:
        connection = await asyncpg.connect(dsn)
        user = user_id(SEED, 0)
        try:
            while not stop.is_set():
                began = time.monotonic()
                await connection.execute(
                    "insert into tasks (user_id, title, created_at) values ($1, 'mine', now())",
                    user,
                )
                await connection.execute(
                    "insert into activity_logs (id, user_id, action, created_at)"
                    " values ($1, $2, 'mine', now())",
                    -1 - self.written, user,
                )  # fmt: skip
                await connection.fetch("select * from activity_logs where id < 0 limit 5")
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                self.written += 1
                self._wrote.set()
                await asyncio.sleep(0.002)
        finally:
            await connection.close()


@asynccontextmanager
async def writing(dsn: str) -> AsyncIterator[Writer]:
    """A writer at work; what it wrote is removed afterwards."""
    writer, stop = Writer(), asyncio.Event()
    task = asyncio.create_task(writer.work(dsn, stop))
    try:
        await asyncio.wait_for(writer.goes_on(3), LOCK_TIMEOUT_S)
        yield writer
    finally:
        stop.set()
        await task
        await asyncio.to_thread(
            migrate,
            dsn,
            "delete from tasks where title = 'mine'; delete from activity_logs where id < 0",
        )


@pytest.mark.parametrize("technique", MIGRATIONS)
def test_up_and_undo_beside_a_writer_leave_everything_as_it_was(app, technique):
    async def all_of_it() -> Writer:
        async with writing(app) as writer:
            await asyncio.to_thread(migrate, app, migration_of(technique))
            changed, _ = await asyncio.to_thread(look, app)
            assert set(changed) != set(before[0])
            # With the migration in place it goes on.
            await asyncio.wait_for(writer.goes_on(3), LOCK_TIMEOUT_S)
            await asyncio.to_thread(migrate, app, migration_of(technique, undo=True))
        return writer

    before = look(app)
    writer = asyncio.run(all_of_it())
    assert look(app) == before
    assert writer.slowest_s < LOCK_TIMEOUT_S


ONCE = ("logs_window",)
"""Refused once it is done: there is nothing to be made again."""


@pytest.mark.parametrize("technique", [name for name in MIGRATIONS if name not in ONCE])
def test_a_migration_can_be_run_twice_and_undone_twice(app, technique):
    before = look(app)
    for undo in (False, True):
        states = []
        for _ in range(2):
            migrate(app, migration_of(technique, undo=undo))
            states.append(look(app))
        assert states[0] == states[1]
    assert states[1] == before


@pytest.mark.parametrize("technique", MIGRATIONS)
def test_a_migration_gives_up_where_it_cannot_have_its_lock_and_can_be_run_again(app, technique):
    short = migration_of(technique).replace("'5s'", "'150ms'")
    assert short != migration_of(technique)

    async def behind_a_long_transaction() -> None:
        holder = await asyncpg.connect(app)
        await holder.execute(
            "begin; lock table tasks, projects, activity_logs in row exclusive mode"
        )
        try:
            await asyncio.to_thread(migrate, app, short)
        finally:
            await holder.execute("rollback")
            await holder.close()

    before = look(app)
    if technique == "user_stats":  # it reads, and takes no lock that a writer holds
        asyncio.run(behind_a_long_transaction())
    else:
        with pytest.raises(asyncpg.LockNotAvailableError):
            asyncio.run(behind_a_long_transaction())
    migrate(app, migration_of(technique))
    migrate(app, migration_of(technique, undo=True))
    assert look(app) == before


def test_a_log_that_is_partitioned_already_is_refused_and_stays_whole(app):
    migrate(app, migration_of("logs_window"))
    once = look(app)
    with pytest.raises(asyncpg.PostgresError):
        migrate(app, migration_of("logs_window"))
    assert look(app) == once
    migrate(app, migration_of("logs_window", undo=True))


def test_new_months_of_a_partitioned_log_are_pruned_and_guarded_like_the_table(app):
    async def ask() -> tuple[str, int, bool]:
        connection = await asyncpg.connect(app)
        try:
            await connection.execute("set role authenticated")
            plan = await connection.fetch(
                "explain select count(*) from activity_logs"
                " where created_at >= date_trunc('month', now()) + interval '70 days'"
                " and created_at < date_trunc('month', now()) + interval '75 days'"
            )
            seen = await connection.fetchval("select count(*) from activity_logs")
            guarded = await connection.fetchval(
                "select bool_and(relrowsecurity) from pg_class"
                " where oid in (select relid from pg_partition_tree('activity_logs'))"
            )
            return "\n".join(row[0] for row in plan), seen, guarded
        finally:
            await connection.close()

    migrate(app, migration_of("logs_window"))
    plan, seen, guarded = asyncio.run(ask())
    migrate(app, migration_of("logs_window", undo=True))
    scanned = set(re.findall(r"Scan (?:using \S+ )?on (activity_logs_\w+?)(?:_pkey)? ", plan))
    assert len(scanned) == 1, plan
    assert re.fullmatch(r"activity_logs_p\d{4}_\d{2}", scanned.pop())
    assert seen == 0, "nobody's rows are shown to nobody"
    assert guarded


def test_keys_made_without_uuidv7_are_version_7_and_in_order_of_time(app):
    # As on PostgreSQL before 18: the function is not found.
    text = migration_of("uuid_keys").replace("pg_catalog.uuidv7()", "pg_catalog.not_there()")

    async def ask() -> list[str]:
        connection = await asyncpg.connect(app)
        try:
            found = []
            for _ in range(5):
                found.append(str(await connection.fetchval("select public.uuid_v7()")))
                await asyncio.sleep(0.002)
            return found
        finally:
            await connection.close()

    migrate(app, text)
    keys = asyncio.run(ask())
    migrate(app, migration_of("uuid_keys", undo=True))
    assert keys == sorted(keys)
    assert {key[14] for key in keys} == {"7"}
    assert {key[19] for key in keys} <= set("89ab")


@pytest.mark.parametrize("technique", MIGRATIONS)
def test_a_migration_explains_itself_and_never_waits_for_a_lock_without_end(technique):
    for text in (migration_of(technique), migration_of(technique, undo=True)):
        assert text.startswith("-- ")
        assert "set lock_timeout" in text
    for index in re.findall(r"create (?:unique )?index.*", migration_of(technique)):
        assert "concurrently" in index or "user_stats_user_id" in index


@pytest.mark.parametrize("technique", CLIENTS)
def test_a_change_of_the_client_is_named_as_one_and_does_nothing_as_a_migration(technique):
    text = migration_of(technique)
    assert "no migration" in " ".join(text.replace("--", " ").split()) or "alone would" in text
    assert statements(text) == []
    assert "\n--     " in text, "no query is shown"


@pytest.mark.parametrize("technique", PROJECT.techniques)
def test_every_technique_has_an_answer(technique):
    assert migration_of(technique).startswith("-- ")


@pytest.mark.parametrize("technique", MIGRATIONS)
def test_present_tells_whether_a_migration_is_in_place(app, technique):
    def ask() -> bool:
        return bool(fetch(app, PROJECT.techniques[technique].present)[0][0])

    told = [ask()]
    for undo in (False, True):
        migrate(app, migration_of(technique, undo=undo))
        told.append(ask())
    assert told == [False, True, False]


@pytest.mark.parametrize("technique", MIGRATIONS)
def test_a_migration_runs_inside_a_transaction_once_made_transactional(app, technique):
    async def up_and_undo() -> None:
        connection = await asyncpg.connect(app)
        try:
            async with connection.transaction():
                await connection.execute(transactional(migration_of(technique)))
                await connection.execute(transactional(migration_of(technique, undo=True)))
        finally:
            await connection.close()

    before = look(app)
    asyncio.run(up_and_undo())
    assert look(app) == before


def test_a_technique_that_is_measured_twice_is_applied_once():
    assert migration_of("idx_tasks_project_delete") == migration_of("idx_tasks_project")


def test_a_technique_that_there_is_not_is_named_with_those_that_there_are():
    with pytest.raises(UsageError, match="no technique 'joint'") as caught:
        migration_of("joint")
    assert "idx_tasks_user_created" in caught.value.sentence()
    assert "keyset" in caught.value.sentence()
