"""Has Locust's own user classes arrive: where what they do, send and pause is told to us.

Changes Locust in this process alone: the loop of a TaskSet, what sleeps, its two HTTP clients, and
its `request` event. Each does what it ever did outside a visit (`load.visit`).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from json import dumps
from typing import Any

import gevent
import requests
from locust import FastHttpUser, HttpUser, TaskSet, User
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.runners import WorkerRunner

from phasegate.load.answers import template
from phasegate.load.visit import visit_here
from phasegate.model.errors import UsageError

log = logging.getLogger("phasegate.load")

RUNNING = "running"  # as Locust's runner asks for

PACED = ("constant_throughput", "constant_pacing")


@lru_cache(maxsize=1)
def install() -> None:
    """Change Locust; before a locustfile is imported, which may take `sleep` by name."""
    _hook_tasks()
    _hook_sleeps()
    _hook_client(HttpSession)
    _hook_client(FastHttpSession)
    _hook_requests()


def _hook_tasks() -> None:
    original = TaskSet.execute_next_task

    def execute_next_task(self: TaskSet) -> None:
        visit = getattr(self.user, "phasegate_visit", None)
        if visit is None:
            original(self)  # type: ignore[no-untyped-call]
        else:
            visit.step(self, self._task_queue.popleft(), self.execute_task)

    TaskSet.execute_next_task = execute_next_task  # type: ignore[method-assign]


def _hook_sleeps() -> None:
    original = gevent.sleep

    def sleep(seconds: float = 0, ref: bool = True) -> None:
        visit = getattr(gevent.getcurrent(), "phasegate_visit", None)
        if visit is None:
            original(seconds, ref)
        else:
            visit.rest(seconds)

    gevent.sleep = time.sleep = sleep  # type: ignore[assignment]


def _hook_client(client: type[Any]) -> None:
    original = client.request

    def request(self: Any, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        visit = visit_here()
        if visit is None:
            return original(self, method, url, *arguments, **named)
        if client is FastHttpSession and visit.line.reads_only is not None:
            data, json = named.get("data"), named.get("json")
            body = data if isinstance(data, str | bytes) else dumps(json) if json else None
            visit.line.reads_only.check(method, url, body)
        visit.before_request()
        sent_s = time.perf_counter()
        try:
            response = original(self, method, url, *arguments, **named)
        except gevent.GreenletExit:
            visit.cut_off(f"{method} {named.get('name') or template(url)}", sent_s)
            raise
        visit.returned(response)
        return response

    client.request = request


def _hook_requests() -> None:
    """The guard of requests' own session, which HttpUser's client is one of."""
    original = requests.Session.send

    def send(self: requests.Session, request: requests.PreparedRequest, **named: Any) -> Any:
        visit = visit_here()
        if visit is not None and visit.line.reads_only is not None:
            body = request.body if isinstance(request.body, str | bytes) else None
            visit.line.reads_only.check(request.method or "GET", request.url or "", body)
        return original(self, request, **named)

    requests.Session.send = send  # type: ignore[method-assign]


def tell_of_requests(environment: Environment) -> None:
    """Have the `request` event of `environment` count what a visit sends, with latency from due."""
    hook: Any = environment.events.request
    original = hook.fire

    def fire(*, reverse: bool = False, **fired: Any) -> None:
        visit = visit_here()
        if visit is not None:
            fired["name"], fired["response_time"] = visit.answered(fired)
        original(reverse=reverse, **fired)

    hook.fire = fire


def stand_by(user_class: type[User]) -> None:
    """Have the instances that Locust itself starts do nothing: sessions arrive."""

    def run(self: Any) -> None:
        self._state = RUNNING
        while True:
            gevent.sleep(1)

    user_class.run = run  # type: ignore[method-assign, misc]


def tasks_of(holder: Any) -> Iterator[Any]:
    """Every `@task` of a user class or TaskSet, also of nested ones, as often as it is drawn."""
    for task in holder.tasks:
        if isinstance(task, type):
            yield from tasks_of(task)
        else:
            yield task


def names_of(user_classes: Sequence[type[User]]) -> dict[Any, str]:
    """What clicks are called, by task: its name, with its class where two have the same."""
    every = {task for each in user_classes for task in tasks_of(each)}
    short = {task: getattr(task, "__name__", type(task).__name__) for task in every}
    count = Counter(short.values())
    return {
        task: name if count[name] == 1 else getattr(task, "__qualname__", name)
        for task, name in short.items()
    }


def require_rate(environment: Environment, theirs: Sequence[type[User]]) -> None:
    """Refuse a test of Locust's own classes `theirs` in which nobody would arrive.

    Raises:
        UsageError: no rate is asked for.
    """
    asked: Any = environment.parsed_options
    if theirs and not (asked.users_registered or asked.arrival_rate or asked.stages):
        raise UsageError(
            f"{theirs[0].__name__} is no SessionUser: it can only arrive at a rate",
            untouched="No request was sent",
            then="Give --users-registered N, --arrival-rate PER_S or --stages; for Locust's "
            "closed model run it with locust, without phasegate",
        )


def take_in(environment: Environment, theirs: Sequence[type[User]]) -> None:
    """Have Locust's own classes `theirs` arrive, and name what of them means nothing then.

    Raises:
        UsageError: no rate is asked for, or they go to several hosts.
    """
    require_rate(environment, theirs)
    hosts = {each.host for each in theirs if each.host}
    if not environment.host and len(hosts) == 1:
        environment.host = hosts.pop()
    elif not environment.host and hosts:
        raise UsageError(
            f"The user classes go to {len(hosts)} hosts",
            untouched="No request was sent",
            then="Name one with --host, or the classes of one host behind the options",
        )
    if not isinstance(environment.runner, WorkerRunner):
        for sentence in not_honoured(environment, theirs):
            log.warning("%s", sentence)
    environment.shape_class = None
    environment.catch_exceptions = False
    for each in theirs:
        stand_by(each)
    tell_of_requests(environment)


def not_honoured(environment: Environment, user_classes: Sequence[type[User]]) -> Iterator[str]:
    """What of a locustfile means nothing where sessions arrive: a sentence each."""
    if environment.shape_class is not None:
        yield (
            f"{type(environment.shape_class).__name__} is left out: sessions arrive at a rate; "
            "--stages 1k,10k drives several, --ramp S raises one"
        )
    for each in user_classes:
        name = each.__name__
        if each.fixed_count:
            yield f"{name}.fixed_count is left out: classes arrive by their weight"
        if getattr(each.wait_time, "__qualname__", "").startswith(PACED):
            yield f"{name}.wait_time sets no rate here: it is the pause behind each @task"
        if not issubclass(each, HttpUser | FastHttpUser):
            yield (
                f"{name} is no HttpUser: its requests are counted as its events tell, and neither "
                "--request-budget nor the limit to reads holds them"
            )
