from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from phasegate.load.histogram import (
    VALUE_US_MAX,
    Histogram,
    bucket_bounds_us,
    bucket_indices,
    merged,
)


def of(*values_us: int) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values_us, dtype=np.int64))
    return histogram


@given(st.integers(0, VALUE_US_MAX))
def test_a_value_lies_in_its_bucket_and_buckets_are_narrower_than_a_thousandth(value: int) -> None:
    low, high = bucket_bounds_us(int(bucket_indices(np.array([value]))[0]))
    assert low <= value <= high
    assert high - low <= max(low / 1000, 0)


def test_percentiles_are_by_nearest_rank() -> None:
    histogram = of(*range(1000, 101_000, 1000))  # 1..100 ms
    assert histogram.percentile_ms(50) == pytest.approx(50.0, rel=1e-3)
    assert histogram.percentile_ms(95) == pytest.approx(95.0, rel=1e-3)
    assert histogram.percentile_ms(99) == pytest.approx(99.0, rel=1e-3)
    assert histogram.percentiles_ms()["max"] == pytest.approx(100.0, rel=1e-3)


def test_nothing_counted_has_no_percentile() -> None:
    assert Histogram().percentile_ms(95) is None
    assert Histogram().percentiles_ms() == {}


@given(st.lists(st.integers(0, 60_000_000), min_size=1, max_size=300))
def test_another_implementation_reads_the_same_counts(values: list[int]) -> None:
    ours = of(*values)
    theirs = HdrHistogram.decode(ours.encode())
    assert theirs.get_total_count() == len(values)
    assert theirs.get_max_value() / 1000 == pytest.approx(ours.percentiles_ms()["max"], rel=1e-3)
    assert Histogram.decode(ours.encode()).counts == ours.counts


@given(st.lists(st.lists(st.integers(0, 60_000_000), max_size=40), max_size=5))
def test_merged_histograms_count_as_if_one_had_seen_everything(parts: list[list[int]]) -> None:
    together = merged(of(*part) for part in parts)
    assert together.counts == of(*[value for part in parts for value in part]).counts


def test_what_is_no_histogram_is_named() -> None:
    with pytest.raises(ValueError, match="not an HdrHistogram"):
        Histogram.decode("nonsense")
