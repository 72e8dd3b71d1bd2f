"""A soak over time: percentiles and throughput above, and what the server did meanwhile below."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.records.server_events import EventKind, ServerEvent
from phasegate.report.format import listed, milliseconds, significant
from phasegate.report.soak import KIND_NAMES, Point, Soak, points
from phasegate.report.soak_words import drift_sentence, sentence, span
from phasegate.report.style import LABEL_PT, Layout, beside, colour, place

LEFT_PT, RIGHT_PT = 56, 10
LEFT_NARROW_PT = 50
LATENCY_PT, CLICKS_PT, LANE_PT = 190, 62, 17
TOP_PT, GAP_PT, AXIS_PT, LANE_NAME_PT = 24, 26, 30, 14
POINTS_WIDE, POINTS_NARROW = 180, 80
"""As many stretches as are told apart at these widths."""
BAND_OPACITY = 0.22
MARKS_MAX = 300
MINUTES = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 240)
TICKS_WIDE, TICKS_NARROW = 7, 4


def lanes(soak: Soak) -> tuple[tuple[EventKind, tuple[ServerEvent, ...]], ...]:
    """What the server did, a lane each kind, in a fixed order."""
    events = soak.recurrence.events or ()
    inside = [e for e in events if (e.end_s or e.begin_s) >= 0 and e.begin_s < soak.length_s]
    found = ((kind, tuple(e for e in inside if e.kind == kind)) for kind in KIND_NAMES)
    return tuple((kind, mine) for kind, mine in found if mine)


def figure(soak: Soak, slo_ms: float, layout: Layout) -> Figure:
    """Latency (log) and clicks a second over time, the server's events in lanes under them."""
    rows = lanes(soak)
    left = LEFT_NARROW_PT if layout.narrow else LEFT_PT
    lanes_pt = len(rows) * (LANE_PT + LANE_NAME_PT)
    below_pt = AXIS_PT + lanes_pt + (GAP_PT if rows else 0)
    height = TOP_PT + LATENCY_PT + GAP_PT + CLICKS_PT + below_pt
    fig = layout.figure(height)
    drawn = points(soak.recurrence.row, POINTS_NARROW if layout.narrow else POINTS_WIDE)
    latency = place(fig, left, TOP_PT, RIGHT_PT, height - TOP_PT - LATENCY_PT)
    _latency(latency, soak, drawn, slo_ms)
    top = TOP_PT + LATENCY_PT + GAP_PT
    clicks = place(fig, left, top, RIGHT_PT, height - top - CLICKS_PT)
    _clicks(clicks, drawn)
    axes = [latency, clicks]
    if rows:
        top += CLICKS_PT + GAP_PT
        strip = place(fig, left, top, RIGHT_PT, height - top - lanes_pt)
        _lanes(strip, soak, rows)
        axes.append(strip)
    ticks, names = _ticks(soak.length_s, TICKS_NARROW if layout.narrow else TICKS_WIDE)
    for one in axes:
        one.set_xlim(0, soak.length_s)
        one.set_xticks(ticks, names if one is axes[-1] else [""] * len(ticks))
    if ticks[-1] > 0.97 * soak.length_s:  # centred there, a label would be cut off
        axes[-1].get_xticklabels()[-1].set_horizontalalignment("right")
    return fig


def _latency(axes: Axes, soak: Soak, drawn: Sequence[Point], slo_ms: float) -> None:
    at = [point.at_s for point in drawn]
    runs = soak.recurrence.all_excursions
    heights = [
        soak.recurrence.row.within(run.begin_s, run.end_s).percentile_ms(95) or math.nan
        for run in runs[:MARKS_MAX]
    ]
    known = [v for p in drawn for v in (p.p50_ms, p.p99_ms) if v > 0]
    known += [height for height in heights if height > 0]
    low, high = min([slo_ms, *known]) / 1.5, max([slo_ms, *known]) * 1.6
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.minorticks_off()
    tens = [10.0**k for k in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    axes.set_yticks(tens, [milliseconds(ten) for ten in tens])
    axes.grid(axis="y")
    axes.set_title("p95 of clicks, in a band from p50 to p99", fontsize=LABEL_PT, weight="bold")
    axes.axhline(slo_ms, color=colour("limit"), linewidth=1.2, dashes=(4, 3))
    beside(
        axes, f"SLO {milliseconds(slo_ms)}", (soak.length_s, slo_ms), (-2, 4), "limit", ha="right"
    )
    role = colour("after")
    axes.fill_between(
        at, [p.p50_ms for p in drawn], [p.p99_ms for p in drawn],
        color=role, alpha=BAND_OPACITY, linewidth=0,
    )  # fmt: skip
    axes.plot(at, [p.p95_ms for p in drawn], color=role, linewidth=1.4)
    if runs:
        axes.plot(
            [run.begin_s for run in runs[:MARKS_MAX]], heights,
            color=colour("before"), marker="v", markersize=5, linewidth=0,
        )  # fmt: skip
        beside(axes, "▾ more slow clicks than chance", (0, high), (4, -12), "before")


def _clicks(axes: Axes, drawn: Sequence[Point]) -> None:
    rates = [point.clicks_per_s for point in drawn]
    most = max(rates, default=1.0) or 1.0
    axes.set_ylim(0, most * 1.15)
    axes.set_yticks([0, most], ["0", significant(most)])
    axes.grid(axis="y")
    axes.set_title("clicks a second", fontsize=LABEL_PT, weight="bold")
    axes.plot([point.at_s for point in drawn], rates, color=colour("third"), linewidth=1.2)


def _lanes(
    axes: Axes, soak: Soak, rows: Sequence[tuple[EventKind, tuple[ServerEvent, ...]]]
) -> None:
    suspected = {each.suspect.trial.kind for each in soak.recurrence.found if each.suspect}
    high = LANE_PT + LANE_NAME_PT
    axes.set_ylim(len(rows) * high, 0)
    axes.set_yticks([])
    shortest_s = soak.length_s / 400
    for number, (kind, events) in enumerate(rows):
        role = "before" if kind in suspected else "muted"
        top = number * high + LANE_NAME_PT
        axes.axhspan(top, top + LANE_PT - 4, color=colour("band"), linewidth=0)
        axes.broken_barh(
            [(e.begin_s, max((e.end_s or e.begin_s) - e.begin_s, shortest_s)) for e in events],
            (top, LANE_PT - 4),
            color=colour(role),
            linewidth=0,
        )
        times = "once" if len(events) == 1 else f"{len(events)} times"
        also = ": suspect" if kind in suspected else ""
        beside(axes, f"{KIND_NAMES[kind]}, {times}{also}", (0, top), (0, 3), role, ha="left")


def _ticks(length_s: float, most: int) -> tuple[list[float], list[str]]:
    step_s = next((60 * m for m in MINUTES if length_s / (60 * m) <= most), length_s / most)
    ticks = [step_s * number for number in range(int(length_s / step_s) + 1)]
    return ticks, ["0", *(span(tick) for tick in ticks[1:])]


def alt(soak: Soak) -> str:
    """The chart in words."""
    said = [sentence(each) for each in soak.recurrence.found] or ["nothing recurs"]
    said += [drift_sentence(drift) for drift in soak.drifts]
    did = [f"{KIND_NAMES[kind]} {len(events)} times" for kind, events in lanes(soak)]
    meanwhile = f" Meanwhile: {listed(did)}." if did else ""
    return f"Percentiles and throughput over time. {'. '.join(said)}.{meanwhile}"
