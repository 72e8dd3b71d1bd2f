"""One series over all nights, as a small SVG: ratio, interval, change points, bad nights.

Written by hand and not through matplotlib, which takes a quarter of a second a panel: forty series
would take longer than the page may. Values in, text out; colours are `report.style`'s roles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from phasegate.report.nights.series import Break, Line, Point
from phasegate.report.style import FONTS

# In units of the view box, which the page shows at about one pixel each.
WIDTH, HEIGHT = 400, 150
LEFT, RIGHT, TOP, BOTTOM = 38, 8, 8, 22
LABEL = 11

# More nights than this are told apart by nobody on 350 pixels: they are drawn in groups.
GROUPS_MAX = 175
# The axis spans at least a tenth either way, so that noise looks like noise; and no more than this,
# so that one night gone wrong does not press all others into a line.
SPAN_LOG_MIN = math.log(1.1)
SPAN_LOG_MAX = math.log(3.0)
TICKS = (0.33, 0.5, 0.67, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0)
TICK_DISTANCE_MIN = 22


@dataclass(frozen=True)
class Group:
    """One or more neighbouring nights, drawn as one.

    Attributes:
        place: of the last of them.
        ratio: median of their ratios.
        low: lowest of their lower bounds.
        high: highest of their upper bounds.
        moved: whether one of them had a finding.
    """

    place: int
    ratio: float
    low: float
    high: float
    moved: bool


def groups(points: Sequence[Point], count_max: int = GROUPS_MAX) -> tuple[Group, ...]:
    """The nights that count and were measured, at most `count_max` groups of them.

    The newest stands alone: it is what one looks for.
    """
    measured = [point for point in points if point.counts and point.ratio is not None]
    older, newest = measured[:-1], measured[-1:]
    each = max(1, math.ceil(len(older) / (count_max - 1)))
    parts = [older[start : start + each] for start in range(0, len(older), each)]
    found = []
    for part in (*parts, newest) if newest else ():
        ratios = sorted(point.ratio for point in part if point.ratio is not None)
        found.append(
            Group(
                place=part[-1].place,
                ratio=ratios[len(ratios) // 2],
                low=min([ratios[0], *(point.low for point in part if point.low is not None)]),
                high=max([ratios[-1], *(point.high for point in part if point.high is not None)]),
                moved=any(point.findings for point in part),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class Scale:
    """From night and ratio to places in the view box."""

    first: int
    last: int
    low: float
    high: float

    def x(self, place: float) -> float:
        """Of a night's number; a single night stands in the middle."""
        room = WIDTH - LEFT - RIGHT
        if self.last == self.first:
            return LEFT + room / 2
        return LEFT + room * (place - self.first) / (self.last - self.first)

    def y(self, ratio: float) -> float:
        """Of a ratio, on a logarithmic axis; what lies beyond it stands at its edge."""
        at = (math.log(ratio) - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(max(at, 0.0), 1.0)


def scale(shown: Sequence[Group], nights: int) -> Scale:
    """Over all `nights`, so that series stand under each other; high enough for this one."""
    logs = [math.log(value) for group in shown for value in (group.low, group.high)]
    low = max(min([*logs, -SPAN_LOG_MIN]) * 1.05, -SPAN_LOG_MAX)
    high = min(max([*logs, SPAN_LOG_MIN]) * 1.05, SPAN_LOG_MAX)
    return Scale(0, max(nights - 1, 0), low, high)


def svg(line: Line, nights: Sequence[str], breaks: Sequence[Break]) -> str:
    """The chart of `line`.

    Args:
        line: the series.
        nights: every night's id, in order.
        breaks: where baseline, machine, server or size changed.
    """
    shown = groups(line.points)
    on = scale(shown, len(nights))
    inner = "".join(
        (
            *_axes(on, nights),
            *_breaks(on, breaks),
            *_band(on, shown),
            *_bad(on, line.points),
            *_levels(on, line, nights),
            *_dots(on, shown),
        )
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(alt(line, nights))}" '
        f'font-size="{LABEL}" style="font-family:{escape(FONTS)}">{inner}</svg>'
    )


def alt(line: Line, nights: Sequence[str]) -> str:
    """The chart in a sentence."""
    measured = [point for point in line.points if point.counts and point.ratio is not None]
    if not measured:
        return f"{line.name}: not measured in any of {len(nights)} nights."
    ratios = [point.ratio for point in measured if point.ratio is not None]
    moved = sum(bool(point.findings) for point in measured)
    return (
        f"{line.name}: HEAD ÷ baseline in {len(measured)} nights, between {min(ratios):.3f} and "
        f"{max(ratios):.3f}, last {ratios[-1]:.3f}; {len(line.changes)} change points, "
        f"{moved} nights with findings."
    )


def _line(x1: float, y1: float, x2: float, y2: float, role: str, extra: str = "") -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="s-{role}"{extra}/>'
    )


def _text(x: float, y: float, anchor: str, words: str) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.1f}" text-anchor="{anchor}" class="f-muted">'
        f"{escape(words)}</text>"
    )


def _axes(on: Scale, nights: Sequence[str]) -> Iterable[str]:
    bottom = HEIGHT - BOTTOM
    taken: list[float] = []
    # 1 first, then outwards: it is the one that must have room.
    for tick in sorted(TICKS, key=lambda value: abs(math.log(value))):
        y = on.y(tick)
        if not on.low <= math.log(tick) <= on.high:
            continue
        if any(abs(y - other) < TICK_DISTANCE_MIN for other in taken):
            continue
        taken.append(y)
        yield _line(LEFT, y, WIDTH - RIGHT, y, "muted" if tick == 1.0 else "faint")
        yield _text(LEFT - 6, y + 4, "end", f"{tick:g}")
    for night, anchor, x in (
        (nights[0], "start", LEFT), (nights[-1], "end", WIDTH - RIGHT),
    )[: 1 if len(nights) == 1 else 2]:  # fmt: skip
        yield _text(x, bottom + 16, anchor, night[:10])


def _breaks(on: Scale, breaks: Sequence[Break]) -> Iterable[str]:
    for one in breaks:
        x = on.x(one.place - 0.5)
        dashes = "" if one.baseline else ' stroke-dasharray="2 3"'
        title = f"{one.what} {one.baseline}".strip()
        yield (
            f"<g><title>{escape(title)}</title>"
            f"{_line(x, TOP, x, HEIGHT - BOTTOM, 'limit', dashes)}</g>"
        )


def _band(on: Scale, shown: Sequence[Group]) -> Iterable[str]:
    if len(shown) < 2:
        return
    upper = [f"{on.x(group.place):.1f},{on.y(group.high):.1f}" for group in shown]
    lower = [f"{on.x(group.place):.1f},{on.y(group.low):.1f}" for group in reversed(shown)]
    yield f'<polygon points="{" ".join((*upper, *lower))}" class="f-after" fill-opacity=".18"/>'
    middle = " ".join(f"{on.x(group.place):.1f},{on.y(group.ratio):.1f}" for group in shown)
    yield f'<polyline points="{middle}" fill="none" class="s-after" stroke-width="1.3"/>'


def _bad(on: Scale, points: Sequence[Point]) -> Iterable[str]:
    bottom = HEIGHT - BOTTOM
    for point in points:
        if not point.counts:
            x = on.x(point.place)
            yield _line(x, bottom - 6, x, bottom, "muted", ' stroke-width="2"')


def _levels(on: Scale, line: Line, nights: Sequence[str]) -> Iterable[str]:
    """Levels before and after each change point, and the point itself."""
    places = {night: place for place, night in enumerate(nights)}
    known = [change for change in line.changes if change.night in places]
    for index, change in enumerate(known):
        at = places[change.night]
        start = places[known[index - 1].night] if index else 0
        end = places[known[index + 1].night] if index + 1 < len(known) else len(nights) - 1
        role = "before" if change.after > change.before else "third"
        x = on.x(at - 0.5)
        title = f"change point {change.night[:10]}: {change.before:.3f} to {change.after:.3f}"
        yield f"<g><title>{escape(title)}</title>"
        for left, right, level in ((on.x(start), x, change.before), (x, on.x(end), change.after)):
            yield _line(left, on.y(level), right, on.y(level), role, ' stroke-width="2"')
        yield _line(x, on.y(change.before), x, on.y(change.after), role, ' stroke-width="2"')
        yield "</g>"


def _dots(on: Scale, shown: Sequence[Group]) -> Iterable[str]:
    for index, group in enumerate(shown):
        if group.moved:
            role, radius = "before", 3.2
        elif index == len(shown) - 1:
            role, radius = "after", 2.6
        else:
            continue
        yield (
            f'<circle cx="{on.x(group.place):.1f}" cy="{on.y(group.ratio):.1f}" r="{radius}" '
            f'class="f-{role}"/>'
        )
