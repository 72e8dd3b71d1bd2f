"""One arrival of a user of Locust's own (`HttpUser`, `FastHttpUser`, …): logs in, acts, leaves.

The class is driven as it is written: `on_start`, as many of its `@task`s as a session has,
`on_stop`. A click is what a task sends between two pauses, named after the task: a task that sleeps
in its middle is two clicks, since nobody waits for their own pause. A request counts from when it
was due: the first of a click from the end of the pause before it, the others from the answer
before. What `on_start` and `on_stop` send, a user's or a TaskSet's, is recorded and is no click.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
from locust import SequentialTaskSet, TaskSet, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import DefaultTaskSet

from phasegate.load.answer_checks import Asked
from phasegate.load.answers import graphql_error, graphql_operation, template
from phasegate.load.arrivals import described
from phasegate.load.client import Line
from phasegate.load.expectations import PAGE, Failure, failure_of
from phasegate.load.reads import NotSent
from phasegate.load.session import Session, SessionOver
from phasegate.load.transport import Answer
from phasegate.model.api_refusals import is_page
from phasegate.model.errors import UsageError

log = logging.getLogger("phasegate.load")

RUNNING = "running"  # as Locust's runner asks for

# A sequence is carried out to its end, so a session may be longer than was asked for; one
# that never comes to an end has this many times as many.
OVER_MAX = 10

HTTP_OK = 200
ON_STOP = "on_stop"

# Of an answer, as far as it is looked at.
HEADERS_READ = frozenset({"content-type", "content-range", "location"})

# Of what a GraphQL server says: it may quote what was sent.
WORDS_MAX = 80

# What an answer of another form does to code that takes it apart.
MISSHAPEN = (LookupError, TypeError, AttributeError, ValueError, AssertionError)


@dataclass
class _Click:
    """What is under way of a task since its last pause."""

    due_s: float
    begun_s: float
    stage: int
    failed: bool = False


@dataclass
class Visit:
    """What the hooks of `load.locust_hooks` tell of one arrival.

    Args:
        line: shared by all sessions of the process.
        session: when things are due, and where they count.
        names: of clicks, by task.
        length: how often the session carries out a `@task`, at the least.
        on_name: told the name of each request that is recorded.
    """

    line: Line
    session: Session
    names: Mapping[Any, str]
    length: int
    on_name: Callable[[str], object] = lambda _: None
    _task: str | None = None
    _click: _Click | None = None
    _done: int = 0
    _begun: int = 0
    _answered: bool = False
    _unjudged: Mapping[str, Any] | None = None
    """What Locust would tell of an answer that is being judged in a `with` block."""
    _page: bool = False
    """Whether what was answered last is a web page."""
    _steps: dict[TaskSet, int] = field(default_factory=dict)

    def step(self, within: TaskSet, task: Any, execute: Callable[[Any], object]) -> None:
        """Carry out one task of `within`, and end the session where it was the last.

        Raises:
            StopUser: the session is over.
            SessionOver: the test closes.
        """
        self._begun += 1
        self._steps[within] = self._steps.get(within, 0) + 1
        if isinstance(task, type):  # a TaskSet: what it consists of comes here one by one
            execute(task)
            return
        name = self.names.get(task, "task")
        if name in self.line.left_out:
            return
        self._task, self._answered, self._unjudged = name, False, None
        try:
            execute(task)
        except NotSent as refused:
            self._leave_out(name, refused)
        except MISSHAPEN as error:
            if not self._answered:
                raise
            self._other_form(error)
        finally:
            self._end_click()
            self._task = None
        self._done += 1
        if self._is_over(within):
            raise StopUser

    def leave(self, acting: User) -> None:
        """The user's `on_stop`, which is left out where it would write and may not."""
        if ON_STOP in self.line.left_out:
            return
        try:
            acting.on_stop()
        except NotSent as refused:
            self._leave_out(ON_STOP, refused)

    def rest(self, seconds: float) -> None:
        """The user pauses: nobody waits meanwhile, and what comes next is due at its end.

        Raises:
            SessionOver: the test closes meanwhile.
        """
        self._end_click()
        self.session.rest(seconds)

    def before_request(self) -> None:
        """A request is about to be sent.

        Raises:
            SessionOver: the test closes, or its request budget is spent; nothing is sent.
        """
        session = self.session
        if self._task is None:
            session.due_s = time.perf_counter()
        elif self._click is None:
            session.enter(session.due_s)
            self._click = _Click(session.due_s, time.perf_counter(), session.stage)
        if not self.line.budget.spend():
            raise SessionOver

    def returned(self, response: Any) -> None:
        """A request was answered, or failed; Locust may tell of it at the end of a `with` block."""
        self._answered = bool(getattr(response, "status_code", 0))
        if self._unjudged is None and getattr(response, "_catch_response", False):
            self._unjudged = getattr(response, "request_meta", None)

    def cut_off(self, name: str, sent_s: float) -> None:
        """A request was killed while it waited: it was sent, and it was not answered."""
        self._record(name, sent_s, time.perf_counter(), 0, 0, Failure.STATUS)

    def answered(self, fired: Mapping[str, Any]) -> tuple[str, float]:
        """Count a request that Locust's event tells of; its name, and milliseconds from due."""
        response, error = fired.get("response"), fired.get("exception")
        length = int(fired.get("response_length") or 0)
        now_s = time.perf_counter()
        took_s = (fired.get("response_time") or 0.0) / 1000
        begun = fired.get("start_time")
        # Judged in a `with` block, it is told of after the block.
        sent_s = now_s - took_s if begun is None else now_s - (time.time() - begun)
        answer = answer_of(response, error, sent_s, sent_s + took_s)
        failure, problem = _failure(answer, error)
        called = name_of(fired)
        name = f"{fired['request_type']} {called}"
        due_s = self._record(name, sent_s, sent_s + took_s, answer.status, length, failure)
        self._answered, self._unjudged = answer.status > 0, None
        self._page = is_page(answer)
        checks, is_users = self.line.checks, self._task is not None
        if failure:
            self.line.recorder.tally(self.session.stage).failed(answer.status, failure, problem)
            if self._click is not None:
                self._click.failed = True
        elif checks.is_due(name, self.session, answer, is_users=is_users):
            url = str(fired.get("url") or fired["name"])
            asked = asked_by(response, url, is_users=is_users)
            checks.look(self.session, name, answer, asked)
        return called, (sent_s + took_s - due_s) * 1000

    def _record(
        self, name: str, sent_s: float, done_s: float, status: int, size: int, failure: Failure
    ) -> float:
        recorder, session = self.line.recorder, self.session
        due_s = min(session.due_s, sent_s)  # requests of one user may go side by side
        self.on_name(name)
        recorder.record(
            session.stage, recorder.name_id(name), due_s, sent_s, done_s, status, size, failure
        )
        session.due_s = max(session.due_s, done_s)
        return due_s

    def _end_click(self) -> None:
        click, self._click = self._click, None
        if click is not None and self._task is not None:
            self.session.due_s = self.session.count(
                self._task, click.stage, click.due_s, click.begun_s, failed=click.failed
            )

    def _other_form(self, error: Exception) -> None:
        """The task could not go on with an answer: the click failed, and the user goes on."""
        told = self._unjudged is None
        if self._unjudged is not None:  # Locust tells nothing of it where its block raises
            self.answered({**self._unjudged, "exception": error})
        tally = self.line.recorder.tally(self.session.stage)
        if self._page and isinstance(error, ValueError):
            if told:
                tally.failed(HTTP_OK, Failure.NOT_JSON, PAGE)
        else:
            tally.failed(HTTP_OK, Failure.UNEXPECTED, described(error))
        if self._click is not None:
            self._click.failed = True

    def _leave_out(self, name: str, refused: NotSent) -> None:
        self._click = None  # it was not carried out
        if name not in self.line.left_out:
            self.line.left_out.add(name)
            what = name if name == ON_STOP else f"Task {name}"
            log.warning("%s is left out: %s", what, refused)

    def _is_over(self, within: TaskSet) -> bool:
        if self._begun >= self.length * OVER_MAX:
            return True
        return self._done >= self.length and not any(
            isinstance(one, SequentialTaskSet) and self._steps.get(one, 0) % len(one.tasks)
            for one in _with_parents(within)
        )


def _failure(answer: Answer, error: object) -> tuple[Failure, str]:
    """Why a request failed, as Locust and the locustfile judged it, and what exactly is wrong."""
    if error is not None:
        failure, _, problem = failure_of(answer, None, asked_if_changed=True)
        return failure or Failure.REJECTED, problem
    if not answer.body.startswith(b'{"') or not (problem := graphql_error(answer.body)):
        return Failure.NONE, ""
    return Failure.UNEXPECTED, f"a GraphQL error: {problem[:WORDS_MAX]}"


def answer_of(response: Any, error: object, sent_s: float, done_s: float) -> Answer:
    """The answer in a response of either of Locust's clients; of another client's, what is told."""
    if response is None or not hasattr(response, "status_code"):
        status = 0 if error is not None else HTTP_OK
        return Answer(status, b"", {}, sent_s, done_s, str(error or ""))
    status = int(response.status_code or 0)
    body = getattr(response, "content", b"") if status else b""
    headers = {
        str(name).lower().encode(): str(value).encode("latin-1", "replace")
        for name, value in (getattr(response, "headers", None) or {}).items()
        if str(name).lower() in HEADERS_READ
    }
    said = "" if status else str(error or getattr(response, "error", "") or "no answer")
    return Answer(status, body if isinstance(body, bytes) else b"", headers, sent_s, done_s, said)


def name_of(fired: Mapping[str, Any]) -> str:
    """As the locustfile calls a request; without one, its path without query and ids.

    An unnamed GraphQL request is named after its operation.
    """
    name, url = str(fired["name"]), str(fired.get("url") or "")
    if not url or not url.endswith(name):
        return name
    request = getattr(fired.get("response"), "request", None)
    operation = graphql_operation(getattr(request, "body", None))
    return template(name) + (f" {operation[1] or operation[0]}" if operation else "")


def asked_by(response: Any, path: str, *, is_users: bool) -> Asked:
    """What the request of a response asked for: who sent it is told by token or cookie alone."""
    request = getattr(response, "request", None)
    headers = getattr(request, "headers", None) or {}
    sent = {str(name).lower(): str(value) for name, value in headers.items()}
    return Asked(
        path=path,
        user=sent.get("authorization", "") + sent.get("cookie", ""),
        asks_json="json" in sent.get("accept", ""),
        is_users=is_users,
    )


def _with_parents(within: TaskSet) -> Iterator[TaskSet]:
    one: Any = within
    while isinstance(one, TaskSet):
        yield one
        one = one.parent


def _hang_up(acting: User) -> None:
    """Close the connections of a user who has left: nobody uses them again."""
    client: Any = getattr(acting, "client", None)
    if isinstance(client, HttpSession) and acting.pool_manager is None:  # type: ignore[attr-defined]
        client.close()
    elif isinstance(client, FastHttpSession) and acting.client_pool is None:  # type: ignore[attr-defined]
        client.client.clientpool.close()


def carry_out(user_class: type[User], environment: Environment, visit: Visit) -> None:
    """One arrival, to its end or until the test closes."""
    greenlet = gevent.getcurrent()
    greenlet.phasegate_visit = visit
    try:
        acting = user_class(environment)
        acting.phasegate_visit = visit  # type: ignore[attr-defined]
        acting._state = RUNNING  # noqa: SLF001 - as Locust's own `run` does
        acting._taskset_instance = DefaultTaskSet(acting)  # noqa: SLF001
        try:
            acting.on_start()
            acting._taskset_instance.run()  # noqa: SLF001
        except StopUser:
            visit.leave(acting)
        finally:
            _hang_up(acting)
    except (SessionOver, StopUser):
        return  # the test closes, or the user gave up
    except NotSent as refused:
        raise UsageError(f"{user_class.__name__} cannot begin: {refused}") from None
    finally:
        del greenlet.phasegate_visit


def visit_here() -> Visit | None:
    """The visit that the current greenlet is of, also where a task started the greenlet."""
    greenlet = gevent.getcurrent()
    while greenlet is not None:
        visit: Visit | None = getattr(greenlet, "phasegate_visit", None)
        if visit is not None:
            return visit
        parent = getattr(greenlet, "spawning_greenlet", None)
        greenlet = parent() if callable(parent) else None
    return None
