"""Why a stage must not be judged: pure checks of its tally, in order of weight."""

from __future__ import annotations

import math
from collections.abc import Collection

from phasegate.load.answers import same_for_all
from phasegate.load.counters import StageTally, status_of
from phasegate.load.expectations import PAGE, is_too_empty
from phasegate.load.stages import SESSIONS_MIN, Stage
from phasegate.model.api_refusals import FORM_ADVICE, RATE_LIMITED, UNAUTHORISED, advice
from phasegate.model.verdict import Reason

# Locust's own limit: above it, a single-threaded generator answers to itself, not to the server.
CPU_SHARE_MAX = 0.90

# A tenth of the request's budget (SLO 500 ms): later, and it is the generator that is judged.
LAG_MS_P99_MAX = 50.0

# Below, the load that was offered is not the load that was measured
# (docs/method.md#invalid-before-pass).
ACHIEVED_SHARE_MIN = 0.95

# For a newcomer: the reference API answers as PostgREST does.
NO_ETAG = (
    "the server sent no ETag, so no request could be conditional; PostgREST and Supabase's gateway "
    "send none: put a gateway that adds them in front, or leave that part of the client out "
    "(--without)"
)

EMPTY_ADVICE = (
    "the users that sessions act as own nothing there, or do not exist: give the --seed of the "
    "data set and no more --users-registered than it has, or --users-file with users who own "
    "something; see too that the policies let them read"
)

# Fewer sessions than that say nothing of what users see.
SESSIONS_SEEN_MIN = 5

SAME_ADVICE = (
    "the server, or a cache in front of it, does not look at who asks: see that it reads the token "
    "or the cookie, and that nothing keeps answers for all"
)

FOREIGN_ADVICE = (
    "the API or a policy does not keep users apart; where such rows are meant to be seen, ask for "
    "them without the user's id in the request"
)
TRUNCATED_ADVICE = (
    "the server sends fewer rows than were asked for, or a proxy cuts bodies: ask for pages of a "
    "size that it serves, or raise its limit"
)

# By reason: what such answers are, and what to do.
ODD_ADVICE = {
    Reason.ANSWERS_FOREIGN: ("held rows of another user", FOREIGN_ADVICE),
    Reason.ANSWERS_TRUNCATED: ("were cut short", TRUNCATED_ADVICE),
}

# As many as may fail by the shipped objective: a server that is only overloaded gives none of them.
REFUSED_SHARE_MAX = 0.01

# A test ends as soon as this much is sure to have happened, since nothing can come of it any more:
# answers, and the share of them that is the same refusal, or in a form that nobody expected;
# sessions that failed by an error of the locustfile's.
HOPELESS_ANSWERS_MIN = 40
HOPELESS_REFUSED_SHARE = 0.95
HOPELESS_MISSHAPEN_SHARE = 0.5
HOPELESS_BROKEN = 5

# Of a stage's length: a test stopped by hand ends its last stage early.
DURATION_SHARE_MIN = 0.99


def reasons(
    stage: Stage, tally: StageTally, *, lasted_s: float, workers_lost: int
) -> tuple[str, ...]:
    """The reasons, each as `code: sentence`; empty where the stage counts.

    Args:
        stage: what was asked for.
        tally: what was counted.
        lasted_s: how long the stage lasted, in seconds.
        workers_lost: generator processes whose last report is missing.
    """
    sessions = tally.sessions
    lag_ms = tally.lag.percentile_ms(99) or 0.0
    achieved = sessions.finished / sessions.due if sessions.due else 1.0
    is_open = stage.sessions_per_s > 0
    findings = (
        (workers_lost > 0, Reason.WORKER_LOST, f"{workers_lost} generator process(es) went away"),
        (sessions.broken > 0, Reason.BROKEN, _broken(tally)),
        *_of_answers(stage, tally),
        (
            tally.cpu_share_max >= CPU_SHARE_MAX,
            Reason.GENERATOR_CPU,
            f"a generator process used {tally.cpu_share_max:.0%} of a core",
        ),
        (
            lag_ms > LAG_MS_P99_MAX,
            Reason.LAG,
            f"the generator was {lag_ms:.0f} ms late (p99; limit {LAG_MS_P99_MAX:.0f} ms)",
        ),
        (
            lasted_s < stage.duration_s * DURATION_SHARE_MIN and stage.duration_s != float("inf"),
            Reason.INTERRUPTED,
            f"it was stopped after {lasted_s:.1f} of {stage.duration_s:g} s",
        ),
        (
            sessions.dropped > 0,
            Reason.DROPPED,
            f"{sessions.dropped} of {sessions.due} arrivals found the generator full",
        ),
        (
            achieved < ACHIEVED_SHARE_MIN,
            Reason.NOT_ACHIEVED,
            f"{achieved:.1%} of the sessions that were due finished",
        ),
        (
            not is_open,
            Reason.CLOSED,
            "users waited for the server before they clicked again, so a freeze hides",
        ),
    )
    return tuple(f"{code}: {sentence}" for found, code, sentence in findings if found)


def _of_answers(stage: Stage, tally: StageTally) -> tuple[tuple[bool, Reason, str], ...]:
    """Whether the sessions met the application: by what they were answered."""
    statuses = tally.statuses
    answers = sum(statuses.values())
    misshapen = sum(tally.misshapen.values())
    unauthorised = sum(statuses.get(status, 0) for status in UNAUTHORISED)
    limited = statuses.get(RATE_LIMITED, 0)
    pages = sum(count for said, count in tally.refusals.items() if said.endswith(PAGE))
    refused = tally.refused - pages
    empty = [
        f"{seen.empty} of {seen.clicks} clicks '{click}' showed nothing"
        for click, seen in sorted(tally.seen.items())
        if is_too_empty(seen.clicks, seen.empty, seen.shown_share)
    ]
    sessions = tally.sessions_seen
    if sessions.clicks >= SESSIONS_SEEN_MIN and is_too_empty(
        sessions.clicks, sessions.empty, sessions.shown_share
    ):
        empty.append(f"{sessions.empty} of {sessions.clicks} sessions were shown nothing at all")
    same = same_for_all(tally.same)
    return (
        (not statuses, Reason.EMPTY, _nothing_sent(stage)),
        (
            refused > answers * REFUSED_SHARE_MAX,
            Reason.REFUSED,
            f"{_share(refused, answers)} were refusals{_most(tally.refusals, pages=False)}",
        ),
        (
            pages > answers * REFUSED_SHARE_MAX,
            Reason.ANSWERS_HTML,
            f"{_share(pages, answers)} were web pages where JSON was asked for"
            + _most(tally.refusals, pages=True),
        ),
        *(_odd(tally, reason) for reason in ODD_ADVICE),
        (
            bool(same),
            Reason.ANSWERS_SAME,
            f"every user got the same bytes from {', '.join(same)}: {SAME_ADVICE}",
        ),
        (
            misshapen > answers * REFUSED_SHARE_MAX,
            Reason.ANSWERS_UNEXPECTED,
            f"{_misshapen(tally, answers)}: {FORM_ADVICE}",
        ),
        (bool(empty), Reason.ANSWERS_EMPTY, f"{'; '.join(empty)}: {EMPTY_ADVICE}"),
        (
            tally.cache.unvalidated > 0 and tally.cache.validators == 0,
            Reason.NOT_SERVED,
            NO_ETAG,
        ),
        (
            unauthorised > 0,
            Reason.AUTHORISATION,
            f"{unauthorised} answers were 401 or 403{_most(tally.refusals, UNAUTHORISED)}",
        ),
        (limited > 0, Reason.RATE_LIMITED, f"{limited} answers were 429"),
    )


def _odd(tally: StageTally, reason: Reason) -> tuple[bool, Reason, str]:
    """Whether so many answers of status 200 were none for their user that the stage is none."""
    counted = tally.odd_answers.get(reason, {})
    odd, looked = sum(counted.values()), sum(tally.looked.get(name, 0) for name in counted)
    allowed = 0.0 if reason is Reason.ANSWERS_FOREIGN else looked * REFUSED_SHARE_MAX
    words, then = ODD_ADVICE[reason]
    worst = max(counted, key=lambda name: counted[name], default="")
    return (
        odd > allowed,
        reason,
        f"{odd} of {looked} answers that were looked at {words} ({worst}): {then}",
    )


def _nothing_sent(stage: Stage) -> str:
    """That nothing was, at which rate nothing is surprising, and what to give instead."""
    rate = stage.sessions_per_s
    if not rate:
        return "no request was sent"
    enough_s = math.ceil(SESSIONS_MIN / rate)
    return (
        f"no request was sent: the rate is one session in {1 / rate:.3g} s, and the stage lasted "
        f"{stage.duration_s:g} s; give --stage-duration {enough_s} ({SESSIONS_MIN} sessions), or "
        "more --users-registered or --arrival-rate"
    )


def hopeless(tally: StageTally) -> str:
    """Why a test under way may as well end; empty while something can come of it.

    Args:
        tally: of all that was counted so far.
    """
    if tally.sessions.broken >= HOPELESS_BROKEN:
        return _broken(tally)
    statuses = tally.statuses
    answers = sum(count for status, count in statuses.items() if status)
    if answers < HOPELESS_ANSWERS_MIN:
        return ""
    alike = tally.alike()
    status = max(alike, key=lambda one: alike[one], default=0)
    if alike and alike[status] >= answers * HOPELESS_REFUSED_SHARE:
        return f"{_share(alike[status], answers)} were the same refusal" + _most(
            tally.refusals, {status}
        )
    if sum(tally.misshapen.values()) >= answers * HOPELESS_MISSHAPEN_SHARE:
        return _misshapen(tally, answers)
    return ""


def _misshapen(tally: StageTally, answers: int) -> str:
    held, count = _largest(tally.misshapen), sum(tally.misshapen.values())
    return f"{_share(count, answers)} held something else than expected ({held})"


def _broken(tally: StageTally) -> str:
    what = _largest(tally.errors)
    said = f"{tally.sessions.broken} sessions failed by an error of their code"
    return f"{said} ({what})" if what else said


def _share(count: int, answers: int) -> str:
    return f"{count} of {answers} answers"


def _largest(counted: dict[str, int]) -> str:
    return max(counted, key=lambda what: counted[what], default="")


def _most(
    refusals: dict[str, int],
    statuses: Collection[int] | None = None,
    *,
    pages: bool | None = None,
) -> str:
    """What most refusals (of `statuses`, if given) said, and what to do; empty without any.

    With `pages`, web pages alone; with False, all but those.
    """
    among = {
        said: count
        for said, count in refusals.items()
        if (statuses is None or status_of(said) in statuses)
        and (pages is None or said.endswith(PAGE) == pages)
    }
    if not among:
        return ""
    said = _largest(among)
    status, _, message = said.partition(" ")
    return f" ({said}): {advice(int(status), message)}"
