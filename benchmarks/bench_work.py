"""What users should not wait for: heavy work, done at once or queued; analytics, here or away."""

from __future__ import annotations

from phasegate.compare.connection import Connection
from phasegate.compare.technique import (
    Answer,
    Arm,
    Beside,
    Compare,
    Parameters,
    Role,
    Route,
    Technique,
    Via,
    arms_of,
    sql_of,
    statement,
)

ACCEPT = sql_of("heavy_work", "accept")
FINISH = sql_of("heavy_work", "before")
QUEUE = sql_of("heavy_work", "after")


def done_on_the_spot(caller: Connection, drawn: Parameters) -> Answer:
    """The answer comes when the work is done."""
    (task,) = caller.fetch(ACCEPT, drawn.user_id).column(0)
    caller.fetch(FINISH, task)
    return list  # what a user is told differs by design: a result, or an id to ask after


def queued(caller: Connection, drawn: Parameters) -> Answer:
    """The answer, 202, comes when the work is queued."""
    (task,) = caller.fetch(ACCEPT, drawn.user_id).column(0)
    caller.fetch(QUEUE, task)
    return list


HEAVY_WORK = Technique(
    "heavy_work",
    before=Arm("on the spot", ACCEPT, done_on_the_spot),
    after=Arm("202, queued", ACCEPT, queued),
    role=Role.OWNER,
    writes="private.jobs, queue.pgqueuer",
)


@arms_of(HEAVY_WORK)
def test_heavy_work(compare: Compare, arm: str) -> None:
    """How long a user waits for an answer; the work itself takes as long as before."""
    compare(HEAVY_WORK, arm)


ANALYTICS = sql_of("replica", "analytics")


def _by_user(drawn: Parameters) -> tuple[str | None, ...]:
    return (drawn.user_id,)


REPLICA = Technique(
    "replica",
    before=statement(
        "replica", "query", "analytics on the primary", _by_user, beside=Beside(ANALYTICS)
    ),
    after=statement(
        "replica",
        "query",
        "analytics on the replica",
        _by_user,
        beside=Beside(ANALYTICS, Route(Via.REPLICA)),
    ),
)


@arms_of(REPLICA)
def test_replica(compare: Compare, arm: str) -> None:
    """A user's task list while an operator counts: on the same server, or on a replica."""
    compare(REPLICA, arm)
