"""Calls that p95s lack: how many, for whom first, and where nothing hangs on them."""

from __future__ import annotations

import msgspec

from phasegate.compare import spend_budget as leftover
from phasegate.compare.connection import Connection
from phasegate.compare.p95_topup import beyond, calls_missing, seconds_for
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.technique import Answer, Parameters, Role, Technique
from phasegate.compare.technique import Arm as TechniqueArm
from phasegate.records.benchmark import Arm, Comparison

MS = 1_000_000


def comparison(id_: str, ms: int, calls: int, *, sql: str = "", plan: str = "") -> Comparison:
    arm = Arm(
        name="old",
        sql=sql or id_,
        block_ns=(float(ms * MS),) * calls,
        call_ns=(ms * MS,) * calls,
        rows=1,
        plan="",
        plan_hash=plan,
        shared_buffers=None,
        statements=1,
    )
    return Comparison(technique=id_, title=id_, stop="precise", before=arm, after=arm)


def technique(id_: str) -> Technique:
    def body(caller: Connection, drawn: Parameters) -> Answer:
        return caller.fetch("select 1 from pg_sleep(0.002)")

    arm = TechniqueArm("old", id_, body)
    return Technique(id_, arm, arm, role=Role.OWNER)


def grouped(*found: Comparison) -> list[list[str]]:
    techniques = {each.technique: technique(each.technique) for each in found}
    return [[each.technique for each in group] for group in leftover.groups(techniques, found)]


def test_a_slow_statement_lacks_calls_up_to_77_and_a_cheap_one_up_to_105() -> None:
    assert calls_missing([200 * MS] * 12) == 65
    assert calls_missing([200 * MS] * 77) == 0
    assert calls_missing([10 * MS] * 77) == 28
    assert seconds_for([200 * MS] * 12, 65) == 0.2 * 65 * 1.15


def test_those_that_cost_least_come_first_and_those_that_lack_nothing_do_not_come() -> None:
    found = grouped(
        comparison("slow", 200, 12), comparison("quick", 20, 12), comparison("enough", 200, 77)
    )
    assert found == [["quick"], ["slow"]]


def test_the_same_statement_with_the_same_plan_is_called_once_for_both() -> None:
    same = [comparison(id_, 100, 12, sql="select", plan="scan") for id_ in ("a", "b")]
    other = comparison("c", 100, 12, sql="select", plan="index")
    assert sorted(grouped(*same, other)) == [["a", "b"], ["c"]]


def test_beyond_its_objective_for_sure_is_what_lies_above_it_with_its_whole_interval() -> None:
    assert beyond([comparison("far", 60, 12), comparison("below", 40, 12)], 50.0) == {"far"}
    # A call in six above it may be chance.
    mixed = comparison("mixed", 40, 6)
    calls = (*mixed.before.call_ns[:5], 90 * MS)
    before = msgspec.structs.replace(mixed.before, call_ns=calls)
    assert beyond([msgspec.structs.replace(mixed, before=before)], 50.0) == set()


def opened(dsn: str, budget_s: float, settled: frozenset[str] = frozenset()) -> BenchmarkSession:
    return BenchmarkSession(
        dsn,
        users=None,
        sha256=None,
        seed=1,
        budget=Budget(budget_s, 1000),
        disabled=False,
        settled=settled,
    )


def test_what_is_left_of_the_budget_goes_to_the_calls_that_are_lacking(populated: str) -> None:
    said: list[str] = []
    with opened(populated, 60) as bench:
        bench.comparison(technique("one"))
        bench.note(comparison("one", 2, 12))  # as if there had been time for no more
        bench.say = said.append
        leftover.spend(bench)
        (found,) = bench.comparisons
    assert said == ["one, alone"]
    assert len(found.before.call_ns) == 12
    assert len(found.before.alone_ns) == 93
    assert min(found.before.alone_ns) >= 2 * MS


def test_nothing_is_called_without_time_or_where_n_star_lies_below(populated: str) -> None:
    for budget_s, settled in ((0.0, frozenset[str]()), (60.0, frozenset({"one"}))):
        with opened(populated, budget_s, settled) as bench:
            bench.comparison(technique("one"))
            bench.note(comparison("one", 200, 12))
            leftover.spend(bench)
            (found,) = bench.comparisons
        assert found.before.alone_ns == ()
