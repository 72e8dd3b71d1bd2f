from __future__ import annotations

from collections.abc import Callable

import pytest
from gevent import spawn
from gevent.event import Event
from hypothesis import given
from hypothesis import strategies as st

from phasegate.load.cache import TtlCache


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> TtlCache[str]:
    return TtlCache(ttl_s=300, entries_max=3, clock=clock, signal=Event)


def answer(value: str, size_bytes: int = 10) -> Callable[[], tuple[str, int]]:
    return lambda: (value, size_bytes)


def must_not_fetch() -> tuple[str, int]:
    pytest.fail("asked the server although the cache knew")


def test_a_second_read_within_the_ttl_asks_nobody(cache: TtlCache[str], clock: Clock) -> None:
    cache.get("ada", "tasks", answer("one", 120))
    clock.now_s = 299.9
    assert cache.get("ada", "tasks", must_not_fetch) == "one"
    assert (cache.tally.hits, cache.tally.misses, cache.tally.saved_bytes) == (1, 1, 120)


def test_an_entry_expires_after_its_ttl(cache: TtlCache[str], clock: Clock) -> None:
    cache.get("ada", "tasks", answer("old"))
    clock.now_s = 300.0
    assert cache.get("ada", "tasks", answer("new")) == "new"


def test_a_user_never_sees_another_users_entry(cache: TtlCache[str]) -> None:
    cache.get("ada", "tasks", answer("ada's"))
    assert cache.get("bob", "tasks", answer("bob's")) == "bob's"


def test_a_write_forgets_what_its_user_knows_and_nothing_else(cache: TtlCache[str]) -> None:
    cache.get("ada", "tasks", answer("old"))
    cache.get("ada", "project", answer("old"))
    cache.get("bob", "tasks", answer("bob's"))
    cache.invalidate("ada")
    assert cache.get("ada", "tasks", answer("new")) == "new"
    assert cache.get("ada", "project", answer("new")) == "new"
    assert cache.get("bob", "tasks", must_not_fetch) == "bob's"


def test_the_least_recently_used_entry_goes_first(cache: TtlCache[str]) -> None:
    for key in "abc":
        cache.get("ada", key, answer(key))
    cache.get("ada", "a", must_not_fetch)
    cache.get("ada", "d", answer("d"))
    assert len(cache) == 3
    assert cache.get("ada", "a", must_not_fetch) == "a"
    assert cache.get("ada", "b", answer("b again")) == "b again"


def test_readers_at_the_same_time_share_one_fetch(cache: TtlCache[str]) -> None:
    fetches, landed = [], Event()

    def fetch() -> tuple[str, int]:
        fetches.append(1)
        landed.wait()
        return "one", 50

    readers = [spawn(cache.get, "ada", "tasks", fetch) for _ in range(10)]
    spawn(landed.set)
    assert [reader.get(timeout=5) for reader in readers] == ["one"] * 10
    assert len(fetches) == 1
    assert (cache.tally.hits, cache.tally.misses, cache.tally.saved_bytes) == (9, 1, 450)


def test_what_was_asked_for_before_a_write_is_not_stored_after_it(cache: TtlCache[str]) -> None:
    landed = Event()

    def slow() -> tuple[str, int]:
        landed.wait()
        return "before the write", 1

    reader = spawn(cache.get, "ada", "tasks", slow)
    spawn(cache.invalidate, "ada").join(timeout=5)
    after = spawn(cache.get, "ada", "tasks", answer("after the write"))
    assert after.get(timeout=5) == "after the write"
    landed.set()
    assert reader.get(timeout=5) == "before the write"
    assert cache.get("ada", "tasks", must_not_fetch) == "after the write"


def test_a_failed_fetch_fails_its_readers_and_stores_nothing(cache: TtlCache[str]) -> None:
    landed = Event()

    def fail() -> tuple[str, int]:
        landed.wait()
        raise OSError("gone")

    readers = [spawn(cache.get, "ada", "tasks", fail) for _ in range(2)]
    spawn(landed.set)
    for reader in readers:
        with pytest.raises(OSError, match="gone"):
            reader.get(timeout=5)
    assert cache.get("ada", "tasks", answer("back")) == "back"


def test_a_reader_whose_fetcher_was_killed_fetches_itself(cache: TtlCache[str]) -> None:
    started, never = Event(), Event()

    def hang() -> tuple[str, int]:
        started.set()
        never.wait()
        return "never", 1

    first = spawn(cache.get, "ada", "tasks", hang)
    started.wait(timeout=5)
    second = spawn(cache.get, "ada", "tasks", answer("mine"))
    spawn(first.kill).join(timeout=5)
    assert second.get(timeout=5) == "mine"


Step = tuple[str, str, str]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["read", "write", "wait"]),
            st.sampled_from(["ada", "bob", "eve"]),
            st.sampled_from(["tasks", "project"]),
        ),
        max_size=60,
    )
)
def test_no_read_is_ever_older_than_the_ttl_or_the_last_write(steps: list[Step]) -> None:
    clock = Clock()
    cache: TtlCache[tuple[str, int, float]] = TtlCache(
        ttl_s=10, entries_max=2, clock=clock, signal=Event
    )
    version = dict.fromkeys(["ada", "bob", "eve"], 0)
    reads = 0
    for action, user, key in steps:
        if action == "wait":
            clock.now_s += 4
        elif action == "write":
            version[user] += 1
            cache.invalidate(user)
        else:
            reads += 1
            now = (user, version[user], clock.now_s)
            whose, seen, at_s = cache.get(user, key, lambda now=now: (now, 1))  # type: ignore[misc]
            assert (whose, seen) == (user, version[user])
            assert clock.now_s - at_s < 10
        assert len(cache) <= 2
    assert cache.tally.hits + cache.tally.misses == reads


def test_a_cache_without_room_or_time_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="positive TTL"):
        TtlCache[str](ttl_s=0, entries_max=1, clock=clock, signal=Event)
