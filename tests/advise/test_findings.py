"""Verdicts from times that are written here, and the words that people read."""

from __future__ import annotations

import pytest

from phasegate.advise.candidate import Candidate
from phasegate.advise.findings import UNASKED, Seen, findings
from phasegate.advise.measure import Measured
from phasegate.advise.statements import Seen as Statement
from phasegate.model.catalogue import load as load_catalogue
from phasegate.records.advice import AdviceRecord, Finding
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison
from phasegate.report.advice import rows, summary, table

STATEMENT = Statement("select 1", 100, 1000.0)
BLOCKS = 20


def arm(ms: float, spread: float = 0.001) -> Arm:
    ns = [ms * 1e6 * (1 + spread * (n % 3)) for n in range(BLOCKS)]
    return Arm(
        name="x", sql="select 1", block_ns=tuple(ns), call_ns=tuple(map(int, ns)) * 4,
        calls_per_block=4, rows=1, plan="", plan_hash="p", shared_buffers=None, statements=1,
    )  # fmt: skip


def candidate(id_: str, kind: str = "index", calls: int = 200, **more: object) -> Candidate:
    plain: dict[str, object] = {
        "id": id_, "kind": kind, "table": "public.t", "title": id_, "why": "seen",
        "technique": {}, "files": {}, "seen": STATEMENT, "calls": calls,
    }  # fmt: skip
    return Candidate(**{**plain, **more})  # type: ignore[arg-type]


def judged(
    *measured: tuple[Candidate, float, float], sessions: int = 100, spread: float = 0.001
) -> dict[str, Finding]:
    """Of candidates with milliseconds before and after, at 1,000 users and ten times that."""
    records = [
        BenchmarkRecord(
            format_version=1, users=users, seed=1, sha256="", started_at="", server_version="",
            comparisons=tuple(
                Comparison(technique=each.id, title=each.id, stop="precise",
                           before=arm(before * factor), after=arm(after * factor, spread))
                for each, before, after in measured
            ),
        )
        for users, factor in ((1_000, 0.1), (10_000, 1.0))
    ]  # fmt: skip
    made = findings(
        [each for each, _, _ in measured],
        Measured(tuple(records), {}),
        Seen(sessions, 1e9),
        load_catalogue(),
    )
    return {each.id: each for each in made}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(100, 2, "needed"), (20, 2, "not needed yet"), (20, 20, "no difference"), (20, 40, "harmful")],
)
def test_the_verdict_follows_from_the_ratio_and_from_the_objective(
    before: float, after: float, expected: str
) -> None:
    assert judged((candidate("a"), before, after))["a"].advice == expected


def test_where_the_statement_breaks_its_objective_is_between_the_sizes() -> None:
    found = judged((candidate("a"), 100, 2))["a"]
    assert found.needed_from is not None
    # p95 grows from 10 to 100 ms in proportion to the users: 50 ms at 5,000.
    assert found.needed_from == pytest.approx(5_000, rel=0.01)
    assert "needed from 5k users on" in " ".join(rows(found))


def test_what_nobody_asks_for_is_not_needed_whatever_it_would_save() -> None:
    found = judged((candidate("a", calls=0), 100, 2))["a"]
    assert (found.advice, found.note, found.saves_usd_per_month) == (
        "not needed yet", UNASKED, 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(("after", "expected"), [(20, "can be dropped"), (30, "harmful")])
def test_an_index_can_go_where_nothing_is_slower_without_it(after: float, expected: str) -> None:
    assert judged((candidate("d", "unused index"), 20, after))["d"].advice == expected


@pytest.mark.parametrize(("after", "expected"), [(22, "can be dropped"), (30, "harmful")])
def test_a_duplicate_can_go_where_its_twin_is_read_a_little_more_slowly(
    after: float, expected: str
) -> None:
    assert judged((candidate("d", "duplicate index"), 20, after))["d"].advice == expected


@pytest.mark.parametrize("kind", ["unused index", "duplicate index"])
def test_an_index_can_go_although_noise_leaves_it_open_whether_something_is_a_little_slower(
    kind: str,
) -> None:
    found = judged((candidate("d", kind), 20, 20.1), spread=0.04)["d"]
    ratio = found.sizes[-1]
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < 1.05 < ratio.high
    assert found.advice == "can be dropped"


def test_of_two_indexes_that_do_as_well_the_simpler_one_is_advised() -> None:
    found = judged((candidate("idx_a_b"), 100, 2.05), (candidate("idx_a_b_c"), 100, 2))
    assert (found["idx_a_b"].advice, found["idx_a_b_c"].advice) == ("needed", "covered")
    better = judged((candidate("idx_a_b"), 100, 4), (candidate("idx_a_b_c"), 100, 2))
    assert (better["idx_a_b"].advice, better["idx_a_b_c"].advice) == ("covered", "needed")


def test_an_index_that_carries_columns_gives_way_to_whatever_does_more() -> None:
    found = judged((candidate("idx_a_with"), 100, 40), (candidate("page", "offset"), 100, 1))
    assert (found["idx_a_with"].advice, found["page"].advice) == ("covered", "needed")


def test_cores_and_dollars_are_those_of_the_statement_s_own_calls() -> None:
    found = judged((candidate("a"), 1000, 10))["a"]
    catalogue = load_catalogue()
    calls_per_s = catalogue.workload.arrival_rate_per_s(10_000) * 2  # 200 calls in 100 sessions
    saved = calls_per_s * (1.001 - 0.01001) / catalogue.usage.cpu_share_max
    assert found.saves_cores == pytest.approx(saved, rel=0.01)
    assert found.saves_usd_per_month is not None
    unknown = judged((candidate("a"), 1000, 10), sessions=0)["a"]
    assert (unknown.saves_cores, unknown.calls_per_session) == (None, None)


def test_the_table_says_what_was_seen_and_what_was_not_measured() -> None:
    (found,) = findings(
        [candidate("a")], Measured((), {"a": "it fails"}), Seen(1, 0.0), load_catalogue()
    )
    record = AdviceRecord(
        format_version=1, started_at="", seed=1, sizes=(1_000,), level=1, seen_on="our copy",
        statements=3, unread=1, sessions=7, findings=(found,),
    )  # fmt: skip
    assert "From 3 statements (1 could not be read or sent again) seen on our copy" in summary(
        record
    )
    assert table(record).rows[0][:3] == ("a (a)", "not measured", "it fails")
