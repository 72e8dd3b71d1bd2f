"""Latency under load: p50, p95 and p99 of each arm, from due and from sent, beside the SLO."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.format import listed, milliseconds, plain, users
from phasegate.report.style import POINTS_PER_INCH, SERIES, Layout, beside, colour, place
from phasegate.report.traffic import StageTraffic

ROW_PT = 42
GROUP_GAP_PT = 16
TOP_PT = 30
BOTTOM_PT = 26
NAME_WIDTH_PT = 25
"""Names of percentiles closer than this would overprint; the later one is left out."""


def role_of(stage: StageTraffic, names: list[str]) -> str:
    """The colour of a stage: by its name, the same in every chart of a page."""
    return SERIES[names.index(stage.name) % len(SERIES)]


def names_of(stages: tuple[StageTraffic, ...]) -> list[str]:
    """Every name in the order first met."""
    return list(dict.fromkeys(stage.name for stage in stages))


def _bounds(stages: tuple[StageTraffic, ...], slo_ms: float) -> tuple[float, float]:
    values = [v for s in stages for v in (*s.latency_ms.values(), *s.service_ms.values()) if v > 0]
    return min([slo_ms, *values]) / 1.6, max([slo_ms, *values]) * 1.6


def _tops(stages: tuple[StageTraffic, ...]) -> list[float]:
    """Where each row begins: rows of one size stand together."""
    tops, y = [], 0.0
    for index, stage in enumerate(stages):
        if index and stage.users != stages[index - 1].users:
            y += GROUP_GAP_PT
        tops.append(y)
        y += ROW_PT
    return [*tops, y]


def figure(stages: tuple[StageTraffic, ...], slo_ms: float, layout: Layout) -> Figure:
    """A row per stage: filled dots count from when the request was due, rings from when sent."""
    tops = _tops(stages)
    fig = layout.figure(tops[-1] + TOP_PT + BOTTOM_PT)
    left, right = (124.0, 14.0) if layout.narrow else (130.0, 176.0)
    axes = place(fig, left, TOP_PT, right, BOTTOM_PT)
    low, high = _bounds(stages, slo_ms)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(tops[-1], 0)
    axes.set_yticks([])
    axes.minorticks_off()
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**exponent for exponent in exponents]
    axes.set_xticks(ticks, [milliseconds(tick) for tick in ticks])
    axes.grid(axis="x")
    axes.axvline(slo_ms, color=colour("limit"), linewidth=1.2, dashes=(4, 3))
    beside(axes, f"SLO for p95: {milliseconds(slo_ms)}", (slo_ms, 0), (4, 8), "limit", ha="right")
    if not layout.narrow:
        beside(axes, "p50 · p95 · p99 from due", (high, 0), (10, 8), "muted")
    names = names_of(stages)
    named = False
    for stage, top in zip(stages, tops, strict=False):
        role = "muted" if not stage.counts else role_of(stage, names)
        _row(axes, stage, top + ROW_PT / 2, role, layout)
        if stage.latency_ms and not named:
            _percentile_names(axes, stage, top + ROW_PT / 2)
            named = True
    return fig


def _row(axes: Axes, stage: StageTraffic, y: float, role: str, layout: Layout) -> None:
    low, high = axes.get_xlim()
    name = f"{plain(stage.name, 22)}\n{users(stage.users)} users"
    beside(axes, name, (low, y), (-10, 0), role, ha="right", va="center", fontsize=11)
    due, sent = list(stage.latency_ms.values()), list(stage.service_ms.values())
    axes.plot(due, [y - 3] * len(due), "-o", color=colour(role), linewidth=1.5, markersize=6)
    axes.plot(
        sent,
        [y + 8] * len(sent),
        "o",
        color=colour(role),
        markersize=5,
        markerfacecolor=colour("paper"),
        markeredgewidth=1.2,
    )
    if not layout.narrow:
        beside(axes, _label(stage), (high, y), (10, 0), role, va="center", fontsize=11)
    elif not stage.counts and due:
        beside(axes, "INVALID", (due[0], y - 3), (0, 6), role)


def _percentile_names(axes: Axes, stage: StageTraffic, y: float) -> None:
    """p50, p95, p99 over the dots of one row: the key, where it is read."""
    low, high = (math.log(limit) for limit in axes.get_xlim())
    width_pt = axes.get_window_extent().width * POINTS_PER_INCH / axes.figure.dpi
    shown_pt = -math.inf
    for percentile, value in stage.latency_ms.items():
        at_pt = (math.log(value) - low) / (high - low) * width_pt
        if at_pt - shown_pt < NAME_WIDTH_PT:
            continue
        shown_pt = at_pt
        beside(axes, f"p{percentile:g}", (value, y - 3), (0, 6), "muted", ha="center")


def _label(stage: StageTraffic) -> str:
    if not stage.latency_ms:
        return "no answer"
    if not stage.counts:
        return "INVALID, does not count"
    return " · ".join(milliseconds(value) for value in stage.latency_ms.values())


def alt(stages: tuple[StageTraffic, ...], slo_ms: float) -> str:
    """The chart in words."""
    said = [f"{plain(s.name, 40)} at {users(s.users)} users: {_label(s)}" for s in stages]
    return (
        f"p50, p95 and p99 from due to answered per stage of load, SLO {milliseconds(slo_ms)}. "
        f"{listed(said)}."
    )
