"""Rows that are kept: users, groups, memberships, reference rows, and what an owner has few of.

Pure. An entity holds some 15 bytes a row, so that other tables' rows can be looked up by number.
Row i is the same whatever the number of users: rows are numbered owner by owner, and what more
users bring comes behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasegate.model.errors import UsageError
from phasegate.model.population import U64
from phasegate.seeding.timeline import WEEK_MS, Year

I64 = NDArray[np.int64]
Indices = NDArray[np.intp]

# A row's number takes 27 bits of every sort key, beside 36 for milliseconds since the start: a key
# is a positive bigint.
CODE_BITS = 27
MS_BITS = 36
CODES = 1 << CODE_BITS
CODE_MASK = CODES - 1
USERS_MAX = 1 << 24

# Worked out in blocks that fit the processor's cache.
BLOCK = 1 << 15
# Rows that are sorted at once, about.
SPAN_ROWS = 1 << 18
# Rows that tell where such a span ends.
_SAMPLE_ROWS = 1 << 12

# As its two halves, so that they can be set without a copy between.
UUID = np.dtype([("high", ">u8"), ("low", ">u8")])


@dataclass
class Entity:
    """The rows of one table, kept.

    A row's `code` is a one-to-one scrambling of its number in 27 bits. Sort keys end in it, so rows
    of one moment are in no order of owners.
    """

    name: str
    year: Year
    created_ms: I64
    """Since the year's start."""
    factor: int
    """Odd: code = number · factor mod 2^27."""
    above: dict[str, NDArray[np.uint32]]
    """By ancestor: the row there that each row belongs to."""
    owner: str = ""
    """The ancestor by which the rows are numbered; empty where they have none."""
    counts: NDArray[np.unsignedinteger] | None = None
    """Rows of each owner."""
    uuids: NDArray[np.void] | None = None
    """Keys as 16 bytes; of users alone, where they are not too many to be kept."""

    def __post_init__(self) -> None:
        """Refuse more rows than there are codes."""
        if self.count > CODES:
            raise UsageError(
                f"{self.name} would have {self.count:,} rows; {CODES:,} can be looked up by others",
                untouched="Nothing was changed",
                then="Seed fewer users, or give the table a `mean`",
            )

    @property
    def count(self) -> int:
        """Rows."""
        return int(self.created_ms.size)

    @cached_property
    def first(self) -> NDArray[np.uint32]:
        """The number of each owner's first row."""
        if self.counts is None:
            return np.zeros(1, dtype=np.uint32)
        found = np.cumsum(self.counts, dtype=np.uint32)
        found -= self.counts
        return found

    def number(self, rows: Indices) -> I64:
        """The place of each row within its owner, 0 = first; in the table where it has none."""
        if self.counts is None:
            return rows.astype(np.int64)
        owners = self.above[self.owner].take(rows)
        return rows - self.first.take(owners)

    @cached_property
    def order(self) -> NDArray[np.uint32]:
        """The rows by creation."""
        found = np.empty(self.count, dtype=np.uint32)
        end = 0
        for _, rows in self.spans():
            begin, end = end, end + rows.size
            found[begin:end] = rows
        return found

    def spans(self, borders_ms: Sequence[int] = ()) -> Iterator[tuple[int, Indices]]:
        """The rows by creation, as they are inserted, one span of time after the other.

        Sort keys of all of them would be as large as all else that is kept.

        Args:
            borders_ms: ascending, since the year's start; no span reaches over one of them.

        Yields:
            When the span begins, in ms since the year's start, and its rows.
        """
        bounds = {0, *borders_ms, *self._cuts_ms()}
        begins = sorted(bound for bound in bounds if 0 <= bound < self.year.end_ms)
        of_row = np.empty(self.count, dtype=np.min_scalar_type(len(begins)))
        for first in range(0, self.count, BLOCK):
            block = self.created_ms[first : first + BLOCK]
            of_row[first : first + BLOCK] = np.searchsorted(begins, block, side="right") - 1
        for number, begin in enumerate(begins):
            rows = np.flatnonzero(of_row == number)
            if rows.size:
                # Sorted together with their codes, in one number each: ten times as fast as
                # `argsort`.
                keys = self.created_ms.take(rows).view(np.uint64)
                keys <<= np.uint64(CODE_BITS)
                keys |= self.codes(rows.view(np.uint64))
                keys.sort()
                yield begin, self.indices(keys)

    def _cuts_ms(self) -> Iterator[int]:
        """Moments between which there are about `SPAN_ROWS` rows each."""
        parts = -(-self.count // SPAN_ROWS)
        if parts > 1:
            some = np.sort(self.created_ms[:: self.count // _SAMPLE_ROWS])
            for part in range(1, parts):
                yield int(some[part * some.size // parts])

    def codes(self, rows: NDArray[np.unsignedinteger]) -> U64:
        """Code of each row."""
        return (rows.astype(np.uint64) * np.uint64(self.factor)) & np.uint64(CODE_MASK)

    @cached_property
    def _inverse(self) -> np.uint64:
        """What undoes `factor`: code · inverse mod 2^27 = number."""
        return np.uint64(pow(self.factor, -1, CODES))

    def indices(self, keys: U64) -> Indices:
        """Row of each sort key, whose lowest 27 bits are the code."""
        found = keys * self._inverse
        found &= np.uint64(CODE_MASK)
        return found.view(np.intp)

    def timestamps(self, rows: Indices) -> I64:
        """When rows were made: µs of timestamptz; below the millisecond by the row's code."""
        below = (self.codes(rows.view(np.uint64)) * np.uint64(1000)) >> np.uint64(CODE_BITS)
        moments = self.created_ms.take(rows) * 1000
        moments += below.view(np.int64)
        moments += self.year.postgres_us
        return moments

    def week_timestamps(self, keys: U64, week: int) -> I64:
        """Moments of sort keys of `week`: so short that one product will do."""
        moments = keys * np.uint64(1000 >> 3)
        moments >>= np.uint64(CODE_BITS - 3)
        moments += np.uint64(self.year.postgres_us + week * WEEK_MS * 1000)
        return moments.view(np.int64)


def quotients(dividends: I64, divisors: I64 | NDArray[np.unsignedinteger]) -> I64:
    """Whole quotients of numbers that are not negative.

    Exact while both, and their sum, are below 2^53: a quotient that is no whole number is then too
    far below the next one for floating point to round it up. Four times as fast as `//`.
    """
    return (dividends.astype(np.float64) / divisors.astype(np.float64)).astype(np.int64)


def put_uuids_v7(place: NDArray[np.void], unix_ms: U64, hashes: U64) -> None:
    """Set `place`, of dtype `UUID`, to version 7 UUIDs (RFC 9562); `unix_ms` is overwritten.

    All bits of the hash are kept: different hashes in the same millisecond give different ids.
    """
    unix_ms <<= np.uint64(16)
    unix_ms |= np.uint64(0x7000)
    bits = hashes >> np.uint64(62)
    unix_ms |= bits
    # The other ten bits of rand_a, from the middle of the hash.
    np.right_shift(hashes, np.uint64(18), out=bits)
    bits &= np.uint64(0xFFC)
    unix_ms |= bits
    place["high"] = unix_ms
    np.bitwise_and(hashes, np.uint64((1 << 62) - 1), out=bits)
    bits |= np.uint64(1 << 63)
    place["low"] = bits


def home_of(groups: Entity, users_table: str, users: NDArray[Any]) -> Indices:
    """The group that took each user: the last that was founded by no later one."""
    founders = groups.above[users_table]
    return np.searchsorted(founders, users.astype(np.uint32), side="right") - 1
