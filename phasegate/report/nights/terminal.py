"""The history as text: every series in a line, or one series night by night. Pure."""

from __future__ import annotations

import difflib
import math

from phasegate.model.errors import UsageError
from phasegate.records import scrub
from phasegate.records.history import History
from phasegate.records.night import SeriesNight, SeriesNights, SeriesRecord
from phasegate.report import format as words
from phasegate.report.nights.digest import because
from phasegate.report.nights.series import Break, Line, Point, breaks, lines

# A screen of nights; `--json` has all.
NIGHTS_SHOWN = 60
# Characters of the little chart, and the ratios at its ends: two characters are about 1%.
CHART_COLUMNS = 41
CHART_LOG = math.log(1.1)
NEAR_MAX = 5


def find(found: History, name: str) -> Line:
    """The series of that id, name, or part of an id that no other has.

    Raises:
        UsageError: there is none, or several; near ones are named.
    """
    known = lines(clean(found))
    exact = [line for line in known if name in {line.id, line.name}]
    part = exact or [line for line in known if name.lower() in line.id.lower()]
    if len(part) == 1:
        return part[0]
    ids = [line.id for line in part or known]
    if part:
        what = f"{len(part)} series have {name!r} in their id: {words.listed(ids[:NEAR_MAX])}"
    else:
        near = difflib.get_close_matches(name, ids, NEAR_MAX, cutoff=0.3) or ids[:NEAR_MAX]
        what = f"There is no series {name!r}" + (f"; near: {words.listed(near)}" if near else "")
    raise UsageError(what, then="`phasegate history` lists all of them")


def clean(found: History) -> History:
    """`found` with its free text scrubbed."""
    return History(tuple(scrub.night(night) for night in found.nights), found.damaged)


def table(found: History) -> tuple[str, ...]:
    """Every series with where it stands, one a line, and the files that do not count."""
    newest = found.nights[-1].night if found.nights else ""
    rows = [("series", "HEAD ÷ baseline", "99% interval", "last finding")]
    for line in lines(clean(found)):
        point, finding = line.last, line.last_finding
        ratio = "–" if point is None or point.ratio is None else f"{point.ratio:.3f}"
        when = "" if point is None or point.night == newest else f" ({point.night[:10]})"
        when = when if point is None or point.counts else " (does not count)"
        said = "–" if finding is None else f"{finding[1].kind} {finding[0][:10]}"
        rows.append((words.plain(line.id), ratio + when, _band(point), said))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    count = len(found.nights)
    text.append(f"{count} {'night' if count == 1 else 'nights'}, the last {newest}.")
    return (*text, *(f"does not count: {file}" for file in _damaged(found)))


def chart(found: History, line: Line) -> tuple[str, ...]:
    """One series night by night, the newest last."""
    nights = clean(found).nights
    changed = {one.place: one for one in breaks(nights)}
    levels = {change.night: change for change in line.changes}
    shown = line.points[-NIGHTS_SHOWN:]
    earlier = len(line.points) - len(shown)
    text = [f"{words.plain(line.name)} ({words.plain(line.id)}), HEAD ÷ baseline"]
    if earlier:
        text.append(f"({earlier} earlier nights; --json has all)")
    text.append(f"{'':>10}  {'':>5}  {_axis()}")
    for point in shown:
        if point.place in changed:
            text.append(_rule(_words(changed[point.place])))
        if point.night in levels:
            level = levels[point.night]
            text.append(_rule(f"change point: {level.before:.3f} to {level.after:.3f}"))
        why = "; ".join(because(nights[point.place]))
        text.append(_night(point, why).rstrip())
    return (*text, *(f"does not count: {file}" for file in _damaged(found)))


def as_record(found: History, line: Line | None) -> SeriesRecord:
    """One series with all nights, or all with their newest."""
    chosen = lines(clean(found)) if line is None else (line,)
    return SeriesRecord(
        format_version=SeriesRecord.FORMAT_VERSION,
        nights=len(found.nights),
        damaged=_damaged(found),
        series=tuple(
            SeriesNights(
                id=each.id,
                name=each.name,
                nights=tuple(
                    SeriesNight(
                        night=point.night,
                        ratio=point.ratio,
                        low=point.low,
                        high=point.high,
                        counts=point.counts,
                        findings=tuple(finding.kind for finding in point.findings),
                        note=point.note,
                    )
                    for point in (each.points if line else each.points[-1:])
                ),
                changes=each.changes,
            )
            for each in chosen
        ),
    )


def _damaged(found: History) -> tuple[str, ...]:
    return tuple(f"{each.path.name}: {scrub.text(each.reason)}" for each in found.damaged)


def _band(point: Point | None) -> str:
    if point is None or point.low is None or point.high is None:
        return "–"
    return f"{point.low:.3f} to {point.high:.3f}"


def _words(one: Break) -> str:
    return f"{one.what} {one.baseline}".strip()


def _rule(said: str) -> str:
    return f"{'':>10}  {'':>5}  ── {said} ──"


def _column(ratio: float) -> int:
    share = (math.log(ratio) / CHART_LOG + 1) / 2
    return min(max(round(share * (CHART_COLUMNS - 1)), 0), CHART_COLUMNS - 1)


def _axis() -> str:
    low, high = math.exp(-CHART_LOG), math.exp(CHART_LOG)
    half = CHART_COLUMNS // 2
    return f"{low:<{half}.2f}1{high:>{half}.2f}"


def _night(point: Point, why: str) -> str:
    said = [finding.kind for finding in point.findings]
    marks: list[str] = [*said, *([point.note] if point.note else [])]
    if not point.counts:
        marks.append(f"does not count: {why}")
    if point.ratio is None:
        return f"{point.night[:10]}  {'–':>5}  {'':{CHART_COLUMNS}}  {', '.join(marks)}"
    cells = [" "] * CHART_COLUMNS
    if point.low is not None and point.high is not None:
        for column in range(_column(point.low), _column(point.high) + 1):
            cells[column] = "-"
    cells[CHART_COLUMNS // 2] = "|"
    cells[_column(point.ratio)] = "o" if point.counts else "x"
    return f"{point.night[:10]}  {point.ratio:.3f}  {''.join(cells)}  {', '.join(marks)}"
