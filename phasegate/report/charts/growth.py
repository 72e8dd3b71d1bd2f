"""Latency by user count: p95 of each technique's two arms over registered users, beside the SLO."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.charts.panels import Grid
from phasegate.report.effects import Technique
from phasegate.report.format import listed, milliseconds, plain, users, wrapped
from phasegate.report.style import Layout, colour

GRID = Grid(columns_wide=4, columns_narrow=2, height_pt=206, top_pt=56, bottom_pt=26)

NAME_ROOM = 8
"""Times below the lowest and above the highest value that a line's name has to itself."""


def _bounds(techniques: tuple[Technique, ...], slo_ms: float) -> tuple[float, float]:
    values = [v for t in techniques for e in t.effects for v in (e.before_ms_p95, e.after_ms_p95)]
    known = [v for v in values if math.isfinite(v) and v > 0]
    low = min([slo_ms, *known])
    high = max([slo_ms, *known])
    return low / NAME_ROOM, high * NAME_ROOM


def figure(techniques: tuple[Technique, ...], slo_ms: float, layout: Layout) -> Figure:
    """A panel per technique, all on the same log axes: time over registered users."""
    fig = GRID.figure(len(techniques), layout)
    sizes = sorted({e.users for t in techniques for e in t.effects})
    bounds = _bounds(techniques, slo_ms)
    panels = GRID.panels(fig, len(techniques), layout)
    for index, (technique, (axes, first)) in enumerate(zip(techniques, panels, strict=True)):
        _frame(axes, sizes, bounds, first=first)
        title = wrapped(technique.title, 22 if layout.narrow else 26, lines=3)
        axes.set_title(title, weight="bold", fontsize=10)
        _limit(axes, slo_ms, labelled=index == 0)
        _arms(axes, technique)
    return fig


def _frame(axes: Axes, sizes: list[int], bounds: tuple[float, float], *, first: bool) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(sizes) / 1.6, max(sizes) * 1.6)
    axes.set_ylim(*bounds)
    axes.minorticks_off()
    axes.set_xticks([float(size) for size in sizes], [users(size) for size in sizes])
    exponents = range(math.ceil(math.log10(bounds[0])), math.floor(math.log10(bounds[1])) + 1)
    ticks = [10.0**exponent for exponent in exponents]
    axes.set_yticks(ticks, [milliseconds(tick) for tick in ticks] if first else [""] * len(ticks))
    axes.grid(axis="y")


def _limit(axes: Axes, slo_ms: float, *, labelled: bool) -> None:
    axes.axhline(slo_ms, color=colour("limit"), linewidth=1.2, dashes=(4, 3))
    if labelled:
        axes.annotate(
            f"SLO {milliseconds(slo_ms)}",
            (0, slo_ms),
            xycoords=("axes fraction", "data"),
            xytext=(2, 4),
            textcoords="offset points",
            color=colour("limit"),
            fontsize=10,
        )


def _arms(axes: Axes, technique: Technique) -> None:
    sizes = [effect.users for effect in technique.effects]
    before = [effect.before_ms_p95 for effect in technique.effects]
    after = [effect.after_ms_p95 for effect in technique.effects]
    axes.plot(sizes, before, "-o", color=colour("before"), linewidth=2, markersize=4.5)
    axes.plot(sizes, after, "-o", color=colour("after"), linewidth=2, markersize=4.5)
    comparison = technique.largest.comparison
    # The upper line is named above its right end and the lower one below its left end: lines
    # rise with the number of users, so neither name is crossed.
    names = [(before, comparison.before.name, "before"), (after, comparison.after.name, "after")]
    lower, upper = sorted(names, key=lambda line: line[0][-1])
    _name(axes, upper[1], (sizes[-1], upper[0][-1]), upper[2], up=True)
    alone = len(sizes) == 1  # its one size stands at the right end: to the right is no room
    _name(axes, lower[1], (sizes[0], lower[0][0]), lower[2], up=False, leftwards=alone)


def _name(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    role: str,
    *,
    up: bool,
    leftwards: bool = True,
) -> None:
    axes.annotate(
        plain(text, longest=20),
        at,
        xytext=(5 if leftwards else -5, 6 if up else -6),
        textcoords="offset points",
        ha="right" if leftwards else "left",
        va="bottom" if up else "top",
        color=colour(role),
        fontsize=10,
        bbox={"facecolor": colour("paper"), "edgecolor": "none", "pad": 0.5},
    )


def alt(techniques: tuple[Technique, ...], slo_ms: float) -> str:
    """The chart in words: both arms at the largest size."""
    said = [
        f"{plain(t.title, 80)}: {plain(t.largest.comparison.before.name, 40)} "
        f"{milliseconds(t.largest.before_ms_p95)}, {plain(t.largest.comparison.after.name, 40)} "
        f"{milliseconds(t.largest.after_ms_p95)} at {users(t.largest.users)} users"
        for t in techniques
    ]
    return (
        f"p95 latency over registered users, both axes logarithmic, SLO {milliseconds(slo_ms)}. "
        f"{listed(said)}."
    )
