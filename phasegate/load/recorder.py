"""Records each request as it is answered, at the cost of one append; adds up once a second.

`record` writes a row of numbers into a flat array; `fold` turns the rows into tallies with numpy.
Reads no clock and no socket: whoever measures hands the times over.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from phasegate.load.counters import EndpointTally, SecondTally, StageTally
from phasegate.load.expectations import Failure

# Columns of a row; FAILED is the number of a `Failure`.
STAGE, NAME, DUE_S, SENT_S, DONE_S, STATUS, BYTES, FAILED = range(8)
WIDTH = 8

# Statuses that no server sends: the row is a click of a user, or work that was accepted and is now
# done, not a request.
ACTION = -1
COMPLETION = -2

Rows = NDArray[np.float64]
Folded = Callable[[str, Rows], None]


class Recorder:
    """Rows not yet added up, and the tally of each stage since `take` was last called.

    Args:
        stage_starts_s: when each stage began, on the clock that `record` is given times of.
        on_folded: called with the name and the rows of each endpoint as they are added up.
        interval_s: of the intervals that clicks are counted by; 0 for none.
    """

    def __init__(
        self,
        stage_starts_s: tuple[float, ...],
        on_folded: Folded | None = None,
        interval_s: float = 0.0,
    ) -> None:
        self._starts_s = stage_starts_s
        self._interval_s = interval_s
        self._on_folded = on_folded
        self._names: dict[str, int] = {}
        self._rows = array("d")
        self._lags: dict[int, array[float]] = {}
        self._tallies: dict[int, StageTally] = {}

    def name_id(self, name: str) -> int:
        """The number that stands for `name` in rows."""
        return self._names.setdefault(name, len(self._names))

    def record(
        self,
        stage: int,
        name_id: int,
        due_s: float,
        sent_s: float,
        done_s: float,
        status: int,
        size_bytes: int,
        failure: Failure,
    ) -> None:
        """One request. Times are seconds of one clock; `status` 0 means no answer."""
        self._rows.extend((stage, name_id, due_s, sent_s, done_s, status, size_bytes, failure))

    def record_action(
        self, stage: int, name_id: int, due_s: float, begun_s: float, done_s: float, failed: bool
    ) -> None:
        """One click of a user, with all the requests it took; none when a cache answered."""
        self._rows.extend((stage, name_id, due_s, begun_s, done_s, ACTION, 0, failed))

    def record_completion(
        self, stage: int, name_id: int, asked_s: float, done_s: float, failed: bool
    ) -> None:
        """Work that was asked for at `asked_s`, and that nobody waits for."""
        self._rows.extend((stage, name_id, asked_s, asked_s, done_s, COMPLETION, 0, failed))

    def lag(self, stage: int, late_s: float) -> None:
        """Something of `stage` was begun `late_s` seconds after it was due."""
        lags = self._lags.get(stage)
        if lags is None:
            lags = self._lags[stage] = array("d")
        lags.append(late_s)

    def tally(self, stage: int) -> StageTally:
        """The tally of `stage` since the last `take`, to count in."""
        found = self._tallies.get(stage)
        if found is None:
            found = self._tallies[stage] = StageTally()
        return found

    def fold(self) -> None:
        """Add up all rows recorded so far."""
        lags, self._lags = self._lags, {}
        for stage, late_s in lags.items():
            self.tally(stage).lag.add(microseconds(np.frombuffer(late_s, dtype=np.float64)))
        if not self._rows:
            return
        rows = np.frombuffer(self._rows, dtype=np.float64).reshape(-1, WIDTH)
        self._rows = array("d")
        for stage in np.unique(rows[:, STAGE]):
            self._fold_stage(int(stage), rows[rows[:, STAGE] == stage])

    def take(self) -> dict[int, StageTally]:
        """Fold, and hand over the tallies by stage; the next ones start from nothing."""
        self.fold()
        taken, self._tallies = self._tallies, {}
        return taken

    def _fold_stage(self, stage: int, rows: Rows) -> None:
        tally = self.tally(stage)
        requests = rows[rows[:, STATUS] >= 0]
        names = {number: name for name, number in self._names.items()}
        for number in np.unique(requests[:, NAME]):
            name, own = names[int(number)], requests[requests[:, NAME] == number]
            _count(tally.endpoints.setdefault(name, EndpointTally()), own)
            if self._on_folded is not None:
                self._on_folded(name, own)
        for kind, counted in ((ACTION, tally.actions), (COMPLETION, tally.completions)):
            found = rows[rows[:, STATUS] == kind]
            for number in np.unique(found[:, NAME]):
                own = found[found[:, NAME] == number]
                _count(counted.setdefault(names[int(number)], EndpointTally()), own)
        _count_over_time(tally.seconds, requests, self._starts_s[stage], 1.0)
        if self._interval_s:
            clicks = rows[rows[:, STATUS] == ACTION]
            _count_over_time(tally.intervals, clicks, self._starts_s[stage], self._interval_s)


def microseconds(spans_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Seconds as whole microseconds; a clock's jitter below zero counts as zero."""
    rounded: NDArray[np.int64] = np.rint(np.maximum(spans_s, 0) * 1e6).astype(np.int64)
    return rounded


def _count(tally: EndpointTally, rows: Rows) -> None:
    tally.requests += len(rows)
    tally.failures += int(np.count_nonzero(rows[:, FAILED]))
    tally.response_bytes += int(rows[:, BYTES].sum())
    tally.latency.add(microseconds(rows[:, DONE_S] - rows[:, DUE_S]))
    tally.service.add(microseconds(rows[:, DONE_S] - rows[:, SENT_S]))
    for status, count in zip(*np.unique(rows[:, STATUS], return_counts=True), strict=True):
        if status >= 0:
            tally.statuses[int(status)] = tally.statuses.get(int(status), 0) + int(count)


def _count_over_time(
    tallies: dict[int, SecondTally], rows: Rows, start_s: float, width_s: float
) -> None:
    # By when it was due, not answered: a freeze then shows in the seconds that it froze.
    places = np.floor((rows[:, DUE_S] - start_s) / width_s)
    for place in np.unique(places):
        own = rows[places == place]
        total = tallies.setdefault(int(place), SecondTally())
        total.requests += len(own)
        total.failures += int(np.count_nonzero(own[:, FAILED]))
        total.latency.add(microseconds(own[:, DONE_S] - own[:, DUE_S]))
