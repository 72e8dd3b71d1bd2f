"""Writing: keys at random or in order, one row at a time or many.

The last module by name, since what is rolled back still leaves its traces for VACUUM.
"""

from __future__ import annotations

from phasegate.compare.connection import Connection
from phasegate.compare.costs import relation_size
from phasegate.compare.libpq import array_literal
from phasegate.compare.technique import (
    Answer,
    Arm,
    Compare,
    Parameters,
    Role,
    Technique,
    arms_of,
    sql_of,
    statement,
)

UUID_KEYS = Technique(
    "uuid_keys",
    before=statement("uuid_keys", "before", "UUIDv4", lambda _: ()),
    after=statement("uuid_keys", "after", "UUIDv7", lambda _: ()),
    role=Role.OWNER,
    writes="phasegate_bench.keys_v4, phasegate_bench.keys_v7",
    setup=("setup",),
    teardown=("teardown",),
    server_major_min=18,
    costs=(
        relation_size("key size", "phasegate_bench.keys_v7_pkey", of="phasegate_bench.keys_v4"),
    ),
)


@arms_of(UUID_KEYS)
def test_uuid_keys(compare: Compare, arm: str) -> None:
    """A hundred inserts into a table keyed by random UUIDs, or by UUIDs in order of time."""
    compare(UUID_KEYS, arm)


ROWS = 50  # an import, a pasted list: enough that round trips are what counts
SINGLE = sql_of("bulk_insert", "before")
BULK = sql_of("bulk_insert", "after")
TITLES = [f"written by the benchmark {number}" for number in range(ROWS)]


def one_by_one(caller: Connection, drawn: Parameters) -> Answer:
    """A statement per task."""
    for title in TITLES:
        caller.fetch(SINGLE, drawn.user_id, drawn.project_id, title)
    return list  # an INSERT answers no rows


def at_once(caller: Connection, drawn: Parameters) -> Answer:
    """One statement for all tasks."""
    return caller.fetch(BULK, drawn.user_id, drawn.project_id, array_literal(TITLES))


BULK_INSERT = Technique(
    "bulk_insert",
    before=Arm("one by one", SINGLE, one_by_one),
    after=Arm("at once", BULK, at_once),
    writes="public.tasks",
)


@arms_of(BULK_INSERT)
def test_bulk_insert(compare: Compare, arm: str) -> None:
    """Fifty tasks, by fifty statements or by one."""
    compare(BULK_INSERT, arm)
