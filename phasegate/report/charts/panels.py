"""Small multiples: a grid of equal panels on a figure of either width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phasegate.report.style import Layout, place

LEFT_PT = 50
"""Room for the labels of the first column's axis."""
RIGHT_PT = 8
COLUMN_GAP_PT = 22


@dataclass(frozen=True)
class Grid:
    """How many panels stand beside each other, and how high they are, title and axis included."""

    columns_wide: int
    columns_narrow: int
    height_pt: float
    top_pt: float
    bottom_pt: float
    own_axes: bool = False
    """Whether every panel, and not only the first of a row, has labels on its vertical axis."""

    def columns(self, layout: Layout) -> int:
        """Panels in a row."""
        return self.columns_narrow if layout.narrow else self.columns_wide

    def figure(self, count: int, layout: Layout) -> Figure:
        """An empty figure high enough for `count` panels."""
        return layout.figure(math.ceil(count / self.columns(layout)) * self.height_pt)

    def panels(self, figure: Figure, count: int, layout: Layout) -> Iterator[tuple[Axes, bool]]:
        """Axes of each panel in reading order, and whether it is the first of its row."""
        columns = self.columns(layout)
        rows = math.ceil(count / columns)
        gap = LEFT_PT if self.own_axes else COLUMN_GAP_PT
        width = (layout.width_pt - LEFT_PT - (columns - 1) * gap - RIGHT_PT) / columns
        for index in range(count):
            row, column = divmod(index, columns)
            left = LEFT_PT + column * (width + gap)
            axes = place(
                figure,
                left,
                row * self.height_pt + self.top_pt,
                layout.width_pt - left - width,
                (rows - 1 - row) * self.height_pt + self.bottom_pt,
            )
            yield axes, column == 0
