"""What a user does in one session: a few clicks with think time between.

Kinds: `browse` looks at tasks, a project and the statistics; `organise` creates a task, completes
it and sees the list again after each. Only rows that the session created itself are changed, so
the data set stays as it was once they are removed. By `--tags` alone: `heavy` has work done that
takes long, `analyse` reads the user's whole log and counts it.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from phasegate.load.expectations import ALWAYS, ID, NUMBER, TEXT, USUALLY, Fields, Maybe, Rows
from phasegate.load.read_strategies import Reader, RequestFailed, SessionOver, Task, UserApi
from phasegate.load.recorder import Recorder
from phasegate.load.timer import Alarm
from phasegate.model.catalogue import Workload

# In the title of every row that a session creates, so that nobody takes it for a user's own.
TAG = "phasegate load test"


# Queue and replica come with stack level 3.
LEVEL_OF_QUEUE = 3

HEAVY = "/functions/v1/process-heavy-task"
# The work waits a fifth of a second for a service elsewhere, as a call of a language model would
# for seconds; longer ones only make the difference larger.
HEAVY_BODY = {"waitMs": 200}
HEAVY_POLL_S = 0.25
HEAVY_POLLS_MAX = 40  # ten seconds; a queue further behind has failed its users


ACCEPTED = Fields({"taskId": ID})
PROGRESS = Fields({"status": TEXT})
STATS = Rows({"task_count": NUMBER})
LOG = Rows({"action": TEXT})
CREATED = Rows({"id": ID})
CHANGED = Maybe(Rows())


class Created(Protocol):
    """Where sessions leave the rows that they created, for their removal."""

    def add(self, api: UserApi, task_id: str) -> None:
        """`task_id` was created as the user of `api`."""


@dataclass(frozen=True)
class Surroundings:
    """What all sessions of a process share."""

    recorder: Recorder
    reader: Reader
    workload: Workload
    think_time_scale: float
    alarm: Alarm
    created: Created
    level: int
    """Stack level of the target: from 3 on, heavy work is queued and analytics have a replica."""
    stage_at: Callable[[float], int | None]
    """The stage that a moment (`time.perf_counter()`) falls in; None after the last."""


@dataclass
class Session:
    """One visit of one user.

    Args:
        due_s: when the first click was due, on `time.perf_counter()`'s clock.
    """

    around: Surroundings
    api: UserApi
    rng: random.Random
    due_s: float
    _page: list[Task] = field(default_factory=list)
    _created_id: str | None = None
    _heavy_id: str | None = None
    _asked_s: float = 0.0
    _clicks: int = 0

    def run(self, kind: str) -> None:
        """Carry out the clicks of `kind`, to the end or until the test closes."""
        try:
            KINDS[kind](self)
        except SessionOver:
            return

    def browse(self) -> None:
        """Look around."""
        self.click("open list", self._open_list, shows=USUALLY)
        if any(task["project_id"] for task in self._page):
            self.click("open project", self._open_project, shows=ALWAYS)
            self.click("open list", self._open_list, shows=USUALLY)
        self.click("read stats", self._read_stats, shows=ALWAYS)

    def organise(self) -> None:
        """Write down what is to be done, and do it."""
        self.click("open list", self._open_list, shows=USUALLY)
        self.click("create task", self._create_task, shows=ALWAYS)
        self.click("open list", self._open_list, shows=USUALLY)
        if self._created_id is not None:
            self.click("complete task", self._complete_task, shows=ALWAYS)
            self.click("open list", self._open_list, shows=USUALLY)

    def heavy(self) -> None:
        """Have heavy work done: on the spot, or accepted at once and asked after until done."""
        self.click("open list", self._open_list, shows=USUALLY)
        if self.around.level < LEVEL_OF_QUEUE:
            self.click("heavy work (sync)", self._heavy_sync)
        else:
            self.click("heavy work (accepted)", self._heavy_accept)
            if self._heavy_id is not None:
                self._await_heavy()

    def analyse(self) -> None:
        """Look at the list, then at the whole of one's own log."""
        self.click("open list", self._open_list, shows=USUALLY)
        self.click("read log", self._read_log, shows=USUALLY)

    def click(
        self, name: str, act: Callable[[], Sized | None], *, shows: float | None = None
    ) -> None:
        """Wait until the click is due, carry it out, and count it.

        Args:
            name: of the click.
            act: carries it out; returns what the user then sees, None where there is nothing to
                look at.
            shows: the share of such clicks that show something at the least. With `ALWAYS`, one
                that shows nothing has failed. None where it says nothing.

        Raises:
            SessionOver: the test closed before it was due.
        """
        around = self.around
        if self._clicks:
            self._think()
        self._clicks += 1
        stage = around.stage_at(self.due_s)
        if stage is None or around.alarm.is_closed:
            raise SessionOver
        self.api.stage, self.api.due_s = stage, self.due_s
        self._asked_s = self.due_s
        begun_s = time.perf_counter()
        failed = True
        try:
            seen = act()
            failed = seen is not None and self._saw_too_little(name, stage, seen, shows)
        except RequestFailed:
            pass  # recorded; the user sees an error and goes on
        except SessionOver:
            raise  # it was not carried out
        except BaseException:
            self._count(name, stage, begun_s, failed=True)
            raise
        done_s = self._count(name, stage, begun_s, failed=failed)
        self.due_s = done_s

    def _saw_too_little(self, name: str, stage: int, seen: Sized, shows: float | None) -> bool:
        """Count what a click showed; True where it showed nothing and always has to."""
        if shows is None:
            return False
        empty = not len(seen)
        self.around.recorder.tally(stage).saw(name, shows, empty=empty)
        return empty and shows == ALWAYS

    def _count(self, name: str, stage: int, begun_s: float, *, failed: bool) -> float:
        """Record a click that ends now, and return when that is."""
        recorder, done_s = self.around.recorder, time.perf_counter()
        recorder.record_action(stage, recorder.name_id(name), self.due_s, begun_s, done_s, failed)
        return done_s

    def _think(self) -> None:
        workload = self.around.workload
        mu = math.log(workload.think_time_s_median)
        think_s = self.rng.lognormvariate(mu, workload.think_time_sigma)
        self.due_s += think_s * self.around.think_time_scale
        if self.around.alarm.wait_until(self.due_s):
            raise SessionOver
        stage = self.around.stage_at(self.due_s)
        if stage is not None:
            self.around.recorder.lag(stage, time.perf_counter() - self.due_s)

    def _heavy_sync(self) -> None:
        name = "POST process-heavy-task-sync"
        self.api.send(name, "POST", f"{HEAVY}-sync", HEAVY_BODY, expects=PROGRESS)

    def _heavy_accept(self) -> None:
        self._heavy_id = None
        reply = self.api.send(
            "POST process-heavy-task", "POST", HEAVY, HEAVY_BODY, expects=ACCEPTED
        )
        self._heavy_id = str(reply.body["taskId"])

    def _await_heavy(self) -> None:
        """Ask until it is done, and count the time since it was asked for."""
        asked_s, stage = self._asked_s, self.api.stage
        status = ""
        for _ in range(HEAVY_POLLS_MAX):
            if self.around.alarm.wait_until(time.perf_counter() + HEAVY_POLL_S):
                raise SessionOver
            self.api.due_s = time.perf_counter()
            try:
                path = f"{HEAVY}?taskId={self._heavy_id}"
                reply = self.api.send("GET process-heavy-task", "GET", path, expects=PROGRESS)
            except RequestFailed:
                continue
            status = reply.body["status"]
            if status in ("done", "failed"):
                break
        recorder, self.due_s = self.around.recorder, time.perf_counter()
        name_id = recorder.name_id("heavy work")
        recorder.record_completion(stage, name_id, asked_s, self.due_s, status != "done")

    def _read_log(self) -> Sized:
        replica = self.around.level >= LEVEL_OF_QUEUE
        path = (
            f"/rest/v1/activity_logs?select=action,created_at&user_id=eq.{self.api.user_id}"
            "&order=created_at.desc&limit=1000"
        )
        # The header of the scaling guide (docs/method.md#the-scaling-guide); only
        # phasegate's API follows it.
        headers = b"Prefer: count=exact\r\n" + (b"x-read-replica: true\r\n" if replica else b"")
        name = f"GET activity_logs ({'replica' if replica else 'primary'})"
        rows: list[Task] = self.api.send(name, "GET", path, headers=headers, expects=LOG).body
        return rows

    def _open_list(self) -> Sized:
        self._page = self.around.reader.tasks(self.api)[0]
        return self._page

    def _open_project(self) -> Sized:
        projects = sorted(
            {task["project_id"] for task in self._page if task["project_id"]}, key=str
        )
        return self.around.reader.tasks(self.api, self.rng.choice(projects))[0]

    def _read_stats(self) -> Sized:
        path = "/rest/v1/rpc/user_stats"
        return self.api.rows("POST rpc/user_stats", "POST", path, {}, expects=STATS)[0]

    def _create_task(self) -> Sized:
        project_ids = [task["project_id"] for task in self._page if task["project_id"]]
        body = {
            "user_id": self.api.user_id,
            "project_id": self.rng.choice(project_ids) if project_ids else None,
            "title": f"{TAG}: water the plants",
        }
        rows, _ = self.api.rows("POST tasks", "POST", "/rest/v1/tasks", body, expects=CREATED)
        self.around.reader.written(self.api)
        if rows:
            self._created_id = str(rows[0]["id"])
            self.around.created.add(self.api, self._created_id)
        return rows

    def _complete_task(self) -> Sized | None:
        body = {"status": "done", "completed_at": datetime.now(UTC).isoformat()}
        path = f"/rest/v1/tasks?id=eq.{self._created_id}"
        reply = self.api.send("PATCH tasks", "PATCH", path, body, expects=CHANGED)
        self.around.reader.written(self.api)
        # Row-level security may hide the row: then nothing was changed, and none is returned.
        changed: list[Task] | None = reply.body
        return changed


KINDS: dict[str, Callable[[Session], None]] = {
    "browse": Session.browse,
    "organise": Session.organise,
    "heavy": Session.heavy,
    "analyse": Session.analyse,
}

# Drawn only where `--tags` names them: they ask for parts of a stack that not every target has.
ON_DEMAND_KINDS = frozenset({"heavy", "analyse"})

# Kinds that change rows: left out where writes are not allowed.
WRITING_KINDS = frozenset({"organise", "heavy"})
