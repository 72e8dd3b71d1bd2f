"""Search for the largest arrival rate that a stack sustains: pure, one step at a time.

Goes up (or down) until one rate passed and a higher one did not, then divides that interval at its
geometric mean. The first steps up go to where the processor would run out by what it was seen
to do so far, so that a stack that is hardly used is not doubled for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# The rate is then known to within 10% either way: narrower than one day differs from the next.
PRECISION_RATIO = 1.2

FACTOR = 2.0

# Down from a rate that did not pass. The slower a rate, the longer a stage takes to see enough
# sessions: a large step and two divisions cost less than two small steps and one.
DOWN = 2.8

# An estimate errs: a smaller step up than this learns too little, a larger one may bury the stack
# under a minute of work for every few seconds of load.
STEP_MIN, STEP_MAX = 2.0, 8.0


# Of all cores: where the line to their exhaustion is followed to, a little beyond: a rate that only
# just passes brackets nothing.
EXHAUSTED_SHARE = 1.05


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
    processor_share: float | None = None
    """Of all cores, in use meanwhile; None where that was not sampled."""


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
    return _smallest(tried, Finding.NOT_SUSTAINED)


def unknown(tried: Sequence[Tried]) -> float | None:
    """The smallest rate that could not be judged, above all that passed; None where all could."""
    found = _smallest(tried, Finding.UNKNOWN)
    low = sustained(tried)
    return None if found is None or (low is not None and found < low) else found


def is_bracketed(tried: Sequence[Tried]) -> bool:
    """Whether the rate is known as closely as it is looked for."""
    low, high = sustained(tried), not_sustained(tried)
    return low is not None and high is not None and high / low <= PRECISION_RATIO


def next_rate(tried: Sequence[Tried], start_sessions_per_s: float) -> float | None:
    """The rate to try next; None when the search is over.

    A rate that could not be judged is gone below, as one that did not pass: how far the generator
    reaches is worth knowing too.
    """
    if not tried:
        return start_sessions_per_s
    low = sustained(tried)
    ceilings = [rate for rate in (not_sustained(tried), unknown(tried)) if rate is not None]
    if not ceilings:
        return _higher(tried)
    high = min(ceilings)
    if low is None:
        return high / DOWN
    return None if high / low <= PRECISION_RATIO else math.sqrt(low * high)


def _smallest(tried: Sequence[Tried], finding: Finding) -> float | None:
    rates = [probe.sessions_per_s for probe in tried if probe.finding is finding]
    return min(rates, default=None)


def _higher(tried: Sequence[Tried]) -> float:
    """Where the processor would run out, by the line through the slowest and the fastest probe.

    With one probe alone, all that was in use counts as the load's own: that errs low.
    """
    seen = sorted(
        (probe.sessions_per_s, probe.processor_share)
        for probe in tried
        if probe.processor_share is not None
    )
    highest = max(probe.sessions_per_s for probe in tried)
    if not seen or seen[-1][0] < highest:
        return highest * FACTOR
    (rate, share), (first_rate, first_share) = seen[-1], seen[0]
    if first_rate == rate:
        first_rate, first_share = 0.0, 0.0
    per_session = (share - first_share) / (rate - first_rate)
    if per_session <= 0:
        return rate * STEP_MAX
    wanted = rate + (EXHAUSTED_SHARE - share) / per_session
    return min(max(wanted, rate * STEP_MIN), rate * STEP_MAX)
