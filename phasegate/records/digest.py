"""The digest of a night: what `phasegate digest --json` prints, for a person or an assistant.

Small, factual, and safe to paste: no keys, addresses, host names or rows of user data.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.night import FindingKind
from phasegate.records.store import Part, Record

NightVerdict = Literal["nothing moved", "moved", "does not count"]


class Measured(Part, frozen=True, kw_only=True):
    """One measurement of a series: HEAD ÷ baseline, with its 99% interval."""

    ratio: float
    low: float | None
    """Null where there were too few blocks for an interval, as `high`."""
    high: float | None
    blocks: int


class Moved(Part, frozen=True, kw_only=True):
    """One finding with its evidence."""

    kind: FindingKind
    series: str
    """Id: `phasegate history <id>` shows its nights."""
    name: str
    text: str
    """The finding in a sentence."""
    ratio: float | None
    """HEAD ÷ baseline; of a drift, level now ÷ lowest level before; null where only a plan did."""
    since: str
    """First night of it."""
    nights: int
    """Nights that counted from `since` on, this one included."""
    first: Measured | None
    """Null where the series was not timed."""
    confirmation: Measured | None
    """The second measurement, in fresh processes; null where there was none."""
    plan_baseline: str | None
    plan_head: str | None
    """Hashes of the plans' shapes; null where none applies."""
    buffers_baseline: int | None
    buffers_head: int | None
    """Shared blocks of one call; null where none applies."""
    statements_baseline: int | None
    statements_head: int | None
    """Statements for one call or request; null where not counted."""


class Unmeasured(Part, frozen=True, kw_only=True):
    """A series without a ratio tonight."""

    series: str
    why: str


class Trust(Part, frozen=True, kw_only=True):
    """How far the night can be believed: the instrument measured by itself."""

    false_alarms: int
    pairs: int
    """Comparisons of HEAD with itself, in which the alarms were false."""
    found: int
    injections: int
    """Comparisons with a slow-down of 5% put in, of which so many were seen."""
    steal_share: float | None
    busy_share: float | None
    load_1m: float


class DigestRecord(Record, frozen=True, kw_only=True):
    """A night in a page. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    night: str
    verdict: NightVerdict
    because: tuple[str, ...]
    """Why it does not count; empty where it does."""
    commit: str
    baseline: str
    """As it was named."""
    baseline_commit: str | None
    users: int
    cpu: str
    cores: int
    server_version: str | None
    trust: Trust | None
    """Null where nothing was measured."""
    moved: tuple[Moved, ...]
    """The gravest first."""
    measured: int
    """Series with a ratio tonight."""
    unmeasured: tuple[Unmeasured, ...]
    commits: tuple[str, ...]
    """Suspects: what touched the code under test since the baseline, newest first."""
    files_changed: dict[str, int]
    look_at: tuple[str, ...]
    """What to do, in order."""
    notes: tuple[str, ...]
    nights: int
    """Nights in the history that can be read."""
    damaged: tuple[str, ...]
    """Files of the history that cannot be, each with its reason."""
