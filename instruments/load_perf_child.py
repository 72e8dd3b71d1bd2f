"""One generator under comparison, in a process of its own; prints what it did as JSON.

    python -m instruments.load_perf_child fasthttp|recorded|transport|geventhttpclient URL SECONDS
    python -m instruments.load_perf_child arrivals URL SECONDS RATE

`fasthttp` is a bare FastHttpUser; `recorded` sends the same request the way sessions do, through
transport, recorder and Locust's statistics. `transport` and `geventhttpclient` are the two HTTP
clients alone, without Locust and without recording: the library is what FastHttpUser is built on
(docs/decisions/0002-own-http-client.md). `arrivals` dispatches one request at constant
intervals, as k6's constant-arrival-rate does.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import gevent
from geventhttpclient import HTTPClient
from locust import User, task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from phasegate.load.arrivals import Dispatcher
from phasegate.load.budget import Budget
from phasegate.load.counters import StageTally
from phasegate.load.locust_statistics import feed
from phasegate.load.read_strategies import UserApi
from phasegate.load.recorder import Recorder
from phasegate.load.timer import Alarm
from phasegate.load.transport import Transport

PATH = "/rest/v1/tasks?select=*&user_id=eq.0198c0de-0000-7000-8000-000000000000&limit=20"
NAME = "GET tasks"
HEADERS = {"apikey": "k" * 180, "Authorization": "Bearer " + "t" * 300}

# Enough that the generator never waits for the server, few enough that no queue forms.
USERS = 20
UNBOUNDED = Budget(None, lambda: None)
WARM_UP_S = 0.5


class Bare(FastHttpUser):
    """What one writes first."""

    @task
    def read(self) -> None:
        """One request."""
        self.client.get(PATH, name=NAME, headers=HEADERS)


class Recorded(User):
    """The way our sessions send."""

    transport: Transport
    recorder: Recorder

    def on_start(self) -> None:
        """Sign in, so to speak."""
        head = self.transport.head(HEADERS)
        self.api = UserApi(self.transport, self.recorder, head, "someone", 20, UNBOUNDED)

    @task
    def read(self) -> None:
        """One request."""
        self.api.due_s = time.perf_counter()
        self.api.send(NAME, "GET", PATH)


def closed(user: type[User], url: str, seconds: float) -> dict[str, float]:
    """Requests and processor seconds of `USERS` users that never pause."""
    environment = Environment(user_classes=[user], host=url)
    runner = environment.create_local_runner()
    recorder = Recorder((time.perf_counter(),), lambda name, rows: feed(environment, name, rows))
    Recorded.transport, Recorded.recorder = Transport(url), recorder
    tally = StageTally()

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
    recorder, transport = Recorder((time.perf_counter(),)), Transport(url)
    head = transport.head(HEADERS)

    def session(due_s: float) -> None:
        api = UserApi(transport, recorder, head, "someone", 20, UNBOUNDED, due_s=due_s)
        api.send(NAME, "GET", PATH)

    dispatcher = Dispatcher(recorder, session, Alarm())
    due = ((0, n / rate) for n in range(round(seconds * rate)))
    dispatcher.dispatch(due, time.perf_counter())
    dispatcher.drain(5)
    tally = recorder.take()[0]
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
        done = closed(Bare if kind == "fasthttp" else Recorded, url, seconds)
    print(json.dumps(done))  # noqa: T201 - read by who started it


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float((*sys.argv, "0")[4]))
