"""What ran out: from what a stage used to the resource that bound it. Pure.

Also names N+1 suspects: statements that a click runs again and again for one row each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Resource(StrEnum):
    """What a stage can be bound by."""

    CONNECTIONS = "database connections"
    POOL = "the API's connection pool"
    POOLER = "PgBouncer's pool of server connections"
    LOCKS = "locks"
    DISK = "disk reads and writes"
    PROCESS = "one process on one core"
    PROCESSOR = "processor"
    MEMORY = "memory"
    NOTHING = "nothing sampled"


# Each is the share of a resource's limit, or of a stage's seconds, from which it is what is short.
CONNECTIONS_SHARE = 0.95
POOL_WAITING_SHARE = 0.5  # somebody queues for a connection in half of all seconds
WAITING_SHARE = 0.3  # of active connections, by kind of wait
ACTIVE_MIN = 1.0  # at work on average: what a lone one happens to wait for is no shortage
# A thread at 90% of its core already queues: at that utilisation, an M/M/1 server's wait is nine
# times its service.
PROCESS_SHARE = 0.90
PROCESSOR_SHARE = 0.90
MEMORY_AVAILABLE_SHARE = 0.05

# A click of a well-made page runs each of its statements once; between one and this lie retries
# and pages that show two lists.
CALLS_PER_CLICK_MIN = 1.2
# N+1 fetches one parent at a time.
ROWS_PER_CALL_MAX = 1.5

# Not the application's reads: transaction control, settings, the role and claims of a request.
_HOUSEKEEPING = re.compile(
    r"^\s*(begin|commit|rollback|start transaction|set|reset|show|discard|deallocate|close|fetch"
    r"|listen|unlisten|select\s+(pg_catalog\.)?set_config|select \$1)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Used:
    """What a stage used: medians and maxima over its seconds, shares 0..1 unless said."""

    connections_share_max: float
    pool_waiting_share: float
    """Seconds in which requests waited for the API's pool."""
    waits: Mapping[str, float]
    """Share of active connections by kind of wait: `Lock`, `IO`, `LWLock`, …, `running`."""
    machine_cpu_share: float
    """Median, of all cores."""
    component_cpu_share: Mapping[str, float]
    """Median by component, of one core."""
    process_cpu_share: Mapping[str, float]
    """Median of the busiest process, by component, of one core."""
    memory_available_share_min: float
    other_cpu_share: float = 0.0
    """Median of what is no component's, of one core: the load generator, and other programs."""
    active_mean: float = ACTIVE_MIN
    """Connections at work at a moment."""
    pooler_waiting_share: float = 0.0
    """Seconds in which clients waited for one of PgBouncer's server connections; 0 without it."""
    pooler_wait_s_max: float = 0.0
    """Longest wait that was seen there, in seconds."""
    pooler_size: int | None = None
    """Server connections that it allows; None where that is not known."""


@dataclass(frozen=True)
class Bound:
    """The resource that a stage was bound by, with the figure that says so."""

    resource: Resource
    detail: str


def bound_by(used: Used | None) -> Bound:
    """The resource nearest to its limit, the most specific first."""
    if used is None:
        return Bound(Resource.NOTHING, "no samples")
    if used.connections_share_max >= CONNECTIONS_SHARE:
        share = used.connections_share_max
        return Bound(Resource.CONNECTIONS, f"{share:.0%} of max_connections in use")
    waits = used.waits if used.active_mean >= ACTIVE_MIN else {}
    if waits.get("Lock", 0) >= WAITING_SHARE:
        return Bound(Resource.LOCKS, f"{used.waits['Lock']:.0%} of active connections wait")
    if waits.get("IO", 0) >= WAITING_SHARE:
        return Bound(Resource.DISK, f"{used.waits['IO']:.0%} of active connections wait")
    if used.memory_available_share_min < MEMORY_AVAILABLE_SHARE:
        return Bound(Resource.MEMORY, f"{used.memory_available_share_min:.0%} of it was left")
    single = {n: s for n, s in used.process_cpu_share.items() if n not in _MANY_PROCESSES}
    if single and max(single.values()) >= PROCESS_SHARE:
        name = max(single, key=lambda n: single[n])
        return Bound(Resource.PROCESS, f"{name} used {single[name]:.0%} of a core")
    if used.machine_cpu_share >= PROCESSOR_SHARE:
        shares = {**used.component_cpu_share, OTHERS: used.other_cpu_share}
        most = max(shares, key=lambda n: shares[n])
        return Bound(
            Resource.PROCESSOR,
            f"{used.machine_cpu_share:.0%} of all cores in use, most of it by {most}",
        )
    # A pool runs dry too when what is behind it is slow: that was looked at above. And of two pools
    # in a row, those who wait for the second hold on to connections of the first.
    if used.pooler_waiting_share >= POOL_WAITING_SHARE:
        share, size = used.pooler_waiting_share, used.pooler_size
        which = "a server connection" if size is None else f"one of {size} server connections"
        return Bound(
            Resource.POOLER,
            f"clients waited for {which} in {share:.0%} of seconds, "
            f"the longest {used.pooler_wait_s_max:.1f} s",
        )
    if used.pool_waiting_share >= POOL_WAITING_SHARE:
        share = used.pool_waiting_share
        return Bound(Resource.POOL, f"requests waited for a connection in {share:.0%} of seconds")
    return Bound(Resource.NOTHING, "no resource was near its limit")


OTHERS = "programs that are no part of the stack"

# PostgreSQL works with one process a connection: one of them busy is no limit.
_MANY_PROCESSES = frozenset({"postgres", "replica"})


@dataclass(frozen=True)
class StatementUse:
    """One statement in one stage."""

    sql: str
    calls: int
    total_ms: float
    rows: int


@dataclass(frozen=True)
class Suspect:
    """A statement that looks like the N of an N+1."""

    sql: str
    calls_per_click: float
    rows_per_call: float
    time_share: float
    """Of all statements' time."""


def is_housekeeping(sql: str) -> bool:
    """Whether `sql` controls a transaction or a session rather than reading or writing data."""
    return _HOUSEKEEPING.match(sql) is not None


def n_plus_one_suspects(statements: Sequence[StatementUse], clicks: int) -> tuple[Suspect, ...]:
    """Statements that a click runs more than once for one row each, the most called first."""
    total_ms = sum(statement.total_ms for statement in statements)
    if clicks == 0:
        return ()
    found = [
        Suspect(
            sql=statement.sql,
            calls_per_click=statement.calls / clicks,
            rows_per_call=statement.rows / statement.calls,
            time_share=statement.total_ms / total_ms if total_ms else 0.0,
        )
        for statement in statements
        if statement.calls
        and not is_housekeeping(statement.sql)
        and statement.calls / clicks >= CALLS_PER_CLICK_MIN
        and statement.rows / statement.calls <= ROWS_PER_CALL_MAX
    ]
    return tuple(sorted(found, key=lambda suspect: -suspect.calls_per_click))


def heaviest(statements: Sequence[StatementUse]) -> StatementUse | None:
    """The statement that used most of the database's time, housekeeping left out."""
    own = [statement for statement in statements if not is_housekeeping(statement.sql)]
    return max(own, key=lambda statement: statement.total_ms, default=None)
