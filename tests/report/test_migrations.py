"""Every migration that is printed runs on a live database, twice, and its undo takes it away."""

from __future__ import annotations

import asyncio
import re

import asyncpg
import pytest

import report
from phases.errors import UsageError
from report import migrations
from stack.database import apply_sql
from stack.levels import apply_level

STATE = """
select array_agg(name order by name) from (
    select indexrelid::regclass::text as name from pg_index
    where indisvalid and indrelid = 'public.tasks'::regclass
    union all
    select matviewname from pg_matviews
    union all
    select 'definer' from pg_proc where proname = 'user_stats' and prosecdef
) as found
"""


def statements(text: str) -> list[str]:
    """Split as the Supabase CLI does: each statement by itself; `$$` bodies stay whole."""
    bare = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    parts = re.findall(r"(?:\$\$.*?\$\$|[^;$])+", bare, flags=re.DOTALL)
    return [part.strip() for part in parts if part.strip()]


async def _run(dsn: str, text: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements(text):
            await connection.execute(statement)
    finally:
        await connection.close()


async def _state(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        found: list[str] = await connection.fetchval(STATE)
        return found
    finally:
        await connection.close()


@pytest.fixture
def app_database(database: str) -> str:
    """DSN of an empty application at stack level 1."""
    for name in ("schema", "keys"):
        apply_sql(database, name)
    apply_level(database, 1)
    return database


@pytest.mark.parametrize("technique", migrations.names())
def test_a_migration_can_be_run_twice_and_undone_twice(app_database, technique):
    before = asyncio.run(_state(app_database))
    for _ in range(2):
        asyncio.run(_run(app_database, report.sql(technique)))
        assert set(asyncio.run(_state(app_database))) > set(before)
    for _ in range(2):
        asyncio.run(_run(app_database, report.sql(technique, undo=True)))
        assert asyncio.run(_state(app_database)) == before


@pytest.mark.parametrize("technique", migrations.names())
def test_a_migration_explains_itself_and_never_waits_for_a_lock_without_end(technique):
    for text in (report.sql(technique), report.sql(technique, undo=True)):
        assert text.startswith("-- ")
        assert "set lock_timeout" in text
    for index in re.findall(r"create (?:unique )?index.*", report.sql(technique)):
        assert "concurrently" in index or "user_stats_user_id" in index


def test_a_technique_that_is_measured_twice_is_applied_once():
    assert report.sql("idx_tasks_project_delete") == report.sql("idx_tasks_project")


def test_a_technique_without_a_migration_is_named_with_those_that_have_one():
    with pytest.raises(UsageError, match="no ready migration for 'join'") as caught:
        report.sql("join")
    assert "idx_tasks_user_created" in caught.value.sentence()
