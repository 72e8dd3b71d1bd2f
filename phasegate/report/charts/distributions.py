"""How the seeded data is distributed: a histogram per distribution of the largest data set."""

from __future__ import annotations

import math
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from phasegate.records.seed import Distribution, SeedRecord
from phasegate.report.charts.panels import Grid
from phasegate.report.format import listed, plain, significant, wrapped
from phasegate.report.style import Layout, colour

GRID = Grid(columns_wide=3, columns_narrow=1, height_pt=160, top_pt=38, bottom_pt=30, own_axes=True)
LOG_FROM_DECADES = 2.0
"""Edges that span more than this are drawn on a logarithmic axis, or all bars stand at its left."""


def _is_log(edges: tuple[float, ...]) -> bool:
    positive = [edge for edge in edges if edge > 0]
    return (
        edges[0] >= 0
        and len(positive) > 1
        and math.log10(positive[-1] / positive[0]) >= LOG_FROM_DECADES
    )


def _positions(edges: tuple[float, ...]) -> list[float]:
    """Where the edges stand: as they are, or by their logarithm with 0 one bin below the first."""
    if not _is_log(edges):
        return list(edges)
    logs = [math.log10(edge) if edge > 0 else math.nan for edge in edges]
    step = logs[2] - logs[1] if len(logs) > 2 else 1.0
    return [logs[1] - step if math.isnan(value) else value for value in logs]


def figure(record: SeedRecord, layout: Layout) -> Figure:
    """A panel per distribution: percent of the counted in each bin."""
    shown = [histogram for histogram in record.distributions if sum(histogram.counts)]
    fig = GRID.figure(len(shown), layout)
    panels = GRID.panels(fig, len(shown), layout)
    for histogram, (axes, _) in zip(shown, panels, strict=True):
        _panel(axes, histogram)
        axes.set_title(wrapped(histogram.name, 34), weight="bold", fontsize=10)
    return fig


def _panel(axes: Axes, histogram: Distribution) -> None:
    total = sum(histogram.counts)
    places = _positions(histogram.edges)
    widths = [right - left for left, right in pairwise(places)]
    axes.bar(
        places[:-1],
        [count / total * 100 for count in histogram.counts],
        width=[width * 0.92 for width in widths],
        align="edge",
        color=colour("after"),
    )
    axes.set_xlim(places[0], places[-1])
    axes.set_xticks(*_ticks(histogram, places))
    axes.set_xlabel(plain(histogram.unit, 40), fontsize=10, labelpad=2)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.grid(axis="y")


def _ticks(histogram: Distribution, places: list[float]) -> tuple[list[float], list[str]]:
    """First, last and a few edges between, far enough apart to be read."""
    width = places[-1] - places[0]
    chosen: list[int] = [0]
    for index in range(1, len(places)):
        if places[index] - places[chosen[-1]] >= width * 0.2:
            chosen.append(index)
    return [places[i] for i in chosen], [significant(histogram.edges[i], 3) for i in chosen]


def middle(histogram: Distribution) -> float:
    """Left edge of the bin that holds the median."""
    half = sum(histogram.counts) / 2
    seen = 0
    for edge, count in zip(histogram.edges, histogram.counts, strict=False):
        seen += count
        if seen >= half:
            return edge
    return histogram.edges[-1]


def alt(record: SeedRecord) -> str:
    """The chart in words: the bin of each median."""
    said = [
        f"{plain(h.name, 60)}, median in the bin from {significant(middle(h), 3)} "
        f"{plain(h.unit, 40)}"
        for h in record.distributions
        if sum(h.counts)
    ]
    return f"Histograms of the seeded data: {listed(said)}."
