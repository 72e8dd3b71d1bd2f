"""The record of one stage of load: what was offered, what was answered, and whether it counts."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.store import Part, Record

Connections = Literal["keep-alive", "per-request"]


class Endpoint(Part, frozen=True, kw_only=True):
    """All requests of one name in one stage."""

    name: str
    """As the locustfile calls it: `GET orders (by customer)`, never with parameters."""
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


class Interval(Part, frozen=True, kw_only=True):
    """Clicks that were due in one interval of a stage; one without any is left out."""

    at: int
    """Its number, from 0: it begins `at` times `interval_s` after the stage."""
    clicks: int
    failures: int
    latency_hdr: str
    """From due to the last answer, µs; HdrHistogram V2 compressed, base64."""


class ClicksOverTime(Part, frozen=True, kw_only=True):
    """How a long stage went, interval by interval."""

    begun_at: str
    """When the first interval begins; ISO 8601, UTC."""
    interval_s: float
    intervals: tuple[Interval, ...]


class Cache(Part, frozen=True, kw_only=True):
    """What the client's cache did; hits + misses = reads asked of it."""

    hits: int
    misses: int
    invalidations: int
    saved_bytes: int
    """Response bytes that hits did not fetch again."""


class Sessions(Part, frozen=True, kw_only=True):
    """What became of the sessions that were due; due = dropped + finished + broken + cut."""

    due: int
    dropped: int
    """Never begun: as many as the generator allows were under way already."""
    finished: int
    """Went to their end, or were between two clicks when the stage was over."""
    broken: int
    """Ended by an error of the generator."""
    cut: int
    """Still waiting for an answer when the time to drain was over."""


class LoadRecord(Record, frozen=True, kw_only=True):
    """`load/<stage>.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    stage: str
    arm: str
    """The client's parts (the project's `[parts]`), joined by `+`; empty where it has none."""
    level: int
    """Stack level, from 1."""
    users: int
    """Registered users of the data set, and of the workload model."""
    target: str
    """Host that was driven, without credentials."""
    started_at: str
    """ISO 8601, UTC."""
    duration_s: float
    offered_sessions_per_s: float
    """Sessions that were due in the stage, per second: a draw from the Poisson process."""
    achieved_sessions_per_s: float
    """Of those, the ones that finished."""
    dropped_sessions: int
    schedule_lag_ms_p99: float
    """How late the generator started sessions that were due."""
    generator_cpu_share_max: float
    """Largest share of one core that one generator process used over a second; 0..1."""
    invalid: tuple[str, ...]
    """Reasons why this stage must not be judged; empty where it counts. Each is a code, a colon
    and a sentence; the codes are in `model.verdict`."""
    endpoints: tuple[Endpoint, ...]
    seconds: tuple[Second, ...]
    cache: Cache | None
    """Null where nothing asked one."""
    actions: tuple[Endpoint, ...] = ()
    """Clicks of users by name, from due to the last answer that the click needed. An action
    answered from a cache counts; `statuses` is empty and `response_bytes` 0. The SLO speaks of
    these: three quick requests in a row are one slow click."""
    completions: tuple[Endpoint, ...] = ()
    """Work that was answered 202 and done later, from asked for to done, seen by asking every
    quarter second; nobody waits for it, so the SLO does not speak of it."""
    sessions: Sessions | None = None
    """Null in records older than this field."""
    rate_sessions_per_s: float | None = None
    """Arrival rate asked of the generator; null in the closed model."""
    modelled_sessions_per_s: float | None = None
    """Peak arrival rate of `users` by the workload model."""
    think_time_scale: float = 1.0
    """Think times and the cache's TTL were multiplied by this."""
    workers: int = 1
    """Generator processes."""
    workers_lost: int = 0
    """Of those, the ones that never sent their last report."""
    generator_cpu_wait_share_max: float = 0.0
    """Largest share of a second that a generator process was ready and had no core; 0..1."""
    rows_created: int = 0
    rows_removed: int = 0
    """Of `rows_created`, at the end; fewer only where the API refused or was gone."""
    seed: int | None = None
    """Of the population and of the arrivals."""
    connections: Connections = "keep-alive"
    """Whether the client's HTTP connections were used again, or opened for each request."""
    connections_opened: int | None = None
    """For the requests of the stage, those cut off at its end left out; null in records older than
    this field."""
    requests_resent: int | None = None
    """Idempotent requests that were sent a second time, on a new connection, because the server had
    closed the kept one before a byte of the answer came; each counts as one request, from when it
    was due. Null in records older than this field."""
    over_time: ClicksOverTime | None = None
    """Null where nobody asked for it (`--intervals`)."""
