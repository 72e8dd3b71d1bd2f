"""The rows of each table, encoded for COPY in blocks, in the order of `created_at`.

Pure: of (seed, users, [population], vocabulary). Yields `Block`s; the bytes of a table are the
same however they are cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from phasegate.model.population import U64, Stream, hashed, stream_key, thresholds
from phasegate.records.seed import Histogram
from phasegate.seeding.copy_encoder import Rows
from phasegate.seeding.distributions import Rhythm, per_user, signups
from phasegate.seeding.events import Events
from phasegate.seeding.tasks import TaskRows
from phasegate.seeding.text_columns import Texts, whole_fields
from phasegate.seeding.timeline import WEEK_MS
from phasegate.seeding.users import (
    BLOCK,
    CODE_BITS,
    PROJECT_BITS,
    PROJECTS_MAX,
    UUID,
    Users,
    put_uuids_v7,
)

# Rows encoded at once: their arrays fit the processor's second-level cache.
BLOCK_ROWS = 8192

# Columns in the order that they are sent in: those of varying length come last.
COLUMNS = {
    "profiles": ("id", "created_at", "locale", "name"),
    "projects": ("id", "user_id", "created_at", "color", "name"),
    "tasks": ("id", "user_id", "created_at", "status", "project_id", "completed_at", "title"),
    "activity_logs": ("id", "user_id", "created_at", "action"),
}

# Actions are looked up by twelve hashed bits.
_OUTCOME_BITS = 12


@dataclass(frozen=True)
class Block:
    """Some rows of one table."""

    rows: int
    data: memoryview
    month: int
    """Calendar month that all of them are in, counted from the year's first."""


class Tables:
    """The tables of one data set.

    Args:
        users: of the data set.
    """

    def __init__(self, users: Users) -> None:
        self.year = users.year
        self._users = users
        self._texts = Texts(users)
        self._population = users.year.population
        self._month_starts = [max(0, self.year.ms(m)) for m in self.year.months]
        self._histograms: list[Histogram] = []

    def histograms(self) -> tuple[Histogram, ...]:
        """How the rows made so far are distributed, table by table that was made to its end."""
        return tuple(self._histograms)

    def profiles(self) -> Iterator[Block]:
        """One row per user, in the order of sign-up."""
        users, words = self._users, self._texts.words
        locales = whole_fields(words.locales.texts())
        first_names = whole_fields(words.first_names.texts())
        rows = Rows(BLOCK_ROWS, {"id": "V16", "created_at": ">i8"}, 4)
        keys = users.signup_ms.take(users.by_signup).astype(np.uint64) << np.uint64(CODE_BITS)
        keys |= users.codes(users.by_signup)
        keys.sort()
        for block, month in self._blocks(keys, 0):
            indices = users.indices(block)
            heads = rows.begin(block.size)
            heads["id"] = users.ids.take(indices)
            heads["created_at"] = users.timestamps(block)
            chance = hashed(stream_key(users.seed, Stream.USER, 2), indices.view(np.uint64))
            locale = self._texts.locale(indices)
            data = rows.close(
                (locales.padded.take(locale), locales.lengths.take(locale)),
                *self._texts.pair(first_names, words.last_names, chance, locale),
            )
            yield Block(block.size, data, month)

    def projects(self) -> Iterator[Block]:
        """The projects of all users, in the order that they were made."""
        users, words = self._users, self._texts.words
        names = whole_fields(words.project_names.texts())
        colors = whole_fields(words.colors.texts())
        rows = Rows(BLOCK_ROWS, {"id": UUID, "user_id": "V16", "created_at": ">i8"}, 5)
        for numbered, month in self._blocks(self._project_keys(), 0, PROJECT_BITS):
            numbers = (numbered & np.uint64(PROJECTS_MAX - 1)).view(np.int64)
            keys = numbered >> np.uint64(PROJECT_BITS)
            indices = users.indices(keys)
            heads = rows.begin(keys.size)
            hashes = users.project_hashes(indices, numbers)
            put_uuids_v7(heads["id"], keys >> np.uint64(CODE_BITS), hashes, self.year)
            heads["user_id"] = users.ids.take(indices)
            heads["created_at"] = users.timestamps(keys)
            chance = hashed(stream_key(users.seed, Stream.PROJECT, 2), numbered)
            locale = self._texts.locale(indices)
            color, name = (self._texts.chosen(locale, chance, word) for word in (0, 1))
            data = rows.close(
                (colors.padded.take(color), colors.lengths.take(color)),
                (names.padded.take(name), names.lengths.take(name)),
            )
            yield Block(keys.size, data, month)

    def _project_keys(self) -> U64:
        """Moment (35 bits), code (24), number (4) of each project: one number sorts them all."""
        users = self._users
        keys = np.empty(int(users.projects.sum(dtype=np.int64)), dtype=np.uint64)
        count = 0
        for begin in range(0, users.count, BLOCK):
            owned = users.projects[begin : begin + BLOCK]
            indices = np.repeat(np.arange(begin, begin + owned.size), owned)
            firsts = np.repeat(np.cumsum(owned, dtype=np.int64) - owned, owned)
            numbers = np.arange(indices.size, dtype=np.int64) - firsts
            hashes = users.project_hashes(indices, numbers)
            signup_ms, projects = users.signup_ms.take(indices), users.projects.take(indices)
            stretch_ms = users.stretch_ms(signup_ms, projects)
            made = users.project_ms(signup_ms, numbers, hashes, stretch_ms)
            moments = made.view(np.uint64) << np.uint64(CODE_BITS)
            of_block = moments | users.codes(indices.astype(np.uint64))
            keys[count : count + indices.size] = (
                of_block << np.uint64(PROJECT_BITS)
            ) | numbers.astype(np.uint64)
            count += indices.size
        keys.sort()
        return keys

    def tasks(self) -> Iterator[Block]:
        """The tasks of all users, in the order that they were created."""
        users = self._users
        events = Events(users, Stream.TASK, self._population.tasks_per_user_mean)
        rhythm = Rhythm(self.year)
        rows = TaskRows(users, self._texts, BLOCK_ROWS)
        for week in range(self.year.weeks):
            of_week = events.week(week)
            rhythm.add(of_week)
            for keys, month in self._blocks(of_week, week):
                yield Block(keys.size, rows.encode(keys, week), month)
        self._histograms += [
            signups(users),
            per_user("projects per user", "projects", users.projects),
            per_user("tasks per user", "tasks", events.per_user),
            *rhythm.histograms(),
            rows.histogram(),
        ]

    def logs(self) -> Iterator[Block]:
        """The activity logs of all users, in the order of time."""
        users = self._users
        actions = self._population.actions
        fields = whole_fields(actions)
        bounds = thresholds(list(actions.values()), _OUTCOME_BITS)
        outcome = np.searchsorted(bounds, np.arange(1 << _OUTCOME_BITS), side="right")
        padded, lengths = fields.padded[outcome], fields.lengths[outcome]
        fixed = {"id": ">i8", "user_id": "V16", "created_at": ">i8"}
        rows = Rows(BLOCK_ROWS, fixed, 4, only_piece_bytes=fields.bytes_max)
        events = Events(users, Stream.LOG, self._population.logs_per_user_mean)
        for week in range(self.year.weeks):
            key = stream_key(users.seed, Stream.LOG_TIME, week)
            first_id = np.uint64((week * WEEK_MS) << CODE_BITS)
            for keys, month in self._blocks(events.week(week), week):
                heads = rows.begin(keys.size)
                heads["id"] = keys + first_id
                heads["user_id"] = users.ids.take(users.indices(keys))
                heads["created_at"] = users.week_timestamps(keys, week)
                lot = (hashed(key, keys) >> np.uint64(64 - _OUTCOME_BITS)).view(np.intp)
                data = rows.close((padded.take(lot), lengths.take(lot)))
                yield Block(keys.size, data, month)
        self._histograms.append(per_user("log rows per user", "rows", events.per_user))

    def _blocks(self, keys: U64, week: int, extra_bits: int = 0) -> Iterator[tuple[U64, int]]:
        """`keys` cut into blocks that do not cross a month, each with its month's number."""
        shift = CODE_BITS + extra_bits
        borders = [max(0, start - week * WEEK_MS) << shift for start in self._month_starts]
        places = np.searchsorted(keys, np.array(borders, dtype=np.uint64))
        for month, (begin, end) in enumerate(pairwise(places)):
            for start in range(begin, end, BLOCK_ROWS):
                yield keys[start : min(start + BLOCK_ROWS, end)], month
