"""The session: levels come and go, one at a time, a technique is tried once, a budget is shared."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from phasegate.compare import session
from phasegate.compare.connection import Connection
from phasegate.compare.connections import REPLICA_VARIABLE, Unavailable
from phasegate.compare.engine import Turn
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.technique import Answer, Arm, Parameters, Role, Route, Technique, Via
from phasegate.compare.technique_folders import pairs
from phasegate.model.errors import CannotMeasure, Refused
from phasegate.stack.levels import apply_level, current_level


def opened(dsn: str, *, stay_raised: bool = False) -> BenchmarkSession:
    return BenchmarkSession(
        dsn,
        users=None,
        sha256=None,
        seed=1,
        budget=Budget(1.0, 2),
        disabled=False,
        stay_raised=stay_raised,
    )


@pytest.fixture
def bench(populated: str) -> Iterator[BenchmarkSession]:
    with opened(populated) as session:
        yield session


def counting(calls: list[str], sql: str, route: Route | None = None) -> Arm:
    def body(caller: Connection, drawn: Parameters) -> Answer:
        calls.append(sql)
        return caller.fetch(sql)

    return Arm("counting", sql, body, route=route or Route())


def test_the_level_is_raised_for_the_session_and_goes_back_after_it(populated: str) -> None:
    assert current_level(populated) == 1
    with opened(populated):
        assert current_level(populated) == 3
    assert current_level(populated) == 1


def test_a_session_may_leave_the_level_to_the_next_one_which_goes_back(populated: str) -> None:
    with opened(populated, stay_raised=True):
        pass
    assert current_level(populated) == 3
    with opened(populated):
        pass
    assert current_level(populated) == 1


def test_a_level_chosen_since_is_left_alone(populated: str) -> None:
    with opened(populated, stay_raised=True):
        pass
    apply_level(populated, 2)
    with opened(populated):
        pass
    assert current_level(populated) == 2


def test_two_sessions_on_one_database_are_refused(bench: BenchmarkSession, populated: str) -> None:
    assert bench.population
    with pytest.raises(Refused, match="Another benchmark"), opened(populated):
        pass


def test_a_technique_that_fails_is_tried_once_for_both_of_its_arms(bench: BenchmarkSession) -> None:
    calls: list[str] = []
    arm = counting(calls, "select 1 / 0")
    technique = Technique("fails", arm, arm, role=Role.OWNER)
    for _ in range(2):
        with pytest.raises(CannotMeasure, match="division by zero"):
            bench.comparison(technique)
    assert len(calls) == 1


def test_a_technique_is_measured_once_for_both_of_its_arms(bench: BenchmarkSession) -> None:
    arm = counting([], "select 1")
    technique = Technique("once", arm, arm, role=Role.OWNER)
    assert bench.comparison(technique) is bench.comparison(technique)
    assert [each.technique for each in bench.record().comparisons] == ["once"]


def noting(calls: list[str], id_: str, **more: str) -> Technique:
    def body(caller: Connection, drawn: Parameters) -> Answer:
        calls.append(id_)
        return caller.fetch("select 1 from pg_sleep(0.001)")

    arm = Arm("noted", "select 1 from pg_sleep(0.001)", body)
    return Technique(id_, arm, arm, role=Role.OWNER, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("users_max", [0, 30_000])
def test_planned_comparisons_take_turns_and_what_writes_comes_last(
    bench: BenchmarkSession, monkeypatch: pytest.MonkeyPatch, users_max: int
) -> None:
    monkeypatch.setattr(session, "SETUP_USERS_MAX", users_max)
    calls: list[str] = []
    said: list[str] = []
    planned = (
        noting(calls, "writes", writes="public.tasks"),
        noting(calls, "a"),
        noting(calls, "set up", setup="select 1", teardown="select 1"),
        noting(calls, "b"),
        noting(calls, "writes too", writes="public.tasks"),
    )
    bench.budget = Budget(6.0, 5)
    bench.plan(planned, said.append)
    found = bench.comparison(planned[1])
    again = ["a", "set up", "b"] if users_max else ["a", "b"]
    order = ["a", "set up", "b", *again * 2, *["writes", "writes too"] * 3]
    for each in (calls, said):
        assert [id_ for id_, _ in itertools.groupby(each)] == order
    assert len(found.before.block_ns) == len(found.after.block_ns) >= 12
    assert len(found.before.call_ns) == len(found.before.block_ns) * found.before.calls_per_block
    asked = len(calls)
    assert [bench.comparison(each).technique for each in planned] == [each.id for each in planned]
    assert len(found.turns) == 3
    assert found.turns[-1] == len(found.before.block_ns)
    assert len(calls) == asked


def test_of_planned_comparisons_a_fault_ends_the_turns_and_a_lack_does_not(
    bench: BenchmarkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPLICA_VARIABLE, raising=False)
    calls: list[str] = []
    away = counting(calls, "select 1", Route(Via.REPLICA))
    failing = counting(calls, "select 1 / 0")
    planned = (
        Technique("away", counting(calls, "select 1"), away, role=Role.OWNER),
        noting(calls, "before"),
        Technique("fails", failing, failing, role=Role.OWNER),
        noting(calls, "after"),
    )
    bench.plan(planned, lambda _: None)
    for technique, error in ((planned[0], Unavailable), (planned[2], CannotMeasure)):
        with pytest.raises(error):
            bench.comparison(technique)
    assert "after" not in calls


@pytest.mark.parametrize(("number", "blocks", "fewest"), [(0, 4, 2), (1, 8, 4), (2, 12, 6)])
def test_a_turn_is_due_its_share_of_what_came_before_it_too(
    number: int, blocks: int, fewest: int
) -> None:
    turn = Turn(number, 3)
    assert (turn.due(12), turn.due(6), turn.last) == (blocks, fewest, number == 2)


def test_what_is_missing_is_in_the_record_with_what_would_enable_it(
    bench: BenchmarkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPLICA_VARIABLE, raising=False)
    away = counting([], "select 1", Route(Via.REPLICA))
    technique = Technique("away", counting([], "select 1"), away, role=Role.OWNER)
    with pytest.raises(Unavailable) as told:
        bench.comparison(technique)
    bench.skip(technique, told.value)
    (skipped,) = bench.record().skipped
    assert skipped.technique == "away"
    assert REPLICA_VARIABLE in skipped.then


def test_a_technique_for_a_newer_server_says_so(bench: BenchmarkSession) -> None:
    arm = counting([], "select 1")
    with pytest.raises(Unavailable, match="needs PostgreSQL 99"):
        bench.comparison(Technique("later", arm, arm, server_major_min=99))


def test_what_a_technique_leaves_over_the_next_ones_share() -> None:
    budget = Budget(90.0, 3)
    assert budget.allowance_s(0.1) == pytest.approx(30.0, abs=0.5)
    # It took no time: the two that remain share all of it, and one of both takes it.
    assert Budget(90.0, 3).allowance_s(0.1, 3) == pytest.approx(90.0, abs=0.5)
    assert budget.allowance_s(0.1) == pytest.approx(45.0, abs=0.5)
    assert Budget(0.0, 3).allowance_s(0.1) == 0.1


def test_a_long_set_up_leaves_half_of_the_budget() -> None:
    long, short = (Budget(100.0, 1, time.monotonic() - took_s) for took_s in (1000.0, 10.0))
    for budget in (long, short):
        budget.opened()
    assert long.left_s == pytest.approx(50.0, abs=0.5)
    assert short.left_s == pytest.approx(90.0, abs=0.5)


def test_what_a_killed_session_left_behind_is_not_in_the_way(bench: BenchmarkSession) -> None:
    bench.budget = Budget(4.0, 1)  # a busy machine needs seconds for blocks of a hundred inserts
    bench.caller.execute("create schema phasegate_bench; create table phasegate_bench.keys_v4 ()")
    uuid_keys = pairs(bench.project)["uuid_keys"]
    assert bench.comparison(uuid_keys).technique == "uuid_keys"
    assert bench.caller.once("select to_regnamespace('phasegate_bench')").column(0) == [None]
