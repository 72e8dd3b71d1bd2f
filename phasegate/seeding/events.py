"""When owners do something: a Poisson process per owner, week by week, in the order of time.

Pure: of (seed, table, owner, week). An event is a **sort key** of 64 bits, milliseconds into the
week (30 bits) << 27 | owner's code: sorting the keys sorts the events, and the key says everything.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import (
    GOLDEN,
    U64,
    hashed,
    mix_in_place,
)
from phasegate.project.declared import Table
from phasegate.seeding.counts import QUANTILE_BITS, poisson_quantiles
from phasegate.seeding.entity import CODE_BITS, I64, MS_BITS
from phasegate.seeding.limits import room_of
from phasegate.seeding.timeline import WEEK_MS

if TYPE_CHECKING:
    from phasegate.seeding.population import Population

# Owners whose events are made at once: a block's arrays stay in the processor's cache.
BLOCK = 1 << 14


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
    """The rows of a table with a `mean`.

    Args:
        population: of the data set.
        table: whose rows they are.
        after_ms: no event before so long after the owner's creation.
    """

    def __init__(self, population: Population, table: Table, after_ms: int = 0) -> None:
        self._population = population
        self._name = table.name
        self._owner = owner = population.entity(table.owner)
        self._year = population.year
        per_week = (table.rows.mean or 0) / population.life_weeks_mean(table.owner)
        self._counts = np.concatenate(
            [poisson_quantiles(a * per_week) for a in population.activities]
        )
        # All that is looked up owner by owner is in the order of their creation.
        self._since = owner.created_ms[owner.order] + after_ms
        self._steps = population.steps(owner, owner.order)
        self._keys: U64 = np.empty(BLOCK, dtype=np.uint64)  # room for a week's, grown as needed
        self._multiples: U64 = np.empty(0, dtype=np.uint64)  # of GOLDEN: 0, 1, 2, … times
        self._made: NDArray[np.uint32] = np.zeros(owner.count, dtype=np.uint32)
        self._left_out: list[NDArray[np.intp]] = []
        room = room_of(population, table, population.rows(owner.name, np.arange(owner.count)))
        self._is_open = None if room is None else room > 0

    @property
    def per_owner(self) -> NDArray[np.uint32]:
        """Events of each owner in the weeks made so far."""
        found = np.empty_like(self._made)
        found[self._owner.order] = self._made
        for indices in self._left_out:
            np.subtract.at(found, indices, 1)
        return found

    def week(self, week: int) -> U64:
        """Sort keys of the events of week `week` (0 = first), ascending, no two alike.

        The array is overwritten by the next call.
        """
        keys = self._week(week)
        keys.sort()
        again = np.flatnonzero(keys[1:] == keys[:-1])
        if again.size:
            # An owner does no two things of one kind in one millisecond: the second is left out.
            self._left_out.append(self._owner.indices(keys[again]))
            keys = _drop_in_place(keys, again)
        return keys

    def _week(self, week: int, first: int = 0) -> U64:
        """The keys of a week, unsorted; of the owners from the `first` by creation on."""
        registered = int(np.searchsorted(self._since, (week + 1) * WEEK_MS))
        count = 0
        for begin in range(first, registered, BLOCK):
            count = self._add(week, slice(begin, min(begin + BLOCK, registered)), count)
        return self._keys[:count]

    def _add(self, week: int, block: slice, count: int) -> int:
        """Put unsorted keys behind the first `count`: those of the owners `block` by creation.

        Returns how many there are then.
        """
        indices, hashes, counts = self._drawn(week, block)
        busy = np.flatnonzero(counts != 0)  # in most weeks, most owners do nothing
        hashes, counts = hashes.take(busy), counts.take(busy)
        # Event k of an owner has the hash of (owner's hash + k · GOLDEN).
        ends = np.cumsum(counts, dtype=np.uint64)
        total = int(ends[-1]) if ends.size else 0
        hashes -= (ends - counts) * np.uint64(GOLDEN)
        owners = np.repeat(np.arange(busy.size), counts)
        chances = hashes.take(owners)
        if total > self._multiples.size:
            self._multiples = np.arange(2 * total, dtype=np.uint64) * np.uint64(GOLDEN)
        chances += self._multiples[:total]
        mix_in_place(chances, np.empty_like(chances))
        keys = self._year.hours_of_week.at(chances)
        keys <<= np.uint64(CODE_BITS)
        keys |= self._owner.codes(indices.take(busy)).take(owners)
        keys = self._within(week, block, keys, busy, owners)
        if count + keys.size > self._keys.size:
            # In place: nobody reads what an earlier week returned, and a copy would lie beside it.
            self._keys.resize((count + keys.size) * 5 // 4, refcheck=False)
        self._keys[count : count + keys.size] = keys
        return count + keys.size

    def _drawn(self, week: int, block: slice) -> tuple[NDArray[np.uint32], U64, NDArray[np.uint16]]:
        """The owners `block` by creation: their numbers, a hash of each, and how many events."""
        indices = self._owner.order[block]
        key = self._population.key(f"{self._name}: events", week)
        hashes = hashed(key, indices.astype(np.uint64))
        outcomes = self._steps[block].astype(np.uint64)
        outcomes <<= np.uint64(QUANTILE_BITS)
        outcomes |= hashes >> np.uint64(64 - QUANTILE_BITS)
        counts = self._counts.take(outcomes.view(np.intp))
        if self._is_open is not None:
            counts = counts * self._is_open.take(indices)
        self._made[block] += counts
        return indices, hashes, counts

    def _within(
        self, week: int, block: slice, keys: U64, busy: NDArray[np.intp], owners: NDArray[np.intp]
    ) -> U64:
        """Those of `keys` after their owner's creation, before the year's end; overwrites `keys`.

        `owners` are places in `busy`, both ascending, `busy` places in `block`.
        """
        starts_ms = week * WEEK_MS
        since = self._since[block] - starts_ms
        until = self._year.end_ms - starts_ms
        first = 0
        if until >= WEEK_MS:  # then only those may be cut who begin during this week, the last
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

    def counts(self) -> I64:
        """Events of each owner, with those that are left out since they come at the same moment."""
        for week in range(self._year.weeks):
            # Those who were there before the week have all of its events, whenever they come.
            whole = (week + 1) * WEEK_MS <= self._year.end_ms
            before = int(self._since.searchsorted(week * WEEK_MS, "right")) if whole else 0
            for begin in range(0, before, BLOCK):
                self._drawn(week, slice(begin, min(begin + BLOCK, before)))
            self._week(week, before)
        return self.per_owner.astype(np.int64)

    def by_owner(self) -> tuple[NDArray[np.uint32], I64]:
        """All events, owner by owner in the order of time: whose they are, and when, in ms.

        `per_owner` has their numbers then.
        """
        made: U64 = np.empty(0, dtype=np.uint64)
        count = 0
        for week in range(self._year.weeks):
            keys = self.week(week)
            # In place: weeks beside the whole of them are twice as much.
            made.resize(count + keys.size, refcheck=False)
            created = made[count:]
            np.right_shift(keys, np.uint64(CODE_BITS), out=created)
            created += np.uint64(week * WEEK_MS)
            created |= self._owner.indices(keys).view(np.uint64) << np.uint64(MS_BITS)
            count = made.size
        made.sort()
        whose = np.empty(made.size, dtype=np.uint32)
        np.right_shift(made, np.uint64(MS_BITS), out=whose, casting="unsafe")
        made &= np.uint64((1 << MS_BITS) - 1)
        return whose, made.view(np.int64)
