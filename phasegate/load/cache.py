"""Caches that a client may have: per user, bounded, emptied by the user's own writes.

The cache of the scaling guide (docs/method.md#the-scaling-guide) has no user in its key and no
bound, and every reader of an expired entry fetches it again. `TtlCache` keys by user, drops the
least recently used entry beyond its bound, lets concurrent readers of one key share a single
fetch, and never stores an answer that was asked for before a write.
"""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gevent.event import Event

from phasegate.load.counters import CacheTally

if TYPE_CHECKING:
    from phasegate.load.response import Response

V = TypeVar("V")

_made: weakref.WeakSet[ClientCache] = weakref.WeakSet()


class ClientCache:
    """What all kinds share: counters, and a fresh start with each test."""

    def __init__(self) -> None:
        self.tally = CacheTally()
        self.scale = 1.0
        """Times are multiplied by it, as think times are."""
        _made.add(self)

    def clear(self) -> None:
        """Forget everything."""

    def take_tally(self) -> CacheTally:
        """What was counted since the last call."""
        taken, self.tally = self.tally, CacheTally()
        return taken


def start_caches(scale: float) -> None:
    """A test begins: every cache of this process is empty, and its times are scaled."""
    for cache in _made:
        cache.clear()
        cache.take_tally()
        cache.scale = scale


def taken_tallies() -> Iterator[CacheTally]:
    """What each cache of this process counted since the last call."""
    return (cache.take_tally() for cache in _made)


class Signal(Protocol):
    """What readers of a fetch under way wait on: `gevent.event.Event`, or a test's own."""

    def set(self) -> object:
        """Wake everyone who waits."""

    def wait(self) -> object:
        """Return once `set` was called."""


@dataclass
class _Flight(Generic[V]):
    landed: Signal
    stale: bool = False
    value: V | None = None
    size_bytes: int = 0
    error: BaseException | None = None


@dataclass(frozen=True)
class _Entry(Generic[V]):
    value: V
    size_bytes: int
    expires_s: float


class TtlCache(ClientCache, Generic[V]):
    """Values by (user, key), each good for `ttl_s` seconds, at most `entries_max` of them.

    Make one for the whole locustfile, beside the classes. Every test starts with an empty one, and
    `--think-time-scale` scales its TTL too.

    Args:
        ttl_s: seconds that an entry is good for.
        entries_max: entries that one generator process keeps.
        clock: seconds; any origin.
        signal: makes what concurrent readers wait on.
    """

    def __init__(
        self,
        ttl_s: float,
        entries_max: int,
        clock: Callable[[], float] = time.perf_counter,
        signal: Callable[[], Signal] = Event,
    ) -> None:
        if ttl_s <= 0 or entries_max < 1:
            raise ValueError("a cache needs a positive TTL and room for one entry")
        super().__init__()
        self.ttl_s, self.entries_max = ttl_s, entries_max
        self.clock, self.signal = clock, signal
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._entries: OrderedDict[tuple[Hashable, Hashable], _Entry[V]] = OrderedDict()
        self._keys_of: dict[Hashable, set[Hashable]] = {}
        self._flights_of: dict[Hashable, dict[Hashable, _Flight[V]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, user: Hashable, key: Hashable, fetch: Callable[[], tuple[V, int]]) -> V:
        """The value of `key` for `user`, fetched unless a good one is there or on its way.

        `fetch` returns the value and its size in bytes. What it raises is raised to every reader
        that waited for it, and nothing is stored; a fetch that was killed is made again.
        """
        entry = self._entries.get((user, key))
        if entry is not None and entry.expires_s > self.clock():
            self._entries.move_to_end((user, key))
            return self._hit(entry.value, entry.size_bytes)
        flight = self._flights_of.get(user, {}).get(key)
        if flight is None:
            self.tally.misses += 1
            return self._fetch(user, key, fetch)
        flight.landed.wait()
        if flight.error is None:
            return self._hit(flight.value, flight.size_bytes)  # type: ignore[arg-type]
        if not isinstance(flight.error, Exception):
            return self.get(user, key, fetch)
        self.tally.misses += 1
        raise flight.error

    def invalidate(self, user: Hashable) -> None:
        """Forget all that is known of `user`, and what is being fetched for them right now."""
        self.tally.invalidations += 1
        for key in self._keys_of.pop(user, ()):
            del self._entries[user, key]
        for flight in self._flights_of.pop(user, {}).values():
            flight.stale = True

    def _hit(self, value: V, size_bytes: int) -> V:
        self.tally.hits += 1
        self.tally.saved_bytes += size_bytes
        return value

    def _fetch(self, user: Hashable, key: Hashable, fetch: Callable[[], tuple[V, int]]) -> V:
        flight: _Flight[V] = _Flight(self.signal())
        self._flights_of.setdefault(user, {})[key] = flight
        try:
            value, size_bytes = fetch()
            flight.value, flight.size_bytes = value, size_bytes
        except BaseException as error:
            flight.error = error
            raise
        finally:
            if not flight.stale:
                self._forget_flight(user, key)
            flight.landed.set()
        if not flight.stale:
            self._store(user, key, value, size_bytes)
        return value

    def _forget_flight(self, user: Hashable, key: Hashable) -> None:
        flights = self._flights_of[user]
        del flights[key]
        if not flights:
            del self._flights_of[user]

    def _store(self, user: Hashable, key: Hashable, value: V, size_bytes: int) -> None:
        self._entries[user, key] = _Entry(value, size_bytes, self.clock() + self.ttl_s * self.scale)
        self._entries.move_to_end((user, key))
        self._keys_of.setdefault(user, set()).add(key)
        while len(self._entries) > self.entries_max:
            (old_user, old_key), _ = self._entries.popitem(last=False)
            keys = self._keys_of[old_user]
            keys.discard(old_key)
            if not keys:
                del self._keys_of[old_user]


class EtagCache(ClientCache):
    """Answers by (user, key), asked for again each time with the ETag that they came with.

    Saves the bytes, not the round trip; the server has to send ETags. A stage in which none came
    is INVALID.

    Args:
        entries_max: entries that one generator process keeps.
    """

    def __init__(self, entries_max: int) -> None:
        super().__init__()
        self.entries_max = entries_max
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._known: OrderedDict[tuple[Hashable, Hashable], tuple[str, Response]] = OrderedDict()

    def get(
        self, user: Hashable, key: Hashable, fetch: Callable[[dict[str, str]], Response]
    ) -> Response:
        """The answer for `key` of `user`: the one at hand where the server says it is unchanged.

        `fetch` sends the request with the headers that it is given.
        """
        known = self._known.get((user, key))
        response = fetch({"If-None-Match": known[0]} if known else {})
        tally = self.tally  # only now: a report in the meantime has taken the earlier one
        if response.status_code == 304 and known is not None:
            tally.hits += 1
            tally.saved_bytes += known[1].size_bytes
            return known[1]
        tally.misses += 1
        etag = response.headers.get("etag")
        if etag is None:
            tally.unvalidated += 1
            return response
        tally.validators += 1
        self._known[user, key] = (etag, response)
        self._known.move_to_end((user, key))
        if len(self._known) > self.entries_max:
            self._known.popitem(last=False)
        return response
