"""Partly open arrivals: sessions start when they are due, whatever the server does.

`due_times` is the Poisson process; `Dispatcher` sleeps until each session is due and starts it in
a bounded pool of greenlets. Nothing waits for an answer, so a server that freezes meets the
sessions that were due meanwhile, as it would in life.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gevent
from gevent.pool import Pool

from loadtests.recorder import Recorder
from loadtests.stages import Stage

# Sessions under way in one generator process. One costs about 20 kB; when this many wait for
# answers, the server is lost, and more would only fill the memory. Further arrivals are dropped
# and counted.
SESSIONS_MAX = 2_000

Session = Callable[[int, float], bool]
"""Called with the stage's number and when the session was due; True when it went to its end."""


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


@dataclass
class Dispatcher:
    """Starts sessions as they are due, and sees them off at the end.

    Args:
        recorder: gets the count of sessions and how late they were started.
        session: carries one out.
        sessions_max: how many may be under way at once.
        started_s: `time.perf_counter()` when the first stage began.
    """

    recorder: Recorder
    session: Session
    started_s: float
    sessions_max: int = SESSIONS_MAX

    def __post_init__(self) -> None:
        self._pool = Pool(self.sessions_max)
        self._stopped = False

    def dispatch(self, arrivals: Iterator[tuple[int, float]]) -> None:
        """Start each of `arrivals` when it is due; return after the last, or once stopped."""
        for stage, after_s in arrivals:
            due_s = self.started_s + after_s
            pause_s = due_s - time.perf_counter()
            if pause_s > 0:
                gevent.sleep(pause_s)
            if self._stopped:
                return
            self._start(stage, due_s)

    def stop(self) -> None:
        """Start no further session; those under way go on."""
        self._stopped = True

    def drain(self, limit_s: float) -> None:
        """Wait up to `limit_s` for the sessions under way, then cut the rest off."""
        self.stop()
        self._pool.join(timeout=limit_s)
        # A killed session counts itself as cut, and a request under way as unanswered.
        self._pool.kill(block=True, timeout=limit_s + 1)

    @property
    def under_way(self) -> int:
        """Sessions under way."""
        return len(self._pool)

    def _start(self, stage: int, due_s: float) -> None:
        tally = self.recorder.tally(stage)
        tally.sessions.due += 1
        if self._pool.full():
            tally.sessions.dropped += 1
            return
        self._pool.spawn(self._run, stage, due_s)

    def _run(self, stage: int, due_s: float) -> None:
        self.recorder.lag(stage, time.perf_counter() - due_s)
        try:
            whole = self.session(stage, due_s)
        except gevent.GreenletExit:
            self.recorder.tally(stage).sessions.cut += 1
        except BaseException:
            self.recorder.tally(stage).sessions.broken += 1
            raise  # gevent prints it: it is an error of ours
        else:
            sessions = self.recorder.tally(stage).sessions
            if whole:
                sessions.finished += 1
            else:
                sessions.cut += 1
