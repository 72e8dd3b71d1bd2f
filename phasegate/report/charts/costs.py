"""What a month costs: dollars over registered users, a line per stack level.

Grey boxes are the bands of the project's guide, where it names one (`[[prices.guide]]`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import Bill, band_of
from phasegate.report.format import listed, users
from phasegate.report.style import POINTS_PER_INCH, Layout, beside, colour, place, role_of_level

HEIGHT_PT = 300
TOP_PT = 26
BOTTOM_PT = 28
LINEAR_UP_TO_USD = 25.0
"""Below the dearest free month, dollars stand evenly; above it, by their logarithm."""
TICKS_USD = (0, 25, 50, 100, 300, 600, 1000, 3000)
POINTS_PER_DECADE = 24
NAME_APART_PT = 14
LINE_WIDTH = 2.2
FIRST_WIDTH = 5.0
"""The first level is drawn broad and first: where the next one costs the same, both can be seen."""

Curves = dict[int, list[tuple[int, Bill | None]]]


def sizes(low: int, high: int) -> list[int]:
    """Numbers of registered users that the curves are drawn through."""
    decades = math.log10(high / low)
    count = max(2, round(decades * POINTS_PER_DECADE))
    return sorted({round(low * 10 ** (decades * i / count)) for i in range(count + 1)})


def _top(curves: Curves, catalogue: Catalogue) -> float:
    known = [bill.usd_per_month for points in curves.values() for _, bill in points if bill]
    return max([catalogue.alerts.budget_usd_per_month, 600.0, *known]) * 1.5


def figure(
    curves: Curves, held: Mapping[int, float | None], catalogue: Catalogue, layout: Layout
) -> Figure:
    """A line per level; grey boxes are the project's guide bands; dashes are budget alerts.

    Args:
        curves: bills over registered users, per level.
        held: most users whose peak a level was seen to hold; beyond, its line is dotted.
        catalogue: the project's guide bands and the budget.
        layout: the width to draw for.
    """
    fig = layout.figure(HEIGHT_PT)
    axes = place(fig, 48, TOP_PT, 62 if layout.narrow else 84, BOTTOM_PT)
    first = next(iter(curves.values()))
    low, high = first[0][0], first[-1][0]
    top = _top(curves, catalogue)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_yscale("symlog", linthresh=LINEAR_UP_TO_USD, linscale=0.7)
    axes.set_ylim(-1.5, top)
    axes.minorticks_off()
    ticks = [tick for tick in TICKS_USD if tick <= top]
    axes.set_yticks(ticks, [f"${tick:,}" for tick in ticks])
    powers = [10**power for power in range(2, 8) if low <= 10**power <= high]
    axes.set_xticks(
        [float(power) for power in powers], [f"{users(power)} users" for power in powers]
    )
    beside(axes, "a month", (low, top), (-46, 6), "muted")
    _guide(axes, catalogue, low, high, top)
    _budget(axes, catalogue, low)
    _lines(axes, curves, held)
    return fig


def _guide(axes: Axes, catalogue: Catalogue, low: int, high: int, top: float) -> None:
    for phase in catalogue.phases:
        band = band_of(phase.users_max, catalogue)
        begin, end = max(phase.users_min, low), min(phase.users_max, high)
        if band is None or begin >= end:
            continue
        upper = top if band.usd_high is None else max(band.usd_high, band.usd_low + 2)
        axes.fill_between([begin, end], band.usd_low - 1, upper, color=colour("faint"), linewidth=0)
        middle = (begin * end) ** 0.5
        beside(axes, f"phase {phase.number}", (middle, top), (0, 6), "muted", ha="center")


def _budget(axes: Axes, catalogue: Catalogue, low: int) -> None:
    alerts = catalogue.alerts
    for share in alerts.budget_shares:
        usd = share * alerts.budget_usd_per_month
        axes.axhline(usd, color=colour("limit"), linewidth=1, dashes=(4, 3))
    usd = max(alerts.budget_shares) * alerts.budget_usd_per_month
    shares = ", ".join(f"{share:.0%}" for share in alerts.budget_shares)
    text = f"alerts: {shares} of ${alerts.budget_usd_per_month:,.0f}"
    ground = {"facecolor": colour("paper"), "edgecolor": "none", "pad": 1.0}
    beside(axes, text, (low, usd), (4, 5), "limit", bbox=ground)


def _lines(axes: Axes, curves: Curves, held: Mapping[int, float | None]) -> None:
    """Every level's line, named at its end; names that would overprint are moved apart."""
    ends: list[tuple[float, int, int]] = []
    for level, points in curves.items():
        known = [(at, bill.usd_per_month) for at, bill in points if bill is not None]
        if not known:
            continue
        # The two pieces share the last point that was held, so that no gap opens between them.
        inside = [at <= (held.get(level) or 0) for at, _ in known]
        split = max(inside.count(True) - 1, 0)
        for piece, style, width in (
            (known[: split + 1], "-", FIRST_WIDTH if level == min(curves) else LINE_WIDTH),
            (known[split:], ":", LINE_WIDTH),
        ):
            axes.plot(
                [at for at, _ in piece],
                [usd for _, usd in piece],
                color=colour(role_of_level(level)),
                linewidth=width,
                drawstyle="steps-post",
                linestyle=style,
            )
        ends.append((known[-1][1], known[-1][0], level))
    previous = -math.inf
    last = axes.get_xlim()[1]
    for usd, at, level in sorted(ends):
        if at < last:  # beside its end the other lines go on: above it there is room
            beside(axes, f"level {level}", (at, usd), (0, 9), role_of_level(level), ha="right")
            continue
        y = float(axes.transData.transform((at, usd))[1]) * POINTS_PER_INCH / axes.figure.dpi
        apart = max(0.0, previous + NAME_APART_PT - y)
        previous = y + apart
        beside(axes, f"level {level}", (at, usd), (6, apart), role_of_level(level), va="center")


def alt(curves: Curves) -> str:
    """The chart in words: each level at each power of ten."""
    said = []
    for level, points in curves.items():
        for at, bill in points:
            if math.log10(at).is_integer():
                cost = f"${bill.usd_per_month:,.0f}" if bill else "no plan"
                said.append(f"level {level} at {users(at)} users {cost}")
    return f"Cost of a month over registered users. {listed(said)}."
