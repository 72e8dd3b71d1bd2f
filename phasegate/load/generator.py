"""One process that generates load: dispatches sessions, records them, reports once a second.

Runs in every Locust worker, and in the one process of a local run. Reports go to a callable, so
that it knows nothing of how processes talk to each other.
"""

from __future__ import annotations

import bisect
import itertools
import logging
import random
import time
from collections.abc import Callable, Sequence
from itertools import accumulate

import gevent
from gevent.event import Event
from gevent.pool import Pool

from phasegate.load.arrivals import Dispatcher, due_times
from phasegate.load.budget import Budget, share_of
from phasegate.load.cache import TtlCache
from phasegate.load.counters import StageTally
from phasegate.load.cpu import Processor
from phasegate.load.read_strategies import ARMS, Task, UserApi
from phasegate.load.recorder import Folded, Recorder
from phasegate.load.sessions import WRITING_KINDS, Session, Surroundings
from phasegate.load.settings import Settings
from phasegate.load.timer import Alarm
from phasegate.load.transport import REQUEST_TIMEOUT_S, Transport
from phasegate.load.users import Listed, People, Seeded, Source
from phasegate.model.catalogue import Catalogue
from phasegate.project import SeedFolder

log = logging.getLogger("phasegate.load")

REPORT_INTERVAL_S = 1.0

# Requests under way when the test closes are waited for as long as any request is.
DRAIN_S = REQUEST_TIMEOUT_S
# After Ctrl-C somebody waits at the keyboard.
DRAIN_INTERRUPTED_S = 2.0

REMOVALS_AT_ONCE = 10

# Locust's messages and the first use of everything are over by then, and delay no arrival.
START_DELAY_S = 0.3

Report = Callable[[dict[int, StageTally], bool], None]
"""Called with the tallies since the last report, and whether it is the last one."""


def start_delay_s(settings: Settings) -> float:
    """How long after the start of a test its first stage begins."""
    return START_DELAY_S if settings.is_open else 0.0


class Rows:
    """Rows that this process created, by user and stage, until they are removed."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._refused = 0
        self._left: dict[tuple[str, int], tuple[UserApi, list[str]]] = {}

    def add(self, api: UserApi, task_id: str) -> None:
        """`task_id` was created as the user of `api`."""
        self._recorder.tally(api.stage).rows_created += 1
        self._left.setdefault((api.user_id, api.stage), (api, []))[1].append(task_id)

    def remove(self) -> None:
        """Delete them all, each as the user who owns it; what the API refuses stays, counted."""
        pool = Pool(REMOVALS_AT_ONCE)
        for (_, stage), (api, ids) in self._left.items():
            pool.spawn(self._remove, stage, api, ids)
        pool.join()
        if self._refused:
            log.warning("%d rows that sessions created could not be removed", self._refused)
        self._left.clear()

    def _remove(self, stage: int, api: UserApi, ids: list[str]) -> None:
        path = f"/rest/v1/tasks?id=in.({','.join(ids)})"
        answer = api.transport.request("DELETE", path, api.head)
        if answer.status in (200, 204):
            self._recorder.tally(stage).rows_removed += len(ids)
        else:
            self._refused += len(ids)


class Generator:
    """The load of one process.

    Args:
        settings: what to do, checked.
        catalogue: workload, population and sessions.
        slot: this process's number, 0..slots-1.
        slots: generator processes that share the load.
        requests_sent: before the load, of the budget of all processes.
        report: gets the tallies.
        on_folded: see `Recorder`.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        *,
        slot: int,
        slots: int,
        requests_sent: int = 0,
        report: Report,
        on_folded: Folded | None = None,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._slot, self._slots = slot, slots
        self._report = report
        # One source for arrivals and one for each session: every arm of a comparison then meets
        # the same sessions of the same users, whatever its answers do to the order of events.
        self._arrivals_rng = random.Random(f"{settings.seed}/{slot}/arrivals")
        self._session_number = itertools.count()
        self._alarm = Alarm()
        self._over = Event()
        self._transport = Transport(settings.host, keeps=settings.connections == "keep-alive")
        self._cache: TtlCache[list[Task]] = TtlCache(
            ttl_s=catalogue.sessions.cache_ttl_s * settings.think_time_scale,
            entries_max=catalogue.sessions.cache_entries_max,
            clock=time.perf_counter,
            signal=Event,
        )
        budget = settings.request_budget
        left = None if budget is None else max(budget - requests_sent, 0)
        self._budget = Budget(share_of(left, slot, slots), self._spent)
        self._people = [self._people_of(stage.users) for stage in settings.stages]
        self._processor = Processor()
        self._started_s = time.perf_counter() + start_delay_s(settings)
        ends_s = accumulate(
            (stage.duration_s for stage in settings.stages), initial=self._started_s
        )
        self._bounds_s = tuple(ends_s)
        self._recorder = Recorder(self._bounds_s[:-1], on_folded)
        self._rows = Rows(self._recorder)
        self._dispatcher = Dispatcher(self._recorder, self._session, self._alarm)
        self._around = Surroundings(
            recorder=self._recorder,
            reader=ARMS[settings.arm](self._cache),
            workload=catalogue.workload,
            think_time_scale=settings.think_time_scale,
            alarm=self._alarm,
            created=self._rows,
            level=settings.level,
            stage_at=self.stage_at,
        )

    def start(self, kinds: Sequence[str], *, equal_weights: bool = False) -> None:
        """Begin. `kinds` are the sessions to draw from; those that write only where allowed.

        They are drawn by the catalogue's weights, or all alike.
        """
        sessions = self._catalogue.sessions
        weights = {
            "browse": sessions.browse_weight,
            "organise": sessions.organise_weight,
            "heavy": sessions.heavy_weight,
            "analyse": sessions.analyse_weight,
        }
        allowed = [k for k in kinds if self._settings.allow_writes or k not in WRITING_KINDS]
        self._kinds = allowed or ["browse"]
        self._weights = [1.0 if equal_weights else weights[kind] for kind in self._kinds]
        self._reporter = gevent.spawn(self._report_regularly)
        if self._settings.is_open:
            self._arrivals = gevent.spawn(self._dispatch)

    def stage_at(self, moment_s: float) -> int | None:
        """Number of the stage that `moment_s` falls in; None before the first, after the last."""
        number = bisect.bisect_right(self._bounds_s, moment_s) - 1
        return number if 0 <= number < len(self._settings.stages) else None

    def closed_session(self, kind: str) -> None:
        """One session of the closed model, due now; sessions that may not write browse."""
        if self._alarm.is_closed or self._settings.is_open:
            self._over.wait()
            return
        stage = self.stage_at(time.perf_counter())
        if stage is not None:
            chosen = kind if kind in self._kinds else "browse"
            self._dispatcher.run_here(stage, lambda due_s: self._session(due_s, chosen))

    def finish(self, *, interrupted: bool) -> None:
        """Let no further click begin, wait for answers, remove our rows, send the last report."""
        if interrupted:
            self._dispatcher.hurry(DRAIN_INTERRUPTED_S)
        if self._alarm.is_closed:
            self._over.wait()  # somebody else is finishing it
            return
        self._alarm.close()
        self._dispatcher.drain(DRAIN_INTERRUPTED_S if interrupted else DRAIN_S)
        self._rows.remove()
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
        self._alarm.wait_until(self._bounds_s[-1])
        self.finish(interrupted=False)

    def _session(self, due_s: float, kind: str | None = None) -> None:
        stage = self.stage_at(due_s)
        if stage is None:
            return
        number = next(self._session_number)
        rng = random.Random(f"{self._settings.seed}/{self._slot}/{number}")
        user = self._people[stage].draw(rng)
        head = self._transport.head(
            {"apikey": self._settings.anon_key, "Authorization": f"Bearer {user.token}"}
        )
        api = UserApi(
            transport=self._transport,
            recorder=self._recorder,
            head=head,
            user_id=user.id,
            page_tasks=self._catalogue.sessions.page_tasks,
            budget=self._budget,
            stage=stage,
        )
        drawn = rng.choices(self._kinds, self._weights)[0]
        Session(self._around, api, rng, due_s).run(kind or drawn)

    def _people_of(self, users: int) -> People:
        return People(
            source=self._source_of(users),
            jwt_secret=self._settings.jwt_secret,
            slot=self._slot,
            slots=self._slots,
        )

    def _source_of(self, users: int) -> Source:
        settings = self._settings
        if settings.users_file is not None:
            return Listed(settings.users_file)
        return Seeded(settings.seed, users, SeedFolder().population)

    def _report_regularly(self) -> None:
        while True:
            gevent.sleep(REPORT_INTERVAL_S)
            stage = self.stage_at(time.perf_counter())
            if stage is not None:
                self._processor.sample(self._recorder.tally(stage))
            self._send(last=False)

    def _send(self, *, last: bool) -> None:
        # One cache serves all stages; what it did since the last report belongs to this one.
        stage = self.stage_at(time.perf_counter())
        number = len(self._settings.stages) - 1 if stage is None else stage
        self._recorder.tally(number).cache.merge(self._cache.take_tally())
        self._report(self._recorder.take(), last)
