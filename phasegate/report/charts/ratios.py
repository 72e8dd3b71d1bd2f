"""The forest plot: what each technique does to the time of a call, at each size."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.effects import Effect, Technique
from phasegate.report.format import listed, plain, speed, users, wrapped
from phasegate.report.style import Layout, colour, place

ROW_PT = 19
GAP_PT = 14
TITLE_PT = 20
LINE_PT = 14
"""Of each further line of a title."""
TITLE_CHARACTERS = 46
"""In a line, on a phone."""
DECADE_MARGIN = 1.25
"""The axis ends a quarter beyond the outermost interval."""

ROLE = {"helps": "after", "slower": "before", "same": "muted", "cannot tell": "muted"}


def _reach(techniques: tuple[Technique, ...]) -> tuple[float, float]:
    """The axis' ends: every interval and at least 2× either way."""
    found = [effect.ratio for t in techniques for effect in t.effects if effect.ratio]
    low = min([1 / 2, *(r.low for r in found)]) / DECADE_MARGIN
    high = max([2.0, *(r.high for r in found)]) * DECADE_MARGIN
    return low, high


def _ticks(low: float, high: float, narrow: bool) -> tuple[list[float], list[str]]:
    """1 in the middle, round factors outwards, thinned until they stand apart."""
    decades = math.log10(high / low)
    steps: list[float] = (
        [2, 5, 10, 20, 50, 100] if decades < 1.6 and not narrow else [10, 100, 1000, 10_000]
    )
    if decades < 1.2:
        steps = [1.5, 2, 3, 5, 10] if decades < 0.8 and not narrow else [2, 5, 10]
    elif decades > 4:
        steps = [10, 1000, 100_000] if narrow else [10, 100, 1000, 10_000, 100_000]
    faster = [(1 / s, f"{s:,g}×") for s in steps if 1 / s > low]
    slower = [(float(s), f"{s:g}×") for s in steps if s < high]
    every = [*reversed(faster), (1.0, "1"), *slower]
    return [value for value, _ in every], [label for _, label in every]


def _label(effect: Effect, *, short: bool = False) -> str:
    if effect.ratio is None:
        return "too few blocks"
    if effect.outcome == "cannot tell":
        return "cannot tell" if short else f"cannot tell ({speed(effect.ratio.estimate)}?)"
    if effect.outcome == "same":
        return "no difference"
    return speed(effect.ratio.estimate)


def figure(techniques: tuple[Technique, ...], layout: Layout) -> Figure:
    """One row per technique and size; rows of a technique stand together under its title."""
    titles = sum(_title_pt(t) for t in techniques) if layout.narrow else 0
    height = sum(len(t.effects) * ROW_PT + GAP_PT for t in techniques) + titles
    top, bottom = 26.0, 24.0
    fig = layout.figure(height + top + bottom)
    left, right = (52.0, 112.0) if layout.narrow else (280.0, 142.0)
    axes = place(fig, left, top, right, bottom)
    low, high = _reach(techniques)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    ticks, labels = _ticks(low, high, layout.narrow)
    axes.set_xticks(ticks, labels)
    axes.minorticks_off()
    axes.grid(axis="x")
    axes.axvline(1, color=colour("ink"), linewidth=1)
    _directions(axes)
    _beside(axes, "users", -13, -12, right=False, ha="right", color=colour("muted"), fontsize=10)
    y = 0.0
    for technique in techniques:
        y = _group(axes, technique, y, layout)
    return fig


def _title_pt(technique: Technique) -> float:
    """A title's height on a phone."""
    return TITLE_PT + LINE_PT * wrapped(technique.title, TITLE_CHARACTERS).count("\n")


def _directions(axes: Axes) -> None:
    for text, align, offset, role in (
        ("← faster", "right", -8, "after"),
        ("slower →", "left", 8, "before"),
    ):
        axes.annotate(
            text,
            (1, 1),
            xycoords=("data", "axes fraction"),
            xytext=(offset, 8),
            textcoords="offset points",
            ha=align,
            color=colour(role),
        )


def _beside(axes: Axes, text: str, y: float, offset: float, *, right: bool, **how: Any) -> None:
    """Text beside the axes at height `y`, `offset` points from their edge."""
    axes.annotate(
        text,
        (1.0 if right else 0.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(offset, 0),
        textcoords="offset points",
        va="center_baseline",
        annotation_clip=False,
        **how,
    )


def _group(axes: Axes, technique: Technique, y: float, layout: Layout) -> float:
    """The rows of one technique from height `y` on; returns where the next one begins."""
    y += GAP_PT / 2
    if layout.narrow:
        title = wrapped(technique.title, TITLE_CHARACTERS)
        ground = {"facecolor": colour("paper"), "edgecolor": "none", "pad": 1.5}
        middle = y + _title_pt(technique) / 2
        _beside(axes, title, middle, -52, right=False, weight="bold", bbox=ground)
        y += _title_pt(technique)
    else:
        title = wrapped(technique.title, 36)
        middle = y + ROW_PT * (1 + title.count("\n")) / 2
        _beside(axes, title, middle, -280, right=False, weight="bold")
    for effect in technique.effects:
        middle = y + ROW_PT / 2
        _beside(
            axes, users(effect.users), middle, -12, right=False, ha="right", color=colour("muted")
        )
        _row(axes, effect, middle, short=layout.narrow)
        y += ROW_PT
    return y + GAP_PT / 2


def _row(axes: Axes, effect: Effect, y: float, *, short: bool) -> None:
    role = colour(ROLE[effect.outcome])
    if effect.ratio is not None:
        axes.plot([effect.ratio.low, effect.ratio.high], [y, y], color=role, linewidth=2.5)
        axes.plot([effect.ratio.estimate], [y], "o", color=role, markersize=5)
    _beside(axes, _label(effect, short=short), y, 10, right=True, color=role)


def alt(techniques: tuple[Technique, ...]) -> str:
    """The chart in words: each technique at the largest size."""
    said = [
        f"{plain(t.title, 80)}: {_label(t.largest)} at {users(t.largest.users)} users"
        for t in techniques
    ]
    return f"Ratio of after to before per technique, 95% intervals, log axis. {listed(said)}."
