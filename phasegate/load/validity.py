"""Why a stage must not be judged: pure checks of its tally, in order of weight."""

from __future__ import annotations

from phasegate.load.auth_errors import advice
from phasegate.load.counters import StageTally
from phasegate.load.stages import Stage
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
    "the server sent no ETag with its lists, so no request could be conditional; PostgREST and "
    "Supabase's gateway send none: put a gateway that adds them in front, or choose --arm embedded"
)

# Of a stage's length: a test stopped by hand ends its last stage early.
DURATION_SHARE_MIN = 0.99


def reasons(
    stage: Stage, tally: StageTally, *, arm: str, lasted_s: float, workers_lost: int
) -> tuple[str, ...]:
    """The reasons, each as `code: sentence`; empty where the stage counts.

    Args:
        stage: what was asked for.
        tally: what was counted.
        arm: the client's way to read.
        lasted_s: how long the stage lasted, in seconds.
        workers_lost: generator processes whose last report is missing.
    """
    sessions = tally.sessions
    lag_ms = tally.lag.percentile_ms(99) or 0.0
    statuses: dict[int, int] = {}
    for endpoint in tally.endpoints.values():
        for status, count in endpoint.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    refused = statuses.get(401, 0) + statuses.get(403, 0)
    limited = statuses.get(429, 0)
    achieved = sessions.finished / sessions.due if sessions.due else 1.0
    is_open = stage.sessions_per_s > 0
    findings = (
        (workers_lost > 0, Reason.WORKER_LOST, f"{workers_lost} generator process(es) went away"),
        (sessions.broken > 0, Reason.BROKEN, f"{sessions.broken} sessions failed by an error here"),
        (not statuses, Reason.EMPTY, "no request was sent"),
        (
            arm == "conditional" and tally.cache.misses > 0 and tally.cache.validators == 0,
            Reason.NOT_SERVED,
            NO_ETAG,
        ),
        (refused > 0, Reason.AUTHORISATION, _refusals(refused, tally.refusals)),
        (limited > 0, Reason.RATE_LIMITED, f"{limited} answers were 429"),
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


def _refusals(refused: int, by_message: dict[str, int]) -> str:
    """How many answers were refusals, what most of them said, and what to do."""
    counted = f"{refused} answers were 401 or 403"
    if not by_message:
        return counted
    most = max(by_message, key=lambda message: by_message[message])
    return f"{counted} ({most}): {advice(most)}"
