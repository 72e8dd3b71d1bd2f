"""A soak in words: for a terminal, for the page, and as a table.

Takes what `report.soak` found; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from phasegate.report.format import duration, milliseconds, plain, significant, size
from phasegate.report.recurring import Recurrence, Recurring
from phasegate.report.soak import KIND_NAMES, Drift, Met, Soak
from phasegate.report.suspects import Suspect
from phasegate.report.tables import Table


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
        said += f"; coincides too: {', '.join(map(suspect_name, each.also))}"
    return said


def suspect_name(suspect: Suspect) -> str:
    """`a checkpoint, as it begins`; `refresh of public.m`; `lock on t, held by vacuum`."""
    trial = suspect.trial
    name, what = KIND_NAMES[trial.kind], plain(trial.what, 60)
    if what:
        name = f"{name} {'on' if trial.kind == 'lock' else 'of'} {what}"
    return name if trial.aspect == "while" else f"{name}, {trial.aspect}"


def drift_sentence(drift: Drift) -> str:
    """`p95 of clicks grows by 12 ms an hour (9 to 15) from about 20 ms, and levels off`."""
    found, unit = drift.trend, drift.series.unit
    low, high = sorted((abs(found.low), abs(found.high)))
    verb = "grow" if found.slope > 0 else "fall"
    verb += "" if drift.series.name.endswith("s") and unit == "count" else "s"
    slope, low_said, high_said, level = (
        in_unit(value, unit) for value in (abs(found.slope), low, high, drift.level)
    )
    said = f"{drift.series.name} {verb} by {slope} an hour ({low_said} to {high_said})"
    said += f" from about {level}"
    if drift.after_a_day is not None:
        return f"{said}; a day of it: {in_unit(drift.after_a_day, unit)}"
    return f"{said}, and levels off" if drift.levels_off else said


def no_drift(soak: Soak) -> str:
    """Why there is none: because there is none, or because it was too short to tell."""
    if soak.series[0].values:
        return "nothing that chance does not explain"
    return "cannot be told: too few clicks"


def met_sentence(met: Met, length_s: float) -> str:
    """`checkpoint, 5 times (every 5 min by checkpoint_timeout)`; `refresh of m (every 1 h …)`."""
    times = {0: "", 1: ", once"}.get(met.times, f", {met.times} times")
    said_by = f" by {met.said_by}" if met.said_by else ""
    every = f"every {span(met.every_s)}{said_by}" if met.every_s else met.said_by
    if met.every_s and length_s < 2 * met.every_s and met.times < 2:
        every += f"; to meet it twice takes {span(2 * met.every_s)}"
    return f"{met.name}{times}{f' ({every})' if every else ''}"


def _tried(found: Recurrence) -> str:
    if found.events is None:
        return ""
    return f" ({len(found.all_excursions)} excursions; {found.tried} kinds of events tried)"


def _percent(share: float) -> str:
    return f"{significant(100 * share)}%"


def in_unit(value: float, unit: str) -> str:
    """A figure of a series, as people say it."""
    if unit == "ms":
        sign = "-" if value < 0 else ""
        return f"{sign}{milliseconds(abs(value))}"
    return size(value) if unit == "bytes" else significant(value, 3)


def span(seconds: float) -> str:
    """`duration` without a part that is 0: `5 min`, `1 h`."""
    return duration(seconds).removesuffix(" 0 s").removesuffix(" 0 min")


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


def series_table(soak: Soak) -> Table:
    """Each series: at the begin, at the end, least and most."""
    return Table(
        ("Figure", "First", "Last", "Least", "Most"),
        tuple(
            (each.name, *(in_unit(value, each.unit) for value in values))
            for each in soak.series
            if each.values
            for values in [(each.values[0], each.values[-1], min(each.values), max(each.values))]
        ),
    )
