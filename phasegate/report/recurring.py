"""What recurred while a long stage was driven: how high, how often, and what it coincides with.

Takes a load record with clicks over time, and what the sampler saw of the server meanwhile; returns
values. Reads no file, draws nothing. The statistics are `stats.recurrence`'s and `stats.trend`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

import numpy as np

from phasegate.records.histogram import Histogram, bucket_bounds_us, merged
from phasegate.records.load import ClicksOverTime, LoadRecord
from phasegate.records.sampler import SamplerRecord
from phasegate.records.server_events import ServerEvent
from phasegate.report.suspects import Suspect, on_trial, suspects_of
from phasegate.stats.recurrence import (
    Array,
    Excursion,
    apart_s,
    excursions,
    period_of,
    rolling_median,
    threshold_ms,
)

GROUP_CLICKS_MIN = 20
"""Fewer clicks have no p95: their largest stands for it."""
TYPICAL_GROUPS = 61
"""Whose median p95 is the typical one of their surroundings."""


@dataclass(frozen=True)
class Row:
    """A stage as a row of intervals of equal width."""

    width_s: float
    histograms: tuple[Histogram, ...]
    clicks: Array
    typical_ms: Array
    """p95 of the surroundings of each interval, whatever recurs left out."""
    slow: Array
    """Clicks above what is typical."""

    @property
    def length_s(self) -> float:
        """Of the stage."""
        return len(self.histograms) * self.width_s

    @property
    def typical_ms_p95(self) -> float:
        """Of the whole stage."""
        known = self.typical_ms[~np.isnan(self.typical_ms)]
        return float(np.median(known)) if len(known) else math.nan

    def within(self, begin_s: float, end_s: float) -> Histogram:
        """Clicks due in a stretch, whole intervals."""
        first, last = int(begin_s / self.width_s + 1e-9), math.ceil(end_s / self.width_s - 1e-9)
        return merged(self.histograms[max(first, 0) : max(last, 0)])


@dataclass(frozen=True)
class Recurring:
    """Something that came again and again."""

    times: int
    of: int | None
    """Events of the suspect; None without one."""
    period_s: float | None
    """None where it came in no rhythm."""
    latency_ms_p95: float
    """Of clicks meanwhile."""
    typical_ms_p95: float
    duration_s: float
    """The median."""
    clicks_share: float
    """Slow clicks, of all of the stage; 0..1."""
    pvalue: float
    """After a Bonferroni correction for everything that was tried."""
    suspect: Suspect | None
    also: tuple[Suspect, ...] = ()
    """What coincides with it just as well."""


@dataclass(frozen=True)
class Recurrence:
    """All that recurred in a stage."""

    row: Row
    events: tuple[ServerEvent, ...] | None
    """Of the stage, times since it began; None where nobody watched."""
    found: tuple[Recurring, ...]
    others: tuple[Excursion, ...]
    """Excursions in no pattern, with no suspect."""
    tried: int
    """Kinds of events whose coincidence was tested."""
    all_excursions: tuple[Excursion, ...] = field(default=())


def row_of(over_time: ClicksOverTime, duration_s: float) -> Row:
    """The intervals as arrays, with what is typical about each."""
    width_s = over_time.interval_s
    count = max(
        math.ceil(duration_s / width_s - 1e-9),
        max((each.at + 1 for each in over_time.intervals), default=1),
    )
    histograms = [Histogram() for _ in range(count)]
    for each in over_time.intervals:
        if each.at >= 0:
            histograms[each.at] = Histogram.decode(each.latency_hdr)
    clicks = np.array([each.total for each in histograms], dtype=float)
    typical = _typical_ms(histograms, clicks)
    limits = threshold_ms(typical)
    slow = np.array(
        [_above(each, limit) for each, limit in zip(histograms, limits, strict=True)], dtype=float
    )
    return Row(width_s, tuple(histograms), clicks, typical, slow)


def _typical_ms(histograms: Sequence[Histogram], clicks: Array) -> Array:
    """The p95 of groups of intervals that have enough clicks, their rolling median."""
    mean = float(clicks.mean())
    size = max(1, math.ceil(GROUP_CLICKS_MIN / mean)) if mean else len(histograms)
    groups = [merged(histograms[i : i + size]) for i in range(0, len(histograms), size)]
    p95s = np.array(
        [math.nan if (p95 := group.percentile_ms(95)) is None else p95 for group in groups]
    )
    return np.repeat(rolling_median(p95s, TYPICAL_GROUPS), size)[: len(histograms)]


def _above(histogram: Histogram, limit_ms: float) -> int:
    return sum(
        count
        for index, count in histogram.counts.items()
        if bucket_bounds_us(index)[0] > limit_ms * 1000
    )


def events_of(
    over_time: ClicksOverTime, used: SamplerRecord | None
) -> tuple[ServerEvent, ...] | None:
    """The server's events, their times counted from when the stage began."""
    if used is None or used.events is None:
        return None
    begun = datetime.fromisoformat(over_time.begun_at)
    later_s = (begun - datetime.fromisoformat(used.started_at)).total_seconds()
    return tuple(
        ServerEvent(
            kind=event.kind,
            what=event.what,
            begin_s=event.begin_s - later_s,
            end_s=None if event.end_s is None else event.end_s - later_s,
            within_s=event.within_s,
            detail=event.detail,
        )
        for event in used.events
    )


def recurrence(load: LoadRecord, used: SamplerRecord | None) -> Recurrence | None:
    """What recurred in a stage; None where its clicks were not kept by interval."""
    if load.over_time is None:
        return None
    row = row_of(load.over_time, load.duration_s)
    events = events_of(load.over_time, used)
    runs = excursions(row.clicks, row.slow, row.width_s)
    trials = on_trial(events or (), row.length_s, row.width_s)
    found: list[Recurring] = []
    left = list(runs)
    for suspect, also in suspects_of(row.clicks, row.slow, row.width_s, trials):
        mine = [run for run in left if suspect.covers(run.begin_s, run.end_s)]
        left = [run for run in left if run not in mine]
        found.append(_with_suspect(row, suspect, also, mine))
    lone = _without_suspect(row, left)
    if lone is not None:
        found.append(lone)
        left = []
    found.sort(key=lambda each: -each.clicks_share)
    return Recurrence(row, events, tuple(found), tuple(left), len(trials), runs)


def _with_suspect(
    row: Row, suspect: Suspect, also: tuple[Suspect, ...], mine: Sequence[Excursion]
) -> Recurring:
    spans = [(run.begin_s, run.end_s) for run in mine] or suspect.windows()
    return Recurring(
        times=suspect.hits,
        of=len(suspect.events),
        period_s=suspect.period_s,
        latency_ms_p95=_p95_ms(row, spans),
        typical_ms_p95=row.typical_ms_p95,
        duration_s=median(end - begin for begin, end in spans),
        clicks_share=suspect.slow / float(row.clicks.sum()),
        pvalue=suspect.pvalue,
        suspect=suspect,
        also=also,
    )


def _without_suspect(row: Row, runs: Sequence[Excursion]) -> Recurring | None:
    """The rhythm of excursions that nothing explains; None where they have none."""
    period = period_of(
        [run.begin_s for run in runs], row.length_s, row.width_s, apart_s(row.clicks, row.width_s)
    )
    if period is None:
        return None
    spans = [(run.begin_s, run.end_s) for run in runs]
    return Recurring(
        times=period.met,
        of=None,
        period_s=period.period_s,
        latency_ms_p95=_p95_ms(row, spans),
        typical_ms_p95=row.typical_ms_p95,
        duration_s=median(run.duration_s for run in runs),
        clicks_share=sum(run.slow for run in runs) / float(row.clicks.sum()),
        pvalue=period.pvalue,
        suspect=None,
    )


def _p95_ms(row: Row, spans: Iterable[tuple[float, float]]) -> float:
    found = merged(row.within(begin_s, end_s) for begin_s, end_s in spans).percentile_ms(95)
    return math.nan if found is None else found
