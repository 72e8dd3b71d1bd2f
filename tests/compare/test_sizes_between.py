"""Which techniques are measured at a size between two others."""

from __future__ import annotations

from phasegate.compare.sizes_between import techniques_between
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison

SLO_MS = 50.0


def record(users: int, **ms: float) -> BenchmarkRecord:
    """Techniques by name, each with a dozen equal calls of its old way."""

    def compared(id_: str, ms: float) -> Comparison:
        arm = Arm(
            name="old",
            sql=id_,
            block_ns=(ms * 1e6,) * 12,
            call_ns=(round(ms * 1e6),) * 12,
            rows=1,
            plan="",
            plan_hash="",
            shared_buffers=None,
            statements=1,
        )
        return Comparison(technique=id_, title=id_, stop="precise", before=arm, after=arm)

    return BenchmarkRecord(
        format_version=BenchmarkRecord.FORMAT_VERSION,
        users=users,
        seed=1,
        sha256="feed",
        started_at="2026-11-27T00:00:00+00:00",
        server_version="18",
        comparisons=tuple(compared(id_, time) for id_, time in ms.items()),
    )


def test_where_the_objective_breaks_between_two_sizes_the_one_between_is_measured() -> None:
    records = [
        record(1_000, early=5, late=1, never=1, already=70),
        record(10_000, early=80, late=10, never=2, already=70),
        record(100_000, early=900, late=100, never=4, already=70),
    ]
    found = techniques_between(records, (3_000, 30_000), SLO_MS)
    assert found == {3_000: ("early",), 30_000: ("late",)}


def test_where_it_nearly_breaks_at_a_size_both_sides_of_it_are_measured() -> None:
    for near_ms in (41, 49.6, 50.4, 62):
        records = [
            record(1_000, edge=6),
            record(10_000, edge=near_ms),
            record(100_000, edge=350),
        ]
        found = techniques_between(records, (3_000, 30_000), SLO_MS)
        assert found == {3_000: ("edge",), 30_000: ("edge",)}
    records[1] = record(10_000, edge=39)
    assert techniques_between(records, (3_000, 30_000), SLO_MS) == {30_000: ("edge",)}
    records[1] = record(10_000, edge=63)
    assert techniques_between(records, (3_000, 30_000), SLO_MS) == {3_000: ("edge",)}


def test_a_size_that_is_measured_or_lies_between_no_two_is_left_out() -> None:
    records = [record(1_000, one=10), record(30_000, one=100)]
    assert techniques_between(records, (500, 1_000, 30_000, 60_000), SLO_MS) == {}
    assert techniques_between(records[:1], (3_000,), SLO_MS) == {}
    assert techniques_between([], (3_000,), SLO_MS) == {}


def test_a_technique_that_one_of_the_two_lacks_is_left_out() -> None:
    records = [record(1_000, one=10), record(10_000, one=100, other=100)]
    assert techniques_between(records, (3_000,), SLO_MS) == {3_000: ("one",)}
