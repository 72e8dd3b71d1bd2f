"""The record of what was advised: every candidate, what was measured of it, what follows."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.benchmark import Cost
from phasegate.records.store import Part, Record

Advice = Literal[
    "needed",
    "not needed yet",
    "no difference",
    "harmful",
    "can be dropped",
    "cannot tell",
    "not measured",
    "covered",
]


class AtSize(Part, frozen=True, kw_only=True):
    """A candidate at one size."""

    users: int
    ratio: float | None
    """After/before; null where there were too few blocks for an interval."""
    low: float | None
    high: float | None
    """Of its 95% interval."""
    before_ms_p95: float
    after_ms_p95: float


class Finding(Part, frozen=True, kw_only=True):
    """A candidate, and what came of it."""

    id: str
    """Of its folder in `candidates/`: `phasegate advise --keep ID`."""
    kind: str
    """Of the fault that it mends: `index`, `policy per row`, `N+1`, …"""
    table: str
    title: str
    why: str
    """What was seen."""
    advice: Advice
    reason: str = ""
    """Why it was not measured; empty where it was."""
    note: str = ""
    """What a reader must know of the outcome; empty if nothing."""
    covered_by: str = ""
    """The project's technique that does the same; empty where none does."""
    statement: str = ""
    """That it was measured on, without values of anybody's; empty where one was made up."""
    calls_per_session: float | None = None
    """Null where nobody counted sessions."""
    needed_from: float | None = None
    """N*; null unless it lies between two sizes on one plan."""
    needed_from_low: float | None = None
    needed_from_high: float | None = None
    """Of its 95% interval."""
    needed_from_reference: float | None = None
    """N* on the catalogue's reference core; null as `needed_from`, where no yardstick was measured,
    and in records older than this field."""
    sizes: tuple[AtSize, ...] = ()
    costs: tuple[Cost, ...] = ()
    saves_cores: float | None = None
    """At the largest size measured, in the modelled peak; null where nobody counted sessions."""
    saves_usd_per_month: float | None = None
    """There too: what those cores would cost by themselves; null where no plan has as many."""


class AdviceRecord(Record, frozen=True, kw_only=True):
    """`advice.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    started_at: str
    """ISO 8601, UTC."""
    seed: int
    sizes: tuple[int, ...]
    """Registered users of the data sets that candidates were measured on."""
    level: int
    """Stack level whose parts were there."""
    seen_on: str
    """Where the statements come from: `our copy`, or a host without credentials."""
    statements: int
    """Seen of the app's clients."""
    unread: int
    """Of those, that could not be read or sent again."""
    sessions: int
    """Driven while they were seen; 0 on a foreign database."""
    findings: tuple[Finding, ...]

    @property
    def droppable(self) -> tuple[Finding, ...]:
        """Indexes that nothing is slower without."""
        return tuple(each for each in self.findings if each.advice == "can be dropped")
