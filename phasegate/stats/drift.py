"""Drift: where a series of nightly ratios changed its level, and whether that matters. Pure.

Takes ratios, night by night; reads and writes nothing. Change points come from a detector (Apache
Otava's E-divisive, run by `nightly.drift`) or from `raised` below, and both pass the same rules.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# With these limits a detector finds changes in ratios that vary by 2% or less; in raw medians it
# finds none (docs/method.md#nightly-comparison).
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


# `raised`: the reference is the first nights of a level. Fewer than seven do not show how much
# nights differ; beyond a fortnight more would only make it later.
REFERENCE_NIGHTS_MIN = 7
REFERENCE_NIGHTS_MAX = 14
# Nights after the reference's first seven may already belong to a rise, so it ends this far back.
REFERENCE_GAP_NIGHTS = 7
# How much quiet nights' ratios differ at least, in logarithms: a dozen nights that happened to lie
# close together are no better than what the recordings show (`make perf-nightly`).
DEVIATION_MIN = 0.01
# One series in one night; 40 series and 30 nights make 1,200, so about one in a hundred months.
RAISED_PVALUE_MAX = 1e-5


def raised(nights: Sequence[str], ratios: Sequence[float], offset: int = 0) -> ChangePoint | None:
    """A slow rise that has no one night in which it came: a one-sided CUSUM (Page 1954).

    E-divisive compares what lies before and after one point, which a slope blurs: of drifts of 5%
    within 7 nights it found four in five by the seventh. Here each night adds what it lies above
    the reference, less half of the smallest change that matters; no night adds more than that
    change, so that one bad night cannot do it alone.

    Args:
        nights: names, in order, as many as `ratios`.
        ratios: HEAD ÷ baseline of nights of one level: from the last change point on.
        offset: place of the first of them in the whole series.

    Returns:
        None where there are too few nights, or nothing rises.
    """
    if len(ratios) < REFERENCE_NIGHTS_MIN + NIGHTS_AFTER_MIN:
        return None
    logs = [math.log(ratio) for ratio in ratios]
    reference = logs[: reference_nights(len(logs))]
    level = statistics.fmean(reference)
    deviation = max(_deviation(reference, level), _successive(logs), DEVIATION_MIN)
    cap = math.log1p(MAGNITUDE_MIN)
    allowance = cap / 2
    total, begin = 0.0, 0
    for index, value in enumerate(logs):
        if total == 0.0:
            begin = index
        total = max(0.0, total + min(value - level - allowance, cap))
    if total == 0.0:
        return None
    # The reference's level is itself uncertain by this much, and may lie too low.
    surely = allowance - deviation / math.sqrt(len(reference))
    point = ChangePoint(
        night=nights[begin],
        index=offset + begin,
        before=math.exp(level),
        after=math.exp(statistics.median(logs[-NIGHTS_AFTER_MIN:])),
        pvalue=cusum_pvalue(surely / deviation, total / deviation),
        nights_after=len(logs) - begin,
        detector="raised",
    )
    return point if point.pvalue <= RAISED_PVALUE_MAX and point.ratio > 1 and holds(point) else None


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _successive(values: Sequence[float]) -> float:
    """Standard deviation from successive differences (von Neumann 1941), which a slope leaves."""
    squares = [(later - earlier) ** 2 for earlier, later in itertools.pairwise(values)]
    return math.sqrt(math.fsum(squares) / (2 * len(squares)))


def reference_nights(count: int) -> int:
    """How many of the first of `count` nights are the reference of `raised`."""
    return min(max(count - REFERENCE_GAP_NIGHTS, REFERENCE_NIGHTS_MIN), REFERENCE_NIGHTS_MAX)


def cusum_pvalue(allowance: float, height: float) -> float:
    """Chance, a night, that a one-sided CUSUM of quiet nights reaches `height`.

    One over the average run length after Siegmund 1985, (exp(u) - u - 1) / 2k² with
    u = 2k(h + 1.166); both arguments in standard deviations. 1 where the allowance is not positive:
    such a sum rises by itself.
    """
    if allowance <= 0:
        return 1.0
    exponent = min(2 * allowance * (height + 1.166), 500.0)  # beyond it, a double overflows
    run_length = (math.exp(exponent) - exponent - 1) / (2 * allowance**2)
    return min(1.0, 1 / run_length)
