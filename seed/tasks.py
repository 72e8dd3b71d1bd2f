"""The rows of `tasks`, encoded for COPY: project, completion and title of each.

Pure: of (seed, users, [population], vocabulary).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from phases.catalogue import Population
from phases.population import U64, Stream, hashed, rounded, stream_key
from records.seed import Histogram
from seed.calendar import HOUR_MS, WEEK_MS
from seed.distributions import delays
from seed.packing import Rows
from seed.texts import Texts
from seed.users import CODE_BITS, FIRST_PROJECT_MS, Users, uuids_v7
from seed.vocabulary import packed

UUID_BYTES = 16
TIMESTAMP_BYTES = 8
LENGTH_BYTES = 4

# Delays are looked up by twelve hashed bits.
_OUTCOME_BITS = 12
_OPEN, _DONE = packed(["open", "done"]).padded


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
        self._begin, self._end = texts.words.task_beginnings, texts.words.task_endings
        self._completion = _Completion(users.year.population)
        tail = 3 * LENGTH_BYTES + UUID_BYTES + TIMESTAMP_BYTES
        self._rows = Rows(
            capacity,
            {"id": "V16", "user_id": "V16", "created_at": ">i8", "status": "V4"},
            7,
            tail + self._begin.bytes_max + self._end.bytes_max,
        )

    def encode(self, keys: U64, week: int) -> bytes:
        """The tasks of the sort keys `keys` of `week`."""
        users, rows = self._users, self._rows
        key = stream_key(users.seed, Stream.TASK_TIME, week)
        indices = users.indices(keys)
        created = (keys >> np.uint64(CODE_BITS)).astype(np.int64) + week * WEEK_MS
        stamps = users.timestamps(keys, week)
        chance = hashed(key, keys)
        done, delay_ms = self._completion.draw(chance, users.year.end_ms - created)
        record = rows.begin(keys.size)
        record["id"] = uuids_v7(created.astype(np.uint64), chance, users.year)
        record["user_id"] = users.ids.take(indices)
        record["created_at"] = stamps
        record["status"] = np.where(done, _DONE, _OPEN)
        second = hashed(key, chance)
        self._append_project(indices, created, second)
        completed = np.empty(keys.size, dtype=[("length", ">i4"), ("value", ">i8")])
        completed["length"] = np.where(done, TIMESTAMP_BYTES, -1)
        completed["value"] = stamps + delay_ms * 1000
        rows.append(
            completed.view("V12"), np.where(done, LENGTH_BYTES + TIMESTAMP_BYTES, LENGTH_BYTES)
        )
        locale = self._texts.locale(indices)
        self._texts.append_pair(rows, self._begin, self._end, second, locale)
        return rows.close()

    def _append_project(
        self, indices: NDArray[np.intp], created: NDArray[np.int64], chance: U64
    ) -> None:
        """A project that existed by then, the newer the likelier, or none."""
        users = self._users
        age = created - users.signup_ms.take(indices)
        stretch = users.stretch_ms(indices)
        available = np.minimum(users.projects.take(indices).astype(np.int64), age // stretch + 1)
        lot = (chance >> np.uint64(32)).astype(np.int64)
        share = round(users.year.population.without_project_share * (1 << 16))
        none = (lot & 0xFFFF < share) | (age <= FIRST_PROJECT_MS)
        # The square of a uniform number prefers small ones: how many projects ago.
        back = (((lot >> 16) * (lot >> 16)) >> 16) * available >> 16
        number = available - 1 - back
        hashes = users.project_hashes(indices, number)
        made = users.project_ms(indices, number, hashes, stretch)
        field = np.empty(indices.size, dtype=[("length", ">i4"), ("value", "V16")])
        field["length"] = np.where(none, -1, UUID_BYTES)
        field["value"] = uuids_v7(made.astype(np.uint64), hashes, users.year)
        self._rows.append(
            field.view("V20"), np.where(none, LENGTH_BYTES, LENGTH_BYTES + UUID_BYTES)
        )

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
        which = ((chance >> np.uint64(16)) & np.uint64((1 << _OUTCOME_BITS) - 1)).astype(np.intp)
        fine = ((chance >> np.uint64(28)) & np.uint64(0xFFFF)).astype(np.int64)
        delay = self._outcomes_ms[which]
        delay += (delay * fine) >> 28  # up to 1/4096 longer, so that no two are alike
        done = (lot < self._share) & (delay < left_ms)
        self._drawn += np.bincount(which[done], minlength=self._drawn.size)
        return done, delay

    def histogram(self) -> Histogram:
        """Of the delays drawn so far."""
        return delays(self._outcomes_ms, self._drawn)
