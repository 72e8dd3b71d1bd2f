from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.load.breakpoint import (
    PRECISION_RATIO,
    Finding,
    Tried,
    is_bracketed,
    next_rate,
    not_sustained,
    sustained,
    unknown,
)


def search(
    capacity: float,
    start: float,
    probes_max: int = 40,
    *,
    idle: float | None = None,
    generator: float = math.inf,
) -> list[Tried]:
    """A stack that sustains up to `capacity` sessions per second, where its cores are all in use.

    `idle` is the share of them in use without load; None where nobody looks. Beyond `generator`
    the generator is the limit.
    """
    tried: list[Tried] = []
    rate = next_rate(tried, start)
    while rate is not None and len(tried) < probes_max:
        finding = Finding.SUSTAINED if rate <= capacity else Finding.NOT_SUSTAINED
        if rate > generator:
            finding = Finding.UNKNOWN
        share = None if idle is None else min(idle + (1 - idle) * rate / capacity, 1.0)
        tried.append(Tried(rate, finding, share))
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


@given(st.floats(20, 600), st.floats(0.0, 0.3), st.floats(3, 6))
def test_by_what_the_processor_did_five_probes_bracket_a_stack_that_is_hardly_used(
    capacity: float, idle: float, start: float
) -> None:
    tried = search(capacity, start, probes_max=5, idle=idle)
    low, high = sustained(tried), not_sustained(tried)
    assert low is not None
    assert high is not None
    assert low <= capacity < high


def test_the_processor_says_where_to_look_next() -> None:
    first = Tried(4.0, Finding.SUSTAINED, 0.1)
    # All of it counted as the load's own: 4 · 1.05 / 0.1 = 42, and no further than eight times.
    assert next_rate([first], 4.0) == pytest.approx(32)
    # 0.2 more for 28 more: the 0.75 to a little beyond all of them are good for 105.
    assert next_rate([first, Tried(32.0, Finding.SUSTAINED, 0.3)], 4.0) == pytest.approx(137)
    assert next_rate([first, Tried(32.0, Finding.SUSTAINED, 0.99)], 4.0) == pytest.approx(64)
    assert next_rate([first, Tried(32.0, Finding.SUSTAINED, 0.1)], 4.0) == pytest.approx(256)
    # Not sampled, or not the fastest: doubled.
    assert next_rate([first, Tried(32.0, Finding.SUSTAINED)], 4.0) == pytest.approx(64)


def test_below_what_the_generator_could_not_drive_the_search_goes_on() -> None:
    tried = search(capacity=500, start=10, idle=0.1, generator=120)
    low, untold = sustained(tried), unknown(tried)
    assert low is not None
    assert untold is not None
    assert low <= 120 < untold <= low * PRECISION_RATIO
    assert not_sustained(tried) is None
    assert not is_bracketed(tried)
    assert next_rate(tried, 10) is None


def test_what_could_not_be_told_once_is_forgotten_when_more_passed() -> None:
    tried = [Tried(10, Finding.UNKNOWN), Tried(20, Finding.SUSTAINED)]
    assert unknown(tried) is None
    assert next_rate(tried, 10) == pytest.approx(40)


def test_a_pass_above_a_failure_is_luck() -> None:
    tried = [Tried(10, Finding.NOT_SUSTAINED), Tried(5, Finding.SUSTAINED)]
    assert sustained([*tried, Tried(12, Finding.SUSTAINED)]) == 5


@pytest.mark.parametrize("finding", [Finding.NOT_SUSTAINED, Finding.UNKNOWN])
def test_where_nothing_passed_nothing_is_sustained(finding: Finding) -> None:
    assert sustained([Tried(10, finding)]) is None
