from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.project import load_project
from phasegate.stack import job_queue, partitions
from phasegate.stack.levels import apply_level, apply_parts, current_level, present_parts

On = Callable[..., Any]
LEVELS = (1, 2, 3)

INDEXES = """
select array_agg(indexname::text order by indexname) from pg_indexes
where schemaname = 'public' and tablename = 'tasks'
"""
EXPECTED = {
    1: ["tasks_pkey"],
    2: ["idx_tasks_project", "idx_tasks_user_created", "tasks_pkey"],
    3: ["idx_tasks_project", "idx_tasks_user_created", "tasks_pkey"],
}


@pytest.mark.parametrize(("first", "then"), [*itertools.product(LEVELS, LEVELS)])
def test_a_level_can_be_reached_from_any_other(app: str, sql_on: On, first: int, then: int) -> None:
    apply_level(app, first)
    apply_level(app, then)
    assert sql_on(app, lambda c: c.fetchval(INDEXES)) == EXPECTED[then]
    view = sql_on(app, lambda c: c.fetchval("select to_regclass('private.user_stats')"))
    assert (view is not None) == (then == 3)
    assert sql_on(app, lambda c: job_queue.is_queued(c, "process-heavy-task")) == (then == 3)
    queue = sql_on(app, lambda c: c.fetchval("select to_regnamespace('queue')"))
    assert (queue is not None) == (then == 3)
    looked_after = sql_on(app, partitions.state_on)
    assert len(looked_after) == (then == 3)
    assert current_level(app) == then


def test_the_partial_index_covers_only_tasks_with_a_project(app: str, sql_on: On) -> None:
    apply_level(app, 2)
    definition = sql_on(
        app, lambda c: c.fetchval("select pg_get_indexdef('idx_tasks_project'::regclass)")
    )
    assert definition.endswith("(project_id) WHERE (project_id IS NOT NULL)")


def test_an_unknown_level_is_refused_before_the_server_is_asked() -> None:
    with pytest.raises(UsageError, match="no stack level 4"):
        apply_level("postgresql://nobody@127.0.0.1:1/none", 4)


def test_a_database_without_the_tables_is_left_as_it_was(database: str, sql_on: On) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        apply_level(database, 3)
    assert (
        sql_on(database, lambda c: c.fetchval("select to_regnamespace('phasegate_stack')")) is None
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_user_sees_their_own_statistics_and_nobody_elses(
    app: str,
    sql_on: On,
    as_user: On,
    level: int,
    alice: uuid.UUID,
    bob: uuid.UUID,
    carol: uuid.UUID,
) -> None:
    apply_level(app, level)

    async def seen_by(connection: asyncpg.Connection) -> dict[uuid.UUID, list[Any]]:
        seen: dict[uuid.UUID, list[Any]] = {}
        for user in (alice, bob, carol, uuid.uuid4()):
            async with connection.transaction():
                await as_user(connection, user)
                rows = await connection.fetch("select * from user_stats()")
                seen[user] = [tuple(row)[:3] for row in rows]
        return seen

    seen = sql_on(app, seen_by)
    assert seen[alice] == [(alice, 2, 1)]
    assert seen[bob] == [(bob, 5, 0)]
    assert seen[carol] == [(carol, 0, 0)]
    stranger = next(user for user in seen if user not in (alice, bob, carol))
    assert seen[stranger] == [(stranger, 0, 0)]


def test_the_answer_is_the_same_at_every_level(
    app: str, sql_on: On, as_user: On, alice: uuid.UUID
) -> None:
    async def row(connection: asyncpg.Connection) -> tuple[Any, ...]:
        async with connection.transaction():
            await as_user(connection, alice)
            return tuple(await connection.fetchrow("select * from user_stats()"))

    answers = []
    for level in LEVELS:
        apply_level(app, level)
        answers.append(sql_on(app, row))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][3].isoformat() == "2025-01-03T00:00:00+00:00"


@pytest.mark.parametrize("level", LEVELS)
def test_without_a_user_there_are_no_statistics(
    app: str, sql_on: On, as_user: On, level: int
) -> None:
    apply_level(app, level)

    async def ask(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await as_user(connection, None)
            await connection.fetch("select * from user_stats()")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        sql_on(app, ask)


@pytest.mark.parametrize(
    "statement",
    [
        "select * from private.user_stats",
        "select * from phasegate_stack.refreshes",
        "select phasegate_stack.refresh_view('private.user_stats')",
    ],
)
def test_no_user_may_reach_behind_the_function(
    app: str, sql_on: On, as_user: On, alice: uuid.UUID, statement: str
) -> None:
    apply_level(app, 3)

    async def reach(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await as_user(connection, alice)
            await connection.fetch(statement)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        sql_on(app, reach)


def test_a_refresh_brings_the_view_up_to_date_and_its_age_to_zero(
    app: str, sql_on: On, as_user: On, bob: uuid.UUID
) -> None:
    apply_level(app, 3)

    async def count(connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            await as_user(connection, bob)
            return int(await connection.fetchval("select task_count from user_stats()"))

    async def write_a_task_two_hours_after_the_refresh(connection: asyncpg.Connection) -> None:
        await connection.execute("insert into tasks (user_id, title) values ($1, 'new')", bob)
        await connection.execute(
            "update phasegate_stack.refreshes set refreshed_at = now() - interval '2 hours'"
        )

    sql_on(app, write_a_task_two_hours_after_the_refresh)
    assert sql_on(app, count) == 5
    apply_level(app, 3)  # applying a level again is no refresh
    assert sql_on(app, count) == 5
    assert (
        sql_on(
            app, lambda c: c.fetchval("select phasegate_stack.refresh_view('private.user_stats')")
        )
        is True
    )
    assert sql_on(app, count) == 6
    age_s = sql_on(
        app,
        lambda c: c.fetchval(
            "select extract(epoch from now() - refreshed_at) from phasegate_stack.refreshes"
        ),
    )
    assert 0 <= age_s < 60


def test_a_second_refresh_at_the_same_time_steps_back(app: str, sql_on: On) -> None:
    apply_level(app, 3)

    async def two(connection: asyncpg.Connection) -> bool:
        other = await asyncpg.connect(app)
        try:
            async with other.transaction():
                await other.execute("select phasegate_stack.refresh_view('private.user_stats')")
                return bool(
                    await connection.fetchval(
                        "select phasegate_stack.refresh_view('private.user_stats')"
                    )
                )
        finally:
            await other.close()

    assert sql_on(app, two) is False


def test_a_set_of_parts_is_reached_from_any_other_and_is_what_is_there(
    app: str, sql_on: On
) -> None:
    shipped = present_parts(app)
    sets = (
        {"rls_uid", "idx_tasks_project"},
        {"rls_uid", "user_stats", "logs_brin"},
        {"rls_uid", "partition_upkeep", "uuid_keys"},
        {"rls_uid", "jobs", "refresh", "user_stats", "idx_tasks_user_created"},
        {"rls_uid"},
    )
    for parts in sets:
        apply_parts(app, {*parts, "pooler", "embedded"})  # which are not the database's
        assert present_parts(app) == parts
    assert present_parts(app) == shipped


def test_a_part_that_there_is_not_is_refused_with_those_that_there_are(app: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no part 'join'.*idx_tasks_project") as caught:
        apply_parts(app, {"join"})  # a technique of the client: nothing that a stack could have
    assert caught.value.exit_code == 2


def test_a_set_that_cannot_be_applied_changes_nothing(app: str, sql_on: On) -> None:
    sql_on(app, lambda c: c.execute("create table public.activity_logs_before ()"))
    before = present_parts(app)
    with pytest.raises(asyncpg.DuplicateTableError):
        apply_parts(app, {*load_project().parts_of(3), "logs_window"})
    assert present_parts(app) == before


def test_a_technique_that_is_there_already_is_not_made_anew(app: str, sql_on: On) -> None:
    apply_level(app, 2)
    number = "select 'idx_tasks_project'::regclass::oid"
    made = sql_on(app, lambda c: c.fetchval(number))
    apply_level(app, 3)
    assert sql_on(app, lambda c: c.fetchval(number)) == made
