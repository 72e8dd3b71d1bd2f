"""Which limit or alert is met first: the registered users of each, per stack level, with ranges."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.model.limits import Limit
from phasegate.report.format import listed, plain, rounded, users
from phasegate.report.style import Layout, beside, colour, place, role_of_level

ROW_PT = 26
TITLE_PT = 16
TOP_PT = 24
BOTTOM_PT = 26
USERS_SHOWN_MAX = 1_000_000
"""Limits beyond are in the table: no answer here depends on where exactly they lie."""
LEVEL_APART_PT = 5.0
LEVELS_APART_PT = 20.0
"""From the first level's dot to the last one's, at most: rows must not touch."""
NAMES_PT = 48
TICKS_MIN = 3

Row = tuple[str, dict[int, Limit]]


def rows(by_level: dict[int, tuple[Limit, ...]]) -> list[Row]:
    """Limits by name with the levels that have them, the earliest first; only those reached."""
    found: dict[str, dict[int, Limit]] = {}
    for level, limits in by_level.items():
        for limit in limits:
            if limit.users is not None and limit.users <= USERS_SHOWN_MAX:
                found.setdefault(limit.name, {})[level] = limit
    return sorted(found.items(), key=lambda row: min(limit.users or 0 for limit in row[1].values()))


def figure(by_level: dict[int, tuple[Limit, ...]], layout: Layout) -> Figure:
    """A row per limit, a dot per stack level; a line shows the range it rests on."""
    shown = rows(by_level)
    height_each = ROW_PT + (TITLE_PT if layout.narrow else 0)
    fig = layout.figure(len(shown) * height_each + TOP_PT + BOTTOM_PT)
    left, right = (6.0, 44.0) if layout.narrow else (236.0, 52.0)
    axes = place(fig, left, TOP_PT, right, BOTTOM_PT)
    values = [
        value
        for _, limits in shown
        for limit in limits.values()
        for value in (limit.users, limit.low, limit.high)
        if value
    ]
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 1.3)
    axes.set_ylim(len(shown) * height_each, 0)
    axes.set_yticks([])
    axes.minorticks_off()
    ticks = _ticks(min(values) / 2, max(values) * 1.3)
    axes.set_xticks([float(tick) for tick in ticks], [users(tick) for tick in ticks])
    axes.grid(axis="x")
    beside(axes, "registered users at", (axes.get_xlim()[0], 0), (0, 8), "muted")
    for index, level in enumerate(sorted(by_level, reverse=True)):
        at = (axes.get_xlim()[1], 0)
        beside(axes, f"level {level}", at, (-index * NAMES_PT, 8), role_of_level(level), ha="right")
    for index, (name, limits) in enumerate(shown):
        _row(axes, name, limits, sorted(by_level), index * height_each, layout)
    return fig


def _ticks(low: float, high: float) -> list[int]:
    """Powers of ten; their doubles and fives as well where that makes fewer than three."""
    for steps in ((1,), (1, 2, 5)):
        ticks = [step * 10**power for power in range(1, 8) for step in steps]
        shown = [tick for tick in ticks if low < tick < high]
        if len(shown) >= TICKS_MIN:
            break
    return shown


def _row(
    axes: Axes,
    name: str,
    limits: dict[int, Limit],
    levels: list[int],
    top: float,
    layout: Layout,
) -> None:
    low, high = axes.get_xlim()
    alert = any(limit.kind == "alert" for limit in limits.values())
    style = {"weight": "bold"} if alert else {}
    if layout.narrow:
        ground = {"facecolor": colour("paper"), "edgecolor": "none", "pad": 1.0}
        at = (low, top + TITLE_PT / 2)
        beside(axes, plain(name, 52), at, (0, 0), "ink", va="center", bbox=ground, **style)
        y = top + TITLE_PT + ROW_PT / 2 - 2
    else:
        y = top + ROW_PT / 2
        beside(axes, plain(name, 42), (low, y), (-236, 0), "ink", va="center", **style)
    apart = min(LEVEL_APART_PT, LEVELS_APART_PT / max(len(levels) - 1, 1))
    for level, limit in limits.items():
        level_y = y + (levels.index(level) - (len(levels) - 1) / 2) * apart
        role = colour(role_of_level(level))
        if limit.low and limit.high:
            axes.plot([limit.low, limit.high], [level_y] * 2, color=role, linewidth=2)
        axes.plot([limit.users or low], [level_y], "o", color=role, markersize=5)
    first = min(limit.users or 0 for limit in limits.values())
    beside(axes, users(rounded(first)), (high, y), (8, 0), "muted", va="center")


def alt(by_level: dict[int, tuple[Limit, ...]]) -> str:
    """The chart in words: the first five."""
    said = [
        f"{plain(name, 60)} at {users(rounded(min(limit.users or 0 for limit in limits.values())))}"
        for name, limits in rows(by_level)[:5]
    ]
    return f"Registered users at which each limit or alert is met. First: {listed(said)}."
