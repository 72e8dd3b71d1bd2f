"""The population of a data set: its year, its users, and every entity that tables ask for.

Pure: of (seed, users, seed/population.toml). An entity is made when it is first asked for, by the
shape of its declaration; what a process does not ask for it does not hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from phasegate.model.population import (
    U64,
    Stream,
    activity_step,
    activity_steps,
    hashed,
    named_stream,
    rounded,
    stream_key,
)
from phasegate.project.declared import Declared, Shape, Table
from phasegate.project.population import DelayFile
from phasegate.project.population_columns import ColumnFile
from phasegate.seeding.counts import Counts, most_rows
from phasegate.seeding.entity import (
    BLOCK,
    CODE_MASK,
    I64,
    Entity,
    Indices,
    quotients,
)
from phasegate.seeding.events import Events
from phasegate.seeding.freed_memory import give_back_freed_memory
from phasegate.seeding.limits import limits_of, rows_of_owners
from phasegate.seeding.picks import FIRST_MS, first_of
from phasegate.seeding.rows import Rows
from phasegate.seeding.timeline import (
    DAY_MS,
    HOUR_MS,
    LAST_SIGNUP_BEFORE_END_MS,
    WEEK_MS,
    Moments,
    Year,
)

# Rows of an entity that is not kept beyond the table that needs it: some 6 MB, made in 20 ms.
LARGE = 1 << 18
# Means that no formula gives are taken over this many users, whatever the number of users.
SAMPLE_USERS = 4096
# Sizes, delays and numbers are looked up by twelve hashed bits.
OUTCOME_BITS = 12
OUTCOMES = 1 << OUTCOME_BITS


@lru_cache(maxsize=64)
def log_normal_outcomes(median: float, sigma: float) -> tuple[float, ...]:
    """A log-normal distribution at the 2^12 midpoints of equally likely outcomes."""
    normal = NormalDist()
    points = ((n + 0.5) / OUTCOMES for n in range(OUTCOMES))
    return tuple(rounded(median * math.exp(sigma * normal.inv_cdf(point))) for point in points)


@dataclass
class Population:
    """The users 0..users-1 of a data set, and what belongs to them."""

    declared: Declared
    seed: int
    users: int
    _entities: dict[str, Entity] = field(default_factory=dict)
    first_numbers: dict[str, I64] = field(default_factory=dict, init=False)
    """By table of events: the number of each owner's first, once it was asked for."""

    @cached_property
    def year(self) -> Year:
        """The span of the rows."""
        return Year(self.declared.file)

    @cached_property
    def sample(self) -> Population:
        """The first users alone: what is the same whatever the number of users is read off them."""
        return Population(self.declared, self.seed, SAMPLE_USERS)

    @cached_property
    def activities(self) -> tuple[float, ...]:
        """The activity of each step."""
        return activity_steps(self.declared.file.activity_sigma)[1]

    @cached_property
    def limits(self) -> dict[str, tuple[ColumnFile, ...]]:
        """By table: the columns that limit how many rows an owner can have."""
        return limits_of(self.declared)

    def key(self, name: str, counter: int = 0) -> int:
        """The stream of a table or column."""
        return stream_key(self.seed, named_stream(name), counter)

    def rows(self, name: str, slots: Indices) -> Rows:
        """Kept rows of a table."""
        return Rows(self, self.declared.tables[name], slots=slots)

    def entity(self, name: str) -> Entity:
        """The rows of a table, where its shape is one that is kept."""
        if name not in self._entities:
            table = self.declared.tables[name]
            make = {
                Shape.USERS: self._users,
                Shape.REFERENCE: self._reference,
                Shape.GROUPS: self._groups,
                Shape.MEMBERSHIPS: self._memberships,
                Shape.FEW: self._few,
                Shape.MANY: self._many,
            }[table.shape]
            self._entities[name] = make(table)
        return self._entities[name]

    def forget_large(self) -> None:
        """Let go of entities that take much memory: whoever needs one makes it again."""
        large = [name for name, entity in self._entities.items() if entity.count > LARGE]
        for name in large:
            del self._entities[name]
        if large:
            give_back_freed_memory()

    @cached_property
    def _user_steps(self) -> NDArray[np.uint8]:
        found = np.empty(self.users, dtype=np.uint8)
        for begin in range(0, self.users, BLOCK):
            numbers = np.arange(begin, min(begin + BLOCK, self.users), dtype=np.uint64)
            steps = activity_step(self.seed, numbers, self.declared.file.activity_sigma)
            found[begin : begin + BLOCK] = steps
        return found

    def steps(self, owner: Entity, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Activity steps of the users of kept rows, 0 = quietest; a middle one where none is."""
        users = owner.above.get(self.declared.users_table)
        if owner.name == self.declared.users_table:
            return self._user_steps.take(rows)
        if users is None:
            return np.full(rows.size, len(self.activities) // 2, dtype=np.uint8)
        return self._user_steps.take(users.take(rows))

    def life_weeks_mean(self, name: str) -> float:
        """Expected weeks from a row's creation to the end."""
        if name == self.declared.users_table:
            return self.year.weeks_per_user_mean
        created = self.sample.entity(name).created_ms
        return float(self.year.end_ms - created.mean()) / WEEK_MS

    def rows_expected(self, table: Table) -> float:
        """Rows of a table, about."""
        rows = table.rows
        if table.shape is Shape.USERS:
            return self.users
        if table.shape is Shape.REFERENCE:
            return table.fixed or 1
        if table.shape is Shape.GROUPS:
            return max(1.0, self.users / (rows.members_mean or 1))
        if table.is_global:
            return self.sample.entity(table.name).count
        if table.shape in (Shape.MEMBERSHIPS, Shape.FEW, Shape.MANY):
            return self.users * self.sample.entity(table.name).count / SAMPLE_USERS
        owners = self.rows_expected(self.declared.tables[table.owner])
        means = (rows.mean, table.fixed, rows.share, rows.from_one_mean)
        mean = next(mean for mean in means if mean is not None)
        return owners * mean

    def numbers_expected(self, table: Table) -> int:
        """Numbers that rows of a table are given, about and rather too many."""
        if table.shape is Shape.USERS:
            return self.users
        if table.shape is Shape.REFERENCE:
            return table.fixed or 1
        if table.shape is Shape.CHILDREN:
            of_owner = self.numbers_expected(self.declared.tables[table.owner])
            return of_owner * most_rows(table)
        return math.ceil(self.rows_expected(table) * 1.1) + 10

    def _factor(self, table: Table) -> int:
        # Global rows come in the order of their numbers: there is no user to be mixed with.
        return 1 if table.is_global else (self.key(f"{table.name}: codes") | 1) & CODE_MASK

    def _users(self, table: Table) -> Entity:
        days = Moments.of(self.year.signup_day_weights, DAY_MS)
        # Many are as soon made as found in memory.
        are_kept = self.users <= LARGE and not self.declared.users_are_numbered
        uuids = np.empty(self.users, dtype="V16") if are_kept else None
        signup_ms = np.empty(self.users, dtype=np.int64)
        for begin in range(0, self.users, BLOCK):
            block = slice(begin, min(begin + BLOCK, self.users))
            indices = np.arange(block.start, block.stop, dtype=np.uint64)
            if uuids is not None:
                uuids[block] = user_ids(self.seed, indices)
            signup_ms[block] = _signups(self.seed, indices, days, self.year)
        return Entity(table.name, self.year, signup_ms, self._factor(table), {}, uuids=uuids)

    def _reference(self, table: Table) -> Entity:
        count = table.fixed or 1
        created_ms = np.zeros(count, dtype=np.int64)
        return Entity(table.name, self.year, created_ms, self._factor(table), {})

    def _groups(self, table: Table) -> Entity:
        """Group j takes the next users that are in none: as many as its size says."""
        rows, users = table.rows, self.entity(self.declared.users_table)
        # The mean of a log-normal is its median times exp(sigma²/2).
        median = (rows.members_mean or 1) / math.exp(rows.members_sigma**2 / 2)
        outcomes = log_normal_outcomes(median, rows.members_sigma)
        sizes = np.array([max(1, round(size)) for size in outcomes], dtype=np.int64)
        key, starts, taken = self.key(f"{table.name}: members"), [], 0
        for begin in range(0, self.users, BLOCK):
            numbers = np.arange(begin, begin + BLOCK, dtype=np.uint64)
            drawn = sizes.take((hashed(key, numbers) >> np.uint64(64 - OUTCOME_BITS)).view(np.intp))
            ends = taken + np.cumsum(drawn)
            starts.append(ends - drawn)
            taken = int(ends[-1])
            if taken >= self.users:
                break
        founders = np.concatenate(starts)
        founders = founders[founders < self.users]
        above = {self.declared.users_table: founders.astype(np.uint32)}
        return Entity(
            table.name,
            self.year,
            users.created_ms.take(founders),
            self._factor(table),
            above,
        )

    def _memberships(self, table: Table) -> Entity:
        """A user's first group is the one that took them; the others are those of earlier users."""
        users = self.entity(self.declared.users_table)
        groups_name = table.ancestors[1]
        groups = self.entity(groups_name)
        founders = groups.above[self.declared.users_table]
        counts = rows_of_owners(self, table, users)
        found: list[tuple[NDArray[np.uint32], NDArray[np.uint32], I64]] = []
        for begin in range(0, users.count, BLOCK):
            of_block = counts[begin : begin + BLOCK]
            owners = np.repeat(np.arange(begin, begin + of_block.size), of_block)
            numbers = _places(of_block)
            chance = self._slot_hashes(table, owners, numbers)
            earlier = (((chance >> np.uint64(40)) * owners.view(np.uint64)) >> np.uint64(24)).view(
                np.int64
            )
            asked = np.where(numbers == 0, owners, earlier)
            group = np.searchsorted(founders, asked, side="right") - 1
            # Once in a group, and not in another's before there is one.
            _, once = np.unique((owners << 32) | group, return_index=True)
            once.sort()
            owners, group, chance, numbers = owners[once], group[once], chance[once], numbers[once]
            since = np.maximum(users.created_ms.take(owners), groups.created_ms.take(group))
            left = np.where(numbers == 0, FIRST_MS, self.year.end_ms - 1 - since)
            waited = ((chance & np.uint64(0xFFFF)).view(np.int64) * left) >> 16
            # Whoever founds a group is in it at once.
            waited[founders.take(group) == owners] = 0
            created_ms = np.minimum(since + waited, self.year.end_ms - 1)
            found.append((owners.astype(np.uint32), group.astype(np.uint32), created_ms))
        whose, groups_of, moments = map(np.concatenate, zip(*found, strict=True))
        return Entity(
            table.name,
            self.year,
            moments,
            self._factor(table),
            {users.name: whose, groups_name: groups_of},
            owner=users.name,
            counts=np.bincount(whose, minlength=users.count).astype(np.uint16),
        )

    def _few(self, table: Table) -> Entity:
        owner = self.entity(table.owner)
        counts = rows_of_owners(self, table, owner)
        total = int(counts.sum(dtype=np.int64))
        created_ms = np.empty(total, dtype=np.int64)
        owners = np.repeat(np.arange(owner.count, dtype=np.uint32), counts)
        done = 0
        for begin in range(0, owner.count, BLOCK):
            of_block = counts[begin : begin + BLOCK]
            block = slice(done, done + int(of_block.sum(dtype=np.int64)))
            whose = owners[block].astype(np.intp)
            created_ms[block] = self._created(table, owner, counts, whose, _places(of_block))
            done = block.stop
        return self._owned(table, owner, owners, created_ms, counts)

    def _many(self, table: Table) -> Entity:
        """What streams elsewhere, owner by owner; in the order of time within each."""
        owner = self.entity(table.owner)
        events = Events(self, table, first_of(table, self))
        owners, created_ms = events.by_owner()
        return self._owned(table, owner, owners, created_ms, events.per_owner)

    def _owned(
        self,
        table: Table,
        owner: Entity,
        owners: NDArray[np.uint32],
        created_ms: I64,
        counts: Counts,
    ) -> Entity:
        above = {name: rows.take(owners) for name, rows in owner.above.items()}
        return Entity(
            table.name,
            self.year,
            created_ms,
            self._factor(table),
            above | {owner.name: owners},
            owner=owner.name,
            counts=counts,
        )

    def _created(
        self, table: Table, owner: Entity, counts: Counts, whose: Indices, number: I64
    ) -> I64:
        """When rows `number` of the owners `whose` are made.

        Over the owner's life: the first one soon, the others one to a stretch, the time left until
        the year's end divided equally.
        """
        since = owner.created_ms.take(whose)
        if table.when == "with owner":
            return since
        hashes = self._slot_hashes(table, whose, number)
        if isinstance(table.when, DelayFile):
            moments = since + self.delays_ms(table.when, hashes)
        else:
            stretch = stretches(owner, counts, whose)
            moments = np.where(number == 0, FIRST_MS, stretch)
            moments *= (hashes >> np.uint64(48)).view(np.int64)
            moments >>= 16
            moments += np.maximum(number - 1, 0) * stretch
            moments += since
        return np.asarray(np.minimum(moments, self.year.end_ms - 1))

    def delays_ms(self, delay: DelayFile, hashes: U64) -> I64:
        """A log-normal delay for each hash, whose upper 28 bits are used."""
        return delayed(delay_outcomes_ms(delay.median_h, delay.sigma), hashes)[0]

    def _slot_hashes(self, table: Table, owners: Indices, numbers: I64) -> U64:
        counters = (owners.astype(np.uint64) << np.uint64(16)) | numbers.view(np.uint64)
        return hashed(self.key(f"{table.name}: created"), counters)


@lru_cache(maxsize=64)
def delay_outcomes_ms(median_h: float, sigma: float) -> I64:
    """Log-normal delays at the midpoints of equally likely outcomes, none below 1 ms."""
    outcomes = log_normal_outcomes(median_h * HOUR_MS, sigma)
    return np.array([max(1, round(ms)) for ms in outcomes], dtype=np.int64)


def delayed(outcomes_ms: I64, hashes: U64) -> tuple[I64, Indices]:
    """A delay for each hash by its upper 28 bits, and the outcome that it is."""
    which = (hashes >> np.uint64(64 - OUTCOME_BITS)).view(np.intp)
    delay = outcomes_ms.take(which)
    more = ((hashes >> np.uint64(36)) & np.uint64(0xFFFF)).view(np.int64)
    more *= delay
    more >>= 28  # up to 1/4096 longer, so that no two are alike
    delay += more
    return delay, which


def stretches(owner: Entity, counts: Counts, whose: Indices) -> I64:
    """The time between an owner's rows, on average."""
    return quotients(owner.year.end_ms - owner.created_ms.take(whose), counts.take(whose))


def _places(counts: NDArray[np.uint16]) -> I64:
    """0, 1, … for each owner in turn."""
    ends = np.cumsum(counts, dtype=np.int64)
    firsts = np.repeat(ends - counts, counts)
    return np.arange(firsts.size, dtype=np.int64) - firsts


def user_ids(seed: int, indices: U64) -> NDArray[np.void]:
    """As `model.population.user_id`, for many."""
    halves = np.empty((indices.size, 2), dtype=">u8")
    high = hashed(stream_key(seed, Stream.USER_ID_HIGH), indices)
    halves[:, 0] = (high & ~np.uint64(0xF000)) | np.uint64(0x4000)
    low = hashed(stream_key(seed, Stream.USER_ID_LOW), indices)
    halves[:, 1] = (low & np.uint64((1 << 62) - 1)) | np.uint64(1 << 63)
    return halves.reshape(-1).view("V16")


def _signups(seed: int, indices: U64, days: Moments, year: Year) -> I64:
    day = days.at(hashed(stream_key(seed, Stream.SIGNUP), indices)) // np.uint64(DAY_MS)
    time = year.hours_of_day.at(hashed(stream_key(seed, Stream.SIGNUP, 1), indices))
    moments = (day * np.uint64(DAY_MS) + time).astype(np.int64)
    return np.minimum(moments, year.end_ms - LAST_SIGNUP_BEFORE_END_MS)
