"""When users do something: a Poisson process per user, week by week, in the order of time.

Pure: of (seed, stream, user, week). An event is a **sort key** of 64 bits, milliseconds into the
week (30 bits) << 24 | user's code: sorting the keys sorts the events, and the key says everything.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import (
    GOLDEN,
    U64,
    Stream,
    activity_steps,
    hashed,
    mix_in_place,
    rounded,
    stream_key,
)
from phasegate.seeding.timeline import WEEK_MS
from phasegate.seeding.users import CODE_BITS, Users

# Users whose events are made at once: a block's arrays stay in the processor's cache.
BLOCK = 1 << 14
# Counts are looked up in tables of this many equally likely outcomes per activity step.
QUANTILE_BITS = 12
# Of the distance between two midpoints: fifty times what `rounded` moves a share by.
CLOSE = 1e-4


def poisson_quantiles(mean: float) -> NDArray[np.uint16]:
    """Counts of a Poisson distribution at the 2^12 midpoints of equally likely outcomes."""
    spread = 8 * math.sqrt(mean) + 8
    first = max(0, math.floor(mean - spread))
    log_mean = math.log(mean)
    masses = [
        math.exp(count * log_mean - mean - math.lgamma(count + 1))
        for count in range(first, math.ceil(mean + spread) + 1)
    ]
    total = math.fsum(masses)
    bounds = np.cumsum(masses) / total
    outcomes = 1 << QUANTILE_BITS
    # Rounding is slow, and matters only where it could move a bound across a midpoint.
    places = bounds * outcomes - 0.5
    for close in np.flatnonzero(np.abs(places - np.rint(places)) < CLOSE):
        bounds[close] = rounded(float(bounds[close]))
    midpoints = (np.arange(outcomes) + 0.5) / outcomes
    return (np.searchsorted(bounds, midpoints) + first).astype(np.uint16)


def _drop_in_place(keys: U64, places: NDArray[np.intp]) -> U64:
    """`keys` without those at `places` (ascending, at least one), in the same memory.

    A copy of a week of a million users is as large as all else that is kept of them.
    """
    end = int(places[0])
    for place, following in pairwise([*places.tolist(), keys.size]):
        kept = keys[place + 1 : following]
        keys[end : end + kept.size] = kept
        end += kept.size
    return keys[:end]


class Events:
    """The events of one kind.

    Args:
        users: of the data set.
        stream: `Stream.TASK` or `Stream.LOG`.
        mean: events per user over the year, expected.
    """

    def __init__(self, users: Users, stream: Stream, mean: float) -> None:
        self._users = users
        self._stream = stream
        year, population = users.year, users.year.population
        _, activities = activity_steps(population.activity_sigma)
        per_week = mean / year.weeks_per_user_mean
        self._counts = np.concatenate([poisson_quantiles(a * per_week) for a in activities])
        self._signups = users.signup_ms[users.by_signup]
        self._keys: U64 = np.empty(BLOCK, dtype=np.uint64)  # room for a week's, grown as needed
        self._multiples: U64 = np.empty(0, dtype=np.uint64)  # of GOLDEN: 0, 1, 2, … times
        self._steps = users.step.take(users.by_signup)
        # In the order of sign-up, as all that is looked up user by user.
        self._made: NDArray[np.uint32] = np.zeros(users.count, dtype=np.uint32)
        self._left_out: list[NDArray[np.intp]] = []

    @property
    def per_user(self) -> NDArray[np.uint32]:
        """Events of each user in the weeks made so far."""
        found = np.empty_like(self._made)
        found[self._users.by_signup] = self._made
        for indices in self._left_out:
            np.subtract.at(found, indices, 1)
        return found

    def week(self, week: int) -> U64:
        """Sort keys of the events of week `week` (0 = first), ascending, no two alike.

        The array is overwritten by the next call.
        """
        registered = int(np.searchsorted(self._signups, (week + 1) * WEEK_MS))
        count = 0
        for begin in range(0, registered, BLOCK):
            count = self._add(week, slice(begin, min(begin + BLOCK, registered)), count)
        keys = self._keys[:count]
        keys.sort()
        again = np.flatnonzero(keys[1:] == keys[:-1])
        if again.size:
            # A user does not do two things of one kind in one millisecond: the second is left out.
            self._left_out.append(self._users.indices(keys[again]))
            keys = _drop_in_place(keys, again)
        return keys

    def _add(self, week: int, block: slice, count: int) -> int:
        """Put unsorted keys behind the first `count`: those of the users `block` by sign-up.

        Returns how many there are then.
        """
        indices = self._users.by_signup[block]
        hashes = hashed(stream_key(self._users.seed, self._stream, week), indices.astype(np.uint64))
        outcomes = self._steps[block].astype(np.uint64)
        outcomes <<= np.uint64(QUANTILE_BITS)
        outcomes |= hashes >> np.uint64(64 - QUANTILE_BITS)
        counts = self._counts.take(outcomes.view(np.intp))
        self._made[block] += counts
        busy = np.flatnonzero(counts != 0)  # in most weeks, most users do nothing
        hashes, counts = hashes.take(busy), counts.take(busy)
        # Event k of a user has the hash of (user's hash + k · GOLDEN).
        ends = np.cumsum(counts, dtype=np.uint64)
        total = int(ends[-1]) if ends.size else 0
        hashes -= (ends - counts) * np.uint64(GOLDEN)
        owners = np.repeat(np.arange(busy.size), counts)
        chances = hashes.take(owners)
        if total > self._multiples.size:
            self._multiples = np.arange(2 * total, dtype=np.uint64) * np.uint64(GOLDEN)
        chances += self._multiples[:total]
        mix_in_place(chances, np.empty_like(chances))
        keys = self._users.year.hours_of_week.at(chances)
        keys <<= np.uint64(CODE_BITS)
        keys |= self._users.codes(indices.take(busy)).take(owners)
        keys = self._within(week, block, keys, busy, owners)
        if count + keys.size > self._keys.size:
            # In place: nobody reads what an earlier week returned, and a copy would lie beside it.
            self._keys.resize((count + keys.size) * 5 // 4, refcheck=False)
        self._keys[count : count + keys.size] = keys
        return count + keys.size

    def _within(
        self, week: int, block: slice, keys: U64, busy: NDArray[np.intp], owners: NDArray[np.intp]
    ) -> U64:
        """Those of `keys` after their user's sign-up and before the year's end; overwrites `keys`.

        `owners` are places in `busy`, both ascending, `busy` places in `block`.
        """
        starts_ms = week * WEEK_MS
        since = self._signups[block] - starts_ms
        until = self._users.year.end_ms - starts_ms
        first = 0
        if until >= WEEK_MS:  # then only those may be cut who sign up during this week, the last
            first = int(owners.searchsorted(busy.searchsorted(since.searchsorted(0, "right"))))
            if first == keys.size:
                return keys
        tail, owners = keys[first:], owners[first:]
        when = (tail >> np.uint64(CODE_BITS)).view(np.int64)
        places = busy.take(owners)
        within = (when >= since.take(places)) & (when < until)
        cut = np.bincount(places[~within], minlength=since.size)
        self._made[block] -= cut.astype(np.uint32)
        kept = tail[within]
        tail[: kept.size] = kept
        return keys[: first + kept.size]
