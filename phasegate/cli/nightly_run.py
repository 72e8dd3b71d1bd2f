"""`phasegate nightly`: measure → look for drift → judge → keep → summarise, in this order.

Writes one file to the history folder, `nightly/summary.md` and `history.html` beside that folder;
leaves no process, database or worktree behind, however it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from phasegate.cli import console
from phasegate.model.catalogue import Catalogue
from phasegate.model.errors import CannotMeasure, DoesNotHold, Refused
from phasegate.nightly import drift
from phasegate.nightly.measure import Plan, measure
from phasegate.records import history, store
from phasegate.records.faults import require_writable
from phasegate.records.night import NightRecord
from phasegate.report import nights
from phasegate.stack.cache import cache_dir, locked
from phasegate.stats.drift import ChangePoint

SUMMARY = Path("nightly", "summary.md")
PAGE = "history.html"


def night(plan: Plan, catalogue: Catalogue, folder: Path) -> tuple[NightRecord, Path]:
    """Carry `plan` out; the judged record, which is in `folder` now, and the summary's path.

    Raises:
        Refused: another phasegate is at work, or a night of this very second is there already.
        ConfigurationError: this is no git checkout.
        CannotMeasure: HEAD itself cannot be measured; nothing was recorded.
    """
    with locked(cache_dir(), "phasegate nightly"):
        require_writable(folder, purpose="the history")
        require_writable(folder.parent / SUMMARY.parent, purpose="the summary")
        with console.step("measure HEAD and baseline") as show:
            record = measure(plan, catalogue, show)
        before = history.read(folder)
        if record.night in {each.night for each in before.nights}:  # a clock that went back
            raise Refused(
                f"A record of night {record.night} exists already",
                untouched="It was not overwritten",
                then="Correct the clock, then measure again",
            )
        with console.step("drift"):
            changes, note = _changes((*before.nights, record))
        judged = nights.judge(record, before.nights, changes)
        if note:
            judged = history.noted(judged, note)
        history.write(folder, judged)
        found = history.read(folder)
        summary = folder.parent / SUMMARY
        store.replace(summary, nights.summary(judged, found).encode())
        nights.build(found, folder.parent / PAGE)
    return judged, summary


def _changes(
    kept: Sequence[NightRecord],
) -> tuple[Mapping[str, Sequence[ChangePoint]], str]:
    """Change points, and a note where they could not be looked for."""
    try:
        return drift.change_points(kept), ""
    except CannotMeasure as error:
        return {}, f"Judged without drift: {error.what}. {error.then}."


def conclude(record: NightRecord) -> None:
    """Return where nothing moved.

    Raises:
        CannotMeasure: the night does not count.
        DoesNotHold: something moved.
    """
    if record.baseline_commit is None:
        raise CannotMeasure(
            f"HEAD could not be compared with {record.baseline!r}",
            untouched="The night was recorded with its A/A comparisons only",
            then="Its notes say why",
        )
    if not history.counts(record):
        reasons = record.circumstances.quarantine if record.circumstances else ()
        raise CannotMeasure(f"The night was recorded, but does not count: {'; '.join(reasons)}")
    if record.findings:
        names = ", ".join(dict.fromkeys(each.series for each in record.findings))
        raise DoesNotHold(f"Something moved: {names}")
