"""Drift: where a series of nightly ratios changed its level, and whether that matters. Pure.

Takes ratios, night by night; reads and writes nothing. Change points come from a detector (Apache
Otava's E-divisive, run by `nightly.drift`) or from `raised` below, and both pass the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# FACTS §7: raw medians defeat every detector; ratios whose spread is 2% or less do not, with these.
PVALUE_MAX = 1e-4
MAGNITUDE_MIN = 0.03
# Fewer nights after the point cannot be told from two bad nights in a row.
NIGHTS_AFTER_MIN = 3


@dataclass(frozen=True)
class ChangePoint:
    """Where a series changed its level.

    Attributes:
        night: the first night of the new level.
        index: its place in the series (nights that count, in the same surroundings), from 0.
        before: level of the nights up to it, HEAD ÷ baseline.
        after: level from it on, up to the next change point or the end.
        pvalue: chance of a change as large where there is none.
        nights_after: nights of the new level so far.
        detector: which of the two found it.
    """

    night: str
    index: int
    before: float
    after: float
    pvalue: float
    nights_after: int
    detector: Literal["otava", "raised"] = "otava"

    @property
    def ratio(self) -> float:
        """After ÷ before; above 1 is slower."""
        return self.after / self.before


def holds(point: ChangePoint) -> bool:
    """Whether a change point is large, certain and old enough to be spoken of."""
    return (
        point.nights_after >= NIGHTS_AFTER_MIN
        and point.pvalue <= PVALUE_MAX
        and max(point.ratio, 1 / point.ratio) >= 1 + MAGNITUDE_MIN
    )


@dataclass(frozen=True)
class Rise:
    """A series that stands above its lowest level.

    Attributes:
        since: the night in which the rise began.
        before: the lowest level.
        after: the level now.
    """

    since: str
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """After ÷ before."""
        return self.after / self.before


def rise(points: Sequence[ChangePoint]) -> Rise | None:
    """How far the series now stands above its lowest level before; None where it does not.

    A slow-down that was mended is no finding any more; one that came in several steps is one.
    """
    kept = [point for point in points if holds(point)]
    if not kept:
        return None
    lowest = min(kept, key=lambda point: point.before)
    found = Rise(since=lowest.night, before=lowest.before, after=kept[-1].after)
    return found if found.ratio >= 1 + MAGNITUDE_MIN else None
