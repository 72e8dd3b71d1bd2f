"""A p95 from few calls and others' tails: by hand, and how often it is held."""

from __future__ import annotations

import numpy as np
import pytest

from phasegate.stats.borrowed_tail import nearest, p95_draws, p95_of, tail_of

TWICE = np.array([2.0])
"""Of a statement that always took twice its median: only here, to count by hand."""


def test_by_hand_what_is_borrowed_counts_as_twenty_calls() -> None:
    # Twenty calls of 10 ms and as much weight at 20 ms, whose middle is at 30/40: there is the p95.
    assert p95_of(np.full(20, 10.0), (TWICE,)) == pytest.approx(20.0)
    # 380 of 10 ms: the last one stands at 379.5/400, what is borrowed at 390/400.
    share = (0.95 - 379.5 / 400) / (390 / 400 - 379.5 / 400)
    assert p95_of(np.full(380, 10.0), (TWICE,)) == pytest.approx(10.0 * (1 + share))


def test_by_hand_without_others_it_is_a_percentile_of_its_own_calls() -> None:
    # The 19th of 20 stands at 18.5/20 and the 20th at 19.5/20: 0.95 lies in their middle.
    assert p95_of(np.arange(1.0, 21.0), ()) == pytest.approx(19.5)


def test_those_that_take_about_as_long_lend_and_without_them_the_nearest() -> None:
    others = [(median, np.array([median])) for median in (1.0, 30.0, 60.0, 90.0, 110.0, 1_000.0)]
    assert [float(each[0]) for each in nearest(50.0, others)] == [60.0, 30.0, 90.0, 110.0]
    assert [float(each[0]) for each in nearest(5_000.0, others)] == [1_000.0, 110.0, 90.0]


def test_a_dozen_calls_and_others_tails_hold_the_p95_as_a_dozen_alone_do_not() -> None:
    random, cases, held, alone = np.random.default_rng(3), 200, 0, 0

    def calls(spread: float, n: int) -> np.ndarray:
        return np.asarray(50.0 * np.exp(random.normal(0.0, spread, n)))

    for _ in range(cases):
        spreads = random.uniform(0.03, 0.09, 7)  # alike, and not the same
        tails = tuple(tail_of(calls(spread, 36)) for spread in spreads[1:])
        few, truth = calls(spreads[0], 12).reshape(-1, 1), 50.0 * np.exp(1.645 * spreads[0])
        drawn, own = (np.sort(p95_draws(few, lent, random, 200)) for lent in (tails, ()))
        held += bool(drawn[5] <= truth <= drawn[-6])
        alone += bool(own[5] <= truth <= own[-6])
    assert held / cases >= 0.92  # 0.95 less two deviations of so many cases
    assert alone / cases < 0.85
