"""One process that generates load: dispatches sessions, records them, reports once a second.

Runs in every Locust worker, and in the one process of a local run. Reports go to a callable, so
that it knows nothing of how processes talk to each other.
"""

from __future__ import annotations

import bisect
import gc
import itertools
import logging
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment

from phasegate.load.answer_checks import checks_of
from phasegate.load.arrivals import START_DELAY_S, Dispatcher, due_times
from phasegate.load.cache import start_caches, taken_tallies
from phasegate.load.client import Budget, Client, Line, Removals, share_of
from phasegate.load.counters import StageTally
from phasegate.load.locust_hooks import names_of
from phasegate.load.recorder import Folded, Recorder, Rows
from phasegate.load.session import Clock, Session
from phasegate.load.session_user import Choice, SessionUser, carry_out
from phasegate.load.settings import LoadSettings
from phasegate.load.timer import Timer
from phasegate.load.transport import REQUEST_TIMEOUT_S, Transport
from phasegate.load.users import ActingUsers, Listed, Seeded, Source, User
from phasegate.load.visit import Visit
from phasegate.load.visit import carry_out as carry_out_visit
from phasegate.project import Project

log = logging.getLogger("phasegate.load")

REPORT_INTERVAL_S = 1.0

# Requests under way when the test closes are waited for as long as any request is.
DRAIN_S = REQUEST_TIMEOUT_S
# After Ctrl-C somebody waits at the keyboard.
DRAIN_INTERRUPTED_S = 2.0

# Nanoseconds on a core, nanoseconds ready without a core, time slices (kernel: sched-stats.rst).
SCHEDSTAT = Path("/proc/self/schedstat")

# The default of 700 makes the collector run every few dozen requests.
COLLECT_AFTER_OBJECTS = 20_000

Report = Callable[[dict[int, StageTally], bool], None]
"""Called with the tallies since the last report, and whether it is the last one."""


class Processor:
    """Shares of a core since the last sample."""

    def __init__(self) -> None:
        self._before = self._now()

    def sample(self, tally: StageTally) -> None:
        """Raise the maxima of `tally` to the shares since the last sample, where higher."""
        before, self._before = self._before, self._now()
        elapsed_s = self._before[0] - before[0]
        if elapsed_s <= 0:
            return
        used = (self._before[1] - before[1]) / elapsed_s
        waited = (self._before[2] - before[2]) / elapsed_s
        tally.cpu_share_max = max(tally.cpu_share_max, used)
        tally.cpu_wait_share_max = max(tally.cpu_wait_share_max, waited)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            waited_s = int(SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            waited_s = 0.0  # not Linux: lag alone tells
        return time.perf_counter(), time.process_time(), waited_s


def spare_collections() -> None:
    """Have Python's collector of cycles run seldom, and leave out what is there already.

    A request leaves many objects that are gone at once and hardly a cycle; a collection among all
    that Locust and numpy loaded would hold every session up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 10, 10)


def start_delay_s(settings: LoadSettings) -> float:
    """How long after the start of a test its first stage begins."""
    return START_DELAY_S if settings.is_open else 0.0


class Generator:
    """The load of one process.

    Args:
        settings: what to do, checked.
        project: its workload, and whose users there are.
        environment: Locust's, which user classes are made with.
        slot: this process's number, 0..slots-1.
        slots: generator processes that share the load.
        requests_sent: before the load, of the budget of all processes.
        report: gets the tallies.
        on_folded: see `Recorder`.
    """

    def __init__(
        self,
        settings: LoadSettings,
        project: Project,
        environment: Environment,
        *,
        slot: int,
        slots: int,
        requests_sent: int = 0,
        report: Report,
        on_folded: Folded | None = None,
    ) -> None:
        self._settings = settings
        self._project, self._environment = project, environment
        self._slot, self._slots = slot, slots
        self._report = report
        # One source for arrivals and one for each session: every arm of a comparison then meets
        # the same sessions of the same users, whatever its answers do to the order of events.
        self._arrivals_rng = random.Random(f"{settings.seed}/{slot}/arrivals")
        self._session_number = itertools.count()
        self._timer = Timer()
        self._over = Event()
        self._transport = Transport(settings.host, keeps=settings.connections == "keep-alive")
        start_caches(settings.think_time_scale)
        budget = settings.request_budget
        left = None if budget is None else max(budget - requests_sent, 0)
        self._budget = Budget(share_of(left, slot, slots), self._spent)
        self._processor = Processor()
        self._started_s = time.perf_counter() + start_delay_s(settings)
        ends_s = accumulate(
            (stage.duration_s for stage in settings.stages), initial=self._started_s
        )
        self._bounds_s = tuple(ends_s)
        self._recorder = Recorder(
            self._bounds_s[:-1], partial(self._folded, on_folded), settings.interval_s
        )
        self._removals = Removals(self._transport, self._recorder)
        self._names: dict[Any, str] = {}
        self._own_of_locust: set[str] = set()
        self._line = Line(
            self._transport,
            self._recorder,
            self._budget,
            self._removals,
            checks_of(project, self._recorder),
            reads_only=settings.reads_only,
        )
        self._dispatcher = Dispatcher(self._recorder, self._session, self._timer)
        self._clock = Clock(
            recorder=self._recorder,
            workload=project.catalogue.workload,
            think_time_scale=settings.think_time_scale,
            timer=self._timer,
            stage_at=self.stage_at,
        )

    def start(self, among: Sequence[Choice]) -> None:
        """Begin. `among` are the sessions to draw from."""
        spare_collections()
        self._choices = tuple(among)
        self._weights = [choice.weight for choice in among]
        theirs = [choice.user_class for choice in among if choice.task is None]
        self._names = names_of(theirs)
        # Who Locust's own classes act as is their own affair.
        stages = self._settings.stages if len(theirs) < len(among) else ()
        self._people = [self._people_of(stage.users) for stage in stages]
        self._reporter = gevent.spawn(self._report_regularly)
        if self._settings.is_open:
            self._arrivals = gevent.spawn(self._dispatch)

    def stage_at(self, moment_s: float) -> int | None:
        """Number of the stage that `moment_s` falls in; None before the first, after the last."""
        number = bisect.bisect_right(self._bounds_s, moment_s) - 1
        return number if 0 <= number < len(self._settings.stages) else None

    def closed_session(self, user_class: type[SessionUser]) -> None:
        """One session of the closed model, due now."""
        if self._timer.is_closed or self._settings.is_open:
            self._over.wait()
            return
        stage = self.stage_at(time.perf_counter())
        if stage is not None:
            own = [choice for choice in self._choices if choice.user_class is user_class]
            self._dispatcher.run_here(stage, lambda due_s: self._session(due_s, own))

    def finish(self, *, interrupted: bool) -> None:
        """Let no further click begin, wait for answers, remove our rows, send the last report."""
        if interrupted:
            self._dispatcher.hurry(DRAIN_INTERRUPTED_S)
        if self._timer.is_closed:
            self._over.wait()  # somebody else is finishing it
            return
        self._timer.close()
        self._dispatcher.drain(DRAIN_INTERRUPTED_S if interrupted else DRAIN_S)
        self._removals.send()
        if self._removals.refused:
            log.warning(
                "%d things that sessions wrote could not be taken back", self._removals.refused
            )
        self._reporter.kill()
        self._transport.close()
        # Whoever waits for the end may take the connection to the master down.
        self._send(last=True)
        self._over.set()

    def _spent(self) -> None:
        log.warning("The budget of %s requests is spent", self._settings.request_budget)
        gevent.spawn(self.finish, interrupted=False)

    def _dispatch(self) -> None:
        arrivals = due_times(self._arrivals_rng, self._settings.stages, 1 / self._slots)
        self._dispatcher.dispatch(arrivals, self._started_s)
        # The stage is as long as it is, also when nothing more is due in it.
        self._timer.wait_until(self._bounds_s[-1])
        self.finish(interrupted=False)

    def _session(self, due_s: float, among: Sequence[Choice] | None = None) -> None:
        stage = self.stage_at(due_s)
        if stage is None:
            return
        settings, number = self._settings, next(self._session_number)
        rng = random.Random(f"{settings.seed}/{self._slot}/{number}")
        # Drawn first, so that the same seed gives the same sessions of the same users.
        user = self._people[stage].draw(rng) if self._people else User("", "")
        if among is None:
            among, weights = self._choices, self._weights
        else:
            weights = [choice.weight for choice in among]
        (choice,) = rng.choices(among, weights)
        session = Session(self._clock, rng, due_s, stage)
        if choice.task is None:
            length = settings.tasks_per_session
            visit = Visit(self._line, session, self._names, length, self._own_of_locust.add)
            carry_out_visit(choice.user_class, self._environment, visit)
        else:
            carry_out(
                choice,
                self._environment,
                session,
                Client(self._line, session, settings.headers(user.token), user.id),
                user=user,
                parts=settings.parts,
                level=settings.level,
            )
        self._line.checks.session_over(session)

    def _folded(self, then: Folded | None, name: str, rows: Rows) -> None:
        """Locust's figures have what its own clients sent already."""
        if then is not None and name not in self._own_of_locust:
            then(name, rows)

    def _people_of(self, users: int) -> ActingUsers:
        return ActingUsers(
            source=self._source_of(users),
            jwt_secret=self._settings.jwt_secret,
            slot=self._slot,
            slots=self._slots,
        )

    def _source_of(self, users: int) -> Source:
        settings = self._settings
        if settings.users_file is not None:
            return Listed(settings.users_file)
        return Seeded(settings.seed, users, self._project.seed.population)

    def _report_regularly(self) -> None:
        while True:
            gevent.sleep(REPORT_INTERVAL_S)
            stage = self.stage_at(time.perf_counter())
            if stage is not None:
                self._processor.sample(self._recorder.tally(stage))
            self._send(last=False)

    def _send(self, *, last: bool) -> None:
        # A cache serves all stages; what it did since the last report belongs to this one.
        stage = self.stage_at(time.perf_counter())
        number = len(self._settings.stages) - 1 if stage is None else stage
        for counted in taken_tallies():
            self._recorder.tally(number).cache.merge(counted)
        self._report(self._recorder.take(), last)
