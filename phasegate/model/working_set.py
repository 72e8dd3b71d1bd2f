"""How many users' working set a size's memory holds, and whose reads its disk sustains. Pure.

From stages that began with nothing in memory: blocks that were read then are blocks that were
touched for the first time. How their number grows with sessions is Heaps' law, D = k · S^b (Heaps
1978, for the distinct words of a text), with b from the two halves of a stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from phasegate.model.capacity import ColdStage, Fit, Span
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import USERS_MAX

BLOCK_BYTES = 8192
SESSIONS_MIN = 10.0
"""Below, a half of a stage has too few sessions to tell how fast new blocks become fewer."""


def sessions_in_peak_hour(users: float, catalogue: Catalogue) -> float:
    """Sessions of the busiest hour of the modelled day."""
    workload = catalogue.workload
    per_day = users * workload.daily_active_share * workload.sessions_per_day
    return per_day * workload.peak_hour_share


def working_set_bytes(
    users: float, stage: ColdStage, exponent: float, database: Fit | None, catalogue: Catalogue
) -> float:
    """Bytes that the busiest hour touches; no more than the whole database."""
    sessions = sessions_in_peak_hour(users, catalogue)
    touched = stage.blocks * math.pow(sessions / stage.sessions, exponent) * BLOCK_BYTES
    return touched if database is None else min(touched, database.at(users))


def users_whose_set_fills(
    memory_bytes: float, stage: ColdStage, database: Fit | None, catalogue: Catalogue
) -> Span | None:
    """Registered users from which the working set outgrows `memory_bytes`, with its interval.

    None where it never does, or too little was measured to say.
    """
    if stage.sessions < SESSIONS_MIN or stage.blocks <= 0:
        return None
    found = stage.exponent()

    def reached(exponent: float | None) -> float | None:
        if exponent is None:
            return None
        return _first(
            lambda users: (
                working_set_bytes(users, stage, exponent, database, catalogue) >= memory_bytes
            )
        )

    at = reached(found.estimate)
    return None if at is None else Span(at, reached(found.high), reached(found.low))


def users_whose_reads_fill(iops: float, stage: ColdStage, catalogue: Catalogue) -> Span | None:
    """Registered users whose modelled peak reads `iops` where nothing of it is in memory."""
    each = stage.operations_per_session()
    if each is None or each.estimate <= 0:
        return None
    rate = catalogue.workload.arrival_rate_per_s(1_000_000) / 1_000_000

    def at(reads: float | None) -> float | None:
        return iops / (reads * rate) if reads else None

    return Span(iops / (each.estimate * rate), at(each.high), at(each.low))


def _first(reached: Callable[[float], bool]) -> float | None:
    """The fewest users for which `reached` holds; it must go on holding for more."""
    low, high = 1.0, float(USERS_MAX)
    if not reached(high):
        return None
    if reached(low):
        return low
    while high / low > 1 + 1e-6:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
