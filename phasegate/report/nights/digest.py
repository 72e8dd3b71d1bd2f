"""A night in a page: what moved, on what evidence, who is suspect, where to look first. Pure.

Takes the night's record and the history; gives a `DigestRecord`, and Markdown: a page made of it,
and the summary for a pull request or `$GITHUB_STEP_SUMMARY`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from phasegate.records import history, scrub
from phasegate.records.digest import DigestRecord, Measured, Moved, Trust, Unmeasured
from phasegate.records.history import History
from phasegate.records.night import Finding, NightRecord, Ratios, Series
from phasegate.report import format as words
from phasegate.report import page
from phasegate.report.nights.judge import verdict

# From here on a slow-down is nobody's query: what all series share has changed.
SHARED_SHARE_MIN = 0.5
SHARED_SERIES_MIN = 4


def digest(record: NightRecord, found: History) -> DigestRecord:
    """The digest of one night; free text is scrubbed (`records.scrub`)."""
    record = scrub.night(record)
    series = {each.id: each for each in record.series}
    nights = tuple(night for night in found.nights if night.night != record.night)
    circumstances = record.circumstances
    return DigestRecord(
        format_version=DigestRecord.FORMAT_VERSION,
        night=record.night,
        verdict=verdict(record),
        because=because(record),
        commit=record.commit,
        baseline=record.baseline,
        baseline_commit=record.baseline_commit,
        users=record.users,
        cpu=record.machine.cpu,
        cores=record.machine.cores,
        server_version=record.server.version if record.server else None,
        trust=None
        if circumstances is None
        else Trust(
            false_alarms=circumstances.false_alarms,
            pairs=circumstances.pairs,
            found=circumstances.found,
            injections=circumstances.injections,
            steal_share=circumstances.steal_share,
            busy_share=circumstances.busy_share,
            load_1m=circumstances.load_1m,
        ),
        moved=tuple(
            _moved(finding, series.get(finding.series), record, nights)
            for finding in record.findings
        ),
        measured=sum(each.ratios is not None for each in record.series),
        unmeasured=tuple(
            Unmeasured(series=each.id, why=each.note)
            for each in record.series
            if each.ratios is None
        ),
        commits=record.commits,
        files_changed=record.files_changed,
        look_at=tuple(_look_at(record, series)),
        notes=record.notes,
        nights=len(nights) + 1,
        damaged=tuple(f"{each.path.name}: {scrub.text(each.reason)}" for each in found.damaged),
    )


def because(record: NightRecord) -> tuple[str, ...]:
    """Why a night does not count; empty where it does."""
    reasons = []
    if record.baseline_commit is None:
        reasons.append("the baseline could not be found or built")
    elif record.circumstances is None:
        reasons.append("nothing was measured")
    return (*reasons, *(record.circumstances.quarantine if record.circumstances else ()))


def markdown(found: DigestRecord) -> str:
    """The digest as Markdown, for pasting."""
    template = page.environment(escape=False).get_template("night_digest.md")
    return template.render(digest=found)


def _measured(ratios: Ratios | None) -> Measured | None:
    if ratios is None:
        return None
    return Measured(
        ratio=ratios.estimate, low=ratios.low, high=ratios.high, blocks=len(ratios.logs)
    )


def _moved(
    finding: Finding, series: Series | None, record: NightRecord, before: Sequence[NightRecord]
) -> Moved:
    head, baseline = (series.head, series.baseline) if series else (None, None)
    counted = sum(
        history.counts(night) and finding.since <= night.night < record.night for night in before
    )
    return Moved(
        kind=finding.kind,
        series=finding.series,
        name=series.name if series else finding.series,
        text=finding.text,
        ratio=finding.ratio,
        since=finding.since,
        nights=counted + 1,
        first=_measured(series.ratios if series else None),
        confirmation=_measured(series.confirmation if series else None),
        plan_baseline=(baseline.plan_hash or None) if baseline else None,
        plan_head=(head.plan_hash or None) if head else None,
        buffers_baseline=baseline.shared_buffers if baseline else None,
        buffers_head=head.shared_buffers if head else None,
        statements_baseline=baseline.statements if baseline else None,
        statements_head=head.statements if head else None,
    )


def _look_at(record: NightRecord, series: dict[str, Series]) -> Iterable[str]:
    """What to do, in order: facts first, then what explains them, then who."""
    if not history.counts(record):
        yield (
            "This night does not count: " + "; ".join(because(record)) + ". Believe no time of "
            "it; run the nightly again."
        )
    kinds: dict[str, set[str]] = {}
    for finding in record.findings:
        kinds.setdefault(finding.series, set()).add(finding.kind)
    slower = [name for name, kind in kinds.items() if kind & {"slower", "drift"}]
    measured = sum(each.ratios is not None for each in record.series)
    shared = len(slower) >= SHARED_SERIES_MIN and len(slower) >= measured * SHARED_SHARE_MIN
    if shared:
        yield (
            f"{len(slower)} of {measured} series moved together: look at what they share (the "
            "driver, the measuring code, the server's settings or version) before any one query."
        )
    for name, kind in kinds.items():
        said = _advice(name, kind, series.get(name))
        if said and not (shared and kind <= {"slower", "drift"}):
            yield said
    if record.findings and record.commits:
        between = f"{str(record.baseline_commit)[:12]}..{record.commit[:12]}"
        yield (
            "Suspects: the commits listed here that touch what these series run; "
            f"`git log {between} -- stack benchmarks` has them."
        )
    if any(finding.kind == "plan" for finding in record.findings) and not slower:
        yield "If the change of plan is meant, pin the baseline anew once it is merged."


def _advice(name: str, kind: set[str], series: Series | None) -> str:
    head = series.head if series else None
    if "statements" in kind and head:
        return (
            f"`{name}` sends {head.statements} statements for one call, more than the baseline: "
            "look for a query in a loop (N+1)."
        )
    if "plan" in kind and kind & {"slower", "drift"}:
        return (
            f"`{name}` is slower and its plan is another: compare EXPLAIN (ANALYZE, BUFFERS) on "
            "both commits; a missing index or a changed predicate comes first."
        )
    if "buffers" in kind:
        return f"`{name}` reads more blocks for the same rows: look at its indexes and row width."
    if "slower" in kind:
        return (
            f"`{name}` is slower with the baseline's plan, buffers and statements: look at the "
            "code around the query (encoding, round trips, pool), not at its SQL."
        )
    if "drift" in kind:
        return (
            f"`{name}` rose over nights: `phasegate history {name}` shows since when; no single "
            "commit need be the cause."
        )
    return ""


def summary(record: NightRecord, found: History) -> str:
    """What moved, on what evidence, and every series with its ratio; free text is scrubbed.

    Args:
        record: the night, judged.
        found: the history, with or without it.
    """
    record = scrub.night(record)
    template = page.environment(escape=False).get_template("night_summary.md")
    return template.render(
        digest=digest(record, found),
        rows=[_row(series) for series in record.series if series.ratios is not None],
        wall_s=record.wall_s,
        dirty=record.dirty,
    )


def _row(series: Series) -> dict[str, str]:
    first, second = series.ratios, series.confirmation
    combined = history.combined(series)
    return {
        "id": series.id,
        "name": series.name,
        "means": "–" if combined is None else words.speed(combined),
        "first": words.interval(first.estimate, first.low, first.high) if first else "–",
        "second": words.interval(second.estimate, second.low, second.high) if second else "",
        "blocks": str(len(first.logs)) if first else "–",
    }
