"""From what was counted to the record: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from phasegate.load.counters import EndpointTally, StageTally
from phasegate.load.reads import ReadsOnly
from phasegate.load.settings import LoadSettings
from phasegate.load.stages import Stage
from phasegate.load.validity import reasons
from phasegate.model.catalogue import Slo, Workload
from phasegate.model.verdict import Judgement, judge
from phasegate.records.histogram import Histogram, merged
from phasegate.records.load import (
    Cache,
    ClicksOverTime,
    Endpoint,
    Interval,
    LoadRecord,
    Second,
    Sessions,
)
from phasegate.stats.quantile import upper_rank


def left_behind(records: Iterable[LoadRecord], reads: ReadsOnly) -> str:
    """What users of Locust's own may have left in the target, in a sentence; empty without any."""
    accepted: Counter[str] = Counter()
    for record in records:
        for one in record.endpoints:
            good = (count for status, count in one.statuses.items() if 0 < int(status) < 400)
            accepted[one.name] += sum(good)
    written = reads.written(accepted)
    return written and (
        f"{written}: what these requests wrote is still there, since only a SessionUser says what "
        "to remove"
    )


def record_of(
    stage: Stage,
    tally: StageTally,
    settings: LoadSettings,
    workload: Workload,
    *,
    started_at: str,
    begun_at: str,
    lasted_s: float,
    workers: int,
    workers_lost: int,
) -> LoadRecord:
    """The record of `stage`.

    Args:
        stage: what was asked for.
        tally: of all generator processes together.
        settings: of the whole test.
        workload: says which rate the model has for the stage's users.
        started_at: of the test; ISO 8601, UTC.
        begun_at: of this stage, likewise.
        lasted_s: how long it lasted, in seconds; less than asked for where somebody stopped it.
        workers: generator processes.
        workers_lost: of those, the ones whose last report is missing.
    """
    sessions = tally.sessions
    return LoadRecord(
        format_version=LoadRecord.FORMAT_VERSION,
        stage=stage.name,
        arm=settings.arm,
        level=settings.level,
        users=stage.users,
        target=settings.host,
        started_at=started_at,
        duration_s=lasted_s,
        offered_sessions_per_s=sessions.due / lasted_s if lasted_s else 0.0,
        achieved_sessions_per_s=sessions.finished / lasted_s if lasted_s else 0.0,
        dropped_sessions=sessions.dropped,
        schedule_lag_ms_p99=tally.lag.percentile_ms(99) or 0.0,
        generator_cpu_share_max=tally.cpu_share_max,
        invalid=reasons(stage, tally, lasted_s=lasted_s, workers_lost=workers_lost),
        endpoints=_endpoints(tally.endpoints),
        seconds=_seconds(tally),
        cache=_cache(tally) if tally.cache.is_used else None,
        actions=_endpoints(tally.actions),
        completions=_endpoints(tally.completions),
        sessions=Sessions(
            due=sessions.due,
            dropped=sessions.dropped,
            finished=sessions.finished,
            broken=sessions.broken,
            cut=sessions.cut,
        ),
        rate_sessions_per_s=stage.sessions_per_s or None,
        modelled_sessions_per_s=workload.arrival_rate_per_s(stage.users),
        think_time_scale=settings.think_time_scale,
        workers=workers,
        workers_lost=workers_lost,
        generator_cpu_wait_share_max=tally.cpu_wait_share_max,
        rows_created=tally.rows_created,
        rows_removed=tally.rows_removed,
        seed=settings.seed,
        connections=settings.connections,
        connections_opened=tally.connections if settings.uses_own_client else None,
        requests_resent=tally.resent,
        over_time=_over_time(tally, begun_at, settings.interval_s),
    )


@dataclass(frozen=True)
class Clicks:
    """All clicks of a stage together, with what bears on their verdict."""

    count: int
    failed: int
    latency_ms_p95: float | None
    """From due; None without any."""
    latency_ms_p95_high: float | None
    """Upper end of its 95% interval, as if clicks were independent; None with too few of them."""
    invalid: tuple[str, ...]
    schedule_lag_ms_p99: float

    @classmethod
    def of(cls, record: LoadRecord) -> Clicks:
        """Those of `record`."""
        latency = merged(Histogram.decode(action.latency_hdr) for action in record.actions)
        rank = upper_rank(latency.total)
        return cls(
            count=sum(action.requests for action in record.actions),
            failed=sum(action.failures for action in record.actions),
            latency_ms_p95=latency.percentile_ms(95),
            latency_ms_p95_high=(
                None if rank is None else latency.percentile_ms(100 * rank / latency.total)
            ),
            invalid=record.invalid,
            schedule_lag_ms_p99=record.schedule_lag_ms_p99,
        )

    def judge(self, slo: Slo, rate_over_peak: float | None = None) -> Judgement:
        """See `model.verdict.judge`."""
        return judge(
            latency_ms_p95=self.latency_ms_p95,
            latency_ms_p95_high=self.latency_ms_p95_high,
            clicks=self.count,
            clicks_failed=self.failed,
            invalid=self.invalid,
            slo=slo,
            rate_over_peak=rate_over_peak,
            schedule_lag_ms_p99=self.schedule_lag_ms_p99,
        )


def _endpoints(tallies: dict[str, EndpointTally]) -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(
            name=name,
            requests=tally.requests,
            failures=tally.failures,
            statuses={str(status): count for status, count in sorted(tally.statuses.items())},
            response_bytes=tally.response_bytes,
            latency_hdr=tally.latency.encode(),
            service_hdr=tally.service.encode(),
            latency_ms=tally.latency.percentiles_ms(),
            service_ms=tally.service.percentiles_ms(),
        )
        for name, tally in sorted(tallies.items())
    )


def _seconds(tally: StageTally) -> tuple[Second, ...]:
    return tuple(
        Second(
            at_s=at_s,
            requests=second.requests,
            failures=second.failures,
            latency_ms_p50=second.latency.percentile_ms(50),
            latency_ms_p95=second.latency.percentile_ms(95),
            latency_ms_p99=second.latency.percentile_ms(99),
        )
        for at_s, second in sorted(tally.seconds.items())
    )


def _over_time(tally: StageTally, begun_at: str, interval_s: float) -> ClicksOverTime | None:
    if not interval_s:
        return None
    return ClicksOverTime(
        begun_at=begun_at,
        interval_s=interval_s,
        intervals=tuple(
            Interval(
                at=at,
                clicks=counted.requests,
                failures=counted.failures,
                latency_hdr=counted.latency.encode(fitted=True),
            )
            for at, counted in sorted(tally.intervals.items())
        ),
    )


def _cache(tally: StageTally) -> Cache:
    cache = tally.cache
    return Cache(
        hits=cache.hits,
        misses=cache.misses,
        invalidations=cache.invalidations,
        saved_bytes=cache.saved_bytes,
    )
