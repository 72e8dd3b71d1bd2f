"""The mechanics of one session: when clicks are due, what they showed, what is recorded of them.

What a session does stands in the project's locustfile; `load.session_user` is the class that it is
written with, `load.client` sends the requests.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from phasegate.load.expectations import ALWAYS
from phasegate.load.recorder import Recorder
from phasegate.load.timer import Timer
from phasegate.model.catalogue import Workload

if TYPE_CHECKING:
    from phasegate.load.response import Response

S = TypeVar("S", bound=Sized | None)


class RequestFailed(Exception):
    """No answer, or one that the user cannot go on with. Recorded already; the click failed."""


class SessionOver(BaseException):
    """The test is closing, or may send no more: the session ends where it is.

    No `Exception`, so that a locustfile's own `except Exception` lets it through.
    """


@dataclass(frozen=True)
class Clock:
    """What all sessions of a process share to know when a click is due, and where it counts."""

    recorder: Recorder
    workload: Workload
    think_time_scale: float
    timer: Timer
    stage_at: Callable[[float], int | None]
    """The stage that a moment (`time.perf_counter()`) falls in; None after the last."""


class Session:
    """One visit of one user.

    Args:
        clock: shared by all sessions.
        rng: of this session alone.
        due_s: when the first click is due, on `time.perf_counter()`'s clock.
    """

    __slots__ = (
        "_clicks",
        "_clock",
        "click",
        "due_s",
        "last",
        "rng",
        "says",
        "shown",
        "stage",
        "think_s",
        "watched",
    )

    def __init__(self, clock: Clock, rng: random.Random, due_s: float, stage: int = 0) -> None:
        self._clock = clock
        self.rng = rng
        self.due_s = due_s
        """Of the click under way, then of its next request: when the answer before was there."""
        self.stage = stage
        self.click: Click | None = None
        """The one under way."""
        self.watched = True
        """Whether a request outside a click is one: not while nobody waits for it."""
        self.last: Response | None = None
        """The last answer of the click under way."""
        self.says = False
        """Whether a click of it says itself what it shows."""
        self.shown: bool | None = None
        """Whether any answer showed something; None while none was there that could have."""
        self.think_s: Callable[[], float] = self._drawn_think_s
        """Seconds between two clicks, before they are scaled."""
        self._clicks = 0

    def begin(self, click: Click) -> None:
        """Wait until `click` is due.

        Raises:
            SessionOver: the test closed before.
        """
        if self.click is not None:
            raise RuntimeError(
                f"the click {click.name!r} begins inside the click {self.click.name!r}"
            )
        if self._clicks:
            self._wait(self.think_s())
        self.enter(self.due_s)
        self.click, self.last = click, None
        self.says |= click.shows is not None
        click.due_s, click.stage, click.begun_s = self.due_s, self.stage, time.perf_counter()

    def begin_bare(self) -> None:
        """A request outside a click begins: where a user waits for it, it is a click by itself.

        Raises:
            SessionOver: the test closed before.
        """
        if not self.watched or self._clicks:
            self.due_s = time.perf_counter()
        if self.watched:
            self.enter(self.due_s)

    def end(self, click: Click, error: type[BaseException] | None) -> bool:
        """Count `click`; True where it failed by an answer, after which the user goes on."""
        self.click = None
        if error is not None and issubclass(error, SessionOver):
            return False  # it was not carried out
        failed = error is not None or click.failed
        if error is None and click.shows is not None:
            failed = self._saw_too_little(click) or failed
        click.failed = failed
        self.due_s = self.count(click.name, click.stage, click.due_s, click.begun_s, failed=failed)
        return error is not None and issubclass(error, RequestFailed)

    def count(self, name: str, stage: int, due_s: float, begun_s: float, *, failed: bool) -> float:
        """Record a click that ends now, and return when that is."""
        recorder, done_s = self._clock.recorder, time.perf_counter()
        recorder.record_action(stage, recorder.name_id(name), due_s, begun_s, done_s, failed)
        return done_s

    def count_completion(self, name: str, since: Click, *, failed: bool) -> None:
        """Record work that was asked for by the click `since` and is done now."""
        recorder, self.due_s = self._clock.recorder, time.perf_counter()
        name_id = recorder.name_id(name)
        recorder.record_completion(since.stage, name_id, since.due_s, self.due_s, failed)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Requests in the block are no clicks, and the next click is due at its end."""
        self.watched = False
        try:
            yield
        finally:
            self.watched = True
            self.due_s = time.perf_counter()

    def pause(self, seconds: float) -> None:
        """Let time pass that no latency counts.

        Raises:
            SessionOver: the test closes meanwhile.
        """
        self.due_s = time.perf_counter() + seconds
        if self._clock.timer.wait_until(self.due_s):
            raise SessionOver

    def rest(self, seconds: float) -> None:
        """Think time of `seconds`, which is scaled; what comes next is due at its end.

        Raises:
            SessionOver: the test closes meanwhile.
        """
        self.due_s = time.perf_counter()
        self._wait(seconds)

    def enter(self, due_s: float) -> None:
        """A click that is due at `due_s` begins.

        Raises:
            SessionOver: the test closed before.
        """
        self._clicks += 1
        stage = self._clock.stage_at(due_s)
        if stage is None or self._clock.timer.is_closed:
            raise SessionOver
        self.stage = stage

    def _wait(self, seconds: float) -> None:
        clock = self._clock
        self.due_s += seconds * clock.think_time_scale
        if clock.timer.wait_until(self.due_s):
            raise SessionOver
        stage = clock.stage_at(self.due_s)
        if stage is not None:
            clock.recorder.lag(stage, time.perf_counter() - self.due_s)

    def _drawn_think_s(self) -> float:
        workload = self._clock.workload
        mu = math.log(workload.think_time_s_median)
        return self.rng.lognormvariate(mu, workload.think_time_sigma)

    def _saw_too_little(self, click: Click) -> bool:
        """Count what a click showed; True where it showed nothing and always has to."""
        seen = click.seen
        if not click.was_told and self.last is not None:
            seen = self.last.shown()
        if seen is None:
            return False
        empty = not len(seen)
        self._clock.recorder.tally(click.stage).saw(click.name, click.shows or 0.0, empty=empty)
        return empty and click.shows == ALWAYS


class Click:
    """One click of a user, as a `with` block: from when it is due to the end of the block.

    A request that fails ends the block, and the click has failed; the session then goes on behind
    the block, as people do.
    """

    __slots__ = (
        "_session", "begun_s", "due_s", "failed", "name", "seen", "shows", "stage", "was_told",
    )  # fmt: skip

    def __init__(self, session: Session, name: str, shows: float | None) -> None:
        self._session = session
        self.name, self.shows = name, shows
        self.seen: Sized | None = None
        self.was_told = self.failed = False
        self.due_s = self.begun_s = 0.0
        self.stage = 0

    def saw(self, what: S) -> S:
        """What the user sees, where that is not the body of the last answer; returns it.

        None: there is nothing to look at, and the click counts as neither empty nor full.
        """
        self.seen, self.was_told = what, True
        return what

    def __enter__(self) -> Click:
        self._session.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self._session.end(self, kind)


class Completion:
    """Work that a click asked for, until it is done, as a `with` block; nobody waits for it.

    Requests inside are recorded and are no clicks. It has failed where the block says so by
    `failed`, or ends with a request that failed.
    """

    __slots__ = ("_name", "_session", "_since", "failed")

    def __init__(self, session: Session, name: str, since: Click) -> None:
        self._session, self._name, self._since = session, name, since
        self.failed = False

    def __enter__(self) -> Completion:
        self._session.watched = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        session = self._session
        session.watched = True
        if kind is not None and not issubclass(kind, RequestFailed):
            return False
        failed = self.failed or kind is not None
        session.count_completion(self._name, self._since, failed=failed)
        return True
