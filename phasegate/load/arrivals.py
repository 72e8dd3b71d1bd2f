"""Partly open arrivals: sessions start when they are due, whatever the server does.

`due_times` is the Poisson process; `Dispatcher` sleeps until each session is due and starts it in
a bounded pool of greenlets. Nothing waits for an answer, so a server that freezes meets the
sessions that were due meanwhile, as it would in life.
"""

from __future__ import annotations

import logging
import math
import random
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
from gevent.pool import Pool

from phasegate.load.recorder import Recorder
from phasegate.load.stages import Stage
from phasegate.load.timer import Timer
from phasegate.model.errors import PhasegateError

# Sessions under way in one generator process. One costs about 20 kB; when this many wait for
# answers, the server is lost, and more would only fill the memory. Further arrivals are dropped
# and counted.
SESSIONS_MAX = 2_000

DRAIN_POLL_S = 0.01

# From the start of a test to its first arrival: Locust's messages and the first use of everything
# are over by then, and delay none.
START_DELAY_S = 0.3

# Of an error's message: it may quote an answer.
ERROR_LENGTH_MAX = 120

# Where code of ours, of Python's and of packages lies: none of it is the locustfile's.
NOT_OWN = (
    str(Path(__file__).resolve().parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)

log = logging.getLogger("phasegate.load")

Session = Callable[[float], None]
"""Carries out one session, given when it was due (`time.perf_counter()`)."""


def due_times(
    rng: random.Random, stages: tuple[Stage, ...], share: float
) -> Iterator[tuple[int, float]]:
    """When sessions are due: (stage, seconds since the first stage began), ascending.

    A Poisson process of each stage's rate times `share`. During the ramp of a stage its rate
    rises linearly, by thinning (Lewis and Shedler, 1979).
    """
    begin_s = 0.0
    for number, stage in enumerate(stages):
        rate = stage.sessions_per_s * share
        at_s = 0.0
        while rate > 0:
            at_s += rng.expovariate(rate)
            if at_s >= stage.duration_s:
                break
            if at_s >= stage.ramp_s or rng.random() < at_s / stage.ramp_s:
                yield number, begin_s + at_s
        begin_s += stage.duration_s


class Dispatcher:
    """Starts sessions as they are due, and sees them off at the end.

    Args:
        recorder: gets the count of sessions and how late they were started.
        session: carries one out.
        timer: says when one is due, and that no further one shall start.
        sessions_max: how many may be under way at once.
    """

    def __init__(
        self,
        recorder: Recorder,
        session: Session,
        timer: Timer,
        sessions_max: int = SESSIONS_MAX,
    ) -> None:
        self._recorder = recorder
        self._session = session
        self._timer = timer
        self._pool = Pool(sessions_max)
        self._told: set[str] = set()
        self._guests: set[gevent.Greenlet] = set()
        self._patience_ends_s = math.inf

    def dispatch(self, arrivals: Iterator[tuple[int, float]], started_s: float) -> None:
        """Start each of `arrivals` when it is due; return after the last, or when closing.

        `started_s` is when the first stage began, on `time.perf_counter()`'s clock.
        """
        for stage, after_s in arrivals:
            due_s = started_s + after_s
            if self._timer.wait_until(due_s):
                return
            sessions = self._recorder.tally(stage).sessions
            sessions.due += 1
            if self._pool.full():
                sessions.dropped += 1
            else:
                self._pool.spawn(self._run, stage, due_s, self._session)

    def run_here(self, stage: int, session: Session) -> None:
        """`session` in the calling greenlet, due now: an arrival of the closed model."""
        self._recorder.tally(stage).sessions.due += 1
        current = gevent.getcurrent()
        self._guests.add(current)
        try:
            self._run(stage, time.perf_counter(), session)
        finally:
            self._guests.discard(current)

    def hurry(self, limit_s: float) -> None:
        """Give a drain under way, or one to come, at most `limit_s` seconds from now."""
        self._patience_ends_s = min(self._patience_ends_s, time.perf_counter() + limit_s)

    def drain(self, limit_s: float) -> None:
        """Wait up to `limit_s` seconds for the sessions under way, then cut the rest off."""
        self.hurry(limit_s)
        while len(self._pool) + len(self._guests) and time.perf_counter() < self._patience_ends_s:
            gevent.sleep(DRAIN_POLL_S)
        # A session that is killed counts itself as cut, and its request as unanswered.
        self._pool.kill(block=True)
        gevent.killall(list(self._guests), block=True)

    def _run(self, stage: int, due_s: float, session: Session) -> None:
        self._recorder.lag(stage, time.perf_counter() - due_s)
        outcome = "broken"
        try:
            session(due_s)
            outcome = "finished"
        except gevent.GreenletExit:
            outcome = "cut"
            raise
        except Exception as error:
            # Raised further, it would be printed for every session: thousands a second.
            what = described(error)
            if what not in self._told:
                self._told.add(what)
                log.error("A session failed by an error of its code: %s", what)  # noqa: TRY400 - one line
                log.debug("Where it happened", exc_info=True)
            self._recorder.tally(stage).broke(what)
        finally:
            sessions = self._recorder.tally(stage).sessions
            setattr(sessions, outcome, getattr(sessions, outcome) + 1)


def described(error: Exception) -> str:
    """Type, message and place of `error`, in one line: the locustfile's line where there is one.

    What we say ourselves stands for itself.
    """
    if isinstance(error, PhasegateError):
        return error.sentence()
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(NOT_OWN)]
    place = (own or frames)[-1]
    said = " ".join(str(error).split())[:ERROR_LENGTH_MAX]
    return f"{type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"
