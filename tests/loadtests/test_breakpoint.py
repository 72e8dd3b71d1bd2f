from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.breakpoint import (
    PRECISION_RATIO,
    Finding,
    Tried,
    next_rate,
    not_sustained,
    sustained,
)


def search(capacity: float, start: float, probes_max: int = 40) -> list[Tried]:
    """A stack that sustains up to `capacity` sessions per second."""
    tried: list[Tried] = []
    rate = next_rate(tried, start)
    while rate is not None and len(tried) < probes_max:
        finding = Finding.SUSTAINED if rate <= capacity else Finding.NOT_SUSTAINED
        tried.append(Tried(rate, finding))
        rate = next_rate(tried, start)
    return tried


@given(st.floats(0.5, 5000), st.floats(0.5, 500))
def test_the_breakpoint_is_found_to_within_its_precision(capacity: float, start: float) -> None:
    tried = search(capacity, start)
    low, high = sustained(tried), not_sustained(tried)
    assert low is not None
    assert high is not None
    assert low <= capacity < high
    assert high / low <= PRECISION_RATIO


def test_a_start_near_the_breakpoint_takes_few_probes() -> None:
    assert len(search(capacity=30, start=20)) <= 6


def test_the_search_ends_where_the_generator_is_the_limit() -> None:
    tried = [Tried(10, Finding.SUSTAINED), Tried(20, Finding.UNKNOWN)]
    assert next_rate(tried, 10) is None
    assert sustained(tried) == 10
    assert not_sustained(tried) is None


def test_a_pass_above_a_failure_is_luck() -> None:
    tried = [Tried(10, Finding.NOT_SUSTAINED), Tried(5, Finding.SUSTAINED)]
    assert sustained([*tried, Tried(12, Finding.SUSTAINED)]) == 5


@pytest.mark.parametrize("finding", [Finding.NOT_SUSTAINED, Finding.UNKNOWN])
def test_where_nothing_passed_nothing_is_sustained(finding: Finding) -> None:
    assert sustained([Tried(10, finding)]) is None
