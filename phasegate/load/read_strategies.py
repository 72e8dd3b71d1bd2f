"""The client's ways to read a task list: the arms of the comparison.

    n-plus-1        the tasks, then one request for each project among them
    embedded        one request, `select=*,projects(name,color)`
    embedded+cache  the same behind the client's cache (5 min, emptied by the user's own writes)
    conditional     the same, and the server is asked whether it changed (ETag, If-None-Match)

Each sends its requests through a `UserApi`, which records them. Beside it a client keeps its HTTP
connections or opens one a request (`load.transport`).

Whether the *database* is reached by a connection per call or through a pool is no client's choice
here: these clients speak HTTP, and it is the API that holds database connections. That belongs to
the stack level (`levels.runner`: 1 and 2 connect per request, 3 pools), and the benchmarks compare
the two in isolation (technique `pooled`).
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import gevent

from phasegate.load.budget import Budget
from phasegate.load.cache import TtlCache
from phasegate.load.expectations import ID, NONE, OBJECT, Expected, Failure, Rows
from phasegate.load.recorder import Recorder
from phasegate.load.refusals import failure_of
from phasegate.load.transport import Answer, Transport
from phasegate.model.errors import UsageError

Task = dict[str, Any]
Page = tuple[list[Task], int]
"""Tasks, newest first, each with its `projects` object or None; and the bytes that they took."""

# The columns that a session goes on with; an answer without them is none.
TASKS = Rows({"project_id": ID + NONE})
TASKS_WITH_PROJECTS = Rows({"project_id": ID + NONE, "projects": OBJECT + NONE})
PROJECTS = Rows({"name": (object,), "color": (object,)})
ANY_ROWS = Rows()

IF_CHANGED = b"If-None-Match"


class RequestFailed(Exception):
    """No answer, or one that the user cannot go on with. Recorded already; the click failed."""


class SessionOver(Exception):
    """The test is closing, or may send no more: the session ends where it is."""


OnFailure = Callable[[str, Answer, str], None]
"""Told the name of a request that failed, its answer, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the session can go on with."""

    answer: Answer
    body: Any
    """Decoded, in the form that was expected; None where nothing was, or nothing came."""


@dataclass(slots=True)
class UserApi:
    """One user's requests: sent, timed, checked, recorded.

    `stage` and `due_s` are those of the click under way; the first request of a click was due with
    the click, each further one when the answer before it was there.
    """

    transport: Transport
    recorder: Recorder
    head: bytes
    user_id: str
    page_tasks: int
    budget: Budget
    stage: int = 0
    due_s: float = 0.0
    on_failure: OnFailure | None = None

    def send(
        self,
        name: str,
        method: str,
        path: str,
        body: Any = None,
        headers: bytes = b"",
        expects: Expected | None = None,
    ) -> Reply:
        """One request; `headers` are further header lines, each with its CRLF.

        `expects` is the form of the answer's body; where None, any but a web page will do.

        Raises:
            RequestFailed: no answer, a status of 400 or above, a redirect, or a body of another
                form than expected.
            SessionOver: the request budget is spent; nothing was sent.
        """
        if not self.budget.spend():
            raise SessionOver
        due_s, sent_s = self.due_s, time.perf_counter()
        recorder, name_id = self.recorder, self.recorder.name_id(name)
        raw, extra = None, headers
        if body is not None:
            raw = json.dumps(body).encode()
            extra += b"Content-Type: application/json\r\nPrefer: return=representation\r\n"
        try:
            answer = self.transport.request(method, path, self.head, raw, extra)
        except gevent.GreenletExit:
            # Cut off while waiting: it was sent, and it was not answered.
            recorder.record(
                self.stage, name_id, due_s, sent_s, time.perf_counter(), 0, 0, Failure.STATUS
            )
            raise
        failure, decoded, problem = failure_of(
            answer, expects, asked_if_changed=headers.startswith(IF_CHANGED)
        )
        tally = recorder.tally(self.stage)
        if answer.opened:
            tally.connections += 1
        if answer.resent:
            tally.resent += 1
        recorder.record(
            self.stage,
            name_id,
            due_s,
            answer.sent_s,
            answer.done_s,
            answer.status,
            answer.wire_bytes,
            failure,
        )
        self.due_s = answer.done_s
        if failure:
            tally.failed(answer.status, failure, problem)
            if self.on_failure is not None:
                self.on_failure(name, answer, problem)
            raise RequestFailed(answer.error or f"{answer.status} {problem}")
        return Reply(answer, decoded)

    def rows(
        self, name: str, method: str, path: str, body: Any = None, expects: Rows = ANY_ROWS
    ) -> tuple[list[Any], int]:
        """The rows that a request answers with, and their size in bytes.

        Raises:
            RequestFailed: as `send`.
        """
        reply = self.send(name, method, path, body, expects=expects)
        return reply.body, reply.answer.wire_bytes


class Reader(Protocol):
    """How a client reads tasks."""

    def tasks(self, api: UserApi, project_id: str | None = None) -> Page:
        """The user's newest tasks, or those of one project, with their projects' name and colour.

        Raises:
            RequestFailed: a request of it failed.
        """

    def written(self, api: UserApi) -> None:
        """The user changed something."""


def _list_path(api: UserApi, select: str, project_id: str | None) -> str:
    project = f"&project_id=eq.{quote(str(project_id))}" if project_id else ""
    return (
        f"/rest/v1/tasks?select={select}&user_id=eq.{api.user_id}{project}"
        f"&order=created_at.desc&limit={api.page_tasks}"
    )


class NPlusOne:
    """The tasks, then one request for each project among them."""

    def tasks(self, api: UserApi, project_id: str | None = None) -> Page:
        """See `Reader`."""
        path = _list_path(api, "*", project_id)
        rows, size = api.rows("GET tasks", "GET", path, expects=TASKS)
        projects: dict[str, Any] = {}
        for wanted in dict.fromkeys(row["project_id"] for row in rows if row["project_id"]):
            found, more = api.rows(
                "GET projects (one of N)",
                "GET",
                f"/rest/v1/projects?select=name,color&id=eq.{quote(str(wanted))}",
                expects=PROJECTS,
            )
            projects[wanted] = found[0] if found else None
            size += more
        return [{**row, "projects": projects.get(row["project_id"])} for row in rows], size

    def written(self, api: UserApi) -> None:
        """See `Reader`."""


class Embedded:
    """One request that has the database join."""

    def tasks(self, api: UserApi, project_id: str | None = None) -> Page:
        """See `Reader`."""
        select = "*,projects(name,color)"
        path = _list_path(api, select, project_id)
        return api.rows("GET tasks (embedded)", "GET", path, expects=TASKS_WITH_PROJECTS)

    def written(self, api: UserApi) -> None:
        """See `Reader`."""


@dataclass(frozen=True)
class Cached:
    """Another reader behind the client's cache."""

    behind: Reader
    cache: TtlCache[list[Task]]

    def tasks(self, api: UserApi, project_id: str | None = None) -> Page:
        """See `Reader`; a hit takes no bytes."""
        fetched = 0

        def fetch() -> Page:
            nonlocal fetched
            page = self.behind.tasks(api, project_id)
            fetched = page[1]
            return page

        return self.cache.get(api.user_id, project_id, fetch), fetched

    def written(self, api: UserApi) -> None:
        """See `Reader`."""
        self.cache.invalidate(api.user_id)


class Conditional:
    """Asks each time, and takes the page at hand where the server says that it is the same.

    Saves the bytes, not the round trip; the server has to send ETags, which PostgREST does not.
    """

    def __init__(self, cache: TtlCache[list[Task]]) -> None:
        self._tally = cache  # one place where all arms count
        self._pages: OrderedDict[tuple[str, str | None], tuple[bytes, Page]] = OrderedDict()

    def tasks(self, api: UserApi, project_id: str | None = None) -> Page:
        """See `Reader`; an unchanged page takes no bytes."""
        key = (api.user_id, project_id)
        known = self._pages.get(key)
        headers = b"%b: %b\r\n" % (IF_CHANGED, known[0]) if known else b""
        path = _list_path(api, "*,projects(name,color)", project_id)
        reply = api.send(
            "GET tasks (conditional)", "GET", path, headers=headers, expects=TASKS_WITH_PROJECTS
        )
        answer = reply.answer
        tally = self._tally.tally  # only now: a report in the meantime has taken the earlier one
        if answer.status == 304 and known is not None:
            tally.hits += 1
            tally.saved_bytes += known[1][1]
            return known[1][0], 0
        tally.misses += 1
        page = reply.body, answer.wire_bytes
        etag = answer.headers.get(b"etag")
        if etag is not None:
            tally.validators += 1
            self._pages[key] = (etag, page)
            self._pages.move_to_end(key)
            if len(self._pages) > self._tally.entries_max:
                self._pages.popitem(last=False)
        return page

    def written(self, api: UserApi) -> None:
        """See `Reader`; the server knows."""


ARMS: dict[str, Callable[[TtlCache[list[Task]]], Reader]] = {
    "n-plus-1": lambda _: NPlusOne(),
    "embedded": lambda _: Embedded(),
    "embedded+cache": lambda cache: Cached(Embedded(), cache),
    "conditional": Conditional,
}

CACHING_ARMS = frozenset({"embedded+cache", "conditional"})

# What the scaling guide has at each stack level (docs/method.md#the-scaling-guide).
ARM_OF_LEVEL = {1: "n-plus-1", 2: "embedded", 3: "embedded+cache"}


def arm_of(arm: str, level: int) -> str:
    """`arm`, or the one of `level` where `arm` is empty.

    Raises:
        UsageError: there is no such arm.
    """
    chosen = arm or ARM_OF_LEVEL.get(level, "")
    if chosen not in ARMS:
        raise UsageError(
            f"There is no arm '{chosen}'" if chosen else f"There is no stack level {level}",
            untouched="No request was sent",
            then=f"Choose one of {', '.join(ARMS)}",
        )
    return chosen
