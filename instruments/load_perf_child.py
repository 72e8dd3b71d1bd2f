"""One generator under comparison, in a process of its own; prints what it did as JSON.

    python -m instruments.load_perf_child fasthttp|session|transport|geventhttpclient URL SECONDS
    python -m instruments.load_perf_child arrivals URL SECONDS RATE

`fasthttp` is a bare FastHttpUser; `session` sends the same requests from sessions as a project's
locustfile has them, each of a few clicks and without think time. `transport` and
`geventhttpclient` are the two HTTP clients alone, without Locust and without recording: the library
is what FastHttpUser is built on (docs/decisions/0002-own-http-client.md). `arrivals` dispatches a
session of one request at constant intervals, as k6's constant-arrival-rate does.
"""

from __future__ import annotations

import json
import random
import sys
import time
from functools import partial
from typing import Any

import gevent
from geventhttpclient import HTTPClient
from locust import User, task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from phasegate.load.answer_checks import AnswerChecks
from phasegate.load.arrivals import Dispatcher
from phasegate.load.client import Budget, Client, Line, Removals
from phasegate.load.counters import StageTally
from phasegate.load.generator import spare_collections
from phasegate.load.locust_statistics import feed
from phasegate.load.recorder import Recorder
from phasegate.load.session import Clock, Session
from phasegate.load.session_user import Choice, SessionUser, carry_out
from phasegate.load.timer import Timer
from phasegate.load.transport import Transport
from phasegate.load.users import User as Registered
from phasegate.model.catalogue import load

PATH = "/rest/v1/tasks?select=*&user_id=eq.0198c0de-0000-7000-8000-000000000000&limit=20"
NAME = "GET tasks"
HEADERS = {"apikey": "k" * 180, "Authorization": "Bearer " + "t" * 300}

# Enough that the generator never waits for the server, few enough that no queue forms.
USERS = 20

# Of a session: as many as the task app's have.
CLICKS = 5

UNBOUNDED = Budget(None, lambda: None)
WARM_UP_S = 0.5


class Bare(FastHttpUser):
    """The same session as one writes it first."""

    @task
    def read(self) -> None:
        """A few requests."""
        for _ in range(CLICKS):
            self.client.get(PATH, name=NAME, headers=HEADERS)


class Visitor(SessionUser):
    """What one writes for the engine."""

    clicks = CLICKS

    @task
    def read(self) -> None:
        """A few clicks."""
        for _ in range(self.clicks):
            with self.click("read"):
                self.client.get(PATH, name="tasks")


class Sessions:
    """Carries sessions of `Visitor` out, as the generator does."""

    def __init__(self, environment: Environment, url: str) -> None:
        spare_collections()
        feeder = partial(feed, environment)
        self._environment, self.recorder = environment, Recorder((time.perf_counter(),), feeder)
        self.timer = Timer()
        transport = Transport(url)
        removals, checks = Removals(transport, self.recorder), AnswerChecks(self.recorder)
        self._line = Line(transport, self.recorder, UNBOUNDED, removals, checks)
        self._clock = Clock(self.recorder, load().workload, 0.0, self.timer, lambda _: 0)
        self._choice = Choice(Visitor, Visitor.read, 1.0)
        self._rng = random.Random(0)

    def carry_out(self, due_s: float) -> None:
        """One."""
        session = Session(self._clock, self._rng, due_s)
        carry_out(
            self._choice,
            self._environment,
            session,
            Client(self._line, session, HEADERS),
            user=Registered("someone", "t"),
            parts=frozenset(),
            level=1,
        )


def closed(user: type[User], url: str, seconds: float) -> dict[str, float]:
    """Requests and processor seconds of `USERS` users that never pause."""
    environment = Environment(user_classes=[user], host=url)
    runner = environment.create_local_runner()
    sessions = Sessions(environment, url)
    recorder, tally = sessions.recorder, StageTally()
    SessionUser.carry_out_next = lambda _: sessions.carry_out(time.perf_counter())

    def fold() -> None:
        while True:
            gevent.sleep(1)
            tally.merge(recorder.take().get(0, StageTally()))

    gevent.spawn(fold)
    runner.start(USERS, spawn_rate=USERS)
    gevent.sleep(WARM_UP_S)
    recorder.fold()
    before, cpu_s, wall_s = environment.stats.num_requests, time.process_time(), time.perf_counter()
    gevent.sleep(seconds)
    recorder.fold()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    requests = environment.stats.num_requests - before
    runner.quit()
    return {"requests": requests, "cpu_s": cpu_s, "wall_s": wall_s}


def alone(kind: str, url: str, seconds: float) -> dict[str, float]:
    """Requests and processor seconds of `USERS` greenlets that send without pause."""
    if kind == "transport":
        transport = Transport(url)
        head = transport.head(HEADERS)

        def send() -> None:
            transport.request("GET", PATH, head).json()

    else:
        client = HTTPClient.from_url(url, concurrency=USERS, network_timeout=30, headers=HEADERS)

        def send() -> None:
            answer = client.request("GET", PATH)
            json.loads(bytes(answer.read()))

    done = 0

    def repeat() -> None:
        nonlocal done
        while True:
            send()
            done += 1

    senders = [gevent.spawn(repeat) for _ in range(USERS)]
    gevent.sleep(WARM_UP_S)
    before, cpu_s, wall_s = done, time.process_time(), time.perf_counter()
    gevent.sleep(seconds)
    requests = done - before
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    gevent.killall(senders)
    return {"requests": requests, "cpu_s": cpu_s, "wall_s": wall_s}


def open_arrivals(url: str, seconds: float, rate: float) -> dict[str, Any]:
    """Percentiles of one request at each of constant intervals."""
    sessions = Sessions(Environment(user_classes=[Visitor], host=url), url)
    Visitor.clicks = 1
    dispatcher = Dispatcher(sessions.recorder, sessions.carry_out, sessions.timer)
    due = ((0, n / rate) for n in range(round(seconds * rate)))
    dispatcher.dispatch(due, time.perf_counter())
    dispatcher.drain(5)
    tally = sessions.recorder.take()[0]
    endpoint = tally.endpoints[NAME]
    return {
        "requests": endpoint.requests,
        "due": endpoint.latency.percentiles_ms(),
        "service": endpoint.service.percentiles_ms(),
        "lag": tally.lag.percentiles_ms(),
    }


def main(kind: str, url: str, seconds: float, rate: float) -> None:
    """Run one and print it."""
    if kind == "arrivals":
        done: dict[str, Any] = open_arrivals(url, seconds, rate)
    elif kind in ("transport", "geventhttpclient"):
        done = alone(kind, url, seconds)
    else:
        done = closed(Bare if kind == "fasthttp" else Visitor, url, seconds)
    print(json.dumps(done))  # noqa: T201 - read by who started it


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float((*sys.argv, "0")[4]))
