"""What a soak says: what recurs, what drifts, which of the server's rhythms it was long enough for.

Takes a load record with clicks over time and the sampler's record beside it; returns values. Reads
no file, draws nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median

import numpy as np

from phasegate.records.load import LoadRecord
from phasegate.records.sampler import Sample, SamplerRecord
from phasegate.records.server_events import EventKind, Rhythm
from phasegate.report.format import plain
from phasegate.report.recurring import Recurrence, Row, recurrence
from phasegate.stats.trend import PVALUE_MAX, Trend, trend

KIND_NAMES: dict[EventKind, str] = {
    "checkpoint": "checkpoint",
    "autovacuum": "autovacuum",
    "autoanalyze": "auto-analyse",
    "vacuum": "VACUUM",
    "analyze": "ANALYZE",
    "refresh": "refresh",
    "maintenance": "maintenance",
    "lock": "lock",
    "job": "pg_cron job",
    "reconnect": "new connections",
}

DRIFT_POINTS = 40
"""Into so many stretches a soak is divided for its trends, fewer where a p95 would have none."""
DRIFT_CLICKS_MIN = 60
DRIFT_SHARE_MIN = 0.05
"""Of what it was: a trend of less over the whole soak is not worth a word, unless it is a leak."""
LEAK_SHARE_MIN = 0.5
"""Of what it was, gained in a day at the rate of the last half: a server that nobody restarts then
runs out within days. In a soak of minutes that is far less than 5%."""
LEAK_STEADY = 0.5
"""Of the whole's slope, at least, in the last half: the growth of caches that fill slows down."""
LEVELS_OFF = 0.25
"""Of the whole's slope: where the last half grows by less, it levels off."""
HOUR_S, DAY_H = 3600.0, 24.0
WAL, CONNECTIONS = "WAL written", "connections"


@dataclass(frozen=True)
class Series:
    """A figure over the soak, in stretches of equal length."""

    name: str
    unit: str
    """`ms`, `bytes` or `count`."""
    at_s: tuple[float, ...]
    """Middles of the stretches."""
    values: tuple[float, ...]
    only_grows: bool = False
    """By its nature, so that its growth is no drift."""
    leaks: bool = False
    """It should stay as it is however long the load lasts, so that steady growth is a leak."""


@dataclass(frozen=True)
class Drift:
    """What moved one way all the time, per hour and in its own unit."""

    series: Series
    trend: Trend
    levels_off: bool
    after_a_day: float | None = None
    """Of what leaks: where it would be after a day at the rate of the last half."""

    @property
    def level(self) -> float:
        """The median."""
        return median(self.series.values)


@dataclass(frozen=True)
class Met:
    """One of the server's rhythms, and how often the soak met it."""

    name: str
    every_s: float | None
    said_by: str
    times: int


@dataclass(frozen=True)
class Soak:
    """One long stage."""

    stage: str
    users: int
    level: int
    length_s: float
    recurrence: Recurrence
    series: tuple[Series, ...]
    """The p95 of clicks first; without a stretch where clicks were too few."""
    drifts: tuple[Drift, ...]
    met: tuple[Met, ...]
    not_watched: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file that the clicks are in."""
        return f"load/{self.stage}.json"


def of_stage(load: LoadRecord, used: SamplerRecord | None) -> Soak | None:
    """The soak of a stage; None where its clicks were not kept by interval."""
    found = recurrence(load, used)
    if found is None:
        return None
    series = (_latency(found.row), *_sampled(load, used))
    drifts = (_drift(each, found.row.length_s, len(series)) for each in series)
    return Soak(
        stage=load.stage,
        users=load.users,
        level=load.level,
        length_s=found.row.length_s,
        recurrence=found,
        series=series,
        drifts=tuple(each for each in drifts if each is not None),
        met=_met(found, used),
        not_watched=_not_watched(used),
    )


def _not_watched(used: SamplerRecord | None) -> tuple[str, ...]:
    if used is None or used.events is None:
        return ("the server: no database's address was given (DATABASE_URL)",)
    return used.not_sampled


def _latency(row: Row) -> Series:
    """The p95 of equal stretches that have enough clicks for one."""
    count = min(DRIFT_POINTS, int(float(row.clicks.sum()) / DRIFT_CLICKS_MIN))
    step_s = row.length_s / max(count, 1)
    found = []
    for number in range(count):
        p95 = row.within(number * step_s, (number + 1) * step_s).percentile_ms(95)
        if p95 is not None:
            found.append(((number + 0.5) * step_s, p95))
    return Series("p95 of clicks", "ms", tuple(at for at, _ in found), tuple(v for _, v in found))


Look = Callable[[Sample], float | None]


def _sampled(load: LoadRecord, used: SamplerRecord | None) -> Iterator[Series]:
    """What the sampler saw under load."""
    if used is None or load.over_time is None:
        return
    begun = datetime.fromisoformat(load.over_time.begun_at)
    later_s = (begun - datetime.fromisoformat(used.started_at)).total_seconds()
    samples = [s for s in used.samples if 0 <= s.at_s - later_s <= load.duration_s]
    names = dict.fromkeys(part.name for sample in samples for part in sample.components)
    memory = {f"memory of {name}": name for name in names}
    looks: list[tuple[str, str, Look]] = [
        (said, "bytes", _memory_of(name)) for said, name in memory.items()
    ]
    looks += [
        (CONNECTIONS, "count", lambda s: float(s.connections)),
        ("size of the database", "bytes", lambda s: s.growth.size_bytes if s.growth else None),
        ("dead rows", "count", lambda s: s.growth.dead_rows if s.growth else None),
        (WAL, "bytes", lambda s: s.growth.wal_bytes if s.growth else None),
    ]
    for name, unit, look in looks:
        seen = [(s.at_s - later_s, value) for s in samples if (value := look(s)) is not None]
        if not seen:
            continue
        parts = np.array_split(np.array(seen), min(DRIFT_POINTS, len(seen)))
        values = [float(np.median(part[:, 1])) for part in parts]
        yield Series(
            name=name,
            unit=unit,
            at_s=tuple(float(np.median(part[:, 0])) for part in parts),
            values=tuple(value - values[0] for value in values) if name == WAL else tuple(values),
            only_grows=name == WAL,
            leaks=name in memory or name == CONNECTIONS,
        )


def _memory_of(name: str) -> Look:
    return lambda sample: next(
        (float(part.memory_bytes) for part in sample.components if part.name == name), None
    )


def _drift(series: Series, length_s: float, tests: int) -> Drift | None:
    """The trend of a series, where it is one, also among so many, and matters."""
    hours, values = np.array(series.at_s) / HOUR_S, np.array(series.values)
    found = trend(hours, values)
    if series.only_grows or found is None or found.pvalue * tests > PVALUE_MAX or not found.is_one:
        return None
    level, half = abs(float(np.median(values))), len(values) // 2
    late = trend(hours[half:], values[half:])
    levels_off = late is not None and (
        not late.is_one or abs(late.slope) < LEVELS_OFF * abs(found.slope)
    )
    steady = late is not None and late.is_one and late.slope >= LEAK_STEADY * found.slope > 0
    gained = min(late.slope, found.slope) * DAY_H if late is not None and steady else 0.0
    leak = series.leaks and gained >= LEAK_SHARE_MIN * level > 0
    if not leak and abs(found.slope) * length_s / HOUR_S < DRIFT_SHARE_MIN * level:
        return None
    return Drift(series, found, levels_off, float(values[-1]) + gained if leak else None)


def _met(found: Recurrence, used: SamplerRecord | None) -> tuple[Met, ...]:
    """The rhythms by settings first, then what came without one."""
    if found.events is None or used is None:
        return ()
    length_s = found.row.length_s
    inside = [event for event in found.events if 0 <= event.begin_s < length_s]
    rows, told = [], set[EventKind]()
    for rhythm in used.rhythms or ():
        mine = [event for event in inside if event.kind == rhythm.kind]
        if rhythm.kind == "refresh":
            mine = [event for event in mine if event.what == rhythm.what]
        if rhythm.kind == "reconnect" and length_s < (rhythm.every_s or 0.0):
            mine = []  # no connection is old enough: whatever was opened was opened for need
        else:
            told.add(rhythm.kind)
        rows.append(Met(_rhythm_name(rhythm), rhythm.every_s, rhythm.said_by, len(mine)))
    for kind, name in KIND_NAMES.items():
        times = sum(event.kind == kind for event in inside)
        if times and kind not in told:
            rows.append(Met(name, None, "", times))
    return tuple(rows)


def _rhythm_name(rhythm: Rhythm) -> str:
    if rhythm.kind == "reconnect":
        return f"{rhythm.what} renews its connections"
    of = f" of {plain(rhythm.what, 60)}" if rhythm.what else ""
    return f"{KIND_NAMES[rhythm.kind]}{of}"


@dataclass(frozen=True)
class Point:
    """A stretch of a soak: its middle, clicks a second, and percentiles in ms (NaN without any)."""

    at_s: float
    clicks_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def points(row: Row, count: int) -> tuple[Point, ...]:
    """The row in no more than `count` stretches of whole intervals."""
    bins = len(row.histograms)
    edges = sorted({round(bins * i / count) for i in range(count + 1)})
    found = []
    for first, last in itertools.pairwise(edges):
        begin_s, end_s = first * row.width_s, last * row.width_s
        histogram = row.within(begin_s, end_s)
        values = histogram.at_percents_ms((50.0, 95.0, 99.0))
        p50, p95, p99 = (values.get(percent, math.nan) for percent in (50.0, 95.0, 99.0))
        rate = histogram.total / (end_s - begin_s)
        found.append(Point((begin_s + end_s) / 2, rate, p50, p95, p99))
    return tuple(found)
