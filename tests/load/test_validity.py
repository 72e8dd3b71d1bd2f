from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from phasegate.load.counters import EndpointTally, StageTally
from phasegate.load.expectations import ALWAYS, USUALLY, Failure, Maybe, Rows, is_too_empty
from phasegate.load.stages import Stage
from phasegate.load.validity import hopeless, reasons
from phasegate.model.verdict import code_of

STAGE = Stage(name="s", users=1000, sessions_per_s=10, duration_s=10)


def fair() -> StageTally:
    """A stage that counts."""
    tally = StageTally(endpoints={"GET tasks": EndpointTally(requests=400, statuses={200: 400})})
    tally.sessions.due = tally.sessions.finished = 100
    tally.cpu_share_max = 0.5
    tally.lag.add(np.full(500, 900))
    return tally


def codes(tally: StageTally, *, stage: Stage = STAGE, lasted_s: float = 10.0) -> list[str]:
    found = reasons(stage, tally, lasted_s=lasted_s, workers_lost=0)
    return [code_of(reason) for reason in found]


def dropped(tally: StageTally) -> None:
    tally.sessions.dropped, tally.sessions.finished = 1, 99


def cut(tally: StageTally) -> None:
    tally.sessions.cut, tally.sessions.finished = 6, 94


def broken(tally: StageTally) -> None:
    tally.sessions.broken, tally.sessions.finished = 1, 99


def status(code: int) -> Callable[[StageTally], None]:
    return lambda tally: tally.endpoints["GET tasks"].statuses.update({code: 1})


def late(tally: StageTally) -> None:
    tally.lag.add(np.full(20, 60_000))


def busy(tally: StageTally) -> None:
    tally.cpu_share_max = 0.93


def silent(tally: StageTally) -> None:
    tally.endpoints.clear()


def page(tally: StageTally) -> None:
    for _ in range(5):
        tally.failed(200, Failure.NOT_JSON, "a web page instead of JSON")


def redirect(tally: StageTally) -> None:
    tally.endpoints["GET tasks"].statuses[302] = 5


def odd(tally: StageTally) -> None:
    for _ in range(5):
        tally.failed(200, Failure.UNEXPECTED, "a number instead of rows")


def empty(tally: StageTally) -> None:
    for n in range(100):
        tally.saw("open list", USUALLY, empty=n < 40)


def test_a_fair_stage_has_no_reason() -> None:
    assert codes(fair()) == []


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (dropped, "dropped"),
        (cut, "not-achieved"),
        (broken, "generator-error"),
        (status(401), "authorisation"),
        (status(403), "authorisation"),
        (status(429), "rate-limited"),
        (late, "schedule-lag"),
        (busy, "generator-cpu"),
        (silent, "empty"),
        (page, "answers-html"),
        (redirect, "refused"),
        (odd, "answers-unexpected"),
        (empty, "answers-empty"),
    ],
)
def test_what_spoils_a_stage_is_named(spoil: Callable[[StageTally], None], code: str) -> None:
    tally = fair()
    spoil(tally)
    assert codes(tally) == [code]


def test_failures_of_the_server_do_not_spoil_a_stage() -> None:
    tally = fair()
    tally.endpoints["GET tasks"].statuses = {0: 100, 500: 200, 504: 100}
    assert codes(tally) == []


def test_five_sessions_in_a_hundred_may_be_cut() -> None:
    tally = fair()
    tally.sessions.cut, tally.sessions.finished = 5, 95
    assert codes(tally) == []


def test_a_stage_that_was_stopped_early_is_named_unless_it_had_no_end() -> None:
    assert codes(fair(), lasted_s=7) == ["interrupted"]
    endless = Stage(name="s", users=1000, sessions_per_s=10, duration_s=float("inf"))
    assert codes(fair(), stage=endless, lasted_s=7) == []


def test_the_closed_model_never_counts() -> None:
    closed = Stage(name="s", users=1000, sessions_per_s=0, duration_s=10)
    assert codes(fair(), stage=closed) == ["closed-model"]


def test_a_conditional_arm_without_etags_is_not_what_it_says() -> None:
    tally = fair()
    tally.cache.unvalidated = 10
    assert codes(tally) == ["not-served"]
    tally.cache.validators = 1
    assert codes(tally) == []


def test_lost_workers_come_first() -> None:
    tally = fair()
    late(tally)
    found = reasons(STAGE, tally, lasted_s=10, workers_lost=2)
    assert [code_of(reason) for reason in found] == ["worker-lost", "schedule-lag"]


@pytest.mark.parametrize(
    ("clicks", "nothing", "shows", "too_empty"),
    [
        (100, 0, ALWAYS, False),
        (1, 1, USUALLY, True),  # all of them
        # A quarter may be empty. P(X >= k) for n = 28, p = 0.25: 0.0112 for 13, 0.0038 for 14.
        (28, 7, USUALLY, False),
        (28, 13, USUALLY, False),
        (28, 14, USUALLY, True),
        # The normal distribution has its 99% at 2,500 + 2.33 * 43.3 = 2,601.
        (10_000, 2_590, USUALLY, False),
        (10_000, 2_612, USUALLY, True),
        # One in a hundred at the most: P(X >= k) for n = 100, p = 0.01: 0.018 for 4, 0.0034 for 5.
        (100, 4, ALWAYS, False),
        (100, 5, ALWAYS, True),
    ],
)
def test_clicks_that_show_nothing_are_too_many_beyond_chance(
    clicks: int, nothing: int, shows: float, too_empty: bool
) -> None:
    assert is_too_empty(clicks, nothing, shows) is too_empty


def test_a_test_ends_only_when_nothing_can_come_of_it() -> None:
    tally = fair()
    tally.endpoints["GET tasks"].statuses = {200: 10, 404: 390}
    assert "390 of 400 answers were the same refusal" in hopeless(tally)
    tally.endpoints["GET tasks"].statuses = {200: 40, 404: 360}
    assert hopeless(tally) == ""
    # Overload is the server's answer to the load, however often it comes.
    tally.endpoints["GET tasks"].statuses = {0: 100, 500: 200, 503: 100, 304: 400}
    assert hopeless(tally) == ""


def test_no_body_is_in_order_only_where_it_may_be_missing() -> None:
    assert Rows().problem(None) == "null instead of rows"
    assert Maybe(Rows()).problem(None) == ""
    assert Maybe(Rows()).problem({}) == "an object instead of rows"
