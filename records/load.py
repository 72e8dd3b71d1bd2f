"""The record of one stage of load: what was offered, what was answered, and whether it counts."""

from __future__ import annotations

from typing import ClassVar

from records.store import Part, Record


class Endpoint(Part, frozen=True, kw_only=True):
    """All requests of one name in one stage."""

    name: str
    """As `GET tasks (embedded)`: never with parameters."""
    requests: int
    failures: int
    statuses: dict[str, int]
    """Count per HTTP status; `0` stands for no answer."""
    response_bytes: int
    latency_hdr: str
    """From due to answered, µs; HdrHistogram V2 compressed, base64."""
    service_hdr: str
    """From sent to answered, µs; HdrHistogram V2 compressed, base64."""
    latency_ms: dict[str, float]
    """Percentiles of `latency_hdr` by name: p50, p90, p95, p99, p999, max."""
    service_ms: dict[str, float]
    """The same of `service_hdr`."""


class Second(Part, frozen=True, kw_only=True):
    """One second of a stage, all endpoints together."""

    at_s: int
    """Seconds since the stage began."""
    requests: int
    failures: int
    latency_ms_p50: float | None
    """Null in a second without an answer."""
    latency_ms_p95: float | None
    latency_ms_p99: float | None


class Cache(Part, frozen=True, kw_only=True):
    """What the client's cache did; hits + misses = reads asked of it."""

    hits: int
    misses: int
    invalidations: int
    saved_bytes: int
    """Response bytes that hits did not fetch again."""


class LoadRecord(Record, frozen=True, kw_only=True):
    """`load/<stage>.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    stage: str
    arm: str
    """The client's way to read: `n-plus-1`, `embedded`, `embedded+cache`."""
    level: int
    """Stack level 1, 2 or 3."""
    users: int
    """Registered users of the data set, and of the workload model."""
    target: str
    """Host that was driven, without credentials."""
    started_at: str
    """ISO 8601, UTC."""
    duration_s: float
    offered_sessions_per_s: float
    achieved_sessions_per_s: float
    dropped_sessions: int
    schedule_lag_ms_p99: float
    """How late the generator started sessions that were due."""
    generator_cpu_share_max: float
    """Largest share of one core that one generator process used over a second; 0..1."""
    invalid: tuple[str, ...]
    """Reasons why this stage must not be judged; empty where it counts."""
    endpoints: tuple[Endpoint, ...]
    seconds: tuple[Second, ...]
    cache: Cache | None
    """Null where the arm has no cache."""
