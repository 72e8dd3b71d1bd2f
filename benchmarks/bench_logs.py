"""Activity logs: one flat table, with and without BRIN, against monthly partitions."""

from __future__ import annotations

import itertools

from phasegate.compare.costs import relation_size, write_slow_down
from phasegate.compare.technique import (
    Compare,
    Parameters,
    Role,
    Technique,
    arms_of,
    drawn_by,
    sql_of,
    statement,
)

FLAT = "public.activity_logs"
PARTITIONED = "public.activity_logs_partitioned"


def _now(drawn: Parameters) -> tuple[str | None, ...]:
    return (drawn.now,)


def _user(drawn: Parameters) -> tuple[str | None, ...]:
    return (drawn.user_id,)


# The data's numbers are positive. Each row its own: a number used twice would meet its own ghosts.
_unused = itertools.count(-1, -1)


def _entry(drawn: Parameters) -> tuple[str | None, ...]:
    return (str(next(_unused)), drawn.user_id, drawn.now)


LOGS_WINDOW = Technique(
    "logs_window",
    before=statement("logs_window", "before", "flat", _now),
    after=statement("logs_window", "after", "partitioned", _now),
    role=Role.OWNER,
    costs=(relation_size("partitioned size", PARTITIONED, of=FLAT),),
)


@arms_of(LOGS_WINDOW)
def test_logs_window(compare: Compare, arm: str) -> None:
    """What happened in the last seven days: a scan of everything against two partitions."""
    compare(LOGS_WINDOW, arm)


NO_BRIN = sql_of("logs_brin", "before_arrange")
LOGS_BRIN = Technique(
    "logs_brin",
    before=statement("logs_brin", "before", "flat", _now, arrange=NO_BRIN),
    after=statement("logs_brin", "before", "flat + BRIN", _now),
    role=Role.OWNER,
    setup=("setup",),
    teardown=("teardown",),
    costs=(
        relation_size("index size", "public.bench_logs_brin", of=FLAT),
        write_slow_down(
            "insert",
            Technique(
                "logs_brin",
                before=statement("logs_insert", "before", "without", _entry, arrange=NO_BRIN),
                after=statement("logs_insert", "before", "with", _entry),
                writes=FLAT,
            ),
        ),
    ),
)


@arms_of(LOGS_BRIN)
def test_logs_brin(compare: Compare, arm: str) -> None:
    """The same window with a BRIN index of a few kilobytes on the flat table."""
    compare(LOGS_BRIN, arm)


LOGS_BRIN_PARTITIONS = Technique(
    "logs_brin_partitions",
    before=statement("logs_brin_partitions", "before", "flat + BRIN", _now),
    after=statement("logs_brin_partitions", "after", "partitioned", _now),
    role=Role.OWNER,
    setup=("setup",),
    teardown=("teardown",),
)


@arms_of(LOGS_BRIN_PARTITIONS)
def test_logs_brin_partitions(compare: Compare, arm: str) -> None:
    """Partitions where there is a BRIN index already: which of the two?"""
    compare(LOGS_BRIN_PARTITIONS, arm)


LOGS_USER = Technique(
    "logs_user",
    before=statement("logs_user", "before", "flat", _user),
    after=statement("logs_user", "after", "partitioned", _user),
    setup=("setup",),
    teardown=("teardown",),
)


@arms_of(LOGS_USER)
def test_logs_user(compare: Compare, arm: str) -> None:
    """One user's last fifty actions, by the same index on both tables."""
    compare(LOGS_USER, arm)


LOGS_INSERT = Technique(
    "logs_insert",
    before=statement("logs_insert", "before", "flat", _entry),
    after=statement("logs_insert", "after", "partitioned", _entry),
    writes=f"{FLAT}, {PARTITIONED}",
)


@arms_of(LOGS_INSERT)
def test_logs_insert(compare: Compare, arm: str) -> None:
    """One action is logged."""
    compare(LOGS_INSERT, arm)


LOGS_RETENTION = Technique(
    "logs_retention",
    before=statement("logs_retention", "before", "DELETE", lambda drawn: (drawn.extra[0],)),
    after=statement("logs_retention", "after", "DROP partition", lambda _: ()),
    role=Role.OWNER,
    writes=FLAT,
    draw=drawn_by("logs_retention"),
)


@arms_of(LOGS_RETENTION)
def test_logs_retention(compare: Compare, arm: str) -> None:
    """The oldest month goes."""
    compare(LOGS_RETENTION, arm)


GENERIC_PLAN = Technique(
    "generic_plan",
    before=statement(
        "generic_plan",
        "query",
        "generic",
        lambda drawn: drawn.extra,
        arrange=sql_of("generic_plan", "before_arrange"),
    ),
    after=statement(
        "generic_plan",
        "query",
        "custom",
        lambda drawn: drawn.extra,
        arrange=sql_of("generic_plan", "after_arrange"),
    ),
    role=Role.OWNER,
    draw=drawn_by("generic_plan"),
)


@arms_of(GENERIC_PLAN)
def test_generic_plan(compare: Compare, arm: str) -> None:
    """A prepared statement on partitions: planned once for all months, or each time for one."""
    compare(GENERIC_PLAN, arm)
