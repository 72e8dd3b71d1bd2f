"""Findings in words and as a table: candidates that `phasegate advise` measured. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from phasegate.records.advice import AdviceRecord, Finding
from phasegate.report.format import (
    interval,
    listed,
    milliseconds,
    rounded,
    significant,
    size,
    users,
)
from phasegate.report.tables import Table

# A core shown smaller than this is none.
CORES_SHOWN_FROM = 0.01


def summary(record: AdviceRecord) -> str:
    """How many, and on what they rest."""
    needed = sum(each.advice == "needed" for each in record.findings)
    where = record.seen_on
    sessions = f" in {record.sessions:,} sessions" if record.sessions else ""
    sizes = listed([users(each) for each in record.sizes])
    unread = f" ({record.unread} could not be read or sent again)" if record.unread else ""
    return (
        f"{needed} of {len(record.findings)} candidates needed up to {users(record.sizes[-1])} "
        f"users. From {record.statements} statements{unread} seen on {where}{sessions}, measured "
        f"with {sizes} users at level {record.level}."
    )


def effect(finding: Finding) -> str:
    """`× 0.08 (0.07 to 0.09), p95 120 ms → 9 ms with 10k users`."""
    if not finding.sizes:
        return finding.reason
    last = finding.sizes[-1]
    if last.ratio is None or last.low is None or last.high is None:
        ratio = "too few blocks for a ratio"
    else:
        ratio = "after/before " + interval(last.ratio, last.low, last.high)
    return (
        f"{ratio}, p95 {milliseconds(last.before_ms_p95)} → {milliseconds(last.after_ms_p95)} "
        f"with {users(last.users)} users"
    )


def since(finding: Finding) -> str:
    """From how many users on it is needed."""
    if finding.advice != "needed":
        return ""
    if finding.needed_from is not None:
        on_reference = finding.needed_from_reference
        there = f" ({users(rounded(on_reference))} on the reference core)" if on_reference else ""
        return f"needed from {users(rounded(finding.needed_from))} users on{there}"
    low, high = finding.needed_from_low, finding.needed_from_high
    if low is None and high is not None and high <= finding.sizes[0].users:
        return f"needed with {users(finding.sizes[0].users)} users already"
    if high is None and low is None:
        return f"needed with {users(finding.sizes[0].users)} users already"
    between = [f"{users(rounded(each))}" for each in (low, high) if each is not None]
    return f"needed from {' to '.join(between)} users on"


def costs(finding: Finding) -> str:
    """What it takes, and what writes pay; of an index that can go, what is saved."""
    said = []
    for cost in finding.costs:
        if cost.unit == "×":
            value = f"× {interval(cost.value, cost.low, cost.high)}"
        elif cost.unit == "bytes":
            value = size(cost.value)
        else:
            value = f"{significant(cost.value)} {cost.unit}"
        said.append(f"{cost.name} {value}")
    return ", ".join(said)


def saves(finding: Finding) -> str:
    """Cores and dollars a month at the largest size."""
    cores = finding.saves_cores
    if cores is None or abs(cores) < CORES_SHOWN_FROM or not finding.sizes:
        return ""
    at = users(finding.sizes[-1].users)
    usd = finding.saves_usd_per_month
    if usd is None:
        money = ", and no plan is enough without it"
    else:
        money = f", ${usd:,.0f} a month" if usd >= 1 else ""
    return f"saves {significant(cores)} cores{money} with {at} users"


def rows(finding: Finding) -> Iterator[str]:
    """Lines for a terminal: what, why, what it does, what it costs and saves."""
    yield f"{finding.title}: {finding.why}"
    yield "; ".join(filter(None, (effect(finding), since(finding))))
    rest = "; ".join(
        filter(None, (costs(finding), saves(finding), finding.note, _covered(finding)))
    )
    if rest:
        yield rest


def _covered(finding: Finding) -> str:
    by = finding.covered_by
    return f"your technique {by} does the same: phasegate sql {by}" if by else ""


def table(record: AdviceRecord) -> Table:
    """A row of each finding; on the page."""
    made = [
        (
            f"{each.title} ({each.id})",
            each.advice,
            "; ".join(filter(None, (effect(each), since(each), costs(each), saves(each)))),
            "; ".join(filter(None, (each.why, each.note, _covered(each)))),
        )
        for each in record.findings
    ]
    return Table(("Candidate", "Verdict", "Effect, cost", "Why"), tuple(made))
