"""HdrHistogram with 3 significant digits: sparse, filled in bulk, merged exactly.

Pure: numbers in, numbers out. The layout is HdrHistogram's own (Tene, hdrhistogram.org), so
`encode` is read by any of its implementations; only the filling is ours, because recording value
by value in Python costs more than the request that is measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

# 2,048 sub-buckets: neighbouring buckets differ by less than 0.1%.
SIGNIFICANT_DIGITS = 3
SUB_BUCKET_BITS = 11
HALF = 1 << (SUB_BUCKET_BITS - 1)

# An hour in µs. No request lives that long (`transport.REQUEST_TIMEOUT_S`), so nothing is clipped.
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

    def percentile_ms(self, percent: float) -> float | None:
        """The value, in ms, that at least `percent` (0..100) of all do not exceed.

        Nearest rank, and the upper end of its bucket, as HdrHistogram answers; None when empty.
        """
        total = self.total
        if total == 0:
            return None
        wanted = max(1, math.ceil(total * percent / 100 - 1e-9))
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= wanted:
                return bucket_bounds_us(index)[1] / 1000
        raise AssertionError("unreachable: the ranks end with the last bucket")

    def percentiles_ms(self) -> dict[str, float]:
        """`PERCENTILES` and `max` by name, in ms; empty when nothing was counted."""
        if not self.counts:
            return {}
        named = {name: self.percentile_ms(percent) or 0.0 for name, percent in PERCENTILES.items()}
        return {**named, "max": bucket_bounds_us(max(self.counts))[1] / 1000}

    def encode(self) -> str:
        """HdrHistogram V2 compressed, base64."""
        standard = HdrHistogram(1, VALUE_US_MAX, SIGNIFICANT_DIGITS)
        for index in sorted(self.counts):
            standard.record_value(bucket_bounds_us(index)[0], self.counts[index])
        encoded: bytes = standard.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, encoded: str) -> Histogram:
        """The histogram that `encode` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            standard = HdrHistogram.decode(encoded)
        except Exception as error:  # the library raises whatever its parts raise
            raise ValueError(f"not an HdrHistogram: {error}") from error
        values = [
            (item.value_iterated_to, item.count_at_value_iterated_to)
            for item in standard.get_recorded_iterator()
        ]
        counts: dict[int, int] = {}
        for value, count in values:
            index = int(bucket_indices(np.array([value], dtype=np.int64))[0])
            counts[index] = counts.get(index, 0) + count
        return cls(counts)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram that counts what all of `histograms` counted."""
    together = Histogram()
    for histogram in histograms:
        together.merge(histogram)
    return together
