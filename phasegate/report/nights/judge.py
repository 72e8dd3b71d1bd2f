"""What moved in a night: pure rules from one record, the nights before it and their change points.

Reads and writes nothing. Five kinds of finding: slower (measured twice), drift, and three signals
of the server's that are almost free of noise: another plan, more buffers, more statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from phasegate.records import history
from phasegate.records.digest import NightVerdict
from phasegate.records.night import Evidence, Finding, FindingKind, LevelChange, NightRecord, Series
from phasegate.report import format as words
from phasegate.stats import nightly
from phasegate.stats.drift import ChangePoint, rise

# Blocks of one EXPLAIN vary by a few with what vacuum and the index's fill left behind; a tenth
# more, and no fewer than eight, is a page or two per row more than before.
BUFFERS_RATIO_MIN = 1.10
BUFFERS_MORE_MIN = 8

ORDER: tuple[FindingKind, ...] = ("slower", "drift", "statements", "buffers", "plan")


def judge(
    tonight: NightRecord,
    before: Sequence[NightRecord],
    changes: Mapping[str, Sequence[ChangePoint]],
) -> NightRecord:
    """Tonight with its findings, the gravest first, and with what its reader must know.

    Args:
        tonight: as measured, without findings.
        before: the nights recorded so far, in any order, without tonight.
        changes: change points of each series, over those nights and tonight.

    A quarantined night has no finding that rests on times; signals of the server's stay.
    """
    earlier = sorted(
        (night for night in before if night.night < tonight.night), key=lambda night: night.night
    )
    found = [_since(finding, tonight, earlier) for finding in _findings(tonight, changes)]
    found.sort(key=lambda each: (ORDER.index(each.kind), -(each.ratio or 0), each.series))
    judged = msgspec.structs.replace(
        tonight, findings=tuple(found), changes=tuple(_level_changes(changes))
    )
    for note in _notes(tonight, before, earlier):
        judged = history.noted(judged, note)
    return judged


def verdict(night: NightRecord) -> NightVerdict:
    """The night in three words."""
    if not history.counts(night):
        return "does not count"
    return "moved" if night.findings else "nothing moved"


def _level_changes(changes: Mapping[str, Sequence[ChangePoint]]) -> Iterable[LevelChange]:
    for series, points in sorted(changes.items()):
        for point in points:
            yield LevelChange(
                series=series,
                night=point.night,
                before=point.before,
                after=point.after,
                pvalue=point.pvalue,
                detector=point.detector,
            )


def _findings(
    tonight: NightRecord, changes: Mapping[str, Sequence[ChangePoint]]
) -> Iterable[Finding]:
    quiet = history.counts(tonight)
    for series in tonight.series:
        if quiet:
            yield from _slower(series, tonight.night)
            yield from _drift(series, changes.get(series.id, ()))
        if series.head and series.baseline:
            yield from _signals(series, series.head, series.baseline, tonight.night)


def _slower(series: Series, night: str) -> Iterable[Finding]:
    first, second = series.ratios, series.confirmation
    if first is None or second is None:
        return
    if not nightly.slower(np.array(first.logs), np.array(second.logs)):
        return
    yield Finding(
        kind="slower",
        series=series.id,
        ratio=second.estimate,
        low=second.low,
        high=second.high,
        since=night,
        text=(
            f"{series.name}: {words.speed(second.estimate)} than the baseline "
            f"(× {words.interval(second.estimate, second.low, second.high)}, {len(second.logs)} "
            f"blocks in fresh processes; at first "
            f"× {words.interval(first.estimate, first.low, first.high)})"
        ),
    )


def _drift(series: Series, points: Sequence[ChangePoint]) -> Iterable[Finding]:
    found = rise(points)
    if found is None:
        return
    yield Finding(
        kind="drift",
        series=series.id,
        ratio=found.ratio,
        low=None,
        high=None,
        since=found.since,
        text=(
            f"{series.name}: {words.speed(found.ratio)} than in the nights before "
            f"{found.since[:10]} (HEAD ÷ baseline went from {found.before:.3f} to "
            f"{found.after:.3f})"
        ),
    )


def _signals(series: Series, head: Evidence, baseline: Evidence, night: str) -> Iterable[Finding]:
    def finding(kind: FindingKind, ratio: float | None, text: str) -> Finding:
        return Finding(
            kind=kind,
            series=series.id,
            ratio=ratio,
            low=None,
            high=None,
            since=night,
            text=f"{series.name}: {text}",
        )

    if head.plan_hash and baseline.plan_hash and head.plan_hash != baseline.plan_hash:
        yield finding(
            "plan", None, f"another plan than the baseline's ({baseline.plan_hash[:12]} → "
            f"{head.plan_hash[:12]})"
        )  # fmt: skip
    now, then = head.shared_buffers, baseline.shared_buffers
    if (
        now is not None
        and then is not None
        and now - then >= BUFFERS_MORE_MIN
        and now >= then * BUFFERS_RATIO_MIN
    ):
        ratio = now / then if then else None
        yield finding("buffers", ratio, f"{now:,} shared buffers for one call instead of {then:,}")
    if head.statements > baseline.statements:
        ratio = head.statements / baseline.statements if baseline.statements else None
        yield finding(
            "statements", ratio, f"{head.statements} statements for one call instead of "
            f"{baseline.statements}"
        )  # fmt: skip


def _since(finding: Finding, tonight: NightRecord, earlier: Sequence[NightRecord]) -> Finding:
    """`finding`, dated back over the unbroken run of nights that had the same.

    Nights that do not count neither break the run nor begin it; another baseline ends it. A drift
    has its own beginning.
    """
    since = finding.since
    if finding.kind == "drift":
        return finding
    for night in reversed(earlier):
        if not history.counts(night):
            continue
        if night.baseline_commit != tonight.baseline_commit or not any(
            (each.kind, each.series) == (finding.kind, finding.series) for each in night.findings
        ):
            break
        since = night.night
    return msgspec.structs.replace(finding, since=since)


def _notes(
    tonight: NightRecord, before: Sequence[NightRecord], earlier: Sequence[NightRecord]
) -> Iterable[str]:
    later = sum(night.night > tonight.night for night in before)
    if later:
        yield (
            f"The clock went back: {later} recorded {'night lies' if later == 1 else 'nights lie'} "
            "after this one. It stands where its start puts it."
        )
    if not before:
        yield "The first night: there is no history yet, so drift cannot be looked for."
    if not earlier:
        return
    last = earlier[-1]
    if last.machine.cpu != tonight.machine.cpu or last.machine.cores != tonight.machine.cores:
        yield (
            f"Another machine than last night: {tonight.machine.cpu}, {tonight.machine.cores} "
            f"cores, instead of {last.machine.cpu}, {last.machine.cores}. Drift is looked for "
            "among the nights of this machine."
        )
    if None not in {last.baseline_commit, tonight.baseline_commit} and (
        last.baseline_commit != tonight.baseline_commit
    ):
        yield (
            f"The baseline is pinned anew: {str(tonight.baseline_commit)[:12]} instead of "
            f"{str(last.baseline_commit)[:12]}. The series begin anew."
        )
