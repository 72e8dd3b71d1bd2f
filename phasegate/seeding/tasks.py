"""The rows of `tasks`, encoded for COPY: project, completion and title of each.

Pure: of (seed, users, [population], vocabulary).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from phasegate.model.catalogue import Population
from phasegate.model.population import U64, Stream, hashed, rounded, stream_key
from phasegate.records.seed import Histogram
from phasegate.seeding.copy_encoder import Piece, Rows
from phasegate.seeding.distributions import delays
from phasegate.seeding.text_columns import FIELD_LENGTH_BYTES, Texts, whole_fields
from phasegate.seeding.timeline import HOUR_MS, WEEK_MS
from phasegate.seeding.users import (
    CODE_BITS,
    FIRST_PROJECT_MS,
    UUID,
    Users,
    put_uuids_v7,
    quotients,
)

UUID_BYTES = 16
TIMESTAMP_BYTES = 8

# Delays are looked up by twelve hashed bits.
_OUTCOME_BITS = 12
# What `status` says of a task that is not done and of one that is: numbers with these bytes.
_STATUS = np.frombuffer(b"opendone", dtype=np.uint32)

# Fields that may be null: the length is then -1, and the value does not count.
_PROJECT = np.dtype([("length", ">i4"), ("value", UUID)])
_COMPLETED = np.dtype([("length", ">i4"), ("value", ">i8")])


class TaskRows:
    """Encodes tasks, a block at a time.

    Args:
        users: of the data set.
        texts: of the data set.
        capacity: rows of the largest block.
    """

    def __init__(self, users: Users, texts: Texts, capacity: int) -> None:
        self._users = users
        self._texts = texts
        self._begin = whole_fields(texts.words.task_beginnings.texts())
        self._end = texts.words.task_endings
        self._completion = _Completion(users.year.population)
        self._without_project = np.uint64(
            round(users.year.population.without_project_share * (1 << 16))
        )
        self._rows = Rows(
            capacity, {"id": UUID, "user_id": "V16", "created_at": ">i8", "status": "u4"}, 7
        )

    def encode(self, keys: U64, week: int) -> memoryview:
        """The tasks of the sort keys `keys` of `week`."""
        users = self._users
        key = stream_key(users.seed, Stream.TASK_TIME, week)
        indices = users.indices(keys)
        created = keys >> np.uint64(CODE_BITS)
        created += np.uint64(week * WEEK_MS)
        stamps = users.week_timestamps(keys, week)
        chance = hashed(key, keys)
        created_ms = created.view(np.int64)
        done, delay_ms = self._completion.draw(chance, users.year.end_ms - created_ms)
        heads = self._rows.begin(keys.size)
        put_uuids_v7(heads["id"], created, chance, users.year)
        heads["user_id"] = users.ids.take(indices)
        heads["created_at"] = stamps
        heads["status"] = _STATUS.take(done)
        second = hashed(key, chance)
        return self._rows.close(
            self._project(indices, created_ms, second),
            _completed(done, stamps, delay_ms),
            *self._texts.pair(self._begin, self._end, second, self._texts.locale(indices)),
        )

    def _project(
        self, indices: NDArray[np.intp], created_ms: NDArray[np.int64], chance: U64
    ) -> Piece:
        """A project that existed by then, the newer the likelier, or none."""
        users = self._users
        signup_ms = users.signup_ms.take(indices)
        owned = users.projects.take(indices)
        stretch = users.stretch_ms(signup_ms, owned)
        age = created_ms - signup_ms
        lot = chance >> np.uint64(32)
        none = (lot & np.uint64(0xFFFF)) < self._without_project
        none |= age <= FIRST_PROJECT_MS
        available = np.minimum(quotients(age, stretch) + 1, owned)
        # The square of a uniform number prefers small ones: how many projects ago.
        lot >>= np.uint64(16)
        lot *= lot
        lot >>= np.uint64(16)
        number = available - 1 - ((lot.view(np.int64) * available) >> 16)
        hashes = users.project_hashes(indices, number)
        made = users.project_ms(signup_ms, number, hashes, stretch)
        field = np.empty(indices.size, dtype=_PROJECT)
        put_uuids_v7(field["value"], made.view(np.uint64), hashes, users.year)
        there = (~none).astype(np.int64)
        there *= UUID_BYTES
        field["length"] = there - none  # -1 where there is none
        return field.view(f"V{_PROJECT.itemsize}"), there + FIELD_LENGTH_BYTES

    def histogram(self) -> Histogram:
        """Times to completion of the tasks encoded so far."""
        return self._completion.histogram()


class _Completion:
    """Whether tasks are completed, and when: log-normal, by a table of equally likely outcomes."""

    def __init__(self, population: Population) -> None:
        normal = NormalDist(0, population.completion_delay_sigma)
        outcomes = 1 << _OUTCOME_BITS
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
        which = chance >> np.uint64(16)
        which &= np.uint64((1 << _OUTCOME_BITS) - 1)
        fine = chance >> np.uint64(28)
        fine &= np.uint64(0xFFFF)
        outcomes = which.view(np.intp)
        delay = self._outcomes_ms.take(outcomes)
        more = fine.view(np.int64)
        more *= delay
        more >>= 28  # up to 1/4096 longer, so that no two are alike
        delay += more
        done = (lot < self._share) & (delay < left_ms)
        # Cheaper than picking out what is done: all the others count as the first outcome.
        outcomes *= done
        self._drawn += np.bincount(outcomes, minlength=self._drawn.size)
        self._drawn[0] -= done.size - np.count_nonzero(done)
        return done, delay

    def histogram(self) -> Histogram:
        """Of the delays drawn so far."""
        return delays(self._outcomes_ms, self._drawn)


def _completed(
    done: NDArray[np.bool_], stamps: NDArray[np.int64], delay_ms: NDArray[np.int64]
) -> Piece:
    """When tasks were completed: µs of timestamptz, null where they are not."""
    field = np.empty(done.size, dtype=_COMPLETED)
    there = done.astype(np.int64)
    field["length"] = there * (TIMESTAMP_BYTES + 1) - 1
    delay_us = delay_ms * 1000
    delay_us += stamps
    field["value"] = delay_us
    return field.view(f"V{_COMPLETED.itemsize}"), there * TIMESTAMP_BYTES + FIELD_LENGTH_BYTES
