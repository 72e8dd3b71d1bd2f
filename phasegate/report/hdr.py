"""HDR histograms as arrays: decoded, added up over endpoints, read off at any percentile.

Takes base64 HdrHistogram V2 blobs, returns values; reads no file. hdrh decodes; its iterators walk
every empty bucket, so reading off is done here, on the buckets that hold something.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from phasegate.model.errors import ConfigurationError

MICROSECONDS_PER_MS = 1000.0


@dataclass(frozen=True)
class Latencies:
    """Counted latencies, ascending.

    Attributes:
        highest_us: the largest value that falls into each bucket, as HdrHistogram reports it.
        middle_us: the middle of each bucket.
        counts: how many fell into it.
    """

    highest_us: npt.NDArray[np.int64]
    middle_us: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def total(self) -> int:
        """How many latencies were counted."""
        return int(self.counts.sum())

    @property
    def mean_s(self) -> float | None:
        """The mean in seconds; None without any."""
        if not self.total:
            return None
        return float(self.middle_us @ self.counts) / self.total / 1e6

    def percentiles_ms(self, percentiles: Sequence[float]) -> dict[float, float]:
        """Milliseconds at each percentile (0 to 100); empty without any latency."""
        if not self.total:
            return {}
        # As HdrHistogram: the first bucket by which so many, rounded to whole ones, were counted.
        wanted = np.maximum(1, (np.array(percentiles) / 100 * self.total + 0.5).astype(np.int64))
        found = np.searchsorted(np.cumsum(self.counts), np.minimum(wanted, self.total))
        values = self.highest_us[found] / MICROSECONDS_PER_MS
        return dict(zip(percentiles, values.tolist(), strict=True))


def _buckets(histogram: HdrHistogram) -> Latencies:
    """The buckets that hold something (layout: Tene, HdrHistogram)."""
    counts = np.ctypeslib.as_array(histogram.encoder.payload.counts)
    index = np.nonzero(counts)[0].astype(np.int64)
    half = histogram.sub_bucket_half_count
    bucket = (index >> histogram.sub_bucket_half_count_magnitude) - 1
    within = (index & (half - 1)) + np.where(bucket < 0, 0, half)
    shift = np.maximum(bucket, 0) + histogram.unit_magnitude
    lowest = within << shift
    width = np.left_shift(np.int64(1), shift)
    return Latencies(
        highest_us=lowest + width - 1,
        middle_us=lowest + (width >> 1).astype(float),
        counts=counts[index].astype(np.int64),
    )


def merged(blobs: Sequence[str], where: str) -> Latencies:
    """The sum of base64 HdrHistogram V2 blobs; nothing where there are none.

    Raises:
        ConfigurationError: one of them cannot be decoded; `where` names the file.
    """
    parts = [_decoded(blob, where) for blob in blobs]
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Latencies(nothing, np.zeros(0), nothing)
    highest, first, inverse = np.unique(
        np.concatenate([part.highest_us for part in parts]), return_index=True, return_inverse=True
    )
    counts = np.zeros(len(highest), dtype=np.int64)
    np.add.at(counts, inverse, np.concatenate([part.counts for part in parts]))
    return Latencies(highest, np.concatenate([part.middle_us for part in parts])[first], counts)


def _decoded(blob: str, where: str) -> Latencies:
    try:
        return _buckets(HdrHistogram.decode(blob.encode("ascii")))
    except Exception as error:
        known = (ValueError, TypeError, IndexError, zlib.error, binascii.Error)
        if not isinstance(error, known) and not type(error).__module__.startswith("hdrh"):
            raise
        raise ConfigurationError(
            f"{where} holds a histogram that cannot be decoded",
            then="Measure again, or report on another run",
        ) from error
