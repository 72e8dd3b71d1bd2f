"""Between which numbers a column lies: by its type, its name, and what the checks leave.

Pure.
"""

from __future__ import annotations

import re

from phasegate.adopt.limits import Limits
from phasegate.adopt.shape import Type

INTEGERS = {"int2": 1 << 15, "int4": 1 << 31, "int8": 1 << 53, "oid": 1 << 31}
"""Whole numbers, and what they are below; above 2^53 a float is no longer exact."""
FLOATS = ("float4", "float8")
NUMBERS = (*INTEGERS, *FLOATS, "numeric", "money")

# Names of numbers, and what they mostly lie between.
NUMBERS_BY_NAME: tuple[tuple[str, float, float], ...] = (
    (r"^lat(itude)?$|_lat(itude)?$", -60, 70),
    (r"^(lng|lon|longitude)$|_(lng|lon|longitude)$", -170, 170),
    (r"percent|pct|progress|ratio|share", 0, 100), (r"rating|stars", 1, 5), (r"score", 0, 100),
    (r"\bage$|^age", 18, 80), (r"year", 1990, 2025), (r"month", 1, 12), (r"day", 1, 28),
    (r"hour", 0, 23), (r"minute|second", 0, 59), (r"quantity|qty|amount_of|count|num_", 0, 50),
    (r"position|order|rank|index|sort|seq", 0, 100), (r"version|revision", 1, 10),
    (r"cents|price|amount|total|cost|salary|balance|fee|budget", 100, 20_000),
    (r"size|bytes|length", 100, 5_000_000), (r"width|height", 100, 4_000),
    (r"duration|_ms$", 10, 100_000), (r"weight", 1, 100), (r"port$", 1_024, 65_000),
)  # fmt: skip


class Unfilled(Exception):
    """Nothing can be declared that the column would take; the text says why."""


def number_span(kind: Type, limits: Limits, name: str) -> tuple[float, float]:
    """The lowest number of a column, and the end that is above all of them.

    Args:
        kind: the column's type.
        limits: of its checks.
        name: of the column, in small letters.

    Raises:
        Unfilled: the checks leave none that the type holds.
    """
    step = 1.0 if kind.name in INTEGERS else 10.0 ** -(2 if kind.scale < 0 else min(kind.scale, 9))
    low, high = next(
        ((least, most) for pattern, least, most in NUMBERS_BY_NAME if re.search(pattern, name)),
        (0.0, 100.0),
    )
    floor, ceiling = _ends(kind)
    try:
        if limits.low is not None:
            floor = max(floor, float(limits.low) + (step if limits.low_open else 0))
        if limits.high is not None:
            ceiling = min(ceiling, float(limits.high) - (step if limits.high_open else 0))
    except ValueError as error:
        raise Unfilled("its bounds are no numbers") from error
    if limits.low is not None and limits.high is not None:
        low, high = floor, ceiling
    else:
        low, high = _shifted(low, high, floor, ceiling, step)
    for excluded in sorted(float(one) for one in limits.excluded if not isinstance(one, str)):
        if low <= excluded <= high:
            low = excluded + step
    if low > high:
        raise Unfilled("its checks leave no number")
    # The upper end is never drawn itself; broken numbers are rounded, up to it at most.
    return low, high + step if kind.name in INTEGERS else max(high, low + step / 2)


def _shifted(
    low: float, high: float, floor: float, ceiling: float, step: float
) -> tuple[float, float]:
    """What is usual, moved to where the limits allow it."""
    if not floor <= low <= ceiling:
        low = floor if low < floor else ceiling - (high - low)
    high = low + 100 * step if high <= low else high
    return max(low, floor), min(high, ceiling)


def _ends(kind: Type) -> tuple[float, float]:
    if kind.name in INTEGERS:
        most = float(INTEGERS[kind.name]) - 2  # the end of a span lies one above
        return (0 if kind.name == "oid" else -most), most
    if kind.name == "numeric" and kind.precision:
        most = 10.0 ** (kind.precision - max(kind.scale, 0)) - 10.0 ** -max(kind.scale, 0)
        return -most, most
    return -1e12, 1e12
