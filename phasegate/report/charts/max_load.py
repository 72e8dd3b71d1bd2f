"""The phase matrix as a picture: p95 of a click over registered users, a line per stack level."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.model.verdict import Verdict
from phasegate.report.format import listed, milliseconds, plain, users
from phasegate.report.style import POINTS_PER_INCH, Layout, beside, colour, place, role_of_level
from phasegate.report.traffic import StageTraffic

HEIGHT_PT = 280
TOP_PT = 14
BOTTOM_PT = 28
NAME_APART_PT = 15
SIZES_MIN = 2
"""One size is a point for each level, which the matrix says better."""


def shown(stages: tuple[StageTraffic, ...]) -> tuple[StageTraffic, ...]:
    """Stages with an answer; none where fewer than two sizes were driven."""
    answered = tuple(stage for stage in stages if stage.latency_ms)
    return answered if len({stage.users for stage in answered}) >= SIZES_MIN else ()


def _lines(stages: tuple[StageTraffic, ...]) -> dict[tuple[int, str], list[StageTraffic]]:
    lines: dict[tuple[int, str], list[StageTraffic]] = {}
    for stage in sorted(shown(stages), key=lambda stage: (stage.level, stage.users)):
        lines.setdefault((stage.level, stage.arm), []).append(stage)
    return lines


def figure(stages: tuple[StageTraffic, ...], slo_ms: float, layout: Layout) -> Figure:
    """Filled dots count; rings could not be judged. Above the dashed line the SLO is missed."""
    fig = layout.figure(HEIGHT_PT)
    axes = place(fig, 50, TOP_PT, 106 if layout.narrow else 196, BOTTOM_PT)
    values = [stage.latency_ms[95.0] for stage in shown(stages)]
    low, high = min([slo_ms, *values]) / 2, max([slo_ms, *values]) * 2
    sizes = sorted({stage.users for stage in shown(stages)})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.1)
    axes.set_ylim(low, high)
    axes.minorticks_off()
    axes.set_xticks([float(size) for size in sizes], [f"{users(size)} users" for size in sizes])
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**exponent for exponent in exponents]
    axes.set_yticks(ticks, [milliseconds(tick) for tick in ticks])
    axes.grid(axis="y")
    axes.axhline(slo_ms, color=colour("limit"), linewidth=1.2, dashes=(4, 3))
    at = (sizes[0] / 1.25, slo_ms)
    beside(axes, f"SLO for p95: {milliseconds(slo_ms)}", at, (2, 4), "limit", fontsize=10)
    ends: list[tuple[float, StageTraffic]] = []
    for (level, _), line in _lines(stages).items():
        _line(axes, line, colour(role_of_level(level)))
        ends.append((line[-1].latency_ms[95.0], line[-1]))
    _names(axes, ends, sizes[-1], layout)
    return fig


def _line(axes: Axes, line: list[StageTraffic], role: str) -> None:
    axes.plot([s.users for s in line], [s.latency_ms[95.0] for s in line], color=role, linewidth=2)
    for stage in line:
        judged = stage.judgement.verdict is not Verdict.INVALID
        axes.plot(
            [stage.users],
            [stage.latency_ms[95.0]],
            "o",
            color=role,
            markersize=6,
            markerfacecolor=role if judged else colour("paper"),
            markeredgewidth=1.5,
        )


def _names(
    axes: Axes,
    ends: list[tuple[float, StageTraffic]],
    largest: int,
    layout: Layout,
) -> None:
    """Each level at its line's end, moved apart where two would overprint."""
    previous = -math.inf
    for value, stage in sorted(ends, key=lambda end: end[0]):
        transformed = axes.transData.transform((largest, value))[1]
        y = float(transformed) * POINTS_PER_INCH / axes.figure.dpi
        apart = max(0.0, previous + NAME_APART_PT - y)
        previous = y + apart
        arm = "" if layout.narrow or not stage.arm else f", {plain(stage.arm, 20)}"
        text = f"level {stage.level}{arm} {milliseconds(value)}"
        role = role_of_level(stage.level)
        beside(axes, text, (largest, value), (12, apart), role, va="center", fontsize=11)


def alt(stages: tuple[StageTraffic, ...], slo_ms: float) -> str:
    """The chart in words."""
    said = [
        f"level {stage.level} at {users(stage.users)} users {stage.judgement.verdict} "
        f"{milliseconds(stage.latency_ms[95.0])}"
        for line in _lines(stages).values()
        for stage in line
    ]
    return (
        f"p95 of clicks over registered users per stack level, SLO {milliseconds(slo_ms)}. "
        f"{listed(said)}."
    )
