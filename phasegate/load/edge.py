"""Whether a stage lies clear of its objective, or so near that chance decides. Pure.

A short stage is believed where it lies clear of the objective. Another one is driven longer, in
parts; the interval that these leave tells on which side it lies, or that it is on the edge: two
runs then say the same of it, where verdicts of short stages would be now this, now that. A stage
that passes with too much of its processor in use is on the edge as well: whether a queue builds up
within a minute is chance then, and how busy it is varies less from run to run than how late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasegate.load.stage_result import TAKEN_AWAY, Driven
from phasegate.load.stages import CLICKS_MIN, SESSIONS_MIN
from phasegate.model.catalogue import Slo
from phasegate.model.verdict import Reason, Verdict, code_of
from phasegate.records.histogram import Histogram, merged
from phasegate.records.matrix import Outcome, Probe
from phasegate.stats.quantile import PARTS_MIN, share_between

CLEAR_RATIO = 2.0
"""Seven stages of 6.5 to 15 s under one share of the processor were up to 2.5 times their median
p95, and as little as 0.7 times (docs/decisions/0014): below half of the objective hardly one of
them lies on the other side. So for the share of failed clicks, either way."""

MISSED_RATIO = 5.0
"""A short stage that meets a queue misses by more: one had 1.9 s where long ones had 0.6 s."""

BUSY_SHARE_CLEAR = 0.5
"""Of the processor that the size allows. A stage of 6.5 s at 69% had a p95 of 58 ms, one of 52 s at
79% of the same size and load 610 ms, with 350 ms to 6 s between its parts (the same decision)."""

CHANCE = TAKEN_AWAY | {Reason.TOO_FEW, Reason.LAG}
"""Reasons of a stage that could not be judged and, driven longer, may be."""

LONG_CELLS = 8
LONG_SESSIONS = 4 * SESSIONS_MIN
LONG_CLICKS = 2 * CLICKS_MIN
LONG_S_MAX = 90.0
LONG_TIMES = 2
"""So often at most, where other programs had the machine."""

PARTS = 12
"""Of a long stage."""


def longer(
    cell_s: float, rate_sessions_per_s: float, clicks_per_session: float
) -> tuple[float, float]:
    """How long a stage near the edge lasts, and at how many sessions per second.

    So that enough sessions come, within a minute and a half; at a higher rate where these would not
    click often enough.
    """
    lasts_s = max(LONG_CELLS * cell_s, min(LONG_SESSIONS / rate_sessions_per_s, LONG_S_MAX))
    enough = LONG_CLICKS / clicks_per_session / lasts_s if clicks_per_session else 0.0
    return lasts_s, max(rate_sessions_per_s, enough)


def is_clear(probe: Probe, slo: Slo, busy_share: float | None) -> bool:
    """Whether a longer stage would hardly say anything else.

    Args:
        probe: the short one, judged.
        slo: what it was held against.
        busy_share: of the processor that the size allows, in use; None if unknown.
    """
    if probe.verdict == Verdict.INVALID:
        codes = {code_of(reason) for reason in probe.reasons}
        # Nearer its peak it may hold: what it missed stands beside the code, without one.
        return Reason.ABOVE_PEAK not in codes and not codes <= CHANCE
    limit_ms, failed = slo.request_latency_ms_p95, probe.clicks_failed / max(probe.clicks, 1)
    high_ms = probe.latency_ms_p95_high or 0.0
    if probe.verdict == Verdict.PASS:
        few = failed <= slo.error_share_max / CLEAR_RATIO
        return high_ms <= limit_ms / CLEAR_RATIO and few and (busy_share or 0.0) <= BUSY_SHARE_CLEAR
    slow = (probe.latency_ms_p95 or 0.0) >= limit_ms * MISSED_RATIO
    return slow or failed >= slo.error_share_max * CLEAR_RATIO


@dataclass(frozen=True)
class Bounds:
    """95% intervals of a long stage."""

    latency_ms_p95: tuple[float, float]
    failed_share: tuple[float, float]


def bounds_of(driven: Driven) -> Bounds | None:
    """Those of a stage whose clicks were kept in parts; None where there are too few parts."""
    over_time = driven.load.over_time
    parts = over_time.intervals if over_time else ()
    if len(parts) < PARTS_MIN:
        return None
    latencies = [Histogram.decode(each.latency_hdr) for each in parts]
    whole = merged(latencies)
    p95_ms = whole.percentile_ms(95) or 0.0
    totals = np.array([each.clicks for each in parts], dtype=np.float64)
    within = np.array([each.count_within(p95_ms) for each in latencies], dtype=np.float64)
    failed = np.array([each.failures for each in parts], dtype=np.float64)
    low, high = (whole.percentile_ms(100 * level) for level in share_between(within, totals))
    assert low is not None and high is not None  # noqa: S101, PT018 - no part is empty
    return Bounds((low, high), share_between(failed, totals))


def settled(
    probe: Probe, bounds: Bounds, slo: Slo, busy_share: float | None, busy_share_max: float
) -> tuple[Outcome, tuple[str, ...]]:
    """The verdict on a long stage, with its reasons: on the edge where an interval holds the limit.

    What makes a stage INVALID by itself does so here too.

    Args:
        probe: the stage, judged by itself.
        bounds: its intervals.
        slo: what it is held against.
        busy_share: of the processor that the size allows, in use; None if unknown.
        busy_share_max: up to which a PASS is believed (`[usage] cpu_share_max`).
    """
    codes = {code_of(reason) for reason in probe.reasons}
    clicks_high_ms = probe.latency_ms_p95_high
    if clicks_high_ms is None or (probe.verdict == "INVALID" and codes != {Reason.TOO_FEW}):
        return probe.verdict, probe.reasons
    limit_ms, share_max = slo.request_latency_ms_p95, slo.error_share_max
    (low_ms, high_ms), (low, high) = bounds.latency_ms_p95, bounds.failed_share
    if low_ms > limit_ms or low > share_max:
        return probe.verdict, probe.reasons
    if max(high_ms, clicks_high_ms) > limit_ms:
        edge = f"p95 between {low_ms:,.0f} and {high_ms:,.0f} ms, the objective is {limit_ms:,.0f}"
        return "INVALID", (f"{Reason.ON_THE_EDGE}: {edge}",)
    if high > share_max:
        edge = f"{low:.1%} to {high:.1%} of clicks fail, {share_max:.1%} may"
        return "INVALID", (f"{Reason.ON_THE_EDGE}: {edge}",)
    if busy_share is not None and busy_share > busy_share_max:
        edge = f"{busy_share:.0%} of its processor is in use, {busy_share_max:.0%} leave room"
        return "INVALID", (f"{Reason.ON_THE_EDGE}: {edge}",)
    return "PASS", ()
