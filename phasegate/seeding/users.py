"""Everything about the users that rows of all tables need, worked out once per process.

Pure: of (seed, users, [population]). User i is the same whatever the number of users. Holds about
40 bytes per user.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phasegate.model.catalogue import Population
from phasegate.model.population import U64, Stream, activity_step, hashed, stream_key, thresholds
from phasegate.seeding.timeline import DAY_MS, LAST_SIGNUP_BEFORE_END_MS, WEEK_MS, Moments, Year

# A user's number takes 24 bits of every sort key and log id.
CODE_BITS = 24
USERS_MAX = 1 << CODE_BITS
_CODE_MASK = USERS_MAX - 1

# Users are worked out in blocks that fit the processor's cache.
BLOCK = 1 << 15

# One user in 130,000 has more projects by the geometric law; 16 is where a sidebar ends.
PROJECT_BITS = 4
PROJECTS_MAX = 1 << PROJECT_BITS
# As its two halves, so that they can be set without a copy between.
UUID = np.dtype([("high", ">u8"), ("low", ">u8")])
# A first project is made while looking around: within half an hour from the sign-up.
FIRST_PROJECT_MS = 30 * 60_000


@dataclass(frozen=True)
class Users:
    """The users 0..count-1 of a data set.

    A user's `code` is a one-to-one scrambling of the index in 24 bits. Sort keys end in it, so rows
    of one moment are in no order of users.
    """

    seed: int
    year: Year
    ids: NDArray[np.void]
    """Profile ids as 16 bytes."""
    signup_ms: NDArray[np.int64]
    """Since the year's start."""
    step: NDArray[np.uint8]
    """Activity step, 0 = quietest."""
    projects: NDArray[np.uint8]
    """Number of projects by the end, 1 or more."""
    by_signup: NDArray[np.uint32]
    """Indices in the order of sign-up."""
    factor: int
    """Odd: code = index · factor mod 2^24."""

    @property
    def count(self) -> int:
        """Registered users."""
        return int(self.ids.size)

    def codes(self, indices: NDArray[np.unsignedinteger]) -> U64:
        """Code of each user."""
        return (indices.astype(np.uint64) * np.uint64(self.factor)) & np.uint64(_CODE_MASK)

    @cached_property
    def _inverse(self) -> np.uint64:
        """What undoes `factor`: code · inverse mod 2^24 = index."""
        return np.uint64(pow(self.factor, -1, USERS_MAX))

    def indices(self, keys: U64) -> NDArray[np.intp]:
        """User of each sort key (whose lowest 24 bits are the code)."""
        found = keys * self._inverse
        found &= np.uint64(_CODE_MASK)
        return found.view(np.intp)

    def timestamps(self, keys: U64) -> NDArray[np.int64]:
        """Creation times of sort keys since the year's start: µs of timestamptz.

        Below the millisecond by the user's code.
        """
        below = ((keys & np.uint64(_CODE_MASK)) * np.uint64(1000)) >> np.uint64(CODE_BITS)
        moments = (keys >> np.uint64(CODE_BITS)) * np.uint64(1000) + below
        return moments.view(np.int64) + self.year.postgres_us

    def week_timestamps(self, keys: U64, week: int) -> NDArray[np.int64]:
        """As `timestamps` of sort keys of `week`: these are so short that one product will do."""
        moments = keys * np.uint64(1000 >> 3)
        moments >>= np.uint64(CODE_BITS - 3)
        moments += np.uint64(self.year.postgres_us + week * WEEK_MS * 1000)
        return moments.view(np.int64)

    def stretch_ms(
        self, signup_ms: NDArray[np.int64], projects: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """The time between a user's projects, on average."""
        return quotients(self.year.end_ms - signup_ms, projects)

    def project_hashes(self, indices: NDArray[np.intp], number: NDArray[np.int64]) -> U64:
        """What decides about project `number` (0 = first) of each user."""
        counters = indices * PROJECTS_MAX
        counters += number
        return hashed(stream_key(self.seed, Stream.PROJECT), counters.view(np.uint64))

    @staticmethod
    def project_ms(
        signup_ms: NDArray[np.int64],
        number: NDArray[np.int64],
        hashes: U64,
        stretch_ms: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """When projects were made, in ms since the year's start.

        The first comes with the sign-up; the others one to a stretch, the time left until the
        year's end divided equally.
        """
        chance = (hashes >> np.uint64(48)).view(np.int64)
        moments = np.where(number == 0, FIRST_PROJECT_MS, stretch_ms)
        moments *= chance
        moments >>= 16
        moments += np.maximum(number - 1, 0) * stretch_ms
        moments += signup_ms
        return moments


def quotients(
    dividends: NDArray[np.int64], divisors: NDArray[np.int64] | NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Whole quotients of numbers that are not negative.

    Exact while both, and their sum, are below 2^53: a quotient that is no whole number is then too
    far below the next one for floating point to round it up. Four times as fast as `//`.
    """
    return (dividends.astype(np.float64) / divisors.astype(np.float64)).astype(np.int64)


def put_uuids_v7(place: NDArray[np.void], ms: U64, hashes: U64, year: Year) -> None:
    """Set `place`, of dtype `UUID`, to version 7 UUIDs (RFC 9562).

    `ms` since the year's start, then the hash's 64 bits. All bits of the hash are kept: different
    hashes in the same millisecond give different ids.
    """
    half = ms << np.uint64(16)
    half += np.uint64((year.unix_ms << 16) | 0x7000)
    bits = hashes >> np.uint64(62)
    half |= bits
    # The other ten bits of rand_a, from the middle of the hash.
    np.right_shift(hashes, np.uint64(18), out=bits)
    bits &= np.uint64(0xFFC)
    half |= bits
    place["high"] = half
    np.bitwise_and(hashes, np.uint64((1 << 62) - 1), out=bits)
    bits |= np.uint64(1 << 63)
    place["low"] = bits


def _ids(seed: int, indices: U64) -> NDArray[np.void]:
    """As `model.population.user_id`, for many."""
    halves = np.empty((indices.size, 2), dtype=">u8")
    high = hashed(stream_key(seed, Stream.USER_ID_HIGH), indices)
    halves[:, 0] = (high & ~np.uint64(0xF000)) | np.uint64(0x4000)
    low = hashed(stream_key(seed, Stream.USER_ID_LOW), indices)
    halves[:, 1] = (low & np.uint64((1 << 62) - 1)) | np.uint64(1 << 63)
    return halves.reshape(-1).view("V16")


def _signups(seed: int, indices: U64, days: Moments, year: Year) -> NDArray[np.int64]:
    day = days.at(hashed(stream_key(seed, Stream.SIGNUP), indices)) // np.uint64(DAY_MS)
    time = year.hours_of_day.at(hashed(stream_key(seed, Stream.SIGNUP, 1), indices))
    moments = (day * np.uint64(DAY_MS) + time).astype(np.int64)
    return np.minimum(moments, year.end_ms - LAST_SIGNUP_BEFORE_END_MS)


def _projects(seed: int, indices: U64, population: Population) -> NDArray[np.uint8]:
    """Geometric from 1 on; for a share of the users by rank of activity, for the rest by chance."""
    stop = 1 / population.projects_per_user_mean
    shares = [stop * (1 - stop) ** number for number in range(PROJECTS_MAX - 1)]
    bounds = np.array(thresholds([*shares, 1 - sum(shares)]), dtype=np.uint64)
    chance = hashed(stream_key(seed, Stream.USER, 1), indices)
    by_activity = hashed(stream_key(seed, Stream.USER), indices) >> np.uint64(32)
    follows = np.uint64(round(population.projects_follow_activity_share * (1 << 32)))
    low = chance & np.uint64(0xFFFFFFFF)
    rank = np.where(chance >> np.uint64(32) < follows, by_activity, low)
    return (np.searchsorted(bounds, rank, side="right") + 1).astype(np.uint8)


def make_users(seed: int, count: int, population: Population) -> Users:
    """The users of a data set."""
    year = Year(population)
    days = Moments.of(year.signup_day_weights, DAY_MS)
    ids = np.empty(count, dtype="V16")
    signup_ms = np.empty(count, dtype=np.int64)
    step = np.empty(count, dtype=np.uint8)
    projects = np.empty(count, dtype=np.uint8)
    for begin in range(0, count, BLOCK):
        block = slice(begin, min(begin + BLOCK, count))
        indices = np.arange(block.start, block.stop, dtype=np.uint64)
        ids[block] = _ids(seed, indices)
        signup_ms[block] = _signups(seed, indices, days, year)
        step[block] = activity_step(seed, indices, population.activity_sigma)
        projects[block] = _projects(seed, indices, population)
    # Sorted together with their indices, in one number each: ten times as fast as `argsort`.
    keys = signup_ms.view(np.uint64) << np.uint64(CODE_BITS)
    keys |= np.arange(count, dtype=np.uint64)
    keys.sort()
    by_signup = (keys & np.uint64(_CODE_MASK)).astype(np.uint32)
    factor = (stream_key(seed, Stream.USER_CODE) | 1) & _CODE_MASK
    return Users(seed, year, ids, signup_ms, step, projects, by_signup, factor)
