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

from phasegate.load.auth_errors import MESSAGES_MAX, REFUSED, said
from phasegate.load.budget import Budget
from phasegate.load.cache import TtlCache
from phasegate.load.recorder import Recorder
from phasegate.load.transport import Answer, Transport
from phasegate.model.errors import UsageError

Task = dict[str, Any]
Page = tuple[list[Task], int]
"""Tasks, newest first, each with its `projects` object or None; and the bytes that they took."""


class RequestFailed(Exception):
    """No answer, or one that the user cannot go on with. Recorded already; the click failed."""


class SessionOver(Exception):
    """The test is closing, or may send no more: the session ends where it is."""


@dataclass(slots=True)
class UserApi:
    """One user's requests: sent, timed, recorded.

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

    def send(
        self, name: str, method: str, path: str, body: Any = None, headers: bytes = b""
    ) -> Answer:
        """One request; `headers` are further header lines, each with its CRLF.

        Raises:
            RequestFailed: no answer, or a status of 400 or above.
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
                self.stage, name_id, due_s, sent_s, time.perf_counter(), 0, 0, failed=True
            )
            raise
        failed = answer.status == 0 or answer.status >= 400
        if answer.opened:
            recorder.tally(self.stage).connections += 1
        if answer.status in REFUSED:
            found = recorder.tally(self.stage).refusals
            message = said(answer)
            if message in found or len(found) < MESSAGES_MAX:
                found[message] = found.get(message, 0) + 1
        recorder.record(
            self.stage,
            name_id,
            due_s,
            answer.sent_s,
            answer.done_s,
            answer.status,
            answer.wire_bytes,
            failed,
        )
        self.due_s = answer.done_s
        if failed:
            raise RequestFailed(answer.error or answer.status)
        return answer

    def rows(self, name: str, method: str, path: str, body: Any = None) -> tuple[list[Any], int]:
        """The rows that a request answers with, and their size in bytes.

        Raises:
            RequestFailed: as `send`, or the answer is no JSON array.
        """
        return decoded(self.send(name, method, path, body))


def decoded(answer: Answer) -> tuple[list[Any], int]:
    """The rows of `answer`, and their size in bytes.

    Raises:
        RequestFailed: it is no JSON array.
    """
    try:
        rows = answer.json()
    except ValueError as error:
        raise RequestFailed(f"not JSON: {error}") from error
    if not isinstance(rows, list):
        raise RequestFailed("not a JSON array")
    return rows, answer.wire_bytes


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
    project = f"&project_id=eq.{quote(project_id)}" if project_id else ""
    return (
        f"/rest/v1/tasks?select={select}&user_id=eq.{api.user_id}{project}"
        f"&order=created_at.desc&limit={api.page_tasks}"
    )


class NPlusOne:
    """The tasks, then one request for each project among them."""

    def tasks(self, api: UserApi, project_id: str | None = None) -> Page:
        """See `Reader`."""
        rows, size = api.rows("GET tasks", "GET", _list_path(api, "*", project_id))
        projects: dict[str, Any] = {}
        for wanted in dict.fromkeys(row["project_id"] for row in rows if row["project_id"]):
            found, more = api.rows(
                "GET projects (one of N)",
                "GET",
                f"/rest/v1/projects?select=name,color&id=eq.{quote(wanted)}",
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
        return api.rows("GET tasks (embedded)", "GET", _list_path(api, select, project_id))

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
        headers = b"If-None-Match: %b\r\n" % known[0] if known else b""
        path = _list_path(api, "*,projects(name,color)", project_id)
        answer = api.send("GET tasks (conditional)", "GET", path, headers=headers)
        tally = self._tally.tally  # only now: a report in the meantime has taken the earlier one
        if answer.status == 304 and known is not None:
            tally.hits += 1
            tally.saved_bytes += known[1][1]
            return known[1][0], 0
        tally.misses += 1
        page = decoded(answer)
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
