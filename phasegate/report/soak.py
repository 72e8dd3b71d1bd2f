"""What a soak says: what recurs, what drifts, which of the server's rhythms it was long enough for.

Takes a load record with clicks over time and the sampler's record beside it; returns values, words
and tables. Reads no file, draws nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

import numpy as np

from phasegate.records.load import LoadRecord
from phasegate.records.sampler import Sample, SamplerRecord
from phasegate.records.server_events import EventKind, Rhythm
from phasegate.report.format import duration, milliseconds, plain, significant, size
from phasegate.report.recurring import Recurrence, Recurring, Row, recurrence
from phasegate.report.suspects import Suspect
from phasegate.report.tables import Table
from phasegate.stats.trend import Trend, trend

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
"""Of what it was: a trend of less over the whole soak is not worth a word."""
LEVELS_OFF = 0.25
"""Of the whole's slope: where the last half grows by less, it levels off."""
HOUR_S = 3600.0


@dataclass(frozen=True)
class Drift:
    """What moved one way all the time, per hour and in its own unit."""

    name: str
    unit: str
    """`ms`, `bytes` or `count`."""
    level: float
    """Its median."""
    trend: Trend
    levels_off: bool


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
    drifts: tuple[Drift, ...]
    drift_points: int
    """Stretches that the trend of the p95 rests on; 0 where it was too short for one."""
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
    times, p95s = _latency_points(found.row)
    series: list[tuple[str, str, list[float], list[float]]] = [
        ("p95 of clicks", "ms", times, p95s),
        *_sampled(load, used),
    ]
    drifts = [
        drift
        for name, unit, at, values in series
        if (drift := _drift(name, unit, at, values, found.row.length_s)) is not None
    ]
    return Soak(
        stage=load.stage,
        users=load.users,
        level=load.level,
        length_s=found.row.length_s,
        recurrence=found,
        drifts=tuple(drifts),
        drift_points=len(p95s),
        met=_met(found, used),
        not_watched=_not_watched(used),
    )


def _not_watched(used: SamplerRecord | None) -> tuple[str, ...]:
    if used is None or used.events is None:
        return ("the server: no database's address was given (DATABASE_URL)",)
    return used.not_sampled


def _latency_points(row: Row) -> tuple[list[float], list[float]]:
    """The p95 of equal stretches that have enough clicks for one."""
    total = float(row.clicks.sum())
    count = min(DRIFT_POINTS, int(total / DRIFT_CLICKS_MIN))
    if count < 1:
        return [], []
    step_s = row.length_s / count
    found = []
    for number in range(count):
        p95 = row.within(number * step_s, (number + 1) * step_s).percentile_ms(95)
        if p95 is not None:
            found.append(((number + 0.5) * step_s, p95))
    return [at for at, _ in found], [value for _, value in found]


Look = Callable[[Sample], float | None]


def _sampled(
    load: LoadRecord, used: SamplerRecord | None
) -> Iterator[tuple[str, str, list[float], list[float]]]:
    """What the sampler saw under load, each in stretches of equal length."""
    if used is None or load.over_time is None:
        return
    begun = datetime.fromisoformat(load.over_time.begun_at)
    later_s = (begun - datetime.fromisoformat(used.started_at)).total_seconds()
    samples = [s for s in used.samples if 0 <= s.at_s - later_s <= load.duration_s]
    names = dict.fromkeys(part.name for sample in samples for part in sample.components)
    looks: list[tuple[str, str, Look]] = [
        (f"memory of {name}", "bytes", _memory_of(name)) for name in names
    ]
    looks += [
        ("connections to the database", "count", lambda s: float(s.connections)),
        ("size of the database", "bytes", lambda s: s.growth.size_bytes if s.growth else None),
        ("dead rows", "count", lambda s: s.growth.dead_rows if s.growth else None),
    ]
    for name, unit, look in looks:
        seen = [(s.at_s - later_s, value) for s in samples if (value := look(s)) is not None]
        parts = np.array_split(np.array(seen), min(DRIFT_POINTS, len(seen))) if seen else []
        yield (
            name,
            unit,
            [float(np.median(part[:, 0])) for part in parts],
            [float(np.median(part[:, 1])) for part in parts],
        )


def _memory_of(name: str) -> Look:
    return lambda sample: next(
        (float(part.memory_bytes) for part in sample.components if part.name == name), None
    )


def _drift(
    name: str, unit: str, times: Sequence[float], values: Sequence[float], length_s: float
) -> Drift | None:
    """The trend of a series, where it is one and matters."""
    hours = np.array(times) / HOUR_S
    found = trend(hours, np.array(values))
    level = median(values) if values else 0.0
    if found is None or not found.is_one:
        return None
    if abs(found.slope) * length_s / HOUR_S < DRIFT_SHARE_MIN * abs(level):
        return None
    half = len(values) // 2
    late = trend(hours[half:], np.array(values[half:]))
    levels_off = late is not None and (
        not late.is_one or abs(late.slope) < LEVELS_OFF * abs(found.slope)
    )
    return Drift(name, unit, level, found, levels_off)


def _met(found: Recurrence, used: SamplerRecord | None) -> tuple[Met, ...]:
    """The rhythms by settings first, then what came without one."""
    if found.events is None or used is None:
        return ()
    length_s = found.row.length_s
    inside = [event for event in found.events if 0 <= event.begin_s < length_s]
    rows, named = [], set()
    for rhythm in used.rhythms or ():
        mine = [
            event
            for event in inside
            if event.kind == rhythm.kind and (rhythm.kind != "refresh" or event.what == rhythm.what)
        ]
        named.add((rhythm.kind, rhythm.what if rhythm.kind == "refresh" else ""))
        rows.append(Met(_rhythm_name(rhythm), rhythm.every_s, rhythm.said_by, len(mine)))
    for kind, name in KIND_NAMES.items():
        if any(known == kind for known, _ in named):
            continue
        times = sum(event.kind == kind for event in inside)
        if times:
            rows.append(Met(name, None, "", times))
    return tuple(rows)


def _rhythm_name(rhythm: Rhythm) -> str:
    if rhythm.kind == "reconnect":
        return f"{rhythm.what} renews its connections"
    of = f" of {plain(rhythm.what, 60)}" if rhythm.what else ""
    return f"{KIND_NAMES[rhythm.kind]}{of}"


def suspect_name(suspect: Suspect) -> str:
    """`a checkpoint, as it begins`; `refresh of public.m`; `lock on t, held by vacuum`."""
    trial = suspect.trial
    name, what = KIND_NAMES[trial.kind], plain(trial.what, 60)
    if what:
        name = f"{name} {'on' if trial.kind == 'lock' else 'of'} {what}"
    return name if trial.aspect == "while" else f"{name}, {trial.aspect}"


def sentence(each: Recurring) -> str:
    """`every 30 s, 20 times: p95 120 ms instead of 18 ms for 1.2 s; refresh of m (20 of 20)`."""
    period = "in no rhythm" if each.period_s is None else f"every {span(each.period_s)}"
    height = f"{milliseconds(each.latency_ms_p95)} instead of {milliseconds(each.typical_ms_p95)}"
    said = f"{period}, {each.times} times: p95 {height}"
    said += f" for {duration(each.duration_s)}, {_percent(each.clicks_share)} of clicks slow"
    if each.suspect is None:
        return f"{said}; no suspect among what was watched"
    said += f"; suspect: {suspect_name(each.suspect)} ({each.times} of {each.of})"
    if each.also:
        said += f"; so does {', '.join(suspect_name(other) for other in each.also)}"
    return said


def _percent(share: float) -> str:
    return f"{significant(100 * share)}%"


def span(seconds: float) -> str:
    """`duration` without a part that is 0: `5 min`, `1 h`."""
    return duration(seconds).removesuffix(" 0 s").removesuffix(" 0 min")


def in_unit(value: float, unit: str) -> str:
    """A figure of a series, as people say it."""
    if unit == "ms":
        sign = "-" if value < 0 else ""
        return f"{sign}{milliseconds(abs(value))}"
    return size(value) if unit == "bytes" else significant(value, 3)


def drift_sentence(drift: Drift) -> str:
    """`p95 of clicks grows by 12 ms an hour (9 to 15), and levels off`."""
    low, high = sorted((abs(drift.trend.low), abs(drift.trend.high)))
    verb = "grows" if drift.trend.slope > 0 else "falls"
    amount = in_unit(abs(drift.trend.slope), drift.unit)
    said = f"{drift.name} {verb} by {amount} an hour ({in_unit(low, drift.unit)} to "
    said += f"{in_unit(high, drift.unit)}) from about {in_unit(drift.level, drift.unit)}"
    return f"{said}, and levels off" if drift.levels_off else said


def met_sentence(met: Met, length_s: float) -> str:
    """`checkpoint, 5 times (every 5 min by checkpoint_timeout)`; `refresh of m (every 1 h …)`."""
    times = {0: "", 1: ", once"}.get(met.times, f", {met.times} times")
    said_by = f" by {met.said_by}" if met.said_by else ""
    every = f"every {span(met.every_s)}{said_by}" if met.every_s else met.said_by
    if met.every_s and length_s < 2 * met.every_s and met.times < 2:
        every += f"; to meet it twice takes {span(2 * met.every_s)}"
    return f"{met.name}{times}{f' ({every})' if every else ''}"


def lines(soak: Soak) -> Iterator[str]:
    """The answer for a terminal."""
    first, *rest = answers(soak)
    yield first[1]
    for label, said in rest:
        yield f"  {label:<14}{said}"


def answers(soak: Soak) -> Iterator[tuple[str, str]]:
    """The answer: what was driven first, then a label and a sentence each."""
    found = soak.recurrence
    rate = float(found.row.clicks.sum()) / soak.length_s
    driven = f"{span(soak.length_s)} of {soak.users:,} users at level {soak.level}"
    typical = milliseconds(found.row.typical_ms_p95)
    yield "driven", f"{driven}: {significant(rate)} clicks/s, p95 typically {typical}"
    for each in found.found:
        yield "recurs", sentence(each)
    if not found.found:
        yield "recurs", f"nothing that chance does not explain{_tried(found)}"
    if found.others:
        worst = max(found.others, key=lambda run: run.slow)
        count = f"{len(found.others)} excursion{'s' if len(found.others) > 1 else ''}"
        when = f"after {span(worst.begin_s)} for {span(worst.duration_s)}"
        yield "in no pattern", f"{count}, the largest {when}"
    for drift in soak.drifts:
        yield "drifts", drift_sentence(drift)
    if not soak.drifts:
        yield "drifts", no_drift(soak)
    for met in soak.met:
        yield "met" if met.times else "not met", met_sentence(met, soak.length_s)
    for gap in soak.not_watched:
        yield "not watched", plain(gap)


def no_drift(soak: Soak) -> str:
    """Why there is none: because there is none, or because it was too short to tell."""
    if soak.drift_points:
        return "nothing that chance does not explain"
    return "cannot be told: too few clicks"


def _tried(found: Recurrence) -> str:
    if found.events is None:
        return ""
    return f" ({len(found.all_excursions)} excursions; {found.tried} kinds of events tried)"


def recurring_table(soak: Soak) -> Table:
    """What recurs, a row each."""
    head = (
        "What",
        "Period",
        "Times",
        "p95 meanwhile",
        "Typically",
        "Lasts",
        "Clicks slow",
        "Chance",
    )
    return Table(
        head,
        tuple(
            (
                "no suspect" if each.suspect is None else suspect_name(each.suspect),
                "none" if each.period_s is None else span(each.period_s),
                str(each.times) if each.of is None else f"{each.times} of {each.of}",
                milliseconds(each.latency_ms_p95),
                milliseconds(each.typical_ms_p95),
                duration(each.duration_s),
                _percent(each.clicks_share),
                f"≤ {significant(max(each.pvalue, 1e-4), 1)}",
            )
            for each in soak.recurrence.found
        ),
    )


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
