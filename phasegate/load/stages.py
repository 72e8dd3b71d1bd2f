"""What is asked of a test: its stages, as the arguments and the workload model give them.

Pure. A stage is one stretch of load at one arrival rate; the closed model has a single one.
"""

from __future__ import annotations

import math
import re

import msgspec

from phasegate.model.catalogue import Workload
from phasegate.model.errors import UsageError
from phasegate.model.verdict import RATE_OVER_PEAK_MAX

# A p95 with an upper bound needs at least so many clicks (order statistics, 95%).
CLICKS_MIN = 72

# A session has four to five clicks on average, so this many give about 120, and too few in one or
# two stages of a hundred.
SESSIONS_MIN = 28

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([km]?)", re.IGNORECASE)
_FACTOR = {"": 1, "k": 1_000, "m": 1_000_000}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of load."""

    name: str
    users: int
    """Registered users: the population that sessions draw from."""
    sessions_per_s: float
    """Arrival rate over all generator processes; 0 in the closed model."""
    duration_s: float
    """Infinity until somebody stops it."""
    ramp_s: float = 0.0
    """The rate rises linearly from 0 over this long."""
    workers: int = 1
    """Generator processes that share it."""


def parse_size(text: str) -> int:
    """Registered users as people write them: `1000`, `1k`, `2.5k`, `1m`.

    Raises:
        UsageError: not such a number, or not positive.
    """
    match = _SIZE.fullmatch(text.strip())
    users = round(float(match[1]) * _FACTOR[match[2].lower()]) if match else 0
    if users < 1:
        raise UsageError(
            f"'{text}' is not a number of registered users",
            untouched="No request was sent",
            then="Write it as 1000, 10k or 1m",
        )
    return users


def modelled(
    sizes: tuple[int, ...], workload: Workload, *, duration_s: float, ramp_s: float
) -> tuple[Stage, ...]:
    """One stage per number of registered users, each at its modelled peak."""
    return tuple(
        Stage(
            name=f"{users}-users",
            users=users,
            sessions_per_s=workload.arrival_rate_per_s(users),
            duration_s=duration_s,
            ramp_s=ramp_s,
        )
        for users in sizes
    )


def rate_with_enough_sessions(sessions_per_s: float, duration_s: float) -> float:
    """`sessions_per_s`, or the higher rate at which `SESSIONS_MIN` are due in `duration_s`.

    A small population starts a session every half minute; a stage of seconds would then judge by
    one or none. More load than the model asks for can only make a PASS harder.
    """
    return max(sessions_per_s, math.ceil(SESSIONS_MIN / duration_s * 100) / 100)


def seconds_to_judge(peak_per_s: float) -> float:
    """How long a stage must be for `SESSIONS_MIN` to be due at a rate whose miss still counts.

    Args:
        peak_per_s: sessions per second at the modelled peak.
    """
    most = math.floor(RATE_OVER_PEAK_MAX * peak_per_s * 100) / 100  # as rates are rounded above
    return SESSIONS_MIN / most * 1.001 if most else math.inf
