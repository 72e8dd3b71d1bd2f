"""Percentiles over time: p95 of every second of a stage in a band from p50 to p99."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.records.load import Second
from phasegate.report.charts.panels import Grid
from phasegate.report.charts.percentiles import names_of, role_of
from phasegate.report.format import listed, milliseconds, plain, users, wrapped
from phasegate.report.style import Layout, colour
from phasegate.report.traffic import StageTraffic

GRID = Grid(columns_wide=3, columns_narrow=2, height_pt=142, top_pt=30, bottom_pt=26)
NAMES = ("p50", "p95", "p99")
BAND_OPACITY = 0.22
WORST_FACTOR = 3.0
"""A second whose p95 is this many times the stage's median second is named in the alt text."""


def _values(seconds: tuple[Second, ...], name: str) -> list[float]:
    """A percentile per second; NaN, drawn as a gap, in a second without an answer."""
    found = [getattr(second, f"latency_ms_{name}") for second in seconds]
    return [math.nan if value is None else value for value in found]


def _bounds(stages: tuple[StageTraffic, ...], slo_ms: float) -> tuple[float, float]:
    known = [
        value
        for stage in stages
        for name in NAMES
        for value in _values(stage.seconds, name)
        if value > 0
    ]
    return min([slo_ms, *known]) / 1.6, max([slo_ms, *known]) * 1.8


def shown(stages: tuple[StageTraffic, ...]) -> tuple[StageTraffic, ...]:
    """The stages that were recorded second by second."""
    return tuple(stage for stage in stages if stage.seconds)


def figure(stages: tuple[StageTraffic, ...], slo_ms: float, layout: Layout) -> Figure:
    """A panel per stage on the same axes: latency (log) over seconds since the stage began."""
    drawn = shown(stages)
    fig = GRID.figure(len(drawn), layout)
    low, high = _bounds(drawn, slo_ms)
    names = names_of(stages)
    panels = GRID.panels(fig, len(drawn), layout)
    for index, (stage, (axes, first)) in enumerate(zip(drawn, panels, strict=True)):
        _frame(axes, low, high, first=first)
        name = f"{plain(stage.name, 22)}, {users(stage.users)}"
        axes.set_title(wrapped(name, 22 if layout.narrow else 34), weight="bold", fontsize=10)
        axes.axhline(slo_ms, color=colour("limit"), linewidth=1.2, dashes=(4, 3))
        at = [second.at_s for second in stage.seconds]
        axes.set_xlim(min(at), max(*at, min(at) + 1) * 1.02)
        axes.set_xticks(*_ticks(min(at), max(at)))
        role = colour("muted" if not stage.counts else role_of(stage, names))
        low_band, middle, high_band = (_values(stage.seconds, name) for name in NAMES)
        axes.fill_between(at, low_band, high_band, color=role, alpha=BAND_OPACITY, linewidth=0)
        axes.plot(at, middle, color=role, linewidth=1.8, marker=".", markersize=4)
        if index == 0:
            _limit_name(axes, slo_ms)
    return fig


def _ticks(first: int, last: int) -> tuple[list[int], list[str]]:
    middle = (first + last) // 2
    ticks = sorted({first, middle, last})
    return ticks, [f"{tick} s" for tick in ticks]


def _frame(axes: Axes, low: float, high: float, *, first: bool) -> None:
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.minorticks_off()
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**exponent for exponent in exponents]
    axes.set_yticks(ticks, [milliseconds(tick) for tick in ticks] if first else [""] * len(ticks))
    axes.grid(axis="y")


def _limit_name(axes: Axes, slo_ms: float) -> None:
    axes.annotate(
        f"SLO for p95: {milliseconds(slo_ms)}",
        (1, slo_ms),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 4),
        textcoords="offset points",
        ha="right",
        color=colour("limit"),
        fontsize=10,
    )


def worst(stage: StageTraffic) -> Second | None:
    """The second with the highest p95, where it stands out; None where none does."""
    answered = [second for second in stage.seconds if second.latency_ms_p95 is not None]
    if not answered:
        return None
    ordered = sorted(answered, key=lambda second: second.latency_ms_p95 or 0.0)
    middle = ordered[len(ordered) // 2].latency_ms_p95 or 0.0
    top = ordered[-1]
    return top if (top.latency_ms_p95 or 0.0) > WORST_FACTOR * middle else None


def alt(stages: tuple[StageTraffic, ...]) -> str:
    """The chart in words: where a stage had a second that stands out."""
    said = []
    for stage in shown(stages):
        top = worst(stage)
        name = f"{plain(stage.name, 40)} at {users(stage.users)} users"
        said.append(
            f"{name} even"
            if top is None
            else f"{name} worst at second {top.at_s} with {milliseconds(top.latency_ms_p95 or 0)}"
        )
    return f"p50, p95 and p99 of every second of each stage. {listed(said)}."
