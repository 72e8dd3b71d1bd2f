"""What a night says, outcome by outcome: golden texts, and the rules behind them."""

from __future__ import annotations

import msgspec
import pytest

from phasegate.records.history import History
from phasegate.records.night import Evidence
from phasegate.report import nights as room
from phasegate.stats.drift import ChangePoint

STEP = ChangePoint(
    night="2026-10-21T021500Z", index=20, before=1.002, after=1.054, pvalue=1e-8, nights_after=4
)


def said(tonight, before=(), changes=None) -> str:
    judged = room.judge(tonight, before, changes or {})
    return room.summary(judged, History((*before, judged)))


def evidence(plan: str = "aaaa1111", buffers: int | None = 24, statements: int = 1) -> Evidence:
    return Evidence(plan_hash=plan, shared_buffers=buffers, statements=statements)


def found(tonight, before=(), changes=None) -> list[tuple[str, str]]:
    judged = room.judge(tonight, before, changes or {})
    return [(finding.kind, finding.series) for finding in judged.findings]


@pytest.fixture
def month(nights):
    """Twenty-three quiet nights."""
    return tuple(nights.night(day) for day in range(23))


def test_a_quiet_night(nights, month, golden):
    golden.check("quiet.md", said(nights.night(23), month))


def test_a_regression(nights, month, golden):
    tonight = nights.night(
        23,
        nights.slower(),
        nights.series("matview"),
        commits=("abc1234 Fetch tasks page by page", "def5678 Index anew"),
        files_changed={"stack/sql": 3},
    )
    golden.check("regression.md", said(tonight, month))


def test_a_drift(nights, month, golden):
    changes = {"sql/join/after": (STEP,)}
    golden.check("drift.md", said(nights.night(23), month, changes))


def test_a_change_of_plan(nights, month, golden):
    tonight = nights.night(
        23, nights.series(head=evidence("bbbb2222", 80, 2)), nights.series("matview")
    )
    golden.check("plan.md", said(tonight, month))


def test_the_first_night_without_history(nights, golden):
    golden.check("first.md", said(nights.night(0)))


def test_a_missing_baseline(nights, month, golden):
    tonight = nights.night(
        23,
        nights.series(ratios=None, head=None, baseline=None, note="not in the baseline"),
        baseline="v0.0.9",
        baseline_commit=None,
        notes=("There is no commit v0.0.9 in this checkout: fetch its tags.",),
    )
    golden.check("no-baseline.md", said(tonight, month))


def test_a_quarantined_night(nights, month, golden):
    tonight = nights.night(
        23,
        nights.slower(),
        nights.series("matview", head=evidence("bbbb2222")),
        circumstances=nights.circumstances("14% of the processor went to other tenants (limit 5%)"),
    )
    golden.check("quarantined.md", said(tonight, month, {"sql/join/after": (STEP,)}))


def test_another_machine(nights, month, golden):
    plain = nights.night(23)
    other = msgspec.structs.replace(plain.machine, cpu="Intel Xeon Platinum 8370C", cores=2)
    golden.check("machine.md", said(msgspec.structs.replace(plain, machine=other), month))


def test_a_baseline_pinned_anew_is_noted(nights, month):
    judged = room.judge(nights.night(23, baseline_commit="e" * 40), month, {})
    assert judged.notes == (
        "The baseline is pinned anew: eeeeeeeeeeee instead of bbbbbbbbbbbb. The series begin anew.",
    )


def test_a_clock_that_went_back_is_noticed(nights):
    later = [nights.night(9), nights.night(10)]
    judged = room.judge(nights.night(5), [nights.night(1), *later], {})
    assert judged.notes[0].startswith("The clock went back: 2 recorded nights lie after this one.")


def test_it_takes_both_measurements_to_be_slower(nights):
    assert found(nights.night(0, nights.slower())) == [("slower", "sql/join/after")]
    unconfirmed = nights.series(ratio=1.08, confirmation=nights.ratios(0.99))
    assert found(nights.night(0, unconfirmed)) == []
    assert found(nights.night(0, nights.series(ratio=1.08))) == []
    assert found(nights.night(0, nights.series(ratio=0.9, confirmation=nights.ratios(0.9)))) == []


def test_judging_adds_and_changes_nothing_else(nights):
    tonight = nights.night(0, nights.slower())
    judged = room.judge(tonight, (), {})
    plain = msgspec.structs.replace(judged, findings=(), notes=())
    assert plain == tonight


def test_a_change_point_towards_faster_is_kept_but_is_no_finding(nights, month):
    mended = ChangePoint("2026-10-21T021500Z", 20, 1.05, 1.0, 1e-8, 4)
    judged = room.judge(nights.night(23), month, {"sql/join/after": (mended,)})
    assert judged.findings == ()
    assert [change.after for change in judged.changes] == [1.0]


def test_a_finding_is_dated_back_over_the_nights_that_had_it(nights):
    slow = [nights.night(day, nights.slower()) for day in range(5)]
    quiet = [nights.night(0), nights.night(1)]
    before = list(quiet)
    for night in slow[2:]:
        before.append(room.judge(night, before, {}))
    tonight = room.judge(nights.night(5, nights.slower()), before, {})
    assert tonight.findings[0].since == slow[2].night


def test_a_night_that_does_not_count_does_not_break_the_run(nights):
    first = room.judge(nights.night(1, nights.slower()), (), {})
    bad = room.judge(
        nights.night(2, nights.slower(), circumstances=nights.circumstances("busy")), (), {}
    )
    tonight = room.judge(nights.night(3, nights.slower()), (first, bad), {})
    assert tonight.findings[0].since == first.night
    quiet = room.judge(nights.night(2), (), {})
    tonight = room.judge(nights.night(3, nights.slower()), (first, quiet), {})
    assert tonight.findings[0].since == tonight.night


def test_beside_another_baseline_a_finding_is_a_new_one(nights):
    old = room.judge(nights.night(1, nights.slower(), baseline_commit="e" * 40), (), {})
    tonight = room.judge(nights.night(2, nights.slower()), (old,), {})
    assert tonight.findings[0].since == tonight.night


@pytest.mark.parametrize(
    ("head", "kinds"),
    [
        (evidence(), []),
        (evidence(buffers=31), []),  # 7 more blocks
        (evidence(buffers=32), ["buffers"]),
        (evidence(buffers=10), []),
        (evidence(buffers=None), []),
        (evidence(statements=2), ["statements"]),
        (evidence(plan="bbbb2222"), ["plan"]),
        (evidence(plan=""), []),
        (evidence("bbbb2222", 100, 21), ["statements", "buffers", "plan"]),
    ],
)
def test_the_servers_signals(nights, head, kinds):
    assert [kind for kind, _ in found(nights.night(0, nights.series(head=head)))] == kinds


def test_a_tenth_more_of_many_buffers_is_asked_for(nights):
    series = nights.series(head=evidence(buffers=1099), baseline=evidence(buffers=1000))
    assert found(nights.night(0, series)) == []
    series = nights.series(head=evidence(buffers=1100), baseline=evidence(buffers=1000))
    assert found(nights.night(0, series)) == [("buffers", "sql/join/after")]


def test_the_gravest_comes_first(nights):
    tonight = nights.night(
        0,
        nights.series("a", head=evidence("bbbb2222")),
        nights.slower("b", 1.07),
        nights.slower("c", 1.2),
    )
    assert found(tonight) == [
        ("slower", "sql/c/after"), ("slower", "sql/b/after"), ("plan", "sql/a/after"),
    ]  # fmt: skip
