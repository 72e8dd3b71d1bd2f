"""What the stages of load say: percentiles over a stage, its verdict, and its cache.

Takes records, returns values; reads no file, draws nothing. Percentiles come from the merged HDR
histograms: those of single endpoints cannot be averaged. What a user waits for is a click, and the
SLO speaks of clicks; records that count none are judged by their requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from phasegate.model.catalogue import Slo
from phasegate.model.errors import ConfigurationError
from phasegate.model.verdict import Judgement, judge
from phasegate.records.histogram import Histogram, merged
from phasegate.records.load import Cache, Endpoint, LoadRecord, Second
from phasegate.stats.quantile import upper_rank

PERCENTILES = (50.0, 95.0, 99.0)

CURVE_PERCENTILES = (0.1, *(float(q) for q in range(1, 100)), 99.5, 99.9, 100.0)
"""Where the ECDF is read off: every percent, and closer in the tail."""


@dataclass(frozen=True)
class StageTraffic:
    """One stage of load, all of it together. Latencies in milliseconds."""

    stage: str
    name: str
    """What charts and tables call it: its way to read, with the level where several share that."""
    arm: str
    level: int
    users: int
    counted: Literal["clicks", "requests"]
    """What latencies and failures are counted in."""
    events: int
    failures: int
    requests: int
    response_bytes: int
    offered_sessions_per_s: float
    achieved_sessions_per_s: float
    latency_ms: dict[float, float]
    """From due to answered, by percentile; empty where nothing was answered."""
    service_ms: dict[float, float]
    """From sent to answered, by percentile; empty where nothing was answered."""
    service_s: float | None
    """Mean, from sent to answered; None where nothing was answered."""
    sessions: float
    """That finished."""
    latency_ms_p95_high: float | None
    """Upper end of the 95% interval of the p95 from due; None with too few events to have one."""
    cache: Cache | None
    invalid: tuple[str, ...]
    judgement: Judgement
    seconds: tuple[Second, ...]
    curve: tuple[tuple[float, float], ...]
    """The ECDF: (milliseconds, percent answered within them), ascending."""
    head_room: float | None
    """Arrival rate asked for, as a multiple of the workload model's peak; None where unknown."""

    @property
    def source(self) -> str:
        """The file that all of this comes from."""
        return f"load/{self.stage}.json"

    @property
    def counts(self) -> bool:
        """Whether it says anything: a PASS beside other programs does too."""
        return self.judgement.verdict != "INVALID"

    @property
    def error_share(self) -> float | None:
        """Failures per click or request, 0..1; None where nothing was asked."""
        return self.failures / self.events if self.events else None

    @property
    def hit_ratio(self) -> float | None:
        """Hits per read asked of the cache, 0..1; None without a cache or without a read."""
        if self.cache is None or not self.cache.hits + self.cache.misses:
            return None
        return self.cache.hits / (self.cache.hits + self.cache.misses)


def _checked(parts: tuple[Endpoint, ...], blobs: list[str], where: str) -> Histogram:
    try:
        found = merged(Histogram.decode(blob) for blob in blobs)
    except ValueError as error:
        raise ConfigurationError(
            f"{where} holds a histogram that cannot be decoded",
            then="Measure again, or report on another run",
        ) from error
    if found.total > sum(part.requests for part in parts):
        raise ConfigurationError(
            f"{where} contradicts itself: its histograms hold more than its counts",
            then="Measure again, or report on another run",
        )
    return found


def of_stage(load: LoadRecord, slo: Slo, *, judged_at_peak: bool = True) -> StageTraffic:
    """The percentiles, totals and verdict of one stage.

    Args:
        load: the stage's record.
        slo: what to hold it against.
        judged_at_peak: whether it speaks for the population of its data set; False for a step of
            a search, where the rate itself is judged.

    Raises:
        ConfigurationError: a histogram cannot be decoded, or holds more than was counted.
    """
    where = f"load/{load.stage}.json"
    parts = load.actions or load.endpoints
    due = _checked(parts, [part.latency_hdr for part in parts], where)
    sent = _checked(load.endpoints, [part.service_hdr for part in load.endpoints], where)
    _checked(load.endpoints, [part.latency_hdr for part in load.endpoints], where)
    latency = due.at_percents_ms(PERCENTILES)
    rank = upper_rank(due.total)
    at = None if rank is None else 100 * rank / due.total
    high_ms = None if at is None else due.percentile_ms(at)
    events, failures = sum(p.requests for p in parts), sum(p.failures for p in parts)
    asked, modelled = load.rate_sessions_per_s, load.modelled_sessions_per_s
    head_room = asked / modelled if asked and modelled else None
    return StageTraffic(
        stage=load.stage,
        name=load.arm,
        arm=load.arm,
        level=load.level,
        users=load.users,
        counted="clicks" if load.actions else "requests",
        events=events,
        failures=failures,
        requests=sum(endpoint.requests for endpoint in load.endpoints),
        response_bytes=sum(endpoint.response_bytes for endpoint in load.endpoints),
        offered_sessions_per_s=load.offered_sessions_per_s,
        achieved_sessions_per_s=load.achieved_sessions_per_s,
        latency_ms=latency,
        service_ms=sent.at_percents_ms(PERCENTILES),
        service_s=sent.mean_s,
        sessions=(
            load.sessions.finished
            if load.sessions
            else load.achieved_sessions_per_s * load.duration_s
        ),
        latency_ms_p95_high=high_ms,
        cache=load.cache,
        invalid=load.invalid,
        judgement=judge(
            latency_ms_p95=latency.get(95.0),
            latency_ms_p95_high=high_ms,
            clicks=events,
            clicks_failed=failures,
            invalid=load.invalid,
            slo=slo,
            rate_over_peak=head_room if judged_at_peak else None,
            schedule_lag_ms_p99=load.schedule_lag_ms_p99,
        ),
        seconds=load.seconds,
        curve=tuple((ms, q) for q, ms in due.at_percents_ms(CURVE_PERCENTILES).items()),
        head_room=head_room,
    )


def named(stages: tuple[StageTraffic, ...]) -> tuple[StageTraffic, ...]:
    """`stages`, told apart by their names: the level stands before a way to read that two share."""
    levels: dict[str, set[int]] = {}
    for stage in stages:
        levels.setdefault(stage.arm, set()).add(stage.level)
    return tuple(
        replace(stage, name=", ".join(filter(None, (f"level {stage.level}", stage.arm))))
        if len(levels[stage.arm]) > 1 or not stage.arm
        else stage
        for stage in stages
    )
