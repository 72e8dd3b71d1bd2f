"""What the page says of a p95, and of N*, that rests on a dozen calls."""

from __future__ import annotations

import random

import msgspec
import pytest

from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison
from phasegate.report import tables
from phasegate.report.charts.when_needed import few_calls_note, label
from phasegate.report.effects import Technique, techniques

SLO_MS = 50.0


def arm(name: str, ms: float, calls: int, alone: int = 0) -> Arm:
    rng = random.Random(f"{name} {ms}")
    times = [int(ms * 1e6 * rng.lognormvariate(0, 0.02)) for _ in range(calls + alone)]
    return Arm(
        name=name,
        sql="",
        block_ns=tuple(float(each) for each in times[:calls]),
        call_ns=tuple(times[:calls]),
        alone_ns=tuple(times[calls:]),
        rows=1,
        plan="",
        plan_hash="scan",
        shared_buffers=None,
        statements=1,
    )


def record(users: int, calls: int, alone: int = 0) -> BenchmarkRecord:
    """The old way takes 1 ms per thousand users."""
    return BenchmarkRecord(
        format_version=BenchmarkRecord.FORMAT_VERSION,
        users=users,
        seed=1,
        sha256="feed",
        started_at="2026-11-22T10:20:00+00:00",
        server_version="18.6",
        comparisons=(
            Comparison(
                technique="index",
                title="Index",
                stop="precise",
                before=arm("without", users / 1000, calls, alone),
                after=arm("with", 0.1, calls, 200),
            ),
        ),
    )


def found(calls: int, alone: int = 0, below: int = 120) -> Technique:
    sizes = (record(1_000, below), record(10_000, below), record(100_000, calls, alone))
    (technique,) = techniques(sizes, SLO_MS)
    return technique


def test_n_star_on_a_few_calls_has_no_lower_bound_and_says_so() -> None:
    few = found(12, below=12)
    assert label(few).startswith("from 48k users (below 1k to ")
    assert label(few).endswith("), 12 calls")
    assert "fewer than the 72 that a p95 needs" in few_calls_note((few,))
    (row,) = tables.needed((few,)).rows
    assert "12, too few for a p95 alone" in row[-1]
    assert "or more)" in tables.growth((few,)).rows[-1][2]
    assert tables.growth((few,)).rows[-1][-1] == "12, no upper bound"


def test_calls_made_alone_or_at_the_size_below_give_it_one() -> None:
    for enough in (found(12, alone=65), found(12)):
        assert label(enough).startswith(("from 48k users (4", "from 49k users (4"))
    assert label(found(12)).endswith("), 12 calls")
    assert few_calls_note((found(12, alone=65),)) == ""
    (row,) = tables.needed((found(12, alone=65),)).rows
    assert row[-1] == "77"
    assert "or more)" not in tables.growth((found(12, alone=65),)).rows[-1][2]
    assert tables.growth((found(12, alone=65),)).rows[-1][-1] == "77"


def test_a_record_from_before_there_were_such_calls_is_read_as_having_none() -> None:
    told = msgspec.json.encode(record(1_000, 12))
    older = told.replace(b'"alone_ns":[],', b"")
    assert older != told
    assert msgspec.json.decode(older, type=BenchmarkRecord) == record(1_000, 12)


def test_calls_made_alone_do_not_move_the_ratio() -> None:
    ratios = [found(12, alone).largest.ratio for alone in (0, 65)]
    assert ratios[0] is not None
    assert ratios[1] is not None
    assert ratios[0] == ratios[1]
    assert ratios[0].estimate == pytest.approx(0.001, rel=0.05)
