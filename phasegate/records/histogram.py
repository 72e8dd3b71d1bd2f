"""HdrHistogram with 3 significant digits: sparse, filled in bulk, merged exactly.

Pure: numbers in, numbers out. Load records hold histograms in this form: the generator writes them,
verdict and report read them, and percentiles are read off by one rule. The layout is HdrHistogram's
own (Tene, hdrhistogram.org), so `encode` is read by any of its implementations; only the filling is
ours, because recording value by value in Python costs more than the request that is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

# 2,048 sub-buckets: neighbouring buckets differ by less than 0.1%.
SIGNIFICANT_DIGITS = 3
SUB_BUCKET_BITS = 11
HALF = 1 << (SUB_BUCKET_BITS - 1)

# An hour in µs. No request lives that long (`load.transport.REQUEST_TIMEOUT_S`), none is clipped.
VALUE_US_MAX = 3_600_000_000

PERCENTILES: Mapping[str, float] = {
    "p50": 50.0,
    "p90": 90.0,
    "p95": 95.0,
    "p99": 99.0,
    "p999": 99.9,
}


def bucket_indices(values_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the bucket that each value (µs, any shape) falls into."""
    values = np.clip(values_us, 0, VALUE_US_MAX)
    # frexp's exponent is the bit length, exact below 2**53.
    bits = np.frexp(np.maximum(values, (1 << SUB_BUCKET_BITS) - 1).astype(np.float64))[1]
    exponent = bits.astype(np.int64) - SUB_BUCKET_BITS
    indices: NDArray[np.int64] = exponent * HALF + (values >> exponent)
    return indices


def bucket_bounds_us(index: int) -> tuple[int, int]:
    """Smallest and largest value, in µs, that falls into bucket `index`."""
    exponent = max(index // HALF - 1, 0)
    low = (index - exponent * HALF) << exponent
    return low, low + (1 << exponent) - 1


class Histogram(msgspec.Struct):
    """Counts by bucket index; only buckets that hold something are there."""

    counts: dict[int, int] = {}

    def add(self, values_us: NDArray[np.int64]) -> None:
        """Count each of `values_us` (one dimension, µs)."""
        found, times = np.unique(bucket_indices(values_us), return_counts=True)
        for index, count in zip(found.tolist(), times.tolist(), strict=True):
            self.counts[index] = self.counts.get(index, 0) + count

    def merge(self, other: Histogram) -> None:
        """Count what `other` counted."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count

    @property
    def total(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    @property
    def mean_s(self) -> float | None:
        """The mean in seconds, each value taken for the middle of its bucket; None when empty."""
        if not self.counts:
            return None
        middles = ((sum(bucket_bounds_us(index)) / 2, n) for index, n in self.counts.items())
        return sum(middle * n for middle, n in middles) / self.total / 1e6

    def at_percents_ms(self, percents: Sequence[float]) -> dict[float, float]:
        """By percent (0..100): the value, in ms, that at least so many of all do not exceed.

        Nearest rank, and the upper end of its bucket, as HdrHistogram answers; nothing when empty.
        """
        if not self.counts:
            return {}
        indices = sorted(self.counts)
        reached = np.cumsum([self.counts[index] for index in indices])
        ranks = np.maximum(1, np.ceil(np.array(percents) * reached[-1] / 100 - 1e-9))
        places = np.searchsorted(reached, ranks).tolist()
        return {
            percent: bucket_bounds_us(indices[place])[1] / 1000
            for percent, place in zip(percents, places, strict=True)
        }

    def percentile_ms(self, percent: float) -> float | None:
        """One of `at_percents_ms`; None when empty."""
        return self.at_percents_ms((percent,)).get(percent)

    def count_within(self, value_ms: float) -> int:
        """How many values lie in the bucket of `value_ms` or below it."""
        last = int(bucket_indices(np.array([round(value_ms * 1000)], dtype=np.int64))[0])
        return sum(count for index, count in self.counts.items() if index <= last)

    def percentiles_ms(self) -> dict[str, float]:
        """`PERCENTILES` and `max` by name, in ms; empty when nothing was counted."""
        if not self.counts:
            return {}
        values = self.at_percents_ms(tuple(PERCENTILES.values()))
        named = {name: values[percent] for name, percent in PERCENTILES.items()}
        return {**named, "max": bucket_bounds_us(max(self.counts))[1] / 1000}

    def encode(self, *, fitted: bool = False) -> str:
        """HdrHistogram V2 compressed, base64.

        Args:
            fitted: whether its range ends with its own largest value, and not after an hour: ten
                times as fast to write and read where there are thousands of small ones.
        """
        largest = bucket_bounds_us(max(self.counts, default=0))[1]
        range_us = max(largest, 2) if fitted else VALUE_US_MAX
        standard = HdrHistogram(1, range_us, SIGNIFICANT_DIGITS)
        for index in sorted(self.counts):
            standard.record_value(bucket_bounds_us(index)[0], self.counts[index])
        encoded: bytes = standard.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, encoded: str) -> Histogram:
        """The histogram that `encode` wrote, or another implementation, of whatever range.

        Raises:
            ValueError: it is none.
        """
        try:
            standard = HdrHistogram.decode(encoded.encode("ascii"))
            # The library's own iterators walk every empty bucket.
            counts = np.ctypeslib.as_array(standard.encoder.payload.counts)
            places = np.nonzero(counts)[0].tolist()
            lows = [standard.get_value_from_index(place) for place in places]
        except Exception as error:  # the library raises whatever its parts raise
            raise ValueError("not an HdrHistogram") from error
        found: dict[int, int] = {}
        indices = bucket_indices(np.array(lows, dtype=np.int64)).tolist()
        for index, count in zip(indices, counts[places].tolist(), strict=True):
            found[index] = found.get(index, 0) + count
        return cls(found)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram that counts what all of `histograms` counted."""
    together = Histogram()
    for histogram in histograms:
        together.merge(histogram)
    return together
