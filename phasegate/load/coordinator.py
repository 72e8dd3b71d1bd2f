"""The master's part of a test: leases the load to workers, adds up their reports, writes records.

A local run is a master with one worker in the same process. Writes `<out>/<stage>.json`,
and never over one that is there.

Every worker gets a slot, and sends a last report of its own accord or when told to end. A worker
whose last report does not come is lost, and what was measured is marked so.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.event import Event

from phasegate.load.counters import StageTally
from phasegate.load.generator import DRAIN_S, start_delay_s
from phasegate.load.settings import LoadSettings
from phasegate.load.summary import record_of
from phasegate.load.validity import HOPELESS_ANSWERS_MIN, hopeless
from phasegate.model.catalogue import Workload
from phasegate.records import store
from phasegate.records.load import LoadRecord

log = logging.getLogger("phasegate.load")

# Over and above the drain: the removal of rows, and the way of the last report.
LAST_REPORT_GRACE_S = 10.0

POLL_S = 0.1


class Coordinator:
    """One test.

    Args:
        settings: what to do, checked.
        workload: for the modelled rate in the record.
        workers: the ids of the generator processes.
        is_missing: whether a worker stopped sending heartbeats.
        requests_sent: before the load, of the budget.
    """

    def __init__(
        self,
        settings: LoadSettings,
        workload: Workload,
        workers: Sequence[str],
        is_missing: Callable[[str], bool],
        requests_sent: int = 0,
    ) -> None:
        self._settings = settings
        self._workload = workload
        self._workers = tuple(workers)
        self._is_missing = is_missing
        self._requests_sent = requests_sent
        self._last_from: set[str] = set()
        self._tallies: dict[int, StageTally] = {}
        self._started_s = time.monotonic() + start_delay_s(settings)
        self._started_at = datetime.now(UTC)
        self._ended_s: float | None = None
        self._done = Event()
        self.records: tuple[LoadRecord, ...] = ()
        # What went well for long does not hide that nothing does any more.
        self._recent = StageTally()
        self.hopeless = ""
        """Why the test may as well end; empty while something can come of it."""

    def lease(self, worker: str) -> dict[str, Any]:
        """What `worker` is told before it starts."""
        return {
            "slot": self._workers.index(worker),
            "slots": len(self._workers),
            "requests_sent": self._requests_sent,
        }

    def add(self, worker: str, encoded: bytes, *, last: bool) -> None:
        """Count a report of `worker`."""
        if worker not in self._workers:
            return
        for stage, tally in msgspec.msgpack.decode(encoded, type=dict[int, StageTally]).items():
            total = self._tallies.setdefault(stage, StageTally())
            total.merge(tally)
            self._recent.merge(tally)
            self.hopeless = self.hopeless or hopeless(total) or hopeless(self._recent)
            if sum(self._recent.statuses.values()) >= HOPELESS_ANSWERS_MIN:
                self._recent = StageTally()
        if last:
            self._last_from.add(worker)

    @property
    def is_open(self) -> bool:
        """Whether sessions arrive whatever the server does."""
        return self._settings.is_open

    @property
    def missing(self) -> tuple[str, ...]:
        """Workers whose last report is not there."""
        return tuple(worker for worker in self._workers if worker not in self._last_from)

    @property
    def is_under_way(self) -> bool:
        """Whether a last report is still to come."""
        return any(not self._is_missing(worker) for worker in self.missing)

    def wait(self) -> None:
        """Return when every worker has sent its last report, or is lost."""
        while self.is_under_way:
            gevent.sleep(POLL_S)

    def mark_end(self) -> None:
        """The test is being stopped now: stages that are not over yet end here."""
        if self._ended_s is None:
            self._ended_s = time.monotonic()

    def end(self) -> None:
        """The test is being stopped: wait for the last reports, but not for ever."""
        self.mark_end()
        with gevent.Timeout(DRAIN_S + LAST_REPORT_GRACE_S, exception=False):
            self.wait()

    def _begun_at(self, begun_s: float) -> str:
        """When the stage began that lies so long after the first one; ISO 8601, UTC."""
        delay_s = start_delay_s(self._settings)
        return (self._started_at + timedelta(seconds=delay_s + begun_s)).isoformat(
            timespec="milliseconds"
        )

    def finish(self) -> tuple[LoadRecord, ...]:
        """Write and return the records; again and again the same."""
        if self._done.is_set():
            return self.records
        self._done.set()
        lasted_s = max((self._ended_s or time.monotonic()) - self._started_s, 0.0)
        begun_s, records = 0.0, []
        for number, stage in enumerate(self._settings.stages):
            left_s = max(lasted_s - begun_s, 0.0)
            recorded = not (self._settings.warm_up and number == 0)
            if recorded and (left_s > 0 or number in self._tallies):
                records.append(
                    record_of(
                        stage,
                        self._tallies.get(number, StageTally()),
                        self._settings,
                        self._workload,
                        started_at=self._started_at.isoformat(timespec="milliseconds"),
                        begun_at=self._begun_at(begun_s),
                        lasted_s=min(stage.duration_s, left_s),
                        workers=len(self._workers),
                        workers_lost=len(self.missing),
                    )
                )
            begun_s += stage.duration_s
        self.records = tuple(records)
        if self._settings.out is not None:
            self.records = tuple(_written(self._settings.out, record) for record in self.records)
        return self.records


def _written(folder: Path, record: LoadRecord) -> LoadRecord:
    """Write `record` into `folder` and return it; its stage gets a number where the name is taken.

    What an earlier test measured stays: the web UI starts one test after the other.
    """
    stage = record.stage
    for number in itertools.count(2):
        if not (folder / f"{stage}.json").exists():
            break
        stage = f"{record.stage}-{number}"
    if stage != record.stage:
        log.info("%s has a record of stage %s: this one is %s", folder, record.stage, stage)
        record = msgspec.structs.replace(record, stage=stage)
    store.write(folder / f"{stage}.json", record)
    return record
