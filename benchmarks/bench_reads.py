"""Reads that are no pair of statements: N+1 or JOIN, a client's cache, a connection per request."""

from __future__ import annotations

from dataclasses import replace

from phasegate.compare import (
    Answer,
    Arm,
    Compare,
    Connection,
    Parameters,
    Route,
    Technique,
    Via,
    arms_of,
    declared,
    sql_of,
)

LIST = sql_of("join", "before_list")
EACH = sql_of("join", "before_each")
JOINED = sql_of("join", "after")
PROJECT_ID = 1  # its column in LIST


def n_plus_1(caller: Connection, drawn: Parameters) -> Answer:
    """The tasks, then one request per task that has a project."""
    tasks = caller.request(drawn.sub, LIST, drawn["user_id"])
    projects = [
        caller.request(drawn.sub, EACH, project_id) if project_id else None
        for project_id in tasks.column(PROJECT_ID)
    ]
    return lambda: [
        (*task, *(project()[0] if project else (None, None)))
        for task, project in zip(tasks(), projects, strict=True)
    ]


def joined(caller: Connection, drawn: Parameters) -> Answer:
    """The same page by one request."""
    return caller.request(drawn.sub, JOINED, drawn["user_id"])


BEFORE, AFTER = Arm("N+1", LIST, n_plus_1), Arm("JOIN", JOINED, joined)
JOIN = declared("join", before=BEFORE, after=AFTER, requests=True)


def _over(delay_ms: float) -> Technique:
    """The same with a longer way to the server: what N+1 costs is round trips."""
    route = Route(Via.PROXY, delay_ms)
    return declared(
        f"join_rtt_{delay_ms:g}ms",
        before=replace(BEFORE, route=route),
        after=replace(AFTER, route=route),
        requests=True,
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


# A list is looked at this many times within the cache's five minutes: the sessions of the load
# test show it after each of their steps.
READS_PER_SESSION = 5
CACHED = sql_of("client_cache", "list")


def uncached(caller: Connection, drawn: Parameters) -> Answer:
    """Every look is a request."""
    looks = [caller.request(drawn.sub, CACHED, drawn["user_id"]) for _ in range(READS_PER_SESSION)]
    return looks[-1]


def cached(caller: Connection, drawn: Parameters) -> Answer:
    """The first look is a request; the others find what it left."""
    kept: dict[str, Answer] = {}
    for _ in range(READS_PER_SESSION):
        if drawn.sub not in kept:
            kept[drawn.sub] = caller.request(drawn.sub, CACHED, drawn["user_id"])
    return kept[drawn.sub]


CLIENT_CACHE = declared(
    "client_cache",
    before=Arm("every time", CACHED, uncached),
    after=Arm("cached", CACHED, cached),
    requests=True,
)


@arms_of(CLIENT_CACHE)
def test_client_cache(compare: Compare, arm: str) -> None:
    """A session that looks at its list five times, with and without a cache in the client."""
    compare(CLIENT_CACHE, arm)


POOLED_SQL = sql_of("pooled", "list")


def anew(caller: Connection, drawn: Parameters) -> Answer:
    """A function that opens its connection, asks, and closes it."""
    return caller.request_anew(drawn.sub, POOLED_SQL, drawn["user_id"])


POOLED = declared(
    "pooled",
    before=Arm("direct", POOLED_SQL, anew),
    after=Arm("PgBouncer", POOLED_SQL, anew, route=Route(Via.POOLER)),
    requests=True,
)


@arms_of(POOLED)
def test_pooled(compare: Compare, arm: str) -> None:
    """A connection per request, made to the server or to a pooler in front of it."""
    compare(POOLED, arm)
