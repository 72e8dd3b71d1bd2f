"""The hourly workflows, step by step, on a real database."""

from __future__ import annotations

import asyncio
import os
import re
from typing import Any

import asyncpg
import pytest

from phasegate.stack.database import fetch

HEALTH = "infra-health-check.yml"
REFRESH = "refresh-user-stats.yml"


def on(dsn: str, query: str) -> Any:
    """The value of `query`."""
    found = fetch(dsn, query)
    return found[0][0] if found else None


def test_without_secrets_a_job_names_those_that_are_missing(runner: Any) -> None:
    for workflow, names in ((HEALTH, "SUPABASE_URL DATABASE_URL"), (REFRESH, "DATABASE_URL")):
        values = {f"secrets__{name}": "" for name in names.split()}
        ran = runner.run(workflow, "Are the secrets here?", **values)
        assert (ran.code, ran.outputs) == (0, {"ready": "false"})
        assert ran.summary == f"Skipped: not set among this repository's secrets: {names}\n"
        assert ran.said.startswith("::warning title=Skipped::")


def test_one_of_the_two_is_enough_to_ask_for_health(runner: Any) -> None:
    ran = runner.run(
        HEALTH, "Are the secrets here?", secrets__SUPABASE_URL="", secrets__DATABASE_URL="a"
    )
    assert (ran.code, ran.outputs, ran.summary) == (0, {"ready": "true"}, "")


def test_installing_is_what_a_user_does(runner: Any) -> None:
    # The environment is there, so this only shows that the target is, and finds it so.
    assert runner.run(HEALTH, "Install").code == 0
    assert (runner.home / "path").read_text() == f"{runner.checkout}/.venv/bin\n"


def ask(runner: Any, dsn: str) -> Any:
    return runner.run(
        HEALTH,
        "Ask",
        secrets__SUPABASE_URL="",
        secrets__SUPABASE_ANON_KEY="",
        secrets__DATABASE_URL=dsn,
    )


def test_a_database_that_is_well_ends_green_with_its_table(runner: Any, level_3: str) -> None:
    ran = ask(runner, level_3)
    assert ran.code == 0, ran.said
    assert "::" not in ran.said
    assert re.search(r"^api +skipped +No URL was given$", ran.summary, re.MULTILINE)
    assert re.search(r"^database +ok +PostgreSQL", ran.summary, re.MULTILINE)


def test_what_is_not_well_is_an_annotation_and_a_red_run(runner: Any, level_3: str) -> None:
    on(level_3, "update phasegate_stack.refreshes set refreshed_at = now() - interval '3 hours'")
    ran = ask(runner, level_3)
    assert ran.code == 1
    assert (
        "::error title=phasegate health (refresh_age)::private.user_stats was refreshed 180 min ago"
        in ran.said
    )
    assert re.search(
        r"^refresh_age +FAILED +private.user_stats was refreshed 180 min", ran.summary, re.MULTILINE
    )
    assert "::error" not in ran.summary


def test_a_database_that_is_gone_is_an_annotation_and_no_secret_shows(runner: Any) -> None:
    ran = ask(runner, "postgresql://u:hidden-word@127.0.0.1:1/db")
    assert ran.code == 1
    assert "::error title=phasegate health (database)::" in ran.said
    assert "hidden-word" not in ran.said + ran.summary


def refresh(runner: Any, dsn: str) -> Any:
    return runner.run(REFRESH, "Refresh", secrets__DATABASE_URL=dsn)


@pytest.mark.usefixtures("psql")
def test_a_refresh_fills_the_view_and_says_when(runner: Any, level_3: str) -> None:
    on(
        level_3,
        "insert into profiles (id, name, locale, created_at)"
        " values (gen_random_uuid(), 'a', 'en_US', now())",
    )
    assert on(level_3, "select count(*) from private.user_stats") == 0
    ran = refresh(runner, level_3)
    assert ran.code == 0, ran.said
    assert on(level_3, "select count(*) from private.user_stats") == 1
    assert ran.summary == ran.said
    assert ran.summary.startswith("The view of user statistics was refreshed.\nAs of 20")


@pytest.mark.usefixtures("psql")
def test_a_refresh_beside_another_leaves_it_alone(runner: Any, level_3: str) -> None:
    async def beside() -> Any:
        connection = await asyncpg.connect(level_3)
        try:
            async with connection.transaction():
                await connection.execute(
                    "select phasegate_stack.refresh_view('private.user_stats')"
                )
                return await asyncio.to_thread(refresh, runner, level_3)
        finally:
            await connection.close()

    ran = asyncio.run(beside())
    assert ran.code == 0, ran.said
    assert ran.summary.startswith("Another refresh of user statistics was under way")


@pytest.mark.usefixtures("psql")
def test_a_refresh_gives_way_to_a_migration_that_holds_the_view(runner: Any, level_3: str) -> None:
    script = runner.checkout / ".github/scripts/refresh_user_stats.sql"
    script.write_text(script.read_text().replace("lock_timeout = '10s'", "lock_timeout = '100ms'"))

    async def beside() -> Any:
        connection = await asyncpg.connect(level_3)
        try:
            async with connection.transaction():
                await connection.execute("refresh materialized view private.user_stats")
                return await asyncio.to_thread(refresh, runner, level_3)
        finally:
            await connection.close()

    ran = asyncio.run(beside())
    assert ran.code != 0
    assert "canceling statement due to lock timeout" in ran.said


@pytest.mark.usefixtures("psql")
def test_a_database_below_level_3_makes_a_red_run_that_says_so(runner: Any, database: str) -> None:
    ran = refresh(runner, database)
    assert ran.code != 0
    assert 'schema "phasegate_stack" does not exist' in ran.said


@pytest.mark.usefixtures("psql")
def test_a_refresh_takes_an_address_made_for_another_client(runner: Any, level_3: str) -> None:
    ran = refresh(runner, f"{level_3}?pgbouncer=true&connection_limit=1\r\n")
    assert ran.code == 0, ran.said
    assert "passed over connection_limit, pgbouncer" in ran.said


def test_psql_gets_its_address_by_environment_alone(runner: Any) -> None:
    runner.program("psql", '#!/bin/sh\necho "arguments: $*"\nenv | grep -E "^(PG|DATABASE_URL)"\n')
    ran = refresh(runner, "postgresql://me:p%40ss@db.example.org:6543/app?application_name=x")
    arguments, _, rest = ran.said.partition("\n")
    file = ".github/scripts/refresh_user_stats.sql"
    assert arguments == f"arguments: --no-psqlrc --quiet --file {file}"
    assert set(rest.split()) == {
        "PGHOST=db.example.org",
        "PGPORT=6543",
        "PGUSER=me",
        "PGPASSWORD=p@ss",
        "PGDATABASE=app",
        "PGAPPNAME=x",
        "PGCONNECT_TIMEOUT=15",
        "PGSSLMODE=require",
    }


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("", "it is empty"),
        ("mysql://me:hidden@h/d", "it does not begin with postgresql://"),
        ("postgresql://me:hidden/word@h/d", "there is an @ after the host"),
        ("postgresql://me:hid@den@h/d", "it holds more than one @"),
    ],
)
def test_a_wrong_address_is_refused_without_being_quoted(runner: Any, dsn: str, said: str) -> None:
    ran = refresh(runner, dsn)
    assert ran.code == 2
    assert ran.said.startswith(f"DATABASE_URL cannot be read as an address: {said}")
    assert "Nothing was sent" in ran.said
    assert "hidden" not in ran.said
    assert os.environ.get("DATABASE_URL") != dsn
