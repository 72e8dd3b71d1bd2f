"""The history page: every series over all nights, what was found, which nights do not count.

Takes the history; writes one HTML file that needs no network, in the manner of a run's page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from phasegate.records import history, scrub
from phasegate.records.history import History
from phasegate.records.night import Finding, NightRecord
from phasegate.report import format as words
from phasegate.report import page, style
from phasegate.report.charts import nights as chart
from phasegate.report.nights.digest import because
from phasegate.report.nights.judge import verdict
from phasegate.report.nights.series import Line, breaks, lines
from phasegate.report.tables import Table

# What stands open; the rest is a click away.
FINDINGS_SHOWN = 12
NIGHTS_LISTED_MAX = 100
# Nights in the table behind a chart: a fortnight is what one compares by eye.
TABLE_NIGHTS = 14


@dataclass(frozen=True)
class Event:
    """A finding and the unbroken run of nights that had it.

    Attributes:
        finding: as the newest of those nights had it.
        last: that night.
        open: whether it is the newest night that could tell.
    """

    finding: Finding
    last: str
    open: bool


@dataclass(frozen=True)
class Panel:
    """A series on the page."""

    line: Line
    svg: Markup
    now: str
    moved: bool
    table: Table


def build(found: History, out: Path) -> Path:
    """Write the page of `found` to `out`; it appears whole or not at all.

    Free text of the records is scrubbed (`records.scrub`). A history without nights gives a page
    that says so.
    """
    clean = History(tuple(scrub.night(night) for night in found.nights), found.damaged)
    page.replace(out, render(clean))
    return out


def render(found: History) -> str:
    """The page as HTML."""
    newest = found.nights[-1] if found.nights else None
    happened = events(found.nights)
    sheet = (page.TEMPLATES / "report.css").read_text(encoding="utf-8")
    own = (page.TEMPLATES / "history.css").read_text(encoding="utf-8")
    return page.environment(escape=True).get_template("history.html").render(
        newest=newest,
        verdict=verdict(newest) if newest else None,
        because=because(newest) if newest else (),
        first=found.nights[0].night if found.nights else "",
        nights=len(found.nights),
        open=[event for event in happened if event.open],
        past=[event for event in happened if not event.open],
        shown=FINDINGS_SHOWN,
        panels=panels(found),
        grouped=len(found.nights) > chart.GROUPS_MAX,
        breaks=_breaks(found.nights),
        bad=_bad(found.nights),
        listed=NIGHTS_LISTED_MAX,
        damaged=[(each.path.name, scrub.text(each.reason)) for each in found.damaged],
        sheet=Markup(sheet + own),  # noqa: S704 - files of this room
        light=style.css("light"),
        dark=style.css("dark"),
        classes=Markup(style.classes()),  # noqa: S704 - made of constants
    )  # fmt: skip


def events(nights: Sequence[NightRecord]) -> tuple[Event, ...]:
    """Findings joined over the nights that had them; open ones first, then the newest."""
    seen: dict[tuple[str, str, str], Event] = {}
    newest = nights[-1].night if nights else ""
    # Of times nothing is said in a night that does not count, so the one before it still speaks.
    counted = next((night.night for night in reversed(nights) if history.counts(night)), newest)
    for night in nights:
        for finding in night.findings:
            key = (finding.kind, finding.series, finding.since)
            current = {newest, counted} if finding.kind in {"slower", "drift"} else {newest}
            seen[key] = Event(finding, night.night, night.night in current)
    return tuple(
        sorted(seen.values(), key=lambda event: (event.open, event.last), reverse=True)
    )  # stable: the gravest of a night stays first


def panels(found: History) -> tuple[Panel, ...]:
    """One for each series."""
    names = [night.night for night in found.nights]
    changed = breaks(found.nights)
    made = []
    for line in lines(found):
        last = line.points[-1] if line.points else None
        moved = bool(last and last.night == names[-1] and last.findings)
        made.append(
            Panel(
                line=line,
                svg=Markup(chart.svg(line, names, changed)),  # noqa: S704 - escapes its texts
                now=now(line, names[-1]),
                moved=moved,
                table=table(line),
            )
        )
    return tuple(made)


def now(line: Line, newest: str) -> str:
    """Where a series stands, in a few words."""
    point = line.last
    if point is None or point.ratio is None:
        return f"never measured{f': {line.points[-1].note}' if line.points else ''}"
    said = f"{words.speed(point.ratio)} than the baseline"
    if not point.counts:
        return f"{said} in a night that does not count"
    return said if point.night == newest else f"{said} on {point.night[:10]}"


def table(line: Line) -> Table:
    """The newest nights of a series, the newest first."""
    rows = []
    for point in list(reversed(line.points))[:TABLE_NIGHTS]:
        ratio = "–" if point.ratio is None else f"{point.ratio:.3f}"
        band = "–" if point.low is None else f"{point.low:.3f} to {point.high or 0:.3f}"
        said: list[str] = [finding.kind for finding in point.findings]
        if not point.counts:
            said.append("does not count")
        if point.note:
            said.append(point.note)
        rows.append((point.night, ratio, band, ", ".join(said)))
    return Table(("Night", "HEAD ÷ baseline", "99% interval", ""), tuple(rows))


def _breaks(nights: Sequence[NightRecord]) -> list[tuple[str, str]]:
    """(night, what changed), the newest first."""
    return [
        (nights[one.place].night, f"{one.what} {one.baseline}".strip())
        for one in reversed(breaks(nights))
    ]


def _bad(nights: Sequence[NightRecord]) -> list[tuple[str, str]]:
    """(night, why it does not count), the newest first."""

    def reasons(night: NightRecord) -> Iterable[str]:
        yield from because(night)
        yield from night.notes

    return [
        (night.night, "; ".join(reasons(night)))
        for night in reversed(nights)
        if not history.counts(night)
    ]
