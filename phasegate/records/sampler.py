"""The record of what a stage of load used: statements, sessions, waits, processor, memory, lag."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import ClassVar

from phasegate.model.bottleneck import StatementUse, Used
from phasegate.records.server_events import Growth, Rhythm, ServerEvent
from phasegate.records.store import Part, Record


class Statement(Part, frozen=True, kw_only=True):
    """One normalised statement in one stage: the difference of pg_stat_statements."""

    query_id: str
    sql: str
    """Constants replaced by $1, $2, …; cut to 1,000 characters."""
    calls: int
    total_ms: float
    mean_ms: float
    rows: int
    blocks_hit: int
    """Shared blocks found in the buffers."""
    blocks_read: int
    """Shared blocks asked of the operating system."""
    temp_blocks_written: int


class Component(Part, frozen=True, kw_only=True):
    """What one part of the stack used in one second: a process and all its children."""

    name: str
    """As `postgres`, `api`, `generator`."""
    cpu_share: float
    """Of one core; 2.0 is two cores."""
    process_cpu_share_max: float
    """Of one core, by the busiest of its processes: a single thread cannot go above 1."""
    memory_bytes: int
    """Resident; pages that its processes share, as PostgreSQL's buffers, are counted once."""


class Pooler(Part, frozen=True, kw_only=True):
    """What PgBouncer's console said, all its databases and users together."""

    clients_active: int
    """Clients that have a server connection, or could have one at once (`cl_active`)."""
    clients_waiting: int
    """Clients in line for a server connection at this moment (`cl_waiting`)."""
    servers_active: int
    servers_idle: int
    wait_s_max: float
    """How long the first in line had waited at this moment (`maxwait`); 0 where nobody did."""
    waited_s: float
    """Time that clients waited since the last look, added up once each was served: 2 in a second
    is two clients in line all the time (`total_wait_time`)."""
    transactions: int
    """Since the last look."""


class Backends(Part, frozen=True, kw_only=True):
    """Server backends of the application at one moment."""

    count: int
    states: dict[str, int]
    """By state: `active`, `idle`, `idle in transaction`, …; `unknown` while one signs in."""


class DiskUse(Part, frozen=True, kw_only=True):
    """Blocks of the database, and what its control group did, since the last look."""

    blocks_hit: int
    """Found in shared buffers (`pg_stat_database`)."""
    blocks_read: int
    """Asked of the operating system, which may have had them in its page cache."""
    reads: int | None = None
    """Operations that reached the disk, by the control group; null without one, as all below."""
    writes: int | None = None
    read_bytes: int | None = None
    cpu_s: float | None = None
    throttled_s: float | None = None
    """That some process waited for its share of the processor."""


class Sample(Part, frozen=True, kw_only=True):
    """One look at everything."""

    at_s: float
    """Seconds since sampling began."""
    states: dict[str, int]
    """Client connections to the database by state: `active`, `idle`, `idle in transaction`, …"""
    waits: dict[str, int]
    """Active ones by what they wait for, as `Lock/transactionid`; `running` for none."""
    connections: int
    """Client connections to the whole server."""
    components: tuple[Component, ...]
    machine_cpu_share: float
    """Of all cores together, 0..1."""
    memory_available_bytes: int
    pool_size: int | None
    """The API's; null where it does not tell."""
    pool_in_use: int | None
    pool_waiting: int | None
    """Requests that wait for a connection of the pool."""
    lag_s: float | None
    """Replay lag of the slowest replica; null without one."""
    lag_bytes: int | None
    pooler: Pooler | None = None
    """Null without PgBouncer, where it did not answer, and in records older than this field."""
    disk: DiskUse | None = None
    """Null where the database did not answer, and in records older than this field."""
    growth: Growth | None = None
    """Looked at every ten seconds of a soak; null in between, and elsewhere."""
    steal_share: float | None = None
    """Of all cores' time since the last look, taken by the hypervisor, 0..1; null where the machine
    does not tell, and in records older than this field."""


class SamplerRecord(Record, frozen=True, kw_only=True):
    """`sampler/<stage>.json`, beside `load/<stage>.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    stage: str
    started_at: str
    """ISO 8601, UTC."""
    duration_s: float
    interval_s: float
    cores: int
    memory_bytes: int
    """Of the machine."""
    connections_max: int | None
    """`max_connections`; null where the database could not be sampled."""
    statements: tuple[Statement, ...] | None
    """By total time, the heaviest first; null where pg_stat_statements is not there."""
    samples: tuple[Sample, ...]
    not_sampled: tuple[str, ...]
    """What could not be sampled, and the command that would enable it."""
    backends_peak: Backends | None = None
    """The most connections that the application's database had at one moment: pg_stat_activity,
    client backends, the sampler's own left out, ten looks a second. Behind a pooler these are the
    pooler's connections to the server; `pooler_clients_peak` counts those in front of it. Null
    where the database could not be sampled, and in records older than this field."""
    pooler_size: int | None = None
    """Server connections that PgBouncer allows for each database and user; null without one."""
    events: tuple[ServerEvent, ...] | None = None
    """What the server did beside its statements, by when it began; null where nobody watched."""
    rhythms: tuple[Rhythm, ...] | None = None
    """What it does again and again by its settings; null likewise."""

    def pooler_clients_peak(self) -> int | None:
        """The most clients that PgBouncer had at one look, in line or not; None without one."""
        poolers = [sample.pooler for sample in self.samples if sample.pooler is not None]
        return max((each.clients_active + each.clients_waiting for each in poolers), default=None)

    def pooler_wait_ms_mean(self) -> float | None:
        """What a transaction waited for a server connection, on average; None without any."""
        poolers = [sample.pooler for sample in self.samples if sample.pooler is not None]
        transactions = sum(each.transactions for each in poolers)
        waited_s = sum(each.waited_s for each in poolers)
        return waited_s / transactions * 1000 if transactions else None

    def uses(self) -> tuple[StatementUse, ...]:
        """The statements, for `model.bottleneck`; empty where they were not sampled."""
        return tuple(
            StatementUse(sql=one.sql, calls=one.calls, total_ms=one.total_ms, rows=one.rows)
            for one in self.statements or ()
        )

    def used(self) -> Used | None:
        """The samples in one, for `model.bottleneck`; None without any."""
        if not self.samples:
            return None
        waits: dict[str, int] = {}
        for sample in self.samples:
            for wait, connections in sample.waits.items():
                kind = wait.partition("/")[0]
                waits[kind] = waits.get(kind, 0) + connections
        active = sum(waits.values())
        components = [part for sample in self.samples for part in sample.components]
        names = dict.fromkeys(part.name for part in components)
        memory = [sample.memory_available_bytes for sample in self.samples]
        poolers = [sample.pooler for sample in self.samples if sample.pooler is not None]
        return Used(
            connections_share_max=(
                max(s.connections for s in self.samples) / self.connections_max
                if self.connections_max
                else 0.0
            ),
            pool_waiting_share=_share(bool(sample.pool_waiting) for sample in self.samples),
            waits={kind: count / active for kind, count in waits.items()},
            machine_cpu_share=statistics.median(s.machine_cpu_share for s in self.samples),
            component_cpu_share={
                name: statistics.median(p.cpu_share for p in components if p.name == name)
                for name in names
            },
            process_cpu_share={
                name: statistics.median(
                    p.process_cpu_share_max for p in components if p.name == name
                )
                for name in names
            },
            memory_available_share_min=min(memory) / self.memory_bytes,
            other_cpu_share=statistics.median(
                s.machine_cpu_share * self.cores - sum(p.cpu_share for p in s.components)
                for s in self.samples
            ),
            active_mean=active / len(self.samples),
            pooler_waiting_share=(
                _share(_had_a_line(each, self.interval_s) for each in poolers) if poolers else 0.0
            ),
            pooler_wait_s_max=max((each.wait_s_max for each in poolers), default=0.0),
            pooler_size=self.pooler_size,
        )


def _had_a_line(pooler: Pooler, interval_s: float) -> bool:
    """Whether somebody waited at the look, or one client on average since the last one.

    Waits of milliseconds are over when one looks; their sum is not.
    """
    return pooler.clients_waiting > 0 or pooler.waited_s >= interval_s


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values)
