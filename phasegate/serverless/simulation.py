"""The same climb without a server: what the rules of instances and pools alone make of it. Pure.

A `Fleet` in its own time, with the connections that its instances would have opened. The formula of
`model.serverless` is held against it in the tests; a climb that was driven, in `climb`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from phasegate.model.serverless import Clients, Stretch
from phasegate.serverless.fleet import Fleet, Instance


def refused_at(
    each: Clients, limit: int, stretches: Sequence[Stretch], seed: int, *, warm: int = 0
) -> float | None:
    """Users of the stretch in which more connections are asked for than there are; None: never.

    Args:
        each: the functions.
        limit: connections.
        stretches: one after the other.
        seed: of arrivals, and of when in a request its statements are sent.
        warm: stretches at the beginning whose instances need no cold start.
    """
    rng, fleet = random.Random(seed), Fleet(each.concurrency, each.idle_s)
    events: list[tuple[float, int, int, Instance]] = []
    busy: dict[Instance, int] = {}
    opened: dict[Instance, int] = {}
    now, end, number, connections = 0.0, 0.0, 0, 0
    for place, (users, seconds) in enumerate(stretches):
        end += seconds
        while (now := now + rng.expovariate(users * each.requests_per_user_s)) < end:
            while events and events[0][0] <= now:
                at, _, change, instance = heapq.heappop(events)
                if not change:
                    fleet.give_back(instance, at)
                    continue
                busy[instance] = busy.get(instance, 0) + change
                wanted = min(busy[instance] * each.queries_at_once, each.pool_max)
                more = max(wanted - opened.get(instance, 0), 0)
                opened[instance] = opened.get(instance, 0) + more
                connections += more
                if connections > limit:
                    return users
            for gone in fleet.reclaim(now):
                connections -= opened.pop(gone, 0)
            instance, started = fleet.take(rng.randrange(each.functions))
            begins = now + (each.cold_start_s if started and place >= warm else 0.0)
            asks = begins + rng.random() * (each.request_s - each.query_s)
            for at, change in ((asks, 1), (asks + each.query_s, -1), (begins + each.request_s, 0)):
                heapq.heappush(events, (at, number := number + 1, change, instance))
        now = end
    return None
