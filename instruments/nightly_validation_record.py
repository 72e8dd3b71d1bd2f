"""The proof of the nightly's detectors: what `make perf-nightly` stores.

It keeps the recordings, so that every figure can be computed again without measuring.
"""

from __future__ import annotations

from typing import ClassVar

from phasegate.records.run import Machine, Server
from phasegate.records.store import Part, Record


class Round(Part, frozen=True, kw_only=True):
    """One series in one pair of fresh processes, both of the same commit."""

    series: str
    repeat: int
    """Which measurement of all series, from 0."""
    number: int
    """Which round of it, from 0; as many as the nightly makes of this series."""
    logs: tuple[float, ...]
    """ln(one ÷ other), one a block."""
    head_ns: float
    """Median time of one side: what rules without a baseline compare from night to night."""


class Rate(Part, frozen=True, kw_only=True):
    """False alarms of one detector."""

    name: str
    months: int
    """Simulated, of 40 series and 30 nights."""
    alarms: int
    a_month: float
    a_month_max: float
    """Upper 95% bound of it (Poisson)."""


class Found(Part, frozen=True, kw_only=True):
    """A known slow-down, put into simulated nights."""

    name: str
    cases: int
    share_next_night: float
    """Found in the first slower night."""
    share_week: float
    """Found by the seventh night at the latest."""
    nights_median: float | None
    """Until found, 1 being the first slower night; null where half are not found in the nights
    simulated."""


class Goal(Part, frozen=True, kw_only=True):
    """One of the goals, and whether it holds."""

    name: str
    value: float
    goal: str
    holds: bool


class ProofRecord(Record, frozen=True, kw_only=True):
    """`nightly-proof.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    started_at: str
    """ISO 8601, UTC."""
    phasegate_version: str
    commit: str | None
    machine: Machine
    server: Server | None
    users: int
    steal_share: float | None
    """Of all processors' time, while recording; null where not readable, as `busy_share`."""
    busy_share: float | None
    """Used by processes other than ours."""
    quarantine: tuple[str, ...]
    """Why a night recorded like this would not count; empty where it would. The figures then say
    what the detectors would do where they are not let near."""
    deviation: float
    """Of one measurement's estimate over fresh processes, in logarithms: median over series."""
    deviation_max: float
    """The noisiest series'."""
    raw_deviation: float
    """Of one side's median time over fresh processes, in logarithms: median over series."""
    blocks: float
    """Of one measurement: median."""
    rates: tuple[Rate, ...]
    steps: tuple[Found, ...]
    """A step of 5%."""
    drifts: tuple[Found, ...]
    """A drift of 5%, an equal part in each of 7 nights."""
    power_lowest: float
    """Of finding a step of 5% the next night: the series where it is least."""
    power_lowest_series: str
    goals: tuple[Goal, ...]
    rounds: tuple[Round, ...]
    notes: tuple[str, ...]
