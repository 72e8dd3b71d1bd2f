"""What the stages of load say: percentiles over all endpoints of a stage, and its cache.

Takes records, returns values; reads no file, draws nothing. Percentiles come from the merged HDR
histograms: those of single endpoints cannot be averaged.
"""

from __future__ import annotations

import binascii
import zlib
from dataclasses import dataclass

from hdrh.histogram import HdrHistogram

from phases.errors import ConfigurationError
from records.load import Cache, LoadRecord

PERCENTILES = (50.0, 95.0, 99.0)

MICROSECONDS_PER_MS = 1000.0


@dataclass(frozen=True)
class StageTraffic:
    """One stage of load, all endpoints together. Latencies in milliseconds."""

    stage: str
    arm: str
    level: int
    users: int
    requests: int
    failures: int
    response_bytes: int
    offered_sessions_per_s: float
    achieved_sessions_per_s: float
    latency_ms: dict[float, float]
    """From due to answered, by percentile; empty where nothing was answered."""
    service_ms: dict[float, float]
    """From sent to answered, by percentile; empty where nothing was answered."""
    cache: Cache | None
    invalid: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file that all of this comes from."""
        return f"load/{self.stage}.json"

    @property
    def error_share(self) -> float | None:
        """Failures per request, 0..1; None where nothing was asked."""
        return self.failures / self.requests if self.requests else None

    @property
    def hit_ratio(self) -> float | None:
        """Hits per read asked of the cache, 0..1; None without a cache or without a read."""
        if self.cache is None or not self.cache.hits + self.cache.misses:
            return None
        return self.cache.hits / (self.cache.hits + self.cache.misses)


def merged(encoded: list[str], where: str) -> HdrHistogram:
    """The sum of base64 HdrHistogram V2 blobs; an empty histogram where there are none.

    Raises:
        ConfigurationError: one of them cannot be decoded; `where` names the file.
    """
    total = HdrHistogram(1, 3_600_000_000, 3)
    try:
        for blob in encoded:
            total.add(HdrHistogram.decode(blob.encode("ascii")))
    except (ValueError, TypeError, IndexError, KeyError, zlib.error, binascii.Error) as error:
        raise _undecodable(where) from error
    except Exception as error:
        if not type(error).__module__.startswith("hdrh"):
            raise
        raise _undecodable(where) from error
    return total


def _undecodable(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} holds a histogram that cannot be decoded",
        then="Measure again, or report on another run",
    )


def _percentiles(histogram: HdrHistogram) -> dict[float, float]:
    if not histogram.get_total_count():
        return {}
    values = histogram.get_percentile_to_value_dict(list(PERCENTILES))
    return {q: values[q] / MICROSECONDS_PER_MS for q in PERCENTILES}


def of_stage(load: LoadRecord) -> StageTraffic:
    """The percentiles and totals of one stage."""
    where = f"load/{load.stage}.json"
    return StageTraffic(
        stage=load.stage,
        arm=load.arm,
        level=load.level,
        users=load.users,
        requests=sum(endpoint.requests for endpoint in load.endpoints),
        failures=sum(endpoint.failures for endpoint in load.endpoints),
        response_bytes=sum(endpoint.response_bytes for endpoint in load.endpoints),
        offered_sessions_per_s=load.offered_sessions_per_s,
        achieved_sessions_per_s=load.achieved_sessions_per_s,
        latency_ms=_percentiles(merged([e.latency_hdr for e in load.endpoints], where)),
        service_ms=_percentiles(merged([e.service_hdr for e in load.endpoints], where)),
        cache=load.cache,
        invalid=load.invalid,
    )
