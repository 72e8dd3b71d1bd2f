from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.stats.quantile import upper_rank


@pytest.mark.parametrize("values", [0, 1, 59, 71])
def test_fewer_than_72_values_do_not_bound_a_p95(values: int) -> None:
    assert upper_rank(values) is None


@pytest.mark.parametrize(("values", "rank"), [(72, 72), (110, 109), (150, 148), (1000, 964)])
def test_the_rank_is_that_of_the_tables(values: int, rank: int) -> None:
    assert upper_rank(values) == rank


@given(st.integers(72, 1500))
def test_the_bound_fails_to_cover_in_one_case_of_forty_at_most_and_no_lower_rank_does(
    values: int,
) -> None:
    def misses(rank: int) -> float:
        """Probability that `rank` or more of the values lie below the p95, summed exactly."""
        terms = (math.comb(values, k) * 19**k for k in range(rank, values + 1))
        return sum(terms) / 20**values

    rank = upper_rank(values)
    assert rank is not None
    assert misses(rank) <= 0.025 < misses(rank - 1)


def test_a_million_values_are_no_trouble() -> None:
    # 0.95 n + 1.96 sqrt(0.95 · 0.05 n): the normal approximation.
    assert upper_rank(1_000_000) == pytest.approx(950_427, abs=3)
