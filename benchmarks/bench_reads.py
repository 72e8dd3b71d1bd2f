"""How a page's rows are fetched: N+1 against JOIN, with and without the task list's index."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.technique import (
    Arm,
    Caller,
    Compare,
    Parameters,
    Row,
    Technique,
    arms_of,
    sql_of,
    statement,
)

LIST = sql_of("join", "before_list")
EACH = sql_of("join", "before_each")
JOINED = sql_of("join", "after")


async def n_plus_1(caller: Caller, drawn: Parameters) -> Sequence[Row]:
    """The tasks, then one request per task that has a project."""
    page = []
    for task in await caller.request(drawn.user_id, LIST, drawn.user_id):
        project: Row = (None, None)
        project_id = task[1]
        if project_id is not None:
            (project,) = await caller.request(drawn.user_id, EACH, project_id)
        page.append((*task, *project))
    return page


async def joined(caller: Caller, drawn: Parameters) -> Sequence[Row]:
    """The same page by one request."""
    return await caller.request(drawn.user_id, JOINED, drawn.user_id)


JOIN = Technique(
    "join",
    before=Arm("N+1", LIST, n_plus_1),
    after=Arm("JOIN", JOINED, joined),
    requests=True,
)


@arms_of(JOIN)
def test_join(compare: Compare, arm: str) -> None:
    """One JOIN instead of N+1 requests, each with the API's transaction around it."""
    compare(JOIN, arm)


USER_CREATED = Technique(
    "idx_tasks_user_created",
    before=statement(
        "idx_tasks_user_created",
        "list",
        "no index",
        lambda drawn: (drawn.user_id,),
        arrange=sql_of("idx_tasks_user_created", "before_arrange"),
    ),
    after=statement("idx_tasks_user_created", "list", "index", lambda drawn: (drawn.user_id,)),
    indexes=("idx_tasks_user_created",),
)


@arms_of(USER_CREATED)
def test_idx_tasks_user_created(compare: Compare, arm: str) -> None:
    """A user's task list with the index on (user_id, created_at DESC)."""
    compare(USER_CREATED, arm)
