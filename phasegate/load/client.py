"""A user's HTTP client: `get`, `post`, … as Locust's, each request timed from when it was due.

Every request is sent, checked against what it expects, and recorded. One that fails raises
`RequestFailed`, which ends the click that it belongs to; with `catch_response=True` the locustfile
decides, as with Locust's own clients.
"""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import gevent
from gevent.pool import Pool

from phasegate.load.answer_checks import AnswerChecks, Asked
from phasegate.load.answers import graphql_operation
from phasegate.load.carried import Carried, SessionHeaders
from phasegate.load.expectations import ANYTHING, Expected, Failure, GraphQL, failure_of
from phasegate.load.reads import ReadsOnly
from phasegate.load.recorder import Recorder
from phasegate.load.response import CaughtResponse, Response
from phasegate.load.session import RequestFailed, Session, SessionOver
from phasegate.load.transport import Answer, Transport

JSON_LINE = b"Content-Type: application/json\r\n"
FORM_LINE = b"Content-Type: application/x-www-form-urlencoded\r\n"

IF_CHANGED = "if-none-match"

REMOVALS_AT_ONCE = 10

OnFailure = Callable[[str, Answer, str], None]
"""Told the name of a request that failed, its answer, and what is wrong with it; not where the
locustfile alone says so."""


@dataclass
class Budget:
    """A cap on requests sent by this process.

    Args:
        requests: the cap; None for no cap.
        when_spent: called once, when a request is refused for the first time.
    """

    requests: int | None
    when_spent: Callable[[], object]
    sent: int = 0
    _told: bool = False

    def spend(self) -> bool:
        """Take one; False when none is left."""
        if self.requests is None or self.sent < self.requests:
            self.sent += 1
            return True
        if not self._told:
            self._told = True
            self.when_spent()
        return False


def share_of(requests: int | None, slot: int, slots: int) -> int | None:
    """The part of a budget that process `slot` of `slots` gets; the parts add up to the whole."""
    if requests is None:
        return None
    return requests // slots + (1 if slot < requests % slots else 0)


@dataclass
class Removals:
    """Requests that take back what sessions wrote, until they are sent."""

    transport: Transport
    recorder: Recorder
    refused: int = 0
    _left: list[tuple[int, bytes, str, str, bytes | None]] = field(default_factory=list)

    def add(self, stage: int, head: bytes, method: str, path: str, body: bytes | None) -> None:
        """What a session of `stage` wrote is taken back by that request."""
        self.recorder.tally(stage).rows_created += 1
        self._left.append((stage, head, method, path, body))

    def send(self) -> None:
        """Send them all, each as the user who wrote; what the API refuses is counted."""
        pool = Pool(REMOVALS_AT_ONCE)
        left, self._left = self._left, []
        for one in left:
            pool.spawn(self._send, *one)
        pool.join()

    def _send(self, stage: int, head: bytes, method: str, path: str, body: bytes | None) -> None:
        lines = JSON_LINE if body is not None else b""
        answer = self.transport.request(method, path, head, body, lines)
        if 200 <= answer.status < 300:
            self.recorder.tally(stage).rows_removed += 1
        else:
            self.refused += 1


@dataclass(frozen=True)
class Line:
    """What the clients of one process share."""

    transport: Transport
    recorder: Recorder
    budget: Budget
    removals: Removals
    checks: AnswerChecks
    on_failure: OnFailure | None = None
    reads_only: ReadsOnly | None = None
    """None where writes are allowed."""
    left_out: set[str] = field(default_factory=set)
    """Each `@task` that is not carried out, since it would write."""


class Client:
    """One user's requests.

    Args:
        line: shared by all clients of the process.
        session: whose clicks the requests belong to.
        headers: of each request: the user's own.
        user_id: whose answers they are held to be; empty where it is not known.
    """

    __slots__ = ("_carried", "_line", "_session", "_user_id")

    def __init__(
        self, line: Line, session: Session, headers: dict[str, str], user_id: str = ""
    ) -> None:
        self._line, self._session = line, session
        self._carried = Carried(headers, line.transport.head)
        self._user_id = user_id

    @property
    def headers(self) -> SessionHeaders:
        """What each further request carries: `self.client.headers["Authorization"] = …`."""
        return self._carried.headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """What answers of this session have set, by name."""
        return self._carried.cookies

    def set_cookie(self, name: str, value: str) -> None:
        """Have each further request carry a cookie; an empty `value` removes it."""
        self._carried.set_cookie(name, value)

    def get(self, path: str, **options: Any) -> Any:
        """See `request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        """See `request`."""
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> Any:
        """See `request`."""
        return self.request("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> Any:
        """See `request`."""
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> Any:
        """See `request`."""
        return self.request("DELETE", path, **options)

    def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        path: str = "/graphql",
        name: str = "",
        expects: Expected | None = None,
        **options: Any,
    ) -> Any:
        """A GraphQL operation, named after itself; an answer that holds errors has failed.

        Args:
            query: the document.
            variables: of the operation.
            path: where the API has its endpoint.
            name: another one, for an operation that has none.
            expects: the form of `data`.
            options: as for `request`.
        """
        body = {"query": query, "variables": dict(variables or {})}
        kind, called = graphql_operation(json_module.dumps(body)) or ("query", "")
        return self.request(
            "POST",
            path,
            name=name or f"{path} {called or kind}",
            json=body,
            expects=GraphQL(expects),
            **options,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        name: str = "",
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: str | bytes | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        expects: Expected | None = None,
        catch_response: bool = False,
    ) -> Any:
        """One request: a `Response`; with `catch_response`, a `CaughtResponse`.

        Args:
            method: GET, POST, …
            path: below the host, with its query or without.
            name: as statistics and records call it, after the method; the path without its query
                where left out. Never with an id in it: every name is a series of its own.
            params: the query, encoded.
            json: the body; encoded, and sent as application/json.
            data: the body as text or bytes, or the fields of a form.
            headers: further ones, which replace the session's own of the same name.
            expects: the form of the answer's body; where None, any but a web page will do.
            catch_response: the `with` block decides whether it failed.

        Raises:
            RequestFailed: no answer, a status of 400 or above, a redirect, or a body of another
                form than expected; not with `catch_response`.
            SessionOver: the test closes, or its request budget is spent; nothing was sent.
        """
        line, session = self._line, self._session
        if session.click is None:
            session.begin_bare()
        if not line.budget.spend():
            raise SessionOver
        if params:
            path += f"{'&' if '?' in path else '?'}{urlencode(params, doseq=True)}"
        body, extra = _body(json, data)
        head = self._carried.lines(headers)
        full_name = f"{method} {name or path.partition('?')[0]}"
        name_id = line.recorder.name_id(full_name)
        due_s, sent_s = session.due_s, time.perf_counter()
        try:
            answer = line.transport.request(method, path, head, body, extra)
        except gevent.GreenletExit:
            # Cut off while waiting: it was sent, and it was not answered.
            done_s = time.perf_counter()
            line.recorder.record(
                session.stage, name_id, due_s, sent_s, done_s, 0, 0, Failure.STATUS
            )
            raise
        session.due_s = answer.done_s
        self._carried.keep(answer)
        if_changed = answer.status == 304 and _asks_if_changed(headers)
        if catch_response:
            sent = (full_name, name_id, due_s, sent_s)
            return CaughtResponse(answer, partial(self._judged, sent, path))
        failure, decoded, problem = failure_of(answer, expects, asked_if_changed=if_changed)
        self._count(full_name, name_id, due_s, sent_s, answer, failure, problem)
        if failure:
            raise RequestFailed(answer.error or f"{answer.status} {problem}")
        response = Response(
            answer, decoded, is_decoded=expects is not None and expects is not ANYTHING
        )
        session.last = response
        self._look(full_name, path, answer)
        return response

    def always(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every request from now on, and not `apikey` and `Authorization`.

        For an API that gives out tokens or cookies by a log-in of its own, in `on_start`.
        """
        self._carried.replace(headers)

    def remove_at_end(self, method: str, path: str, json: Any) -> None:
        """Have that request sent as this user when the test is over."""
        body = None if json is None else json_module.dumps(json).encode()
        head = self._carried.lines(None)
        self._line.removals.add(self._session.stage, head, method, path, body)

    def _judged(
        self,
        sent: tuple[str, int, float, float],
        path: str,
        response: CaughtResponse,
        verdict: str | None,
    ) -> None:
        """Count a request that the locustfile judged; None where it said nothing."""
        answer = response.answer
        failure, _, problem = failure_of(answer, None, asked_if_changed=True)
        if verdict is not None:
            problem = verdict
            failure = (failure or Failure.REJECTED) if verdict else Failure.NONE
        self._count(*sent, answer, failure, problem)
        if failure and self._session.click is not None:
            self._session.click.failed = True
        elif not failure:
            self._session.last = response
            self._look(sent[0], path, answer)

    def _look(self, name: str, path: str, answer: Answer) -> None:
        """See whether an answer that is no failure is one for this user."""
        checks, session = self._line.checks, self._session
        if checks.is_due(name, session, answer, is_users=session.watched):
            own = self._user_id
            checks.look(session, name, answer, Asked(path, own, own, is_users=session.watched))

    def _count(
        self,
        name: str,
        name_id: int,
        due_s: float,
        sent_s: float,
        answer: Answer,
        failure: Failure,
        problem: str,
    ) -> None:
        line, session = self._line, self._session
        tally = line.recorder.tally(session.stage)
        if answer.opened:
            tally.connections += 1
        if answer.resent:
            tally.resent += 1
        line.recorder.record(
            session.stage,
            name_id,
            due_s,
            answer.sent_s,
            answer.done_s,
            answer.status,
            answer.wire_bytes,
            failure,
        )
        if session.click is None and session.watched:
            session.count(name, session.stage, due_s, sent_s, failed=failure != Failure.NONE)
        if failure:
            tally.failed(answer.status, failure, problem)
            if line.on_failure is not None and failure is not Failure.REJECTED:
                line.on_failure(name, answer, problem)


def _body(json: Any, data: str | bytes | Mapping[str, Any] | None) -> tuple[bytes | None, bytes]:
    """A request's body, and the header line that says what it is."""
    if json is not None:
        return json_module.dumps(json).encode(), JSON_LINE
    if data is None:
        return None, b""
    if isinstance(data, Mapping):
        return urlencode(data, doseq=True).encode(), FORM_LINE
    return (data.encode() if isinstance(data, str) else data), b""


def _asks_if_changed(headers: Mapping[str, str] | None) -> bool:
    return any(name.lower() == IF_CHANGED for name in headers or ())
