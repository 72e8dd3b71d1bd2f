"""When users do something: a Poisson process per user, week by week, in the order of time.

Pure: of (seed, stream, user, week). An event is a **sort key** of 64 bits, milliseconds into the
week (30 bits) << 24 | user's code: sorting the keys sorts the events, and the key says everything.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from phases.population import GOLDEN, U64, Stream, activity_steps, mix_in_place, rounded, stream_key
from seed.calendar import WEEK_MS
from seed.users import CODE_BITS, Users

# Users whose events are made at once: a block's arrays stay in the processor's cache.
BLOCK = 1 << 14
# Counts are looked up in tables of this many equally likely outcomes per activity step.
QUANTILE_BITS = 12


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
    bounds = np.array([rounded(value) for value in np.cumsum(masses) / total])
    outcomes = 1 << QUANTILE_BITS
    midpoints = (np.arange(outcomes) + 0.5) / outcomes
    return (np.searchsorted(bounds, midpoints) + first).astype(np.uint16)


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
        self.per_user: NDArray[np.uint32] = np.zeros(users.count, dtype=np.uint32)
        """Events of each user in the weeks made so far."""

    def week(self, week: int) -> U64:
        """Sort keys of the events of week `week` (0 = first), ascending, no two alike.

        The array is overwritten by the next call.
        """
        starts_ms = week * WEEK_MS
        registered = int(np.searchsorted(self._signups, starts_ms + WEEK_MS))
        count = 0
        for begin in range(0, registered, BLOCK):
            block = self._block(week, begin, min(begin + BLOCK, registered))
            if count + block.size > self._keys.size:
                grown = np.empty((count + block.size) * 5 // 4, dtype=np.uint64)
                grown[:count] = self._keys[:count]
                self._keys = grown
            self._keys[count : count + block.size] = block
            count += block.size
        keys = self._keys[:count]
        keys.sort()
        again = np.flatnonzero(keys[1:] == keys[:-1])
        if again.size:
            # A user does not do two things of one kind in one millisecond: the second is left out.
            np.subtract.at(self.per_user, self._users.indices(keys[again]), 1)
            keys = np.delete(keys, again)
        return keys

    def _block(self, week: int, begin: int, end: int) -> U64:
        """Unsorted keys of the users `begin`..`end`-1 in the order of sign-up."""
        indices = self._users.by_signup[begin:end]
        steps = self._users.step[indices].astype(np.intp)
        hashes = indices.astype(np.uint64)
        hashes *= np.uint64(GOLDEN)
        hashes += np.uint64(stream_key(self._users.seed, self._stream, week))
        mix_in_place(hashes, np.empty_like(hashes))
        outcome = (hashes >> np.uint64(64 - QUANTILE_BITS)).astype(np.intp)
        counts = self._counts.take((steps << QUANTILE_BITS) + outcome)
        busy = np.flatnonzero(counts)  # in most weeks, most users do nothing
        indices, hashes, counts = indices.take(busy), hashes.take(busy), counts.take(busy)
        # Event k of a user has the hash of (user's hash + k · GOLDEN).
        ends = np.cumsum(counts, dtype=np.int64)
        total = int(ends[-1]) if ends.size else 0
        hashes -= (ends - counts).astype(np.uint64) * np.uint64(GOLDEN)
        owners = np.repeat(np.arange(busy.size), counts)
        chances = hashes.take(owners)
        if total > self._multiples.size:
            self._multiples = np.arange(2 * total, dtype=np.uint64) * np.uint64(GOLDEN)
        chances += self._multiples[:total]
        mix_in_place(chances, np.empty_like(chances))
        moments = self._users.year.hours_of_week.at(chances)
        keys = (moments << np.uint64(CODE_BITS)) | self._users.codes(indices).take(owners)
        since = self._signups[begin:end] - week * WEEK_MS
        until = self._users.year.end_ms - week * WEEK_MS
        if since[-1] > 0 or until < WEEK_MS:  # some sign up during this week, or the year ends
            when = moments.astype(np.int64)
            within = (when >= since.take(busy).take(owners)) & (when < until)
            keys = keys[within]
            counts = np.bincount(owners[within], minlength=busy.size)
        self.per_user[indices] += counts.astype(np.uint32)
        return keys
