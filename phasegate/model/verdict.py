"""The verdict on one stage of load: PASS, FAIL or INVALID. Pure: numbers in, verdict out.

INVALID outranks PASS: a stage that could have looked better than the server is must not pass.
It outranks FAIL too, except for reasons that can only have flattered: a server that misses its
objective although some sessions were spared it has failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from phasegate.model.catalogue import Slo


class Verdict(StrEnum):
    """What a stage says about the stack."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    INVALID = "INVALID"


class Reason(StrEnum):
    """Codes of what makes a stage INVALID; a record carries them as `code: sentence`."""

    CLOSED = "closed-model"
    EMPTY = "empty"
    INTERRUPTED = "interrupted"
    GENERATOR_CPU = "generator-cpu"
    LAG = "schedule-lag"
    DROPPED = "dropped"
    NOT_ACHIEVED = "not-achieved"
    REFUSED = "refused"
    ANSWERS_UNEXPECTED = "answers-unexpected"
    ANSWERS_EMPTY = "answers-empty"
    ANSWERS_HTML = "answers-html"
    ANSWERS_SAME = "answers-same"
    ANSWERS_FOREIGN = "answers-foreign"
    ANSWERS_TRUNCATED = "answers-truncated"
    AUTHORISATION = "authorisation"
    RATE_LIMITED = "rate-limited"
    WORKER_LOST = "worker-lost"
    BROKEN = "generator-error"
    NOT_SERVED = "not-served"
    ABOVE_PEAK = "above-peak"
    TOO_FEW = "too-few"
    SHARED = "machine-shared"
    STOLEN = "processor-stolen"
    ROW_SECURITY = "row-level-security"
    SMALLER = "machine-smaller"
    NOT_IN_FORCE = "not-in-force"
    ON_THE_EDGE = "on-the-edge"


# A stage of seconds needs more sessions to judge by than a small population starts. Driven far
# above its modelled peak it may pass; that it does not says nothing about the peak. 2: the burst
# that the model itself allows over an hour's mean.
RATE_OVER_PEAK_MAX = 2.0

# A generator that was late may have made clicks slow, but only by so much: a click begins late, and
# each of its answers (an N+1 page has about four) is read late.
LAGS_PER_CLICK = 5

# They spare the server load that it was due: what was measured is better than what would have
# been, so a missed objective stays missed; so too where a limit of the compute size was not in
# force.
FLATTERING = frozenset({Reason.DROPPED, Reason.NOT_ACHIEVED, Reason.NOT_IN_FORCE})

# The sessions did not meet the application: neither verdict nor cost can be read from such a load.
NO_LOAD = frozenset(
    {
        Reason.REFUSED,
        Reason.ANSWERS_UNEXPECTED,
        Reason.ANSWERS_EMPTY,
        Reason.ANSWERS_HTML,
        Reason.ANSWERS_SAME,
        Reason.ANSWERS_FOREIGN,
        Reason.ANSWERS_TRUNCATED,
        Reason.AUTHORISATION,
        Reason.RATE_LIMITED,
        Reason.BROKEN,
        Reason.EMPTY,
    }
)

# They only made it harder: a miss says nothing, and a pass is one all the more.
HARDENING = frozenset({Reason.SHARED, Reason.STOLEN, Reason.SMALLER})

# Of all processors' time, taken by the hypervisor for others. Hosted runners of GitHub show 0 to 3%
# as a rule. At a tenth a block of 20 ms loses two of them on average, which blocks in turns still
# even out, but its neighbours come in bursts.
STEAL_SHARE_MAX = 0.10


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reasons, the weightiest first; empty for PASS."""

    verdict: Verdict
    reasons: tuple[str, ...]


def code_of(reason: str) -> str:
    """The code in front of a record's reason."""
    return reason.partition(":")[0]


def judge(
    *,
    latency_ms_p95: float | None,
    latency_ms_p95_high: float | None,
    clicks: int,
    clicks_failed: int,
    invalid: tuple[str, ...],
    slo: Slo,
    rate_over_peak: float | None = None,
    schedule_lag_ms_p99: float | None = None,
) -> Judgement:
    """PASS, FAIL or INVALID of one stage.

    Args:
        latency_ms_p95: of the clicks, counted from when they were due; None without any.
        latency_ms_p95_high: upper end of its 95% interval (`stats.quantile`): a PASS has to lie
            within the objective with it. None where there were too few clicks to have one.
        clicks: how many there were.
        clicks_failed: of those, without the answer that they needed.
        invalid: the record's reasons why it must not be judged.
        slo: what to hold it against.
        rate_over_peak: arrival rate over the modelled peak of the population that is judged; None
            where the rate itself is judged.
        schedule_lag_ms_p99: how late the generator was; a miss that this cannot explain stands.
            None where it is not known.
    """
    missed = []
    if latency_ms_p95 is not None and latency_ms_p95 > slo.request_latency_ms_p95:
        missed.append(
            f"p95 of {latency_ms_p95:,.0f} ms is above {slo.request_latency_ms_p95:,.0f} ms"
        )
    if clicks and clicks_failed / clicks > slo.error_share_max:
        missed.append(
            f"{clicks_failed / clicks:.1%} of clicks failed, above {slo.error_share_max:.1%}"
        )
    harmless = set(FLATTERING)
    if latency_ms_p95 is not None and schedule_lag_ms_p99 is not None:
        unexplained_ms = latency_ms_p95 - LAGS_PER_CLICK * schedule_lag_ms_p99
        if unexplained_ms > slo.request_latency_ms_p95:
            harmless.add(Reason.LAG)
    unfair = tuple(reason for reason in invalid if code_of(reason) not in harmless)
    spoiling = tuple(reason for reason in invalid if code_of(reason) not in HARDENING)
    if unfair if missed else spoiling:
        return Judgement(Verdict.INVALID, invalid)
    if latency_ms_p95 is None or clicks == 0:
        return Judgement(Verdict.INVALID, (f"{Reason.EMPTY}: nobody clicked",))
    if missed and rate_over_peak is not None and rate_over_peak > RATE_OVER_PEAK_MAX:
        above = f"{Reason.ABOVE_PEAK}: it was driven at {rate_over_peak:,.0f} times the peak"
        return Judgement(Verdict.INVALID, (above, *missed))
    if missed:
        return Judgement(Verdict.FAIL, tuple(missed) + invalid)
    few = _too_few(latency_ms_p95, latency_ms_p95_high, clicks, slo)
    return Judgement(Verdict.INVALID if few else Verdict.PASS, few)


def _too_few(p95_ms: float, high_ms: float | None, clicks: int, slo: Slo) -> tuple[str, ...]:
    """Why a p95 within the objective is no PASS yet; empty where it is one."""
    if high_ms is None:
        return (f"{Reason.TOO_FEW}: {clicks} clicks are too few to say how far off a p95 may be",)
    if high_ms <= slo.request_latency_ms_p95:
        return ()
    limit = f"{high_ms:,.0f} ms, above {slo.request_latency_ms_p95:,.0f} ms"
    return (
        f"{Reason.TOO_FEW}: by {clicks} clicks the p95 of {p95_ms:,.0f} ms may be up to {limit}",
    )
