"""`make perf-repeat`: what two sweeps agree in, on records made by hand."""

from __future__ import annotations

import random

import pytest

from instruments.repeat import Share, Sweep, holds, left_out, pairs, shares, table
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison
from phasegate.report.effects import techniques
from phasegate.stats.crossover import Crossover, Outcome

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)


def arm(ms: float, seed: str) -> Arm:
    rng = random.Random(seed)
    times = tuple(int(ms * 1e6 * rng.lognormvariate(0, 0.02)) for _ in range(120))
    return Arm(
        name="", sql="", block_ns=tuple(map(float, times)), call_ns=times, rows=1, plan="",
        plan_hash="scan", shared_buffers=None, statements=1,
    )  # fmt: skip


def sweep(number: int, *, slower: float = 1.0, after_ms: float = 0.5, kink: float = 1.0) -> Sweep:
    """One technique whose old way takes 1 ms per thousand users; `kink` is for 10k of them."""
    records = []
    for users in SIZES:
        ms = users / 1_000 * slower * (kink if users == 10_000 else 1.0)
        found = Comparison(
            technique="index",
            title="Index",
            stop="precise",
            before=arm(ms, f"{number} before {users}"),
            after=arm(after_ms, f"{number} after {users}"),
        )
        records.append(
            BenchmarkRecord(
                format_version=BenchmarkRecord.FORMAT_VERSION, users=users, seed=number,
                sha256="feed", started_at="2026-11-27T15:00:00+00:00", server_version="18.6",
                comparisons=(found,),
            )
        )  # fmt: skip
    return techniques(records, 50.0)


def said(*sweeps: Sweep) -> dict[str, str]:
    return {
        share.name.partition(",")[0]: f"{share.count} of {share.of}" for share in shares(sweeps)
    }


def test_sweeps_that_differ_by_chance_alone_agree_in_all() -> None:
    found = shares([sweep(1), sweep(2)])
    assert [share.count for share in found] == [1, 1, 0, 10, 6, 2]
    assert all(share.holds for share in found)
    (line,) = table(sweep(1), sweep(2))
    assert line.startswith("index ")
    assert line.endswith(" inside")


def test_a_machine_of_half_the_speed_moves_n_star_out_of_the_interval() -> None:
    first, second = sweep(1), sweep(2, slower=2.0)
    assert [pair.inside for pair in pairs(first, second)] == [False]
    assert "OUTSIDE" in next(table(first, second))
    assert said(first, second)["each N* in the other's interval"] == "0 of 1"


def test_a_technique_that_helps_no_more_is_of_another_class_and_called_worse() -> None:
    first, second = sweep(1), sweep(2, after_ms=120.0)
    assert "OTHER CLASS" in next(table(first, second))
    found = said(first, second)
    assert found["the same class"] == "0 of 1"
    assert found["called better or worse"] == "5 of 5"


def test_a_size_left_out_is_found_where_times_follow_a_law_and_missed_where_not() -> None:
    assert list(left_out(sweep(1)[0])) == [True, True, True]
    assert False in list(left_out(sweep(1, kink=2.0)[0]))


def crossed(
    outcome: Outcome, users: float | None, low: float | None, high: float | None
) -> Crossover:
    return Crossover(outcome, users, low, high, 1_000, 100_000, 120)


WITHIN = crossed(Outcome.WITHIN, 50_000.0, 40_000.0, 60_000.0)
OPEN = crossed(Outcome.WITHIN, 90_000.0, 80_000.0, None)
ABOVE = crossed(Outcome.ABOVE, None, None, None)
BELOW = crossed(Outcome.BELOW, None, None, None)
BETWEEN = crossed(Outcome.BETWEEN, None, 30_000.0, 100_000.0)


@pytest.mark.parametrize(
    ("interval", "other", "inside"),
    [
        (WITHIN, WITHIN, True),
        (WITHIN, OPEN, False),
        (WITHIN, ABOVE, False),
        (WITHIN, BETWEEN, True),
        (OPEN, ABOVE, True),
        (ABOVE, ABOVE, True),
        (ABOVE, OPEN, False),
        (BELOW, BELOW, True),
        (BELOW, WITHIN, False),
        (BETWEEN, WITHIN, True),
    ],
)
def test_an_interval_holds_an_n_star_or_the_place_where_it_is_known_to_lie(
    interval: Crossover, other: Crossover, inside: bool
) -> None:
    assert holds(interval, other) is inside


def test_a_share_of_nothing_holds_and_a_share_is_printed_with_its_goal() -> None:
    assert Share("none", 0, 0, 0.9).holds
    assert str(Share("moved", 3, 50, 0.05, at_most=True)) == "moved: 3 of 50 (6%), ≤ 5%: MISSED"
