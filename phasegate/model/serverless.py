"""From how many registered users on serverless functions exhaust a database's connections. Pure.

A function's instances come and go with its requests, and each has a connection pool of its own. So
the connections that are open are those of the most instances that were busy at one moment, for as
long as an idle connection stays open. Requests arrive at random: how long it takes until so many
are under way at once follows from Erlang's loss formula (docs/serverless.md#the-model).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phasegate.model.capacity import Span
from phasegate.model.catalogue import Catalogue
from phasegate.model.cost import USERS_MAX
from phasegate.model.prices import Compute

Stretch = tuple[float, float]
"""Registered users at whose modelled peak requests arrive, and for how many seconds."""

SUPERUSER_RESERVED = 3
"""`superuser_reserved_connections`, PostgreSQL's default (manual, 19.3.1)."""

EVEN_ODDS = 0.5
CHANCES = (0.025, EVEN_ODDS, 0.975)
"""Of running out within the peak, at the ends and in the middle of a 95% interval."""

BUSY_POOL_SHARE = 0.9
"""Where waiting for the pooler lowers the answer to less than this share, the pool runs out."""

ROOT_PRECISION = 1e-3
"""Of a search for a number of users, as a ratio: far below the interval's width."""


@dataclass(frozen=True)
class Clients:
    """Functions as a database sees them.

    Attributes:
        requests_per_user_s: requests per second and registered user, at the modelled peak.
        request_s: how long a request keeps its place in an instance, its statements included.
        query_s: how long it keeps a connection busy; no more than `request_s`.
        functions: with instances of their own, each asked equally often.
        concurrency: requests that one instance serves at a time.
        pool_max: connections that an instance opens at most.
        queries_at_once: statements that one request has under way at the same time.
        idle_s: how long a connection stays open that nobody uses.
        cold_start_s: from a request that finds no instance until its code runs.
    """

    requests_per_user_s: float
    request_s: float
    query_s: float
    functions: int = 1
    concurrency: int = 1
    pool_max: int = 10
    queries_at_once: int = 1
    idle_s: float = math.inf
    cold_start_s: float = 0.0

    def stretched(self, factor: float) -> Clients:
        """The same with `factor` times as long requests that arrive as many times more seldom.

        As many are under way as before; statements take as long as they take.
        """
        return replace(
            self,
            requests_per_user_s=self.requests_per_user_s / factor,
            request_s=self.request_s * factor,
            idle_s=self.idle_s * factor,
            cold_start_s=self.cold_start_s * factor,
        )


@dataclass(frozen=True)
class Way:
    """How functions reach the database.

    Attributes:
        limit: connections that they can have open.
        pool: connections to the server behind a pooler in transaction mode; None straight to it.
    """

    limit: int
    pool: int | None = None


def straight(size: Compute, catalogue: Catalogue) -> Way:
    """To PostgreSQL itself: what the reserve and other programs leave of its connections."""
    others = catalogue.serverless.other_connections
    return Way(max(size.connections_max - SUPERUSER_RESERVED - others, 0))


def clients(
    catalogue: Catalogue, requests_per_session: float, query_s: float | None = None
) -> Clients:
    """The catalogue's `[serverless]` at its workload.

    Args:
        catalogue: the defaults in force.
        requests_per_session: that functions serve.
        query_s: time of a request's statements, where it was measured.
    """
    said = catalogue.serverless
    each = said.query_s if query_s is None else query_s
    rate = catalogue.workload.arrival_rate_per_s(1_000_000) / 1_000_000
    return Clients(
        requests_per_user_s=rate * requests_per_session,
        request_s=said.request_s + each,
        query_s=each,
        functions=said.functions,
        concurrency=said.concurrency,
        pool_max=said.pool_max,
        queries_at_once=said.queries_at_once,
        idle_s=said.kept_s if said.freezes else said.idle_timeout_s,
        cold_start_s=said.cold_start_s,
    )


def passages_s(rate_per_s: float, load: float, count: int) -> list[float]:
    """Mean time from none under way until first more than n are, for n = 0 to `count`.

    Between n and n + 1 that is 1 / (rate · B(n, load)), B being Erlang's loss formula (Erlang 1917;
    its recursion in https://en.wikipedia.org/wiki/Erlang_(unit)#Erlang_B_formula): requests find n
    servers busy with probability B, and B follows 1/B(n) = 1 + n/load · 1/B(n-1), which is also how
    these times follow from each other.

    Args:
        rate_per_s: of arrivals, at random.
        load: mean number under way.
        count: the largest n.
    """
    found, total, inverse = [], 0.0, 1.0
    for n in range(count + 1):
        inverse = 1.0 if n == 0 else 1.0 + n / load * inverse
        total += inverse / rate_per_s
        found.append(total)
    return found


def waiting_share(servers: int, load: float) -> float:
    """Share of arrivals that wait for one of `servers` (Erlang's delay formula); 1 where all do."""
    if load >= servers:
        return 1.0
    before, last = passages_s(1.0, load, servers)[-2:]
    blocked = 1.0 / (last - before)
    return blocked / (1 - load / servers * (1 - blocked))


def connections_per_instance(each: Clients, load: float, seconds: float) -> float:
    """Connections that an instance opens, in the mean over those that a function needs.

    One request at a time opens one for each statement that it has under way. Of several requests,
    each is at the database for a share of its time; an instance opens its next connection when more
    of them are there at once than ever before in `seconds`.

    Args:
        each: the functions.
        load: mean number of requests that one function has under way.
        seconds: for which idle connections stay open.
    """
    places, share = each.concurrency, min(each.query_s / each.request_s, 1.0)
    if places == 1 or share == 1:
        return min(each.pool_max, places * each.queries_at_once)
    most = int(load + 10 * math.sqrt(load)) + 2 * places
    under_way = _poisson(load, most - most % places)
    # Instances fill up one after the other: so often has each of them 1, 2, … requests.
    times = under_way[1:].reshape(-1, places)
    times[:, -1] = np.maximum(1.0 - under_way.cumsum()[places - 1 : -1 : places], 0.0)
    ups_s = times @ _openings(places, share).T / (each.request_s - each.query_s)
    ever = 1.0 - np.exp(-ups_s * seconds)
    opened = np.minimum(np.arange(places + 1) * each.queries_at_once, each.pool_max)
    used = float(ever[:, 0].sum())
    return max(float((ever @ np.diff(opened)).sum()) / used, 1.0) if used else 1.0


def _openings(places: int, share: float) -> NDArray[np.float64]:
    """How likely so many requests are at the database, times those that may go there next.

    Rows: 0 to `places` - 1 at the database; columns: 1 to `places` in the instance.
    """
    there, here = np.arange(places)[:, None], np.arange(1, places + 1)[None, :]
    logs = _log_factorials(places)
    away = np.maximum(here - there, 0)
    found: NDArray[np.float64] = away * np.exp(
        logs[here] - logs[there] - logs[away] + there * math.log(share) + away * math.log1p(-share)
    )
    return found


def _log_factorials(most: int) -> NDArray[np.float64]:
    """The logarithms of 0!, 1!, … `most`!."""
    found: NDArray[np.float64] = np.log(np.maximum(np.arange(most + 1), 1)).cumsum()
    return found


def _poisson(mean: float, most: int) -> NDArray[np.float64]:
    """Chances of 0, 1, … `most` where `mean` are expected."""
    counts = np.arange(most + 1)
    logs = counts * math.log(mean) - mean - _log_factorials(most)
    found: NDArray[np.float64] = np.exp(logs)
    return found


def request_s_at(each: Clients, way: Way, users: float) -> float:
    """How long a request takes where connections are waited for; infinite where ever longer."""
    held_s = each.query_s * each.queries_at_once
    own_pool_s = each.concurrency * held_s / each.pool_max
    request_s = max(each.request_s, own_pool_s)
    if way.pool is None:
        return request_s
    load = users * each.requests_per_user_s * held_s
    if load >= way.pool:
        return math.inf
    wait_s = waiting_share(way.pool, load) * each.query_s / (way.pool - load) if load else 0.0
    return request_s + wait_s


def _windows(stretches: Sequence[Stretch], window_s: float) -> list[list[Stretch]]:
    """`stretches` cut where an idle connection is closed: what was open before counts no more."""
    found: list[list[Stretch]] = [[]]
    left = window_s
    for users, seconds in stretches:
        rest = seconds
        while rest > left:
            found[-1].append((users, left))
            found.append([])
            rest, left = rest - left, window_s
        found[-1].append((users, rest))
        left -= rest
    return [each for each in found if each]


def _instances_max(each: Clients, way: Way, window: Sequence[Stretch]) -> int:
    """Instances whose connections the limit has room for."""
    rate = max(users for users, _ in window) * each.requests_per_user_s / each.functions
    seconds = sum(seconds for _, seconds in window)
    load = min(rate * each.request_s, float(way.limit * each.concurrency))  # beyond, it is certain
    return int(way.limit / connections_per_instance(each, load, seconds)) if way.limit else 0


def _instances(
    each: Clients, way: Way, window: Sequence[Stretch], most: int
) -> NDArray[np.float64]:
    """Chances of at most 0, 1, … `most` instances of one function within `window`."""
    exponents = np.zeros(most + 1)
    for users, seconds in window:
        rate = users * each.requests_per_user_s / each.functions
        request_s = request_s_at(each, way, users)
        if math.isinf(request_s):
            return np.zeros(most + 1)
        passages = passages_s(rate, rate * request_s, most * each.concurrency)
        exponents += seconds / np.array(passages[:: each.concurrency])
    return np.exp(-exponents)


def _cold(each: Clients, users: float, most: int) -> NDArray[np.float64]:
    """Chances of 0, 1, … `most` instances of one function that has no warm one.

    All requests that come before the first instance is free again need one of their own.
    """
    mean = users * each.requests_per_user_s / each.functions * (each.cold_start_s + each.request_s)
    counts = np.arange(most * each.concurrency + 1)
    requests = _poisson(mean, int(counts[-1]))
    found = np.zeros(most + 1)
    np.add.at(found, -(-counts // each.concurrency), requests)
    return found


def _together(chances: NDArray[np.float64], functions: int, most: int) -> float:
    """Chance of at most `most` instances of `functions` with these chances of 0, 1, … each."""
    if functions == 1:
        return float(chances[: most + 1].sum())
    size = 1 << int(functions * (len(chances) - 1)).bit_length()
    spectrum: NDArray[np.complex128] = np.fft.rfft(chances, size)
    return float(np.fft.irfft(spectrum**functions, size)[: most + 1].sum())


def chance(
    each: Clients, way: Way, stretches: Sequence[Stretch], *, deployed: bool = False
) -> float:
    """How likely it is that more connections are asked for than `way` has, within `stretches`.

    Args:
        each: the functions.
        way: to the database.
        stretches: one after the other.
        deployed: whether a new version replaces all instances at the end of them. Those of the old
            one are frozen, or wait for their idle time-out, and keep their connections.
    """
    free = 1.0
    for window in _windows(stretches, each.idle_s):
        most = _instances_max(each, way, window)
        at_most = _instances(each, way, window, most)
        if not at_most[-1]:
            return 1.0
        old = np.diff(at_most, prepend=0.0)
        if deployed:
            size = 2 << most.bit_length()
            both = np.fft.rfft(old, size) * np.fft.rfft(_cold(each, window[-1][0], most), size)
            old = np.fft.irfft(both, size)[: most + 1]
        free *= min(max(_together(old, each.functions, most), 0.0), 1.0)
    return 1.0 - free


def users_at(
    wanted: float, each: Clients, way: Way, seconds: float, *, deployed: bool = False
) -> float:
    """Registered users at whose peak of so many seconds the chance of running out is `wanted`.

    Infinite where it is smaller at any number of users that this suite knows.
    """
    low, high = 1.0, 100.0 * USERS_MAX
    if chance(each, way, [(high, seconds)], deployed=deployed) < wanted:
        return math.inf
    while high / low > 1 + ROOT_PRECISION:
        middle = math.sqrt(low * high)
        reached = chance(each, way, [(middle, seconds)], deployed=deployed) >= wanted
        low, high = (low, middle) if reached else (middle, high)
    return high


def exhausted_at(each: Clients, way: Way, seconds: float, *, deployed: bool = False) -> Span:
    """Registered users from whose modelled peak on connections run out, with its 95% interval.

    At the estimate, one peak in two of `seconds` runs out; at the interval's ends one in forty, and
    all but one in forty.
    """
    low, middle, high = (users_at(p, each, way, seconds, deployed=deployed) for p in CHANCES)
    return Span(middle, low, high)


def pool_runs_out(each: Clients, way: Way, seconds: float) -> bool:
    """Whether connections run out because requests wait for the pooler's to the server."""
    if way.pool is None:
        return False
    without = users_at(EVEN_ODDS, each, replace(way, pool=None), seconds)
    return users_at(EVEN_ODDS, each, way, seconds) < BUSY_POOL_SHARE * without
