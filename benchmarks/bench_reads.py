"""How a page's rows are fetched: N+1 or JOIN, indexes, policies, paging, counting."""

from __future__ import annotations

from dataclasses import replace

from phasegate.compare.connection import Connection
from phasegate.compare.costs import estimate_off, relation_size, stated, write_slow_down
from phasegate.compare.technique import (
    Answer,
    Arm,
    Compare,
    Parameters,
    Role,
    Route,
    Technique,
    Via,
    arms_of,
    drawn_by,
    sql_of,
    statement,
)

LIST = sql_of("join", "before_list")
EACH = sql_of("join", "before_each")
JOINED = sql_of("join", "after")
PROJECT_ID = 1  # its column in LIST


def n_plus_1(caller: Connection, drawn: Parameters) -> Answer:
    """The tasks, then one request per task that has a project."""
    tasks = caller.request(drawn.user_id, LIST, drawn.user_id)
    projects = [
        caller.request(drawn.user_id, EACH, project_id) if project_id else None
        for project_id in tasks.column(PROJECT_ID)
    ]
    return lambda: [
        (*task, *(project()[0] if project else (None, None)))
        for task, project in zip(tasks(), projects, strict=True)
    ]


def joined(caller: Connection, drawn: Parameters) -> Answer:
    """The same page by one request."""
    return caller.request(drawn.user_id, JOINED, drawn.user_id)


JOIN = Technique(
    "join",
    before=Arm("N+1", LIST, n_plus_1),
    after=Arm("JOIN", JOINED, joined),
    requests=True,
)


def _over(delay_ms: float) -> Technique:
    """The same with a longer way to the server: what N+1 costs is round trips."""
    route = Route(Via.PROXY, delay_ms)
    return replace(
        JOIN,
        id=f"join_rtt_{delay_ms:g}ms",
        before=replace(JOIN.before, route=route),
        after=replace(JOIN.after, route=route),
    )


JOIN_RTT_1MS = _over(1)
JOIN_RTT_5MS = _over(5)


@arms_of(JOIN)
def test_join(compare: Compare, arm: str) -> None:
    """One JOIN instead of N+1 requests, each with the API's transaction around it."""
    compare(JOIN, arm)


@arms_of(JOIN_RTT_1MS)
def test_join_rtt_1ms(compare: Compare, arm: str) -> None:
    """As `join`, a millisecond away: another zone of the same region."""
    compare(JOIN_RTT_1MS, arm)


@arms_of(JOIN_RTT_5MS)
def test_join_rtt_5ms(compare: Compare, arm: str) -> None:
    """As `join`, five milliseconds away: a function in another region nearby."""
    compare(JOIN_RTT_5MS, arm)


def _ten_inserts(name: str, without: str) -> Technique:
    """Ten new tasks, with and without an index: what the index costs each write."""
    folder, file = "idx_tasks_user_created", "insert"
    return Technique(
        name,
        before=statement(
            folder,
            file,
            "without",
            lambda drawn: (drawn.user_id, drawn.project_id),
            arrange=without,
        ),
        after=statement(folder, file, "with", lambda drawn: (drawn.user_id, drawn.project_id)),
        writes="public.tasks",
    )


def _by_user(drawn: Parameters) -> tuple[str | None, ...]:
    return (drawn.user_id,)


NO_USER_CREATED = sql_of("idx_tasks_user_created", "before_arrange")
USER_CREATED = Technique(
    "idx_tasks_user_created",
    before=statement(
        "idx_tasks_user_created", "query", "no index", _by_user, arrange=NO_USER_CREATED
    ),
    after=statement("idx_tasks_user_created", "query", "index", _by_user),
    costs=(
        relation_size("index size", "public.idx_tasks_user_created", of="public.tasks"),
        write_slow_down("insert", _ten_inserts("idx_tasks_user_created", NO_USER_CREATED)),
    ),
)


@arms_of(USER_CREATED)
def test_idx_tasks_user_created(compare: Compare, arm: str) -> None:
    """A user's task list with the index on (user_id, created_at DESC)."""
    compare(USER_CREATED, arm)


NO_PROJECT = sql_of("idx_tasks_project", "before_arrange")
PROJECT = Technique(
    "idx_tasks_project",
    before=statement(
        "idx_tasks_project",
        "query",
        "no index",
        lambda drawn: (drawn.project_id,),
        arrange=NO_PROJECT,
    ),
    after=statement("idx_tasks_project", "query", "index", lambda drawn: (drawn.project_id,)),
    costs=(
        relation_size("index size", "public.idx_tasks_project", of="public.tasks"),
        write_slow_down("insert", _ten_inserts("idx_tasks_project", NO_PROJECT)),
    ),
)


@arms_of(PROJECT)
def test_idx_tasks_project(compare: Compare, arm: str) -> None:
    """A project's tasks with the partial index, under row-level security."""
    compare(PROJECT, arm)


PROJECT_DELETE = Technique(
    "idx_tasks_project_delete",
    before=statement(
        "idx_tasks_project_delete",
        "query",
        "no index",
        lambda drawn: (drawn.project_id,),
        arrange=NO_PROJECT,
    ),
    after=statement(
        "idx_tasks_project_delete", "query", "index", lambda drawn: (drawn.project_id,)
    ),
    writes="public.projects, public.tasks",
)


@arms_of(PROJECT_DELETE)
def test_idx_tasks_project_delete(compare: Compare, arm: str) -> None:
    """Deleting a project: the foreign key looks its tasks up by the same index."""
    compare(PROJECT_DELETE, arm)


RLS_UID = Technique(
    "rls_uid",
    before=statement(
        "rls_uid",
        "query",
        "auth.uid()",
        lambda _: (),
        arrange=sql_of("rls_uid", "before_arrange"),
    ),
    after=statement("rls_uid", "query", "(select auth.uid())", lambda _: ()),
)


@arms_of(RLS_UID)
def test_rls_uid(compare: Compare, arm: str) -> None:
    """A policy that asks who the user is once per statement instead of once per row."""
    compare(RLS_UID, arm)


KEYSET = Technique(
    "keyset",
    before=statement("keyset", "before", "OFFSET", lambda drawn: (drawn.extra[0],)),
    after=statement("keyset", "after", "keyset", lambda drawn: (drawn.extra[1],)),
    role=Role.OWNER,
    draw=drawn_by("keyset"),
)


@arms_of(KEYSET)
def test_keyset(compare: Compare, arm: str) -> None:
    """A page from the middle of all tasks, by its number or by the last key seen."""
    compare(KEYSET, arm)


COUNT_PLANNED = Technique(
    "count_planned",
    before=statement("count_planned", "before", "exact", lambda _: ()),
    after=statement("count_planned", "after", "planned", lambda _: ()),
    role=Role.OWNER,
    same_rows=False,
    costs=(estimate_off("count_planned"),),
)


@arms_of(COUNT_PLANNED)
def test_count_planned(compare: Compare, arm: str) -> None:
    """How many tasks are done: counted, or as the planner estimates."""
    compare(COUNT_PLANNED, arm)


# A list is looked at this many times within the cache's five minutes: the sessions of the load
# test show it after each of their steps.
READS_PER_SESSION = 5
CACHED = sql_of("client_cache", "list")


def uncached(caller: Connection, drawn: Parameters) -> Answer:
    """Every look is a request."""
    looks = [caller.request(drawn.user_id, CACHED, drawn.user_id) for _ in range(READS_PER_SESSION)]
    return looks[-1]


def cached(caller: Connection, drawn: Parameters) -> Answer:
    """The first look is a request; the others find what it left."""
    kept: dict[str, Answer] = {}
    for _ in range(READS_PER_SESSION):
        if drawn.user_id not in kept:
            kept[drawn.user_id] = caller.request(drawn.user_id, CACHED, drawn.user_id)
    return kept[drawn.user_id]


CLIENT_CACHE = Technique(
    "client_cache",
    before=Arm("every time", CACHED, uncached),
    after=Arm("cached", CACHED, cached),
    requests=True,
    costs=(stated("staleness", 300.0, "s", "the cache's time to live; own writes invalidate"),),
)


@arms_of(CLIENT_CACHE)
def test_client_cache(compare: Compare, arm: str) -> None:
    """A session that looks at its list five times, with and without a cache in the client."""
    compare(CLIENT_CACHE, arm)


POOLED_SQL = sql_of("pooled", "list")


def anew(caller: Connection, drawn: Parameters) -> Answer:
    """A function that opens its connection, asks, and closes it."""
    return caller.request_anew(drawn.user_id, POOLED_SQL, drawn.user_id)


POOLED = Technique(
    "pooled",
    before=Arm("direct", POOLED_SQL, anew),
    after=Arm("PgBouncer", POOLED_SQL, anew, route=Route(Via.POOLER)),
    requests=True,
)


@arms_of(POOLED)
def test_pooled(compare: Compare, arm: str) -> None:
    """A connection per request, made to the server or to a pooler in front of it."""
    compare(POOLED, arm)
