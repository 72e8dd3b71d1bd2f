"""What grew in a soak: memory, connections, the database's size, dead rows, WAL; a panel each."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.charts.panels import Grid
from phasegate.report.format import listed, plain
from phasegate.report.soak import Series, Soak
from phasegate.report.soak_words import drift_sentence, in_unit, span
from phasegate.report.style import LABEL_PT, Layout, colour

GRID = Grid(columns_wide=3, columns_narrow=2, height_pt=112, top_pt=30, bottom_pt=24, own_axes=True)


def shown(soak: Soak) -> tuple[Series, ...]:
    """The series besides the p95, which has a chart of its own."""
    return tuple(each for each in soak.series[1:] if len(each.values) > 1)


def figure(soak: Soak, layout: Layout) -> Figure:
    """A panel for each series, from 0 or from just below what it never fell under."""
    series = shown(soak)
    fig = GRID.figure(len(series), layout)
    drifting = {drift.series.name for drift in soak.drifts}
    for each, (axes, _) in zip(series, GRID.panels(fig, len(series), layout), strict=True):
        _panel(axes, each, soak.length_s, drifts=each.name in drifting)
    return fig


def _panel(axes: Axes, series: Series, length_s: float, *, drifts: bool) -> None:
    low, high = min(series.values), max(series.values)
    # What hardly moves is drawn as hardly moving.
    if high - low < 0.1 * high:
        low, high = low - 0.05 * high, high + 0.05 * high
    room = (high - low) * 0.12 or 1.0
    axes.set_ylim(max(low - room, 0.0) if low >= 0 else low - room, high + room)
    ends = sorted({min(series.values), max(series.values)})
    axes.set_yticks(ends, [in_unit(end, series.unit) for end in ends])
    axes.set_xlim(0, length_s)
    axes.set_xticks([0, length_s], ["0", span(length_s)])
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.grid(axis="y")
    role = colour("before" if drifts else "after")
    title = plain(series.name, 24) + (": drifts" if drifts else "")
    axes.set_title(title, fontsize=LABEL_PT, weight="bold", color=role if drifts else colour("ink"))
    axes.plot(series.at_s, series.values, color=role, linewidth=1.6)


def alt(soak: Soak) -> str:
    """The chart in words."""
    said = [drift_sentence(drift) for drift in soak.drifts] or ["none drifts"]
    return f"{listed([each.name for each in shown(soak)])} over time. {'. '.join(said)}."
