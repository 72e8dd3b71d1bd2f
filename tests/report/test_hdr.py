"""Percentiles read off arrays agree with the HdrHistogram library's own."""

from __future__ import annotations

import random

import pytest
from hdrh.histogram import HdrHistogram

from phasegate.model.errors import ConfigurationError
from phasegate.report.hdr import merged

PERCENTILES = [0.1, 1.0, 50.0, 95.0, 99.0, 99.9, 100.0]


def _recorded(seed: int, count: int) -> HdrHistogram:
    rng = random.Random(seed)
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for _ in range(count):
        histogram.record_value(max(1, round(rng.lognormvariate(9, 2))))
    return histogram


def test_the_sum_of_histograms_has_the_percentiles_and_the_mean_that_hdrhistogram_gives():
    parts = [_recorded(seed, count) for seed, count in ((1, 500), (2, 3), (3, 1))]
    found = merged([part.encode().decode() for part in parts], "somewhere")
    whole = parts[0]
    for part in parts[1:]:
        whole.add(part)
    assert found.total == 504
    for percentile, ms in found.percentiles_ms(PERCENTILES).items():
        assert ms == pytest.approx(whole.get_value_at_percentile(percentile) / 1000)
    assert found.mean_s == pytest.approx(whole.get_mean_value() / 1e6, rel=1e-3)


def test_histograms_of_other_ranges_add_up():
    narrow = HdrHistogram(1, 60_000_000, 3)
    narrow.record_value(1500)
    found = merged([narrow.encode().decode(), _recorded(1, 10).encode().decode()], "somewhere")
    assert found.total == 11


def test_nothing_has_no_percentiles():
    assert merged([], "somewhere").percentiles_ms(PERCENTILES) == {}
    assert merged([], "somewhere").mean_s is None
    empty = HdrHistogram(1, 1000, 3).encode().decode()
    assert merged([empty], "somewhere").percentiles_ms([50.0]) == {}


@pytest.mark.parametrize("blob", ["", "HISTFAAA", "not base64!", "HISTFAAAAB542pNp", "é"])
def test_what_is_no_histogram_is_named(blob):
    with pytest.raises(ConfigurationError, match=r"load/x\.json holds a histogram that cannot"):
        merged([blob], "load/x.json")
