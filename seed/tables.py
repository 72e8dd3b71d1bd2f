"""The rows of each table, encoded for COPY in blocks, in the order of `created_at`.

Pure: of (seed, users, [population], vocabulary). Yields `Block`s; the bytes of a table are the
same however they are cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from phases.catalogue import Population
from phases.population import U64, Stream, hashed, rounded, stream_key, thresholds
from records.seed import Histogram
from seed.calendar import HOUR_MS, WEEK_MS
from seed.distributions import Rhythm, delays, per_user, signups
from seed.events import Events
from seed.packing import Rows, int32_pieces
from seed.users import BLOCK, CODE_BITS, FIRST_PROJECT_MS, PROJECTS_MAX, USERS_MAX, Users, uuids_v7
from seed.vocabulary import WORD_BITS, WORDS, Vocabulary, Words, packed, vocabulary

# Rows encoded at once: their arrays fit the processor's second-level cache.
BLOCK_ROWS = 8192

# Columns in the order that they are sent in: those of varying length come last.
COLUMNS = {
    "profiles": ("id", "created_at", "locale", "name"),
    "projects": ("id", "user_id", "created_at", "color", "name"),
    "tasks": ("id", "user_id", "created_at", "status", "project_id", "completed_at", "title"),
    "activity_logs": ("id", "user_id", "created_at", "action"),
}

_UUID = 16
_BIGINT = 8
_NULL_PIECE = np.array([-1], dtype=">i4").view("V4")[0]
_WORD_MASK = np.uint64(WORDS - 1)
# Delays and actions are looked up by twelve hashed bits.
_LOOKUP_BITS = 12


@dataclass(frozen=True)
class Block:
    """Some rows of one table."""

    rows: int
    data: bytes
    month: int
    """Calendar month that all of them are in, counted from the year's first."""


def _field(name: str, kind: str) -> tuple[tuple[str, str], ...]:
    return (("length_" + name, ">i4"), (name, kind))


def _with_prefix(words: Words) -> Words:
    """`words` with their length in front, as a whole field."""
    return packed_fields([text.encode() for text in words.texts()])


def packed_fields(texts: list[bytes]) -> Words:
    """Whole fields, length and text, as equal items."""
    fields = [len(text).to_bytes(4, "big") + text for text in texts]
    width = max(map(len, fields))
    raw = b"".join(field.ljust(width, b"\0") for field in fields)
    lengths = np.array([len(field) for field in fields], dtype=np.int64)
    return Words(np.frombuffer(raw, dtype=f"V{width}"), lengths)


class Tables:
    """The tables of one data set.

    Args:
        users: of the data set.
    """

    def __init__(self, users: Users) -> None:
        self._users = users
        self.year = users.year
        self._population = users.year.population
        self._month_starts = [max(0, self.year.ms(m)) for m in self.year.months]
        self._histograms: list[Histogram] = []

    @cached_property
    def _words(self) -> Vocabulary:
        # Made when first needed: the process that only makes log rows does without.
        return vocabulary(self._population.locales)

    def histograms(self) -> tuple[Histogram, ...]:
        """How the rows made so far are distributed, table by table that was made to its end."""
        return tuple(self._histograms)

    def profiles(self) -> Iterator[Block]:
        """One row per user, in the order of sign-up."""
        users, words = self._users, self._words
        first, last, locales = words.first_names, words.last_names, _with_prefix(words.locales)
        rows = Rows(
            BLOCK_ROWS,
            (("fields", ">i2"), *_field("id", "V16"), *_field("created_at", ">i8")),
            {"fields": 4, "length_id": _UUID, "length_created_at": _BIGINT},
            locales.bytes_max + 4 + first.bytes_max + last.bytes_max,
        )
        keys = users.signup_ms[users.by_signup].astype(np.uint64) << np.uint64(CODE_BITS)
        keys |= users.codes(users.by_signup)
        keys.sort()
        for block, month in self._blocks(keys, 0):
            indices = users.indices(block)
            record = rows.begin(block.size)
            record["id"] = users.ids[indices]
            record["created_at"] = self._timestamps(block, 0)
            chance = hashed(stream_key(users.seed, Stream.USER, 2), indices.astype(np.uint64))
            locale = self._locale(indices)
            rows.append(locales.padded.take(locale), locales.lengths[locale])
            self._append_pair(rows, first, last, chance, locale)
            yield Block(block.size, rows.close(), month)

    def projects(self) -> Iterator[Block]:
        """The projects of all users, in the order that they were made."""
        users, words = self._users, self._words
        names, colors = _with_prefix(words.project_names), _with_prefix(words.colors)
        rows = Rows(
            BLOCK_ROWS,
            (
                ("fields", ">i2"),
                *_field("id", "V16"),
                *_field("user_id", "V16"),
                *_field("created_at", ">i8"),
            ),
            {
                "fields": 5,
                "length_id": _UUID,
                "length_user_id": _UUID,
                "length_created_at": _BIGINT,
            },
            names.bytes_max + colors.bytes_max,
        )
        # Moment (35 bits), code (24), number (4): one number sorts them all.
        bits = np.uint64(int(math.log2(PROJECTS_MAX)))
        for packed_keys, month in self._blocks(self._project_keys(bits), 0, int(bits)):
            numbers = (packed_keys & np.uint64(PROJECTS_MAX - 1)).astype(np.int64)
            keys = packed_keys >> bits
            indices = users.indices(keys)
            made = (keys >> np.uint64(CODE_BITS)).astype(np.int64)
            record = rows.begin(keys.size)
            hashes = users.project_hashes(indices, numbers)
            record["id"] = uuids_v7(made.astype(np.uint64), hashes, self.year)
            record["user_id"] = users.ids[indices]
            record["created_at"] = self._timestamps(keys, 0)
            chance = hashed(stream_key(users.seed, Stream.PROJECT, 2), packed_keys)
            place = self._locale(indices) * WORDS
            color = place + (chance & _WORD_MASK).astype(np.intp)
            name = place + ((chance >> np.uint64(WORD_BITS)) & _WORD_MASK).astype(np.intp)
            rows.append(colors.padded.take(color), colors.lengths[color])
            rows.append(names.padded.take(name), names.lengths[name])
            yield Block(keys.size, rows.close(), month)

    def _project_keys(self, bits: np.uint64) -> U64:
        users = self._users
        keys = np.empty(int(users.projects.sum(dtype=np.int64)), dtype=np.uint64)
        count = 0
        for begin in range(0, users.count, BLOCK):
            owned = users.projects[begin : begin + BLOCK]
            indices = np.repeat(np.arange(begin, begin + owned.size), owned)
            firsts = np.repeat(np.cumsum(owned, dtype=np.int64) - owned, owned)
            numbers = np.arange(indices.size, dtype=np.int64) - firsts
            hashes = users.project_hashes(indices, numbers)
            made = users.project_ms(indices, numbers, hashes, users.stretch_ms(indices))
            moments = made.astype(np.uint64) << np.uint64(CODE_BITS)
            of_block = moments | users.codes(indices.astype(np.uint64))
            keys[count : count + indices.size] = (of_block << bits) | numbers.astype(np.uint64)
            count += indices.size
        keys.sort()
        return keys

    def tasks(self) -> Iterator[Block]:
        """The tasks of all users, in the order that they were created."""
        users, words = self._users, self._words
        begin, end = words.task_beginnings, words.task_endings
        rows = Rows(
            BLOCK_ROWS,
            (
                ("fields", ">i2"),
                *_field("id", "V16"),
                *_field("user_id", "V16"),
                *_field("created_at", ">i8"),
                *_field("status", "V4"),
            ),
            {
                "fields": 7,
                "length_id": _UUID,
                "length_user_id": _UUID,
                "length_created_at": _BIGINT,
                "length_status": 4,
            },
            4 + _UUID + 4 + _BIGINT + 4 + begin.bytes_max + end.bytes_max,
        )
        events = Events(users, Stream.TASK, self._population.tasks_per_user_mean)
        completion = _Delays(self._population)
        rhythm = Rhythm(self.year)
        for week in range(self.year.weeks):
            key = stream_key(users.seed, Stream.TASK_TIME, week)
            for keys, month in self._blocks(events.week(week), week):
                rhythm.add(keys)
                self._encode_tasks(rows, keys, week, key, completion)
                yield Block(keys.size, rows.close(), month)
        self._histograms += [
            signups(users),
            per_user("projects per user", "projects", users.projects),
            per_user("tasks per user", "tasks", events.per_user),
            *rhythm.histograms(),
            completion.histogram(),
        ]

    def _encode_tasks(
        self, rows: Rows, keys: U64, week: int, key: int, completion: _Delays
    ) -> None:
        users = self._users
        indices = users.indices(keys)
        created = (keys >> np.uint64(CODE_BITS)).astype(np.int64) + week * WEEK_MS
        chance = hashed(key, keys)
        record = rows.begin(keys.size)
        record["id"] = uuids_v7(created.astype(np.uint64), chance, self.year)
        record["user_id"] = users.ids[indices]
        stamps = self._timestamps(keys, week)
        record["created_at"] = stamps
        done, delay_ms = completion.draw(chance, self.year.end_ms - created)
        record["status"] = np.where(done, _STATUS[1], _STATUS[0])
        second = hashed(key, chance)
        self._append_project(rows, indices, created, second)
        stamped = np.empty(keys.size, dtype=[("length", ">i4"), ("value", ">i8")])
        stamped["length"] = np.where(done, _BIGINT, -1)
        stamped["value"] = stamps + delay_ms * 1000
        rows.append(stamped.view("V12"), np.where(done, 12, 4))
        self._append_pair(
            rows,
            self._words.task_beginnings,
            self._words.task_endings,
            second,
            self._locale(indices),
        )

    def _append_project(
        self, rows: Rows, indices: NDArray[np.intp], created: NDArray[np.int64], chance: U64
    ) -> None:
        """A project that existed by then, the newer the likelier, or none."""
        users = self._users
        age = created - users.signup_ms.take(indices)
        stretch = users.stretch_ms(indices)
        available = np.minimum(users.projects.take(indices).astype(np.int64), age // stretch + 1)
        lot = (chance >> np.uint64(32)).astype(np.int64)
        share = round(self._population.without_project_share * (1 << 16))
        none = (lot & 0xFFFF < share) | (age <= FIRST_PROJECT_MS)
        # The square of a uniform number prefers small ones: how many projects ago.
        back = (((lot >> 16) * (lot >> 16)) >> 16) * available >> 16
        number = available - 1 - back
        hashes = users.project_hashes(indices, number)
        made = users.project_ms(indices, number, hashes, stretch)
        field = np.empty(indices.size, dtype=[("length", ">i4"), ("value", "V16")])
        field["length"] = np.where(none, -1, _UUID)
        field["value"] = uuids_v7(made.astype(np.uint64), hashes, self.year)
        rows.append(field.view("V20"), np.where(none, 4, 20))

    def logs(self) -> Iterator[Block]:
        """The activity logs of all users, in the order of time."""
        users = self._users
        actions = self._population.actions
        fields = packed_fields([name.encode() for name in actions])
        bounds = thresholds(list(actions.values()), _LOOKUP_BITS)
        outcome = np.searchsorted(bounds, np.arange(1 << _LOOKUP_BITS), side="right")
        padded, lengths = fields.padded[outcome], fields.lengths[outcome]
        rows = Rows(
            BLOCK_ROWS,
            (
                ("fields", ">i2"),
                *_field("id", ">i8"),
                *_field("user_id", "V16"),
                *_field("created_at", ">i8"),
            ),
            {
                "fields": 4,
                "length_id": _BIGINT,
                "length_user_id": _UUID,
                "length_created_at": _BIGINT,
            },
            fields.bytes_max,
        )
        events = Events(users, Stream.LOG, self._population.logs_per_user_mean)
        for week in range(self.year.weeks):
            key = stream_key(users.seed, Stream.LOG_TIME, week)
            first_id = np.uint64((week * WEEK_MS) << CODE_BITS)
            for keys, month in self._blocks(events.week(week), week):
                record = rows.begin(keys.size)
                record["id"] = keys + first_id
                record["user_id"] = users.ids[users.indices(keys)]
                record["created_at"] = self._timestamps(keys, week)
                lot = (hashed(key, keys) >> np.uint64(64 - _LOOKUP_BITS)).astype(np.intp)
                rows.append(padded.take(lot), lengths.take(lot))
                yield Block(keys.size, rows.close(), month)
        self._histograms.append(per_user("log rows per user", "rows", events.per_user))

    def _blocks(self, keys: U64, week: int, extra_bits: int = 0) -> Iterator[tuple[U64, int]]:
        """`keys` cut into blocks that do not cross a month, each with its month's number."""
        shift = CODE_BITS + extra_bits
        borders = [max(0, start - week * WEEK_MS) << shift for start in self._month_starts]
        places = np.searchsorted(keys, np.array(borders, dtype=np.uint64))
        for month, (begin, end) in enumerate(pairwise(places)):
            for start in range(begin, end, BLOCK_ROWS):
                yield keys[start : min(start + BLOCK_ROWS, end)], month

    def _timestamps(self, keys: U64, week: int) -> NDArray[np.int64]:
        """Creation times as µs of timestamptz; below the millisecond the code gives the digits."""
        below = ((keys & np.uint64(USERS_MAX - 1)) * np.uint64(1000)) >> np.uint64(CODE_BITS)
        moments = (keys >> np.uint64(CODE_BITS)) * np.uint64(1000) + below
        return moments.astype(np.int64) + (self.year.postgres_us + week * WEEK_MS * 1000)

    def _locale(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Number of each user's locale."""
        locales = len(self._population.locales)
        if locales == 1:
            return np.zeros(indices.size, dtype=np.intp)
        key = stream_key(self._users.seed, Stream.USER, 3)
        return (
            (hashed(key, indices.astype(np.uint64)) >> np.uint64(32)) % np.uint64(locales)
        ).astype(np.intp)

    @staticmethod
    def _append_pair(
        rows: Rows, first: Words, second: Words, chance: U64, locale: NDArray[np.intp]
    ) -> None:
        """One text field of two words."""
        place = locale * WORDS
        one = place + (chance & _WORD_MASK).astype(np.intp)
        two = place + ((chance >> np.uint64(WORD_BITS)) & _WORD_MASK).astype(np.intp)
        rows.append(int32_pieces(first.lengths[one] + second.lengths[two]), 4)
        rows.append(first.padded.take(one), first.lengths[one])
        rows.append(second.padded.take(two), second.lengths[two])


class _Delays:
    """Whether tasks are completed, and when: log-normal, by a table of equally likely outcomes."""

    def __init__(self, population: Population) -> None:
        normal = NormalDist(0, population.completion_delay_sigma)
        outcomes = 1 << _LOOKUP_BITS
        median_ms = population.completion_delay_h_median * HOUR_MS
        logs = (normal.inv_cdf((n + 0.5) / outcomes) for n in range(outcomes))
        self._outcomes_ms = np.array(
            [max(1, round(rounded(median_ms * math.exp(log)))) for log in logs], dtype=np.int64
        )
        self._share = np.uint64(round(population.completed_share * (1 << 16)))
        self._drawn: NDArray[np.int64] = np.zeros(outcomes, dtype=np.int64)

    def draw(
        self, chance: U64, left_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether each task is done within `left_ms`, and after how many ms."""
        lot = chance & np.uint64(0xFFFF)
        which = ((chance >> np.uint64(16)) & np.uint64((1 << _LOOKUP_BITS) - 1)).astype(np.intp)
        fine = ((chance >> np.uint64(28)) & np.uint64(0xFFFF)).astype(np.int64)
        delay = self._outcomes_ms[which]
        delay += (delay * fine) >> 28  # up to 1/4096 longer, so that no two are alike
        done = (lot < self._share) & (delay < left_ms)
        self._drawn += np.bincount(which[done], minlength=self._drawn.size)
        return done, delay

    def histogram(self) -> Histogram:
        """Of the delays drawn so far."""
        return delays(self._outcomes_ms, self._drawn)


_STATUS = packed(["open", "done"]).padded
