"""What users should not wait for: heavy work, done at once or queued."""

from __future__ import annotations

from phasegate.compare import (
    Answer,
    Arm,
    Compare,
    Connection,
    Parameters,
    arms_of,
    declared,
    sql_of,
)

ACCEPT = sql_of("heavy_work", "accept")
FINISH = sql_of("heavy_work", "before")
QUEUE = sql_of("heavy_work", "after")


def done_on_the_spot(caller: Connection, drawn: Parameters) -> Answer:
    """The answer comes when the work is done."""
    (task,) = caller.fetch(ACCEPT, drawn["user_id"]).column(0)
    caller.fetch(FINISH, task)
    return list  # what a user is told differs by design: a result, or an id to ask after


def queued(caller: Connection, drawn: Parameters) -> Answer:
    """The answer, 202, comes when the work is queued."""
    (task,) = caller.fetch(ACCEPT, drawn["user_id"]).column(0)
    caller.fetch(QUEUE, task)
    return list


HEAVY_WORK = declared(
    "heavy_work",
    before=Arm("on the spot", ACCEPT, done_on_the_spot),
    after=Arm("202, queued", ACCEPT, queued),
)


@arms_of(HEAVY_WORK)
def test_heavy_work(compare: Compare, arm: str) -> None:
    """How long a user waits for an answer; the work itself takes as long as before."""
    compare(HEAVY_WORK, arm)
