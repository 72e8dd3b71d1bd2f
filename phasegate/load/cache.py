"""The client's cache: per user, bounded, one fetch at a time, emptied by the user's own writes.

The cache of the scaling guide (docs/method.md#the-scaling-guide) has no user in its key and no
bound, and every reader of an expired entry fetches it again. This one keys by user, drops the
least recently used entry beyond its bound, lets concurrent readers of one key share a single
fetch, and never stores an answer that was asked for before a write.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from phasegate.load.counters import CacheTally

V = TypeVar("V")


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


@dataclass
class TtlCache(Generic[V]):
    """Values by (user, key), each good for `ttl_s` seconds, at most `entries_max` of them.

    Args:
        clock: seconds; any origin.
        signal: makes what concurrent readers wait on.
    """

    ttl_s: float
    entries_max: int
    clock: Callable[[], float]
    signal: Callable[[], Signal]
    tally: CacheTally = field(default_factory=CacheTally, init=False)

    def __post_init__(self) -> None:
        if self.ttl_s <= 0 or self.entries_max < 1:
            raise ValueError("a cache needs a positive TTL and room for one entry")
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

    def take_tally(self) -> CacheTally:
        """What was counted since the last call."""
        taken, self.tally = self.tally, CacheTally()
        return taken

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
        self._entries[user, key] = _Entry(value, size_bytes, self.clock() + self.ttl_s)
        self._entries.move_to_end((user, key))
        self._keys_of.setdefault(user, set()).add(key)
        while len(self._entries) > self.entries_max:
            (old_user, old_key), _ = self._entries.popitem(last=False)
            keys = self._keys_of[old_user]
            keys.discard(old_key)
            if not keys:
                del self._keys_of[old_user]
