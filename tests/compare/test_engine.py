"""The measuring engine on a real server: what is interleaved, compared, refused, rolled back."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from phasegate.compare import engine
from phasegate.compare.connection import Connection
from phasegate.compare.dataset import draw_population
from phasegate.compare.engine import measure
from phasegate.compare.libpq import Row
from phasegate.compare.p95_topup import CALLS_OF_A_SIZE
from phasegate.compare.technique import Answer, Arm, Parameters, Role, Technique
from phasegate.model.errors import CannotMeasure
from phasegate.project import load_project
from phasegate.records.benchmark import Comparison
from phasegate.stack.levels import apply_level
from phasegate.stats.paired import ComparisonResult, judge, ratio


def arm(name: str, sql: str, *, with_user: bool = False, arrange: str = "") -> Arm:
    def body(caller: Connection, drawn: Parameters) -> Answer:
        return caller.fetch(sql, *([drawn.sub] if with_user else []))

    return Arm(name, sql, body, arrange)


def compared(dsn: str, technique: Technique, *, budget_s: float = 0.5) -> Comparison:
    caller = Connection(dsn)
    try:
        return measure(
            (caller, caller),
            technique,
            draw_population(caller, load_project(), 1),
            title="under test",
            budget_s=budget_s,
            rng=random.Random(1),
        )
    finally:
        caller.close()


def value(dsn: str, query: str) -> str | None:
    caller = Connection(dsn)
    try:
        return caller.once(query).column(0)[0]
    finally:
        caller.close()


def test_a_known_slow_down_is_measured_as_what_it_is(populated: str) -> None:
    found = compared(
        populated,
        Technique(
            "known",
            before=arm("5 ms", "select 1 from pg_sleep(0.005)"),
            after=arm("10 ms", "select 1 from pg_sleep(0.010)"),
        ),
        budget_s=1.5,
    )
    measured = ratio(found.before.block_ns, found.after.block_ns)
    # Its interval holds the truth; a tenth more, since sleeps are late on a busy machine.
    assert measured.low / 1.1 <= 2.0 <= measured.high * 1.1
    assert judge(measured) is ComparisonResult.REGRESSED
    assert len(found.before.call_ns) == len(found.before.block_ns) * found.before.calls_per_block


def test_each_block_runs_both_arms_once_in_an_order_that_changes(populated: str) -> None:
    calls: list[tuple[str, Parameters]] = []

    def noting(name: str) -> Arm:
        def body(caller: Connection, drawn: Parameters) -> Answer:
            calls.append((name, drawn))
            return caller.fetch("select 1 from pg_sleep(0.03)")

        return Arm(name, "", body)

    found = compared(populated, Technique("order", noting("a"), noting("b")), budget_s=1.6)
    # Too slow for more than one call in a block, after a rehearsal. In one state of affairs no call
    # goes before those that are timed.
    blocks = [calls[2 * i : 2 * i + 2] for i in range(1, len(found.before.block_ns) + 1)]
    firsts = [block[0][0] for block in blocks]
    assert set(firsts) == {"a", "b"}
    for block in blocks:
        assert sorted(name for name, _ in block) == ["a", "b"]
        assert len({drawn for _, drawn in block}) == 1


def test_arms_with_other_contents_are_an_error_even_if_they_have_as_many_rows(
    populated: str,
) -> None:
    technique = Technique("differ", arm("one", "select 1"), arm("two", "select 2"))
    with pytest.raises(CannotMeasure, match=r"return different rows.*different contents"):
        compared(populated, technique)


def test_arms_with_other_rows_are_an_error_that_names_the_counts(populated: str) -> None:
    technique = Technique(
        "differ", arm("one", "select 1"), arm("two", "select generate_series(1, 2)")
    )
    with pytest.raises(CannotMeasure, match="'one' gave 1 rows, 'two' gave 2"):
        compared(populated, technique)


def test_a_statement_that_fails_is_named_with_its_arm_and_rolled_back(populated: str) -> None:
    technique = Technique(
        "fails",
        arm("good", "select 1"),
        arm("bad", "select 1 / 0", arrange="delete from activity_logs"),
        role=Role.OWNER,
    )
    with pytest.raises(CannotMeasure, match=r"fails: the statement of arm 'bad' fails: division"):
        compared(populated, technique)
    assert value(populated, "select count(*) from activity_logs") == "24000"


def test_an_arranged_arm_sees_its_own_plan_and_leaves_no_trace(populated: str) -> None:
    apply_level(populated, 2)
    sql = "select id from tasks where user_id = $1 order by created_at desc limit 20"
    technique = Technique(
        "index",
        arm("none", sql, with_user=True, arrange="drop index idx_tasks_user_created"),
        arm("index", sql, with_user=True),
    )
    found = compared(populated, technique)
    assert "Seq Scan on tasks" in found.before.plan
    assert "idx_tasks_user_created" in found.after.plan
    assert found.before.plan_hash != found.after.plan_hash
    assert found.before.shared_buffers is not None
    assert found.after.shared_buffers is not None
    assert found.before.shared_buffers > found.after.shared_buffers
    assert value(populated, "select to_regclass('idx_tasks_user_created')")


def test_arms_run_under_row_level_security_as_the_drawn_user(populated: str) -> None:
    sql = "select (select count(distinct user_id) from tasks), current_user::text"
    seen: list[Row] = []

    def body(caller: Connection, drawn: Parameters) -> Answer:
        rows = caller.fetch(sql)
        seen.extend(rows())
        return rows

    compared(populated, Technique("rls", Arm("a", sql, body), Arm("b", sql, body)), budget_s=0.2)
    assert set(seen) == {("1", "authenticated")}


def test_a_request_is_four_round_trips_and_ends_its_transaction(populated: str) -> None:
    sql = "select count(distinct user_id), count(*) > 0 from tasks"

    def body(caller: Connection, drawn: Parameters) -> Answer:
        return caller.request(drawn.sub, sql)

    technique = Technique("request", Arm("a", sql, body), Arm("b", sql, body), requests=True)
    found = compared(populated, technique, budget_s=0.2)
    assert found.before.statements == 4


def test_a_budget_too_small_for_six_blocks_is_named_once_a_call_was_seen(
    populated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "OVERRUN_S_MAX", 0.1)
    calls = itertools.count(1)

    def body(caller: Connection, drawn: Parameters) -> Answer:
        next(calls)
        return caller.fetch("select 1 from pg_sleep(0.2)")

    slow = Arm("slow", "", body)
    with pytest.raises(
        CannotMeasure, match=r"budget of 0.0 s is too small: the 6 blocks .* [2-9] s"
    ):
        compared(populated, Technique("slow", slow, slow), budget_s=0.01)
    assert next(calls) == 3  # one of each arm


def test_a_statement_that_turns_slow_is_given_up_and_named(
    populated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "OVERRUN_S_MAX", 0.3)
    calls = itertools.count()

    def body(caller: Connection, drawn: Parameters) -> Answer:
        return caller.fetch(f"select 1 from pg_sleep({0.025 if next(calls) < 4 else 0.2})")

    turning = Arm("turning", "", body)
    with pytest.raises(CannotMeasure, match=r"budget of 0.1 s is too small: \d blocks took"):
        compared(populated, Technique("turning", turning, turning), budget_s=0.1)


def test_measuring_ends_when_the_interval_is_narrow_or_time_is_up(populated: str) -> None:
    # No second is enough for an interval of these; blocks fit into it on a busy machine too.
    noisy = arm("a", "select 1 from pg_sleep(0.03 * random())")
    assert compared(populated, Technique("t", noisy, noisy), budget_s=1).stop == "budget"
    steady, wide = (arm(str(s), f"select 1 from pg_sleep({s})") for s in (0.001, 0.02))
    assert compared(populated, Technique("t", steady, wide), budget_s=20).stop == "precise"


def test_a_plan_that_changes_while_it_is_measured_is_marked(populated: str) -> None:
    apply_level(populated, 2)
    sql = "select count(*) >= 0 from tasks where user_id = $1"
    calls = itertools.count()

    def body(caller: Connection, drawn: Parameters) -> Answer:
        if next(calls) == 60:
            caller.execute("drop index idx_tasks_user_created; commit; begin")
        return caller.fetch(sql, drawn.sub)

    wandering = Arm("wandering", sql, body)
    found = compared(populated, Technique("t", wandering, wandering, role=Role.OWNER))
    assert any("changed from" in note for note in found.notes)


def test_a_generic_plan_of_another_shape_is_marked_and_one_of_the_same_is_not(
    populated: str,
) -> None:
    # Knowing the moment, the planner reads one partition; not knowing it, it appends them all.
    sql = "select count(*) >= 0 from activity_logs_partitioned where created_at = $1"

    def body(caller: Connection, drawn: Parameters) -> Answer:
        caller.execute("set local plan_cache_mode = force_generic_plan")
        return caller.fetch(sql, "2026-05-10")

    other = Arm("other", sql, body)
    marked = compared(populated, Technique("generic", other, other, role=Role.OWNER))
    assert any("used the server's generic plan" in note for note in marked.notes)
    same = arm("same", "select id from tasks where id = $1", with_user=True)
    assert compared(populated, Technique("same", same, same, role=Role.OWNER)).notes == ()


def test_within_a_block_each_arm_goes_first_equally_often(populated: str) -> None:
    calls: list[str] = []

    def noting(name: str) -> Arm:
        def body(caller: Connection, drawn: Parameters) -> Answer:
            calls.append(name)
            return caller.fetch("select 1 from pg_sleep(0.0015)")

        return Arm(name, "", body)

    found = compared(populated, Technique("turns", noting("a"), noting("b")), budget_s=0.6)
    size = found.before.calls_per_block
    assert size > 1
    # From the end of the blocks, since rehearsals have other sizes. After them come calls of one
    # arm alone, ten to a warm-up.
    alone = [len(arm.alone_ns) for arm in (found.before, found.after)]
    blocks_end = len(calls) - sum(n + math.ceil(n / 10) for n in alone)
    length = 2 * size
    for end in range(blocks_end, blocks_end - 5 * length, -length):
        turns = calls[end - 2 * size : end]
        firsts = turns[::2].count("a")
        assert abs(firsts - size / 2) <= 0.5
        assert turns.count("a") == size


SLOW = arm("slow", "select 1 from pg_sleep(0.03)")
QUICK = arm("quick", "select 1 from pg_sleep(0.003)")


@pytest.mark.alone
def test_what_a_p95_lacks_is_called_alone_and_no_block_is_made_of_it(populated: str) -> None:
    found = compared(populated, Technique("alone", SLOW, QUICK), budget_s=8)
    assert found.stop == "precise"
    assert len(found.before.block_ns) == len(found.before.call_ns) < CALLS_OF_A_SIZE
    assert len(found.before.call_ns) + len(found.before.alone_ns) == CALLS_OF_A_SIZE
    assert len(found.after.call_ns) + len(found.after.alone_ns) == CALLS_OF_A_SIZE


def test_without_time_for_all_that_a_p95_lacks_none_of_it_is_called(populated: str) -> None:
    found = compared(populated, Technique("alone", SLOW, QUICK), budget_s=0.4)
    assert found.stop == "budget"
    assert found.before.alone_ns == ()
