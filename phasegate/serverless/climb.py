"""More and more registered users, until a connection is refused.

Requests arrive at random, as the model has them; a `Fleet` says which instance serves each, in a
thread of its own; what it asks the database is real. The rate rises step by step, so that instances
start as they would. Where a machine could not send that many requests, time is stretched: requests
last longer and arrive more seldom, so that as many are under way (`Clients.stretched`).
"""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import median, pstdev
from threading import Event, Lock

from phasegate.compare.technique import Arm, Parameters
from phasegate.model.capacity import Z_95, Span
from phasegate.model.errors import CannotMeasure
from phasegate.model.serverless import EVEN_ODDS, Clients, Stretch, Way, users_at
from phasegate.serverless.fleet import Fleet, Instance
from phasegate.serverless.pool import ConnectionRefused, FunctionConnection, Pool
from phasegate.serverless.simulation import refused_at

RATE_MAX = 150.0
"""Requests per second: what client, pooler and server do with a third of two cores."""

STEP_S = 4.0
GROWTH = 1.05
"""From step to step: a third of the interval that chance leaves to the answer."""

START_SHARE = 0.75
"""Of the users at whom one step runs out as often as not: there it hardly ever does."""

STEPS_MAX = 20
"""Up to twice those users: a limit that is not met there is not where it is said to be."""

RAMP_STEPS, RAMP_STEP_S = 12, 1.0
"""To the first step, by instances that are warm, as if there for hours: all of them at once and
cold they would be a deployment."""

SIMULATED = 21
"""Climbs that say where such a one is refused: their median is known to a third of their spread."""

SWEEP_S = 0.25
REHEARSALS = 100
THREADS_SPARE = 64


@dataclass(frozen=True)
class Aim:
    """What is climbed for.

    Attributes:
        clients: the functions, at their own speed.
        way: to the database, with what its limit leaves to them.
        dsn: of the server, or of the pooler.
        arm: whose statements a request sends.
        population: what they are sent for.
        idle_timeout_s: of the pools.
        freezes: whether it runs only while an instance has a request.
        kept_s: how long an instance is kept that nobody asks.
        seed: of arrivals.
    """

    clients: Clients
    way: Way
    dsn: str = field(repr=False)
    arm: Arm
    population: Sequence[Parameters]
    idle_timeout_s: float
    freezes: bool
    kept_s: float
    seed: str


@dataclass(frozen=True)
class Climbed:
    """What was seen.

    Attributes:
        users: at whose modelled peak a connection was refused; None where none was.
        modelled: what the rules alone say of such climbs, of requests as long as they were, with
            a 95% interval.
        limit: the setting that refused.
        said: by the server or the pooler.
        instances: there were then.
        connections: of theirs that were open.
        query_s: mean time of a request's statements, over the climb.
        stretch: how many times longer requests lasted, and more seldom came, than they would.
        lag_ms_p95: how late requests were sent.
        longer: how many times as long requests lasted as they should have.
        requests: sent.
    """

    users: float | None
    modelled: Span
    limit: str
    said: str
    instances: int
    connections: int
    query_s: float
    stretch: float
    lag_ms_p95: float
    longer: float
    requests: int


def rehearsed(aim: Aim) -> float:
    """Seconds that a request's statements take on an idle machine, in the mean.

    Raises:
        CannotMeasure: a statement fails, or no connection is to be had.
    """
    connection = FunctionConnection(aim.dsn)
    try:
        connection.carry_out(aim.arm, aim.population[0])  # its first time fills caches
        began = time.perf_counter()
        for drawn, _ in zip(itertools.cycle(aim.population), range(REHEARSALS), strict=False):
            connection.carry_out(aim.arm, drawn)
        return (time.perf_counter() - began) / REHEARSALS
    finally:
        connection.close()


def steps(clients: Clients, way: Way) -> tuple[list[Stretch], list[Stretch]]:
    """The ramp, and the steps above it."""
    even = users_at(EVEN_ODDS, clients, way, STEP_S)
    first = even * START_SHARE
    ramp = [(first * (n + 0.5) / RAMP_STEPS, RAMP_STEP_S) for n in range(RAMP_STEPS)]
    return ramp, [(first * GROWTH**n, STEP_S) for n in range(STEPS_MAX)]


def modelled(clients: Clients, way: Way, ramp: list[Stretch], above: list[Stretch]) -> Span:
    """The users at which such a climb is refused, by its rules alone; with a 95% interval."""
    found = [
        refused_at(clients, way.limit, [*ramp, *above], seed, warm=len(ramp)) or above[-1][0]
        for seed in range(SIMULATED)
    ]
    middle, spread = median(found), Z_95 * pstdev(found)
    return Span(middle, middle - spread, middle + spread)


def climb(aim: Aim, show: Callable[[str], None] = lambda _: None) -> Climbed:
    """Raise the number of users until a connection is refused, or to twice what the model says.

    Raises:
        CannotMeasure: a request failed for another reason.
    """
    even = users_at(EVEN_ODDS, aim.clients, aim.way, STEP_S)
    stretch = max(1.0, even * aim.clients.requests_per_user_s / RATE_MAX)
    slowed = aim.clients.stretched(stretch)
    aim = replace(aim, idle_timeout_s=aim.idle_timeout_s * stretch, kept_s=aim.kept_s * stretch)
    ramp, above = steps(slowed, aim.way)
    with _Drive(aim, slowed) as drive:
        for at, (users, seconds) in enumerate((*ramp, *above)):
            drive.cold_start_s = slowed.cold_start_s if at >= len(ramp) else 0.0
            show(f"{users:,.0f} users, {drive.open} connections")
            drive.step(users, seconds)
            if drive.over:
                break
        seen = drive.climbed(users, stretch)
    as_long = replace(slowed, request_s=slowed.request_s * seen.longer)
    return replace(seen, modelled=modelled(as_long, aim.way, ramp, above))


class _Drive:
    """Requests, their instances and what became of them."""

    def __init__(self, aim: Aim, clients: Clients) -> None:
        self._aim = aim
        self._clients = clients
        self._own_s = max(clients.request_s - clients.query_s, 0.0)
        self._fleet = Fleet(clients.concurrency, aim.kept_s)
        self._pools: dict[Instance, Pool] = {}
        self._rng = random.Random(aim.seed)
        self._drawn: Iterator[Parameters] = itertools.cycle(aim.population)
        self._lock = Lock()
        self._undo = ExitStack()
        self._over = Event()
        self._refused: tuple[ConnectionRefused, int] | None = None
        self._failed: CannotMeasure | None = None
        self._due = time.monotonic()
        self._swept = self._due
        self._lags_s: list[float] = []
        self._query_s: list[float] = []
        self._longer_s: list[float] = []
        self.open = 0
        self.cold_start_s = 0.0

    def __enter__(self) -> _Drive:
        workers = self._aim.way.limit * self._clients.concurrency + THREADS_SPARE
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="instance")
        self._undo.callback(self._close)
        self._undo.callback(self._threads.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._undo.close()

    def _close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    @property
    def over(self) -> bool:
        """Whether a request was refused, or failed."""
        return self._over.is_set()

    def step(self, users: float, seconds: float) -> None:
        """Send what `users` ask in so many seconds; less where a connection is refused."""
        rate, end = users * self._clients.requests_per_user_s, time.monotonic() + seconds
        self._due = max(self._due, end - seconds)
        while not self.over:
            self._due += self._rng.expovariate(rate)
            if self._due > end:
                self._wait(end)
                self._due = end
                return
            self._wait(self._due)
            self._lags_s.append(time.monotonic() - self._due)
            self._send()

    def _wait(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0 and not self._over.wait(min(left, SWEEP_S)):
            self._sweep()

    def _send(self) -> None:
        with self._lock:
            instance, started = self._fleet.take(self._rng.randrange(self._clients.functions))
            pool = self._pools.get(instance)
            if pool is None:
                aim = self._aim
                pool = Pool(aim.dsn, self._clients.pool_max, aim.idle_timeout_s, self._tell)
                self._pools[instance] = pool
        self._threads.submit(self._serve, instance, pool, started, next(self._drawn))

    def _tell(self, more: int) -> None:
        with self._lock:
            self.open += more

    def _sweep(self) -> None:
        """Reclaim instances, and close idle connections of those that are awake."""
        now = time.monotonic()
        if now - self._swept < SWEEP_S:
            return
        self._swept = now
        with self._lock:
            gone = [self._pools.pop(each) for each in self._fleet.reclaim(now)]
            always = not self._aim.freezes
            awake = [pool for each, pool in self._pools.items() if each.serving or always]
        for pool in gone:
            pool.close()
        for pool in awake:
            pool.close_idle()

    def _serve(self, instance: Instance, pool: Pool, started: bool, drawn: Parameters) -> None:
        began = time.monotonic()
        try:
            if started:
                time.sleep(self.cold_start_s)
                began = time.monotonic()
            pool.close_idle()  # thawed, its timers go off at last
            time.sleep(self._own_s)
            self._ask(pool, drawn)
            self._longer_s.append(time.monotonic() - began)
        except ConnectionRefused as error:
            with self._lock:
                self._refused = self._refused or (error, self._fleet.instances)
            self._over.set()
        except CannotMeasure as error:
            self._failed = self._failed or error
            self._over.set()
        finally:
            with self._lock:
                self._fleet.give_back(instance, time.monotonic())

    def _ask(self, pool: Pool, drawn: Parameters) -> None:
        """The request's statements, each on a connection of its own where they are sent at once."""
        taken: list[FunctionConnection] = []
        try:
            with pool.turn:  # who has some waits for nobody who has others
                while len(taken) < min(self._clients.queries_at_once, self._clients.pool_max):
                    taken.append(pool.take())
            asked = time.perf_counter()
            for connection in taken:
                connection.carry_out(self._aim.arm, drawn)
            self._query_s.append((time.perf_counter() - asked) / len(taken))
        finally:
            for connection in taken:
                pool.give_back(connection)

    def climbed(self, users: float, stretch: float) -> Climbed:
        """What was seen, `users` being those of the last step; nothing is modelled yet.

        Raises:
            CannotMeasure: a request failed and was not refused, or none was answered.
        """
        self._threads.shutdown()
        if self._failed is not None:
            raise self._failed
        if not self._query_s or not self._lags_s:
            raise CannotMeasure(
                "No request was answered before a connection was refused",
                then="Give the functions a smaller pool: --max, or fewer --functions",
            )
        lags = sorted(self._lags_s)
        refused, instances = self._refused or (None, self._fleet.instances)
        return Climbed(
            users=users if refused else None,
            modelled=Span(math.nan),
            limit=refused.limit if refused else "",
            said=refused.said if refused else "",
            instances=instances,
            connections=self.open,
            query_s=sum(self._query_s) / len(self._query_s),
            stretch=stretch,
            lag_ms_p95=1000 * lags[int(0.95 * (len(lags) - 1))],
            longer=sum(self._longer_s) / len(self._longer_s) / self._clients.request_s,
            requests=len(self._lags_s),
        )
