from __future__ import annotations

import pytest

from phasegate.model.catalogue import Slo
from phasegate.model.verdict import Judgement, Reason, Verdict, judge

SLO = Slo(request_latency_ms_p95=500, statement_latency_ms_p95=50, error_share_max=0.01)


def judged(
    *,
    p95: float | None = 100.0,
    high: float | None = 500.0,
    clicks: int = 1000,
    failed: int = 0,
    invalid: tuple[str, ...] = (),
) -> Judgement:
    return judge(
        latency_ms_p95=p95,
        latency_ms_p95_high=high,
        clicks=clicks,
        clicks_failed=failed,
        invalid=invalid,
        slo=SLO,
    )


def test_quick_and_whole_answers_pass() -> None:
    assert judged() == Judgement(Verdict.PASS, ())
    assert judged(p95=500.0, failed=10).verdict is Verdict.PASS


def test_slow_clicks_fail() -> None:
    assert judged(p95=500.1).verdict is Verdict.FAIL
    assert "above 500 ms" in judged(p95=2900).reasons[0]


def test_failed_clicks_fail() -> None:
    assert judged(failed=11).verdict is Verdict.FAIL


def test_a_p95_that_may_be_above_the_objective_is_no_pass_yet() -> None:
    unsure = judged(p95=480.0, high=500.1, clicks=110)
    assert unsure.verdict is Verdict.INVALID
    said = "too-few: by 110 clicks the p95 of 480 ms may be up to 500 ms, above 500 ms"
    assert unsure.reasons == (said,)
    assert judged(p95=600.0, high=900.0).verdict is Verdict.FAIL


def test_too_few_clicks_to_bound_a_p95_are_no_pass() -> None:
    few = judged(high=None, clicks=71)
    assert few.verdict is Verdict.INVALID
    assert few.reasons[0].startswith("too-few: 71 clicks are too few")
    assert judged(p95=600.0, high=None, clicks=71).verdict is Verdict.FAIL


def test_nobody_clicking_is_no_pass() -> None:
    assert judged(p95=None, clicks=0).verdict is Verdict.INVALID


def test_other_programs_excuse_a_miss_and_spoil_no_pass() -> None:
    shared = (f"{Reason.SHARED}: other programs used 40% of all cores",)
    assert judged(invalid=shared) == Judgement(Verdict.PASS, ())
    assert judged(p95=9000, invalid=shared) == Judgement(Verdict.INVALID, shared)
    late = (f"{Reason.DROPPED}: 3 of 90", *shared)
    assert judged(p95=9000, invalid=late).verdict is Verdict.INVALID
    assert judged(invalid=late) == Judgement(Verdict.INVALID, late)


@pytest.mark.parametrize(
    "reason", sorted(set(Reason) - {Reason.SHARED, Reason.STOLEN, Reason.SMALLER})
)
def test_any_reason_keeps_a_stage_from_passing(reason: Reason) -> None:
    assert judged(invalid=(f"{reason}: told so",)).verdict is Verdict.INVALID


SPARED = {Reason.DROPPED, Reason.NOT_ACHIEVED, Reason.NOT_IN_FORCE}


@pytest.mark.parametrize("reason", sorted(SPARED))
def test_what_can_only_have_flattered_does_not_excuse_a_failure(reason: Reason) -> None:
    verdict = judged(p95=9000, invalid=(f"{reason}: told so",))
    assert verdict.verdict is Verdict.FAIL
    assert len(verdict.reasons) == 2


@pytest.mark.parametrize("reason", sorted(set(Reason) - SPARED))
def test_what_may_have_slowed_the_stage_excuses_a_failure(reason: Reason) -> None:
    assert judged(p95=9000, invalid=(f"{reason}: told so",)).verdict is Verdict.INVALID


def test_a_miss_far_above_the_peak_says_nothing_about_the_peak() -> None:
    def at(rate_over_peak: float, p95: float) -> Verdict:
        return judge(
            latency_ms_p95=p95,
            latency_ms_p95_high=p95,
            clicks=1000,
            clicks_failed=0,
            invalid=(),
            slo=SLO,
            rate_over_peak=rate_over_peak,
        ).verdict

    assert at(300, 900) is Verdict.INVALID
    assert at(300, 100) is Verdict.PASS
    assert at(1.3, 900) is Verdict.FAIL


def test_a_miss_that_the_generators_lateness_cannot_explain_stands() -> None:
    def at(p95: float) -> Verdict:
        return judge(
            latency_ms_p95=p95,
            latency_ms_p95_high=p95,
            clicks=1000,
            clicks_failed=0,
            invalid=("schedule-lag: the generator was 91 ms late",),
            slo=SLO,
            schedule_lag_ms_p99=91,
        ).verdict

    assert at(1258) is Verdict.FAIL
    assert at(950) is Verdict.INVALID  # 500 + 5 × 91 = 955
    assert at(100) is Verdict.INVALID
