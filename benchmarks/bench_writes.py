"""Writing one row at a time, or many."""

from __future__ import annotations

from phasegate.compare import (
    Answer,
    Arm,
    Compare,
    Connection,
    Parameters,
    arms_of,
    array_literal,
    declared,
    sql_of,
)

ROWS = 50  # an import, a pasted list: enough that round trips are what counts
SINGLE = sql_of("bulk_insert", "before")
BULK = sql_of("bulk_insert", "after")
TITLES = [f"written by the benchmark {number}" for number in range(ROWS)]


def one_by_one(caller: Connection, drawn: Parameters) -> Answer:
    """A statement per task."""
    for title in TITLES:
        caller.fetch(SINGLE, drawn["user_id"], drawn["project_id"], title)
    return list  # an INSERT answers no rows


def at_once(caller: Connection, drawn: Parameters) -> Answer:
    """One statement for all tasks."""
    return caller.fetch(BULK, drawn["user_id"], drawn["project_id"], array_literal(TITLES))


BULK_INSERT = declared(
    "bulk_insert",
    before=Arm("one by one", SINGLE, one_by_one),
    after=Arm("at once", BULK, at_once),
)


@arms_of(BULK_INSERT)
def test_bulk_insert(compare: Compare, arm: str) -> None:
    """Fifty tasks, by fifty statements or by one."""
    compare(BULK_INSERT, arm)
