"""Our figures compared with a peer's or a physical limit, as ratios measured in one run."""

from __future__ import annotations

from typing import ClassVar

from phasegate.records.store import Part, Record


class PerfRow(Part, frozen=True, kw_only=True):
    """One figure. `ours` and `peer` share a unit; `ratio` is what `goal` speaks of."""

    name: str
    unit: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    """Median over the interleaved repetitions."""
    ratio_low: float
    """Smallest repetition."""
    ratio_high: float
    """Largest repetition."""
    repetitions: int
    goal: str
    """As `≤ 1.25` or `≥ 0.95`."""
    holds: bool


class PerfRecord(Record, frozen=True, kw_only=True):
    """`perf.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    rows: tuple[PerfRow, ...]
