from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from phasegate.records.histogram import (
    VALUE_US_MAX,
    Histogram,
    bucket_bounds_us,
    bucket_indices,
    merged,
)

REPOSITORY = Path(__file__).parents[2]


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


@pytest.mark.parametrize("blob", ["", "HISTFAAA", "not base64!", "HISTFAAAAB542pNp", "é"])
def test_what_is_damaged_is_no_histogram(blob: str) -> None:
    with pytest.raises(ValueError, match="not an HdrHistogram"):
        Histogram.decode(blob)


@settings(deadline=None)  # the other implementation walks each bucket
@given(st.lists(st.integers(1, 60_000_000), min_size=1, max_size=300))
def test_percentiles_and_mean_are_those_of_another_implementation(values: list[int]) -> None:
    ours = of(*values)
    theirs = HdrHistogram.decode(ours.encode())
    for percent, ms in ours.at_percents_ms([1.0, 50.0, 95.0, 99.9, 100.0]).items():
        rank = max(1, math.ceil(len(values) * percent / 100 - 1e-9))
        # Theirs rounds the rank, ours takes the next one: ask it in the middle of ours.
        asked = theirs.get_value_at_percentile(100 * rank / len(values))
        assert ms == pytest.approx(asked / 1000)
    assert ours.mean_s == pytest.approx(theirs.get_mean_value() / 1e6, rel=2e-3)


def test_a_histogram_of_another_range_and_precision_is_read() -> None:
    for limit, digits in ((60_000_000, 3), (60_000_000, 2), (3_600_000_000, 4)):
        other = HdrHistogram(1, limit, digits)
        other.record_value(150_000, 3)
        other.record_value(1)
        found = Histogram.decode(other.encode().decode())
        assert found.total == 4
        assert found.percentile_ms(50) == pytest.approx(150, rel=10**-digits)


def test_every_published_record_is_read_with_the_percentiles_written_in_it() -> None:
    paths = sorted((REPOSITORY / "results" / "published" / "load").glob("*.json"))
    assert paths
    for path in paths:
        record = json.loads(path.read_text(encoding="utf-8"))
        for part in (*record["endpoints"], *record.get("actions", ())):
            for name in ("latency", "service"):
                found = Histogram.decode(part[f"{name}_hdr"])
                assert found.percentiles_ms() == pytest.approx(part[f"{name}_ms"])
                assert found.total <= part["requests"]
