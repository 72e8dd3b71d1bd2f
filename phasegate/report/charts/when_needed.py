"""When each technique is needed: N* with its interval on a log user axis, over the phases."""

from __future__ import annotations

from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.model.catalogue import Phase
from phasegate.report.effects import Technique
from phasegate.report.format import listed, plain, users, wrapped
from phasegate.report.headline import needed_from, short_from
from phasegate.report.style import Layout, beside, colour, place
from phasegate.stats.crossover import Crossover, Outcome
from phasegate.stats.quantile import CALLS_MIN

ROW_PT = 32
BARE_ROW_PT = 18
"""Of a row on a phone whose bar is named beside it."""
TITLE_PT = 18
NAME_BELOW_PT = 13
LINE_PT = 14
"""Of each further line of a title."""
TITLE_CHARACTERS = 44
"""In a line, on a phone."""
NAME_CHARACTERS, SMALL_PT = 60, 8.5
"""Of a bar's name on a phone: longer ones are written smaller."""
TOP_PT = 24
BOTTOM_PT = 26
BELOW, BEYOND = 1 / 4, 10
"""The axis begins at a quarter of the smallest size measured and ends at ten times the largest:
room to show what lies outside, which is not known any better, and for the names of bars."""

MARKED = ("micro", "small", "large")
"""Compute sizes whose N* is marked; the table has them all."""
MARK_PT = 8
"""Above the bar."""

ROLE = {
    "needed": "after",
    "not needed yet": "third",
    "slower": "before",
    "no difference": "muted",
    "cannot tell": "muted",
}


def _span(techniques: tuple[Technique, ...]) -> tuple[float, float]:
    sizes = [effect.users for technique in techniques for effect in technique.effects]
    return min(sizes) * BELOW, max(sizes) * BEYOND


def _order(technique: Technique) -> tuple[int, float]:
    """Needed first, the earliest N* at the top; then what can wait; then the rest."""
    rank = list(ROLE).index(technique.advice)
    crossed = technique.crossed
    if rank or crossed is None:
        return rank, 0.0
    return rank, crossed.users or crossed.low or crossed.smallest


def ordered(techniques: tuple[Technique, ...]) -> list[Technique]:
    """By when they are needed."""
    return sorted(techniques, key=_order)


def label(technique: Technique) -> str:
    """The row in words."""
    largest = users(technique.largest.users)
    if technique.advice == "needed" and technique.crossed is not None:
        crossed = technique.crossed
        # The interval then rests on other statements as well: a reader should see it.
        few = f", {crossed.calls} calls" if crossed.few_calls else ""
        return needed_from(crossed) + few
    return {
        "not needed yet": f"can wait beyond {largest}",
        "slower": "harmful here",
        "no difference": "no difference",
        "cannot tell": "cannot tell",
    }.get(technique.advice, "cannot tell")


def marked(technique: Technique) -> list[tuple[str, Crossover]]:
    """N* on the sizes that are marked; empty where there was no yardstick, or it is not needed."""
    if technique.elsewhere is None or technique.advice != "needed":
        return []
    return [(name, found) for name, found in technique.elsewhere.sizes if name in MARKED]


def on_sizes_text(technique: Technique) -> str:
    """Where it is needed on these, in words: `on Micro ≤1k · Small 3.1k · Large 24k`."""
    said = [f"{name.title()} {short_from(found)}" for name, found in marked(technique)]
    return f"on {' · '.join(said)}" if said else ""


def sizes_note(techniques: tuple[Technique, ...]) -> str:
    """What the marks of compute sizes mean; empty where there are none."""
    if not any(map(marked, techniques)):
        return ""
    return (
        " Marked above it: the same on a Micro, a Small and a Large whose credits are used up, by "
        "the processor alone. How fast a core of theirs is was not measured: it is taken for a "
        "reference core (`compute_speed` of the catalogue)."
    )


def few_calls_note(techniques: tuple[Technique, ...]) -> str:
    """What a number of calls beside a bar means; empty where none stands there."""
    if not any(t.crossed and t.crossed.few_calls for t in techniques if t.advice == "needed"):
        return ""
    return (
        f" A number of calls stands where there are fewer than the {CALLS_MIN} that a p95 needs "
        "for an upper bound: how far it lies above the median is then partly taken from other "
        "statements that take about as long; where there are none, the thick part reaches down as "
        "far as other sizes allow. A larger --budget makes more calls."
    )


def figure(techniques: tuple[Technique, ...], phases: tuple[Phase, ...], layout: Layout) -> Figure:
    """A row per technique; the bar begins at N*, its dark part is N*'s 95% interval."""
    rows = ordered(techniques)
    heights = [_height(technique, layout) for technique in rows]
    height = sum(heights)
    fig = layout.figure(height + TOP_PT + BOTTOM_PT)
    left, right = (6.0, 10.0) if layout.narrow else (236.0, 10.0)
    axes = place(fig, left, TOP_PT, right, BOTTOM_PT)
    low, high = _span(techniques)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.minorticks_off()
    _phases(axes, phases, low, high)
    for technique, top in zip(rows, accumulate([0.0, *heights[:-1]]), strict=True):
        _row(axes, technique, top, layout)
    return fig


def _height(technique: Technique, layout: Layout) -> float:
    """A row in points: what is named below its bar takes more of it, as a long title does."""
    below = LINE_PT if on_sizes_text(technique) else 0
    if not layout.narrow:
        return ROW_PT + below
    row = ROW_PT if technique.advice == "needed" else BARE_ROW_PT
    return _title_pt(technique) + _marks_pt(technique) + row + below


def _marks_pt(technique: Technique) -> float:
    """Room for marks between a title and its bar, on a phone."""
    return MARK_PT if marked(technique) else 0


def _title_pt(technique: Technique) -> float:
    """A title's height on a phone."""
    return TITLE_PT + LINE_PT * wrapped(technique.title, TITLE_CHARACTERS).count("\n")


def _phases(axes: Axes, phases: tuple[Phase, ...], low: float, high: float) -> None:
    """Bands behind the rows, named above; ticks stand at their bounds."""
    bounds = []
    for index, phase in enumerate(phases):
        begin, end = max(phase.users_min, low), min(phase.users_max, high)
        if begin >= end:
            continue
        if index % 2 == 0:
            axes.axvspan(begin, end, color=colour("band"), linewidth=0)
        beside(
            axes, f"phase {phase.number}", ((begin * end) ** 0.5, 0), (0, 8), "muted", ha="center"
        )
        bounds += [phase.users_min, phase.users_max]
    ticks = sorted({bound for bound in bounds if low < bound < high})
    axes.set_xticks([float(tick) for tick in ticks], [f"{users(tick)} users" for tick in ticks])


def _row(axes: Axes, technique: Technique, top: float, layout: Layout) -> None:
    low, high = axes.get_xlim()
    role = ROLE[technique.advice]
    if layout.narrow:
        title = wrapped(technique.title, TITLE_CHARACTERS)
        middle = top + 3 + _title_pt(technique) / 2
        beside(axes, title, (low, middle), (0, 0), "ink", weight="bold", va="center", fontsize=11)
        y = top + _title_pt(technique) + _marks_pt(technique) + 8
    else:
        title = wrapped(technique.title, 32)
        middle = top + ROW_PT / 2
        beside_at = (low, middle)
        beside(axes, title, beside_at, (-236, 0), "ink", weight="bold", va="center", fontsize=11)
        y = top + ROW_PT / 2
    end_x = technique.largest.users
    crossed = technique.crossed
    if technique.advice != "needed" or crossed is None:
        axes.plot([low, end_x], [y, y], color=colour("faint"), linewidth=3, solid_capstyle="butt")
        axes.plot([end_x], [y], "|", color=colour(role), markersize=11, markeredgewidth=2)
        short = layout.narrow and technique.advice == "not needed yet"
        text = "can wait" if short else label(technique)
        beside(axes, text, (end_x, y), (7, 0), role, va="center_baseline")
        return
    begin = crossed.low or low
    end = crossed.high or high
    at = crossed.smallest if crossed.outcome is Outcome.BELOW else crossed.users
    axes.plot([low, begin], [y, y], color=colour("faint"), linewidth=3, solid_capstyle="butt")
    axes.plot([at or end, high], [y, y], color=colour(role), linewidth=3, solid_capstyle="butt")
    axes.plot([begin, end], [y, y], color=colour(role), linewidth=7, solid_capstyle="butt")
    if at:
        axes.plot(
            [at],
            [y],
            "o",
            color=colour(role),
            markersize=8,
            markerfacecolor=colour("paper"),
            markeredgewidth=2,
        )
    _mark_sizes(axes, technique, y)
    text, sizes = label(technique), on_sizes_text(technique)
    if sizes:
        lower = y + NAME_BELOW_PT + LINE_PT
        beside(axes, sizes, (high, lower), (0, 0), "muted", ha="right", va="center")
    long = layout.narrow and len(text) > NAME_CHARACTERS
    smaller = {"fontsize": SMALL_PT} if long else {}
    at_end = (high, y + NAME_BELOW_PT)
    beside(axes, text, at_end, (0, 0), role, ha="right", va="center", **smaller)


def _mark_sizes(axes: Axes, technique: Technique, y: float) -> None:
    """An initial for each size at its N*; where that is outside the sizes, the words say so."""
    for name, found in marked(technique):
        if found.users is not None:
            at = (found.users, y - MARK_PT)
            beside(axes, name[0].upper(), at, (0, 0), "muted", ha="center", va="center")


def alt(techniques: tuple[Technique, ...]) -> str:
    """The chart in words."""
    said = [
        f"{plain(t.title, 80)}: {'; '.join(filter(None, (label(t), on_sizes_text(t))))}"
        for t in ordered(techniques)
    ]
    return f"From how many registered users each technique is needed. {listed(said)}."
