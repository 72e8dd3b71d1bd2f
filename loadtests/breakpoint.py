"""Search for the largest arrival rate that a stack sustains: pure, one step at a time.

Doubles (or halves) until one rate passed and a higher one did not, then divides that interval at
its geometric mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# The rate is then known to within 15%: narrower than one day differs from the next.
PRECISION_RATIO = 1.15

FACTOR = 2.0


class Finding(Enum):
    """What one probe said about its rate."""

    SUSTAINED = "sustained"
    NOT_SUSTAINED = "not sustained"
    UNKNOWN = "the generator was the limit"


@dataclass(frozen=True)
class Tried:
    """One probe."""

    sessions_per_s: float
    finding: Finding


def sustained(tried: Sequence[Tried]) -> float | None:
    """The largest rate that passed below the smallest that did not; None where none did."""
    limit = not_sustained(tried) or math.inf
    passed = [
        probe.sessions_per_s
        for probe in tried
        if probe.finding is Finding.SUSTAINED and probe.sessions_per_s < limit
    ]
    return max(passed, default=None)


def not_sustained(tried: Sequence[Tried]) -> float | None:
    """The smallest rate that did not pass; None where all did."""
    failed = [p.sessions_per_s for p in tried if p.finding is Finding.NOT_SUSTAINED]
    return min(failed, default=None)


def next_rate(tried: Sequence[Tried], start_sessions_per_s: float) -> float | None:
    """The rate to try next; None when the search is over."""
    if not tried:
        return start_sessions_per_s
    if any(probe.finding is Finding.UNKNOWN for probe in tried):
        return None
    low, high = sustained(tried), not_sustained(tried)
    if high is None:
        return max(probe.sessions_per_s for probe in tried) * FACTOR
    if low is None:
        return high / FACTOR
    return None if high / low <= PRECISION_RATIO else math.sqrt(low * high)
