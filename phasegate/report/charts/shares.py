"""ECDFs: which share of clicks was answered within which time, per arm."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.charts.panels import Grid
from phasegate.report.charts.percentiles import names_of, role_of
from phasegate.report.format import listed, milliseconds, plain, users
from phasegate.report.style import Layout, colour
from phasegate.report.traffic import StageTraffic

GRID = Grid(columns_wide=3, columns_narrow=1, height_pt=220, top_pt=26, bottom_pt=26)
GOAL_PERCENT = 95.0
"""The SLO speaks of the 95th percentile."""
NAME_APART_PT = 14
NAME_ROOM = 6.0
"""The axis begins at a sixth of the shortest time: room for the arms' names where no curve is."""


def _groups(stages: tuple[StageTraffic, ...]) -> dict[int, list[StageTraffic]]:
    groups: dict[int, list[StageTraffic]] = {}
    for stage in stages:
        if stage.curve:
            groups.setdefault(stage.users, []).append(stage)
    return groups


def figure(stages: tuple[StageTraffic, ...], slo_ms: float, layout: Layout) -> Figure:
    """A panel per size, a curve per arm; the SLO holds where a curve passes left of the corner."""
    groups = _groups(stages)
    fig = GRID.figure(len(groups), layout)
    values = [ms for group in groups.values() for stage in group for ms, _ in stage.curve]
    low, high = min([slo_ms, *values]) / NAME_ROOM, max([slo_ms, *values]) * 1.3
    names = names_of(stages)
    panels = GRID.panels(fig, len(groups), layout)
    for (size, group), (axes, first) in zip(groups.items(), panels, strict=True):
        _frame(axes, low, high, first=first)
        axes.set_title(f"{users(size)} users", weight="bold", fontsize=10)
        _corner(axes, slo_ms, labelled=first)
        for index, stage in enumerate(group):
            role = "muted" if not stage.counts else role_of(stage, names)
            axes.plot(
                [ms for ms, _ in stage.curve],
                [percent for _, percent in stage.curve],
                color=colour(role),
                linewidth=1.8,
                drawstyle="steps-post",
            )
            _name(axes, stage, role, index)
    return fig


def _frame(axes: Axes, low: float, high: float, *, first: bool) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(0, 100.5)
    axes.minorticks_off()
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**exponent for exponent in exponents]
    axes.set_xticks(ticks, [milliseconds(tick) for tick in ticks])
    percents = [0, 25, 50, 75, 100]
    axes.set_yticks(percents, [f"{p}%" for p in percents] if first else [""] * len(percents))
    axes.grid(axis="y")


def _corner(axes: Axes, slo_ms: float, *, labelled: bool) -> None:
    """The SLO as the corner that it is: 95% within so many milliseconds."""
    low = axes.get_xlim()[0]
    axes.plot(
        [low, slo_ms, slo_ms],
        [GOAL_PERCENT, GOAL_PERCENT, 0],
        color=colour("limit"),
        linewidth=1.2,
        dashes=(4, 3),
    )
    if labelled:
        axes.annotate(
            f"SLO 95% in {milliseconds(slo_ms)}",
            (slo_ms, 100),
            xytext=(0, 7),
            textcoords="offset points",
            ha="right",
            color=colour("limit"),
            fontsize=10,
        )


def _name(axes: Axes, stage: StageTraffic, role: str, index: int) -> None:
    """The arm's name in its colour, stacked under the dashed line where no curve comes."""
    axes.annotate(
        plain(stage.name, 18),
        (0, GOAL_PERCENT),
        xycoords=("axes fraction", "data"),
        xytext=(3, -5 - index * NAME_APART_PT),
        textcoords="offset points",
        va="top",
        color=colour(role),
        fontsize=10,
    )


def within(stage: StageTraffic, limit_ms: float) -> float:
    """Percent of clicks that were answered within `limit_ms`."""
    return max((percent for ms, percent in stage.curve if ms <= limit_ms), default=0.0)


def alt(stages: tuple[StageTraffic, ...], slo_ms: float) -> str:
    """The chart in words: the share that each arm answered within the SLO's time."""
    said = [
        f"{plain(stage.name, 40)} at {users(size)} users {within(stage, slo_ms):.1f}%"
        for size, group in _groups(stages).items()
        for stage in group
    ]
    return f"Share of clicks answered within {milliseconds(slo_ms)}: {listed(said)}."
