"""Series over the nights: what `phasegate history --json` prints."""

from __future__ import annotations

from typing import ClassVar

from phasegate.records.night import FindingKind, LevelChange
from phasegate.records.store import Part, Record


class SeriesNight(Part, frozen=True, kw_only=True):
    """One night of one series."""

    night: str
    ratio: float | None
    """HEAD ÷ baseline; null where it was not measured."""
    low: float | None
    """Lower 99% bound of the first measurement; null without one, as `high`."""
    high: float | None
    counts: bool
    """False where the night was quarantined."""
    findings: tuple[FindingKind, ...]
    note: str
    """Why it was not measured."""


class SeriesNights(Part, frozen=True, kw_only=True):
    """A series."""

    id: str
    name: str
    nights: tuple[SeriesNight, ...]
    """In order; of a list of all series, the newest alone."""
    changes: tuple[LevelChange, ...]
    """Change points, in order."""


class SeriesRecord(Record, frozen=True, kw_only=True):
    """One series, or all. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    nights: int
    """In the history."""
    damaged: tuple[str, ...]
    """Files that do not count, each with its reason."""
    series: tuple[SeriesNights, ...]
