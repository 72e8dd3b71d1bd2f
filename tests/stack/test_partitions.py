"""The same behaviour from our own functions and from pg_partman.

pg_partman is tested where the server under test has it: `PHASEGATE_PG_BIN` naming Debian's
PostgreSQL 15 with postgresql-15-partman, as CI does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from phasegate.project import Partitions, load_project
from phasegate.stack.background import arrange, background_of
from phasegate.stack.partitions import OWN, PartitionState, maintain, partman_version, state_on

On = Callable[..., Any]

MONTHS_AS_SEEDED = """
create table activity_logs_partitioned_default partition of activity_logs_partitioned default;
do $$
declare
    month timestamptz;
begin
    set local timezone = 'UTC';
    for month in select generate_series(
        date_trunc('month', now()) - interval '14 months',
        date_trunc('month', now()) - interval '1 month', interval '1 month')
    loop
        execute format(
            'create table %I partition of activity_logs_partitioned for values from (%L) to (%L)',
            to_char(month, '"activity_logs_partitioned_p"YYYY"_"MM'),
            month, month + interval '1 month'
        );
    end loop;
end
$$;
"""


@pytest.fixture(params=["own functions", "pg_partman"])
def arm(request: pytest.FixtureRequest, app: str, sql_on: On) -> bool:
    """Whether pg_partman does it."""
    if request.param == "own functions":
        return False
    if sql_on(app, partman_version) is None:
        pytest.skip(
            "this server has no pg_partman: apt-get install postgresql-15-partman, then "
            "PHASEGATE_PG_BIN=/usr/lib/postgresql/15/bin"
        )
    return True


@pytest.fixture
def seeded(app: str, sql_on: On) -> str:
    """DSN of an application whose log has fourteen past months and a DEFAULT partition."""
    sql_on(app, lambda c: c.execute(MONTHS_AS_SEEDED))
    return app


PARENT = "public.activity_logs_partitioned"


def manage(dsn: str, *, use_partman: bool, parent: str = PARENT, **policy: int) -> None:
    """Put `parent` under maintenance."""
    nothing = background_of(load_project(), ())
    kept = Partitions(parent=parent, **policy)
    arrange(
        dsn,
        dataclasses.replace(nothing, parts=frozenset({"partition_upkeep"}), partitions=(kept,)),
        use_partman=use_partman,
    )


def state(sql_on: On, dsn: str) -> PartitionState:
    (only,) = sql_on(dsn, state_on)
    assert isinstance(only, PartitionState)
    return only


def log_at(sql_on: On, dsn: str, number: int, at: datetime) -> str:
    """Write a row and return the partition that took it."""

    async def work(connection: asyncpg.Connection) -> str:
        return str(
            await connection.fetchval(
                """
                insert into activity_logs_partitioned (id, user_id, action, created_at)
                values ($1, '00000000-0000-4000-8000-00000000000a', 'test', $2)
                returning tableoid::regclass::text
                """,
                number,
                at,
            )
        )

    return str(sql_on(dsn, work))


def month_start(months_from_now: int) -> datetime:
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 + months_from_now
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def ends_after(months: int, arm: bool) -> tuple[datetime, ...]:
    """Where partitions may end that reach `months` ahead.

    pg_partman 4 rounds the months from this very moment: late in a month it makes one more.
    """
    end = month_start(months + 1)
    return (end, month_start(months + 2)) if arm else (end,)


def test_who_looks_after_the_table_is_stated(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, use_partman=arm)
    keeper = state(sql_on, seeded).keeper
    assert keeper is not None
    assert keeper.startswith("pg_partman ") if arm else keeper == OWN


def test_months_are_made_ahead_and_the_seeders_are_kept(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, ahead_months=3, use_partman=arm)
    maintain(seeded)
    after = state(sql_on, seeded)
    assert after.oldest == month_start(-14)
    assert after.newest_end is not None
    assert after.newest_end in ends_after(3, arm)
    span_months = (after.newest_end.year - after.oldest.year) * 12
    span_months += after.newest_end.month - after.oldest.month
    assert after.partitions == span_months  # none missing, none twice
    assert after.default_rows == 0


def test_a_row_of_next_month_lands_in_its_month(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, use_partman=arm)
    maintain(seeded)
    home = log_at(sql_on, seeded, 1, month_start(1) + timedelta(days=3))
    assert not home.endswith("_default")
    assert state(sql_on, seeded).default_rows == 0


def test_rows_in_default_are_reported_and_then_moved_to_their_month(
    seeded: str, arm: bool, sql_on: On
) -> None:
    manage(seeded, use_partman=arm)
    home = log_at(sql_on, seeded, 1, month_start(1))
    if home.endswith("_default"):  # pg_partman makes months ahead as soon as it takes over
        assert state(sql_on, seeded).default_rows == 1
    log_at(sql_on, seeded, 2, month_start(-16))
    assert (state(sql_on, seeded).default_rows or 0) >= 1
    maintain(seeded)
    assert state(sql_on, seeded).default_rows == 0
    rows = sql_on(seeded, lambda c: c.fetchval("select count(*) from activity_logs_partitioned"))
    assert rows == 2


def test_a_row_of_a_clock_that_is_years_off_stays_in_default_and_is_reported(
    seeded: str, arm: bool, sql_on: On
) -> None:
    manage(seeded, use_partman=arm)
    log_at(sql_on, seeded, 1, datetime(2099, 1, 1, tzinfo=UTC))
    log_at(sql_on, seeded, 2, datetime(1899, 1, 1, tzinfo=UTC))
    maintain(seeded)
    after = state(sql_on, seeded)
    assert after.default_rows == 2
    assert after.newest_end in ends_after(3, arm)


def test_retention_drops_whole_months_and_nothing_newer(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, keep_months=6, use_partman=arm)
    kept = month_start(-6)
    log_at(sql_on, seeded, 1, month_start(-9))
    log_at(sql_on, seeded, 2, kept)
    (done,) = maintain(seeded)
    after = state(sql_on, seeded)
    assert done.dropped == 8  # -14 … -7: each ended more than six months ago
    assert after.oldest == kept
    ids = sql_on(seeded, lambda c: c.fetch("select id from activity_logs_partitioned"))
    assert [row["id"] for row in ids] == [2]


def test_a_dropped_month_leaves_no_table_behind(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, keep_months=6, use_partman=arm)
    maintain(seeded)
    tables = sql_on(
        seeded,
        lambda c: c.fetchval(
            "select count(*) from pg_class where relkind = 'r'"
            " and relname like 'activity\\_logs\\_partitioned\\_p%'"
        ),
    )
    assert tables == state(sql_on, seeded).partitions


def test_a_second_round_changes_nothing(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, use_partman=arm)
    maintain(seeded)
    before = state(sql_on, seeded)
    manage(seeded, use_partman=arm)
    (again,) = maintain(seeded)
    after = state(sql_on, seeded)
    assert (again.made, again.dropped, again.moved) == (0, 0, 0)
    assert (after.partitions, after.newest_end) == (before.partitions, before.newest_end)


def test_a_table_without_any_month_gets_this_one_and_those_ahead(
    app: str, arm: bool, sql_on: On
) -> None:
    sql_on(
        app,
        lambda c: c.execute(
            "create table activity_logs_partitioned_default"
            " partition of activity_logs_partitioned default"
        ),
    )
    manage(app, ahead_months=2, use_partman=arm)
    maintain(app)
    home = log_at(sql_on, app, 1, datetime.now(UTC))
    assert not home.endswith("_default")
    assert state(sql_on, app).newest_end in ends_after(2, arm)


def test_every_partition_has_the_keys_and_row_level_security(
    seeded: str, arm: bool, sql_on: On
) -> None:
    manage(seeded, use_partman=arm)
    maintain(seeded)
    without = sql_on(
        seeded,
        lambda c: c.fetch(
            """
            select i.inhrelid::regclass::text as partition, c.relrowsecurity,
                   array(select k.contype::text from pg_constraint as k
                         where k.conrelid = i.inhrelid and k.contype in ('p', 'f')
                         order by 1) as keys
            from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
            where i.inhparent = 'activity_logs_partitioned'::regclass
            """
        ),
    )
    made = [row for row in without if row["partition"].rsplit("_p", 1)[-1][:4].isdigit()]
    assert len(made) == state(sql_on, seeded).partitions
    assert [row["partition"] for row in made if row["keys"] != ["f", "p"]] == []
    ahead = [row for row in made if row["relrowsecurity"]]
    assert len(ahead) >= 4  # this month and three ahead; the seeder's get it from rls.sql


def test_two_rounds_at_once_do_it_once(seeded: str, arm: bool, sql_on: On) -> None:
    manage(seeded, use_partman=arm)

    async def two(connection: asyncpg.Connection) -> list[Any]:
        other = await asyncpg.connect(seeded)
        try:
            async with other.transaction():
                await other.execute("select phasegate_stack.maintain_partitions()")
                return list(
                    await connection.fetch("select * from phasegate_stack.maintain_partitions()")
                )
        finally:
            await other.close()

    assert sql_on(seeded, two) == []


def test_a_table_that_is_not_there_is_left_out(app: str, sql_on: On) -> None:
    manage(app, parent="public.no_such_table", use_partman=False)
    assert sql_on(app, state_on) == ()
    assert maintain(app) == ()


def test_nobody_looks_after_the_partitions_below_level_3(app: str, sql_on: On) -> None:
    assert sql_on(app, state_on) == ()
