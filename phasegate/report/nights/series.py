"""Each series over all nights: what the page draws and the terminal prints. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from phasegate.records import history
from phasegate.records.history import History
from phasegate.records.night import Finding, LevelChange, NightRecord, Series


@dataclass(frozen=True)
class Point:
    """One night of one series.

    Attributes:
        night: which.
        place: its number among all nights, from 0.
        ratio: HEAD ÷ baseline; None where it was not measured.
        low: lower 99% bound of the first measurement; None where it has none.
        high: the upper one.
        counts: whether the night does (`records.history.counts`).
        findings: of this series, in that night.
        note: why it was not measured.
    """

    night: str
    place: int
    ratio: float | None
    low: float | None
    high: float | None
    counts: bool
    findings: tuple[Finding, ...]
    note: str


@dataclass(frozen=True)
class Line:
    """A series and its nights.

    Attributes:
        id: stable.
        name: the newest.
        points: one a night, in order, without nights that did not have the series.
        changes: change points, in order.
    """

    id: str
    name: str
    points: tuple[Point, ...]
    changes: tuple[LevelChange, ...]

    @property
    def last(self) -> Point | None:
        """The newest point with a ratio, of a night that counts if there is one; else None."""
        measured = [point for point in reversed(self.points) if point.ratio is not None]
        return next(
            (point for point in measured if point.counts), measured[0] if measured else None
        )

    @property
    def last_finding(self) -> tuple[str, Finding] | None:
        """The newest finding that there was, with its night."""
        for point in reversed(self.points):
            if point.findings:
                return point.night, point.findings[0]
        return None


@dataclass(frozen=True)
class Break:
    """Where the nights' ratios begin to mean something else.

    Attributes:
        place: number of the first night of the new surroundings.
        baseline: the new baseline commit, short; empty where another thing changed.
        what: in words.
    """

    place: int
    baseline: str
    what: str


def lines(found: History) -> tuple[Line, ...]:
    """Every series that ever was; those with findings in the newest night first, then by id."""
    names = history.newest_names(found.nights)
    points: dict[str, list[Point]] = {name: [] for name in names}
    for place, night in enumerate(found.nights):
        counts = history.counts(night)
        by_series: dict[str, list[Finding]] = {}
        for finding in night.findings:
            by_series.setdefault(finding.series, []).append(finding)
        for series in night.series:
            findings = tuple(by_series.get(series.id, ()))
            points[series.id].append(_point(series, night.night, place, counts, findings))
    changes = _changes(found.nights)
    drawn = [
        Line(name, title, tuple(points[name]), changes.get(name, ()))
        for name, title in names.items()
    ]
    newest = found.nights[-1].night if found.nights else ""
    return tuple(sorted(drawn, key=lambda line: (not _moved(line, newest), line.id)))


def _moved(line: Line, night: str) -> bool:
    return bool(line.points) and line.points[-1].night == night and bool(line.points[-1].findings)


def _point(
    series: Series, night: str, place: int, counts: bool, findings: tuple[Finding, ...]
) -> Point:
    first = series.ratios
    return Point(
        night=night,
        place=place,
        ratio=history.combined(series),
        low=first.low if first else None,
        high=first.high if first else None,
        counts=counts,
        findings=findings,
        note=series.note,
    )


def _changes(nights: Sequence[NightRecord]) -> dict[str, tuple[LevelChange, ...]]:
    """Change points per series, as the newest night in each surroundings knew them."""
    newest = {history.surroundings(night): night for night in nights}
    found: dict[str, dict[str, LevelChange]] = {}
    for night in newest.values():
        for change in night.changes:
            found.setdefault(change.series, {})[change.night] = change
    return {
        name: tuple(changes[night] for night in sorted(changes)) for name, changes in found.items()
    }


def breaks(nights: Sequence[NightRecord]) -> tuple[Break, ...]:
    """Where baseline, machine, server or size changed from one measured night to the next."""
    found = []
    known = [
        (place, history.surroundings(night))
        for place, night in enumerate(nights)
        if night.baseline_commit is not None and night.server is not None
    ]
    for (_, before), (place, after) in itertools.pairwise(known):
        if before == after:
            continue
        words = [
            word
            for word, old, new in (
                ("another baseline", before[0], after[0]),
                ("another machine", before[1:3], after[1:3]),
                ("another server version", before[3], after[3]),
                ("another size", before[4], after[4]),
            )
            if old != new
        ]
        baseline = str(after[0])[:7] if before[0] != after[0] else ""
        found.append(Break(place, baseline, ", ".join(words)))
    return tuple(found)
