"""Runs with a yardstick: N* on other cores, machines compared, and warnings, from records alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from phasegate import report
from phasegate.model.catalogue import load
from phasegate.model.yardstick import KINDS, NETWORK, OTHER, ROUND_TRIP, WORK
from phasegate.records import store
from phasegate.records.benchmark import Arm, BenchmarkRecord, Yardstick
from phasegate.records.run import RunRecord
from phasegate.report import headline
from phasegate.report.charts import when_needed
from phasegate.report.effects import techniques
from phasegate.report.yardstick import (
    cell_on_reference,
    machine,
    sentence,
    shares_of,
    users_on_reference,
)
from phasegate.stats.crossover import Outcome

CATALOGUE = load()
ROUNDS = 30
PLAN = """Limit  (cost=0.4..2.6 rows=20 width=94) (actual time=9.001..10.000 rows=20.00 loops=1)
  ->  Sort  (cost=0.4..2.6 rows=20 width=94) (actual time=8.900..9.000 rows=20.00 loops=1)
        Sort Key: created_at DESC
        ->  Seq Scan on things  (cost=0..9 rows=9 width=9) (actual time=0.1..6.000 rows=9 loops=1)
              Filter: (owner = '4'::uuid)
Planning Time: 0.1 ms
Execution Time: 10.1 ms"""


def yardstick(speed: float, *, steal: float | None = 0.0, slower: float = 1.0) -> Yardstick:
    """Of a machine so many times as fast as the reference; `slower` in the second half."""
    return Yardstick(
        at_s=tuple(map(float, range(ROUNDS))),
        times_ns={
            kind: tuple(
                round(ms * 1e6 / speed * (slower if i >= ROUNDS / 2 else 1.0))
                for i in range(ROUNDS)
            )
            for kind, ms in CATALOGUE.reference.yardstick_ms.items()
        },
        steal_share=steal,
    )


def give(run: Path, found: Yardstick | None, *, times: float = 1.0) -> None:
    """The yardstick to each record of `run`, all times multiplied."""
    for path in (run / "bench").glob("*.json"):
        if path.stem.isdigit():
            record = store.read(path, BenchmarkRecord)
            comparisons = tuple(
                msgspec.structs.replace(
                    each, before=scaled(each.before, times), after=scaled(each.after, times)
                )
                for each in record.comparisons
            )
            store.write(
                path,
                msgspec.structs.replace(record, yardstick=found, comparisons=comparisons),
            )


def scaled(arm: Arm, times: float) -> Arm:
    return msgspec.structs.replace(
        arm,
        block_ns=tuple(each * times for each in arm.block_ns),
        call_ns=tuple(round(each * times) for each in arm.call_ns),
    )


def records(run: Path) -> list[BenchmarkRecord]:
    paths = sorted((run / "bench").glob("*[0-9].json"), key=lambda path: int(path.stem))
    return [store.read(path, BenchmarkRecord) for path in paths]


@pytest.fixture
def two_machines(whole_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """One run as measured on two machines, of which the second needs 1.5 times as long for all."""
    quick, slow = (shutil.copytree(whole_run, tmp_path / name) for name in ("quick", "slow"))
    give(quick, yardstick(1.2))
    give(slow, yardstick(0.8), times=1.5)
    record = store.read(slow / "run.json", RunRecord)
    other = msgspec.structs.replace(record.machine, cpu="another processor")
    store.write(slow / "run.json", msgspec.structs.replace(record, run_id="slow", machine=other))
    return quick, slow


def test_two_machines_give_one_answer_on_the_reference_core(
    two_machines: tuple[Path, Path],
) -> None:
    here, there = (
        {t.technique: t for t in techniques(records(run), 50.0, CATALOGUE)} for run in two_machines
    )
    compared = 0
    for name, one in here.items():
        other = there[name]
        assert one.elsewhere is not None
        assert other.elsewhere is not None
        first, second = one.elsewhere.reference, other.elsewhere.reference
        assert first.outcome is second.outcome
        if first.users is not None:
            assert second.users == pytest.approx(first.users, rel=0.001)
            assert one.crossed is not None
            assert other.crossed is not None
            if one.crossed.users and other.crossed.users:
                assert other.crossed.users < 0.95 * one.crossed.users
                compared += 1
    assert compared > 0


def test_comparing_two_machines_says_what_they_say_of_the_reference_core(
    two_machines: tuple[Path, Path],
) -> None:
    said = "\n".join(report.compare(*two_machines, any_machine=True))
    assert "speed against the reference core: 1.2 → 0.8" in said
    # All that differs is the rounding to nanoseconds.
    assert "times of the old way within a factor 1.25" in said
    counts = said.partition("On the reference core: ")[2].split()
    assert counts[0] == counts[2]
    assert "exclude each other" not in said


def test_a_run_without_a_yardstick_says_so_and_is_not_compared(
    two_machines: tuple[Path, Path],
) -> None:
    give(two_machines[1], None)
    said = report.compare(*two_machines, any_machine=True)
    (line,) = (line for line in said if "has no yardstick" in line)
    assert line.startswith("slow has no yardstick")
    assert not any(line.startswith("On the reference core") for line in said)


def test_on_a_compute_size_it_is_needed_the_earlier_the_less_processor_it_has(
    two_machines: tuple[Path, Path],
) -> None:
    found = techniques(records(two_machines[0]), 50.0, CATALOGUE)
    (index,) = (t for t in found if t.technique == "idx_tasks_user_created")
    assert index.elsewhere is not None
    by_name = dict(index.elsewhere.sizes)
    assert set(by_name) == {each.name for each in CATALOGUE.compute}
    # Large has whole cores, and a core there is taken for a reference core.
    assert by_name["large"] == index.elsewhere.reference
    order = [by_name[name] for name in ("nano", "micro", "small", "large")]
    users = [each.users or each.smallest for each in order]
    assert users == sorted(users)
    assert users[0] < users[-1]
    assert by_name["small"] is by_name["medium"]
    said = headline.on_sizes(index.elsewhere)
    assert said.startswith("Nano ")
    assert "Small, Medium " in said
    assert "Large to 16XL " in said


def test_what_is_only_waiting_is_needed_at_the_same_size_on_any_core(
    two_machines: tuple[Path, Path],
) -> None:
    path = two_machines[0] / "bench" / "1000.json"
    arm = store.read(path, BenchmarkRecord).comparisons[0].before
    call_ms = float(np.median(arm.call_ns)) / 1e6
    far = msgspec.structs.replace(arm, delay_ms=10 * call_ms, statements=2)
    shares = shares_of(far, round_trip_ms=0.1)
    assert shares[NETWORK] == pytest.approx(call_ms)
    assert sum(shares.values()) == pytest.approx(call_ms)


def test_a_call_s_time_is_shared_out_by_round_trips_and_plan() -> None:
    # 12 ms: two round trips of 1 ms; of the other ten, the plan says 6 scanning, 3 sorting, 1 else.
    arm = Arm(
        name="", sql="", block_ns=(), call_ns=(12_000_000,) * 3, rows=1, plan=PLAN, plan_hash="",
        shared_buffers=None, statements=2,
    )  # fmt: skip
    assert shares_of(arm, 1.0) == pytest.approx(
        {"scan": 6.0, "sort": 3.0, OTHER: 1.0, ROUND_TRIP: 2.0, NETWORK: 0.0}
    )


def test_a_machine_that_wanders_and_one_whose_time_is_taken_are_named(
    two_machines: tuple[Path, Path],
) -> None:
    quick, _ = two_machines
    steady = machine(records(quick), CATALOGUE.reference)
    assert steady is not None
    assert steady.overall.estimate == pytest.approx(1.2, rel=0.001)
    assert steady.warnings == ()
    give(quick, yardstick(1.2, steal=0.2, slower=1.5))
    troubled = machine(records(quick), CATALOGUE.reference)
    assert troubled is not None
    wandered, stolen = troubled.warnings
    assert "1.5 times as slow" in wandered
    assert "took 20% of the processors' time" in stolen


def test_the_page_and_the_chart_tell_this_machine_from_the_reference_and_the_sizes(
    two_machines: tuple[Path, Path],
) -> None:
    quick, _ = two_machines
    give(quick, yardstick(1.2, slower=1.5))
    page = report.build(quick).read_text(encoding="utf-8")
    assert "0.96 times as fast as the reference core" in page
    assert "wandered while the techniques were compared" in page
    assert "Old way breaks its SLO, on this machine" in page
    assert "credits used up" in page
    found = techniques(records(quick), 50.0, CATALOGUE)
    (index,) = (t for t in found if t.technique == "idx_tasks_user_created")
    assert when_needed.on_sizes_text(index).startswith("on Micro ")
    assert "Large " in when_needed.alt(found)


def test_an_older_run_says_that_its_figures_hold_for_its_machine_alone(whole_run: Path) -> None:
    assert machine(records(whole_run), CATALOGUE.reference) is None
    assert "this machine alone" in sentence(None, CATALOGUE.reference)
    (first, *_) = techniques(records(whole_run), 50.0, CATALOGUE)
    assert first.elsewhere is None
    assert when_needed.on_sizes_text(first) == ""


def test_the_reference_has_a_figure_for_each_kind() -> None:
    assert set(CATALOGUE.reference.yardstick_ms) == set(KINDS)
    assert set(WORK) < set(KINDS)


def test_a_bound_keeps_its_words_on_every_core(two_machines: tuple[Path, Path]) -> None:
    for each in techniques(records(two_machines[0]), 50.0, CATALOGUE):
        assert each.elsewhere is not None
        for _, crossed in each.elsewhere.sizes:
            short = headline.short_from(crossed)
            if crossed.outcome is Outcome.BELOW:
                assert short == "≤1k"
            elif crossed.outcome is Outcome.ABOVE:
                assert short == ">100k"


def test_a_cell_and_how_far_a_level_goes_are_given_on_reference_cores_too(
    two_machines: tuple[Path, Path],
) -> None:
    quick = machine(records(two_machines[0]), CATALOGUE.reference)
    # 1.2 times as fast: 100 ms at 40% are 120 · 0.6/0.52 = 138 ms there, up to 125 are up to 173.
    said = cell_on_reference(100.0, 125.0, 0.4, quick)
    assert said == "140 ms on reference cores (140 ms to 170 ms)"
    assert cell_on_reference(100.0, None, 0.4, quick).endswith("to no bound by so few clicks)")
    assert cell_on_reference(100.0, 125.0, 0.9, quick) == "more than reference cores could do"
    assert cell_on_reference(100.0, 125.0, 0.99, quick) == ""  # hardly steady here
    assert cell_on_reference(100.0, 125.0, None, quick) == ""
    assert cell_on_reference(100.0, 125.0, 0.4, None) == ""
    # 60k users here are 50k there.
    assert users_on_reference(60_000, quick) == "50k on reference cores (50k to 50k)"
    assert users_on_reference(60_000, None) == ""
