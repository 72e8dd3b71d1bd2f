"""The engine's own fixed statements, asked between the blocks: how fast the machine is meanwhile.

Makes a temporary table over the session's connection (`sql/yardstick/`), which ends with it; reads
no table of the app's. Returns what `records.benchmark` stores. Rounds come at random moments, and
take a small share of the time, so that what they say holds for what was measured beside them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from phasegate.compare.connection import Connection
from phasegate.compare.libpq import StatementError
from phasegate.model.yardstick import COMMIT, KINDS, ROUND_TRIP
from phasegate.records import benchmark as record

FOLDER = Path(__file__).with_name("sql") / "yardstick"

# Of a session's measuring. A round takes 10 ms or so: 40 of them in the 13 s of the smallest size.
SHARE = 0.025

# A session of few and short comparisons ends with as many as a speed needs with an interval that
# says something (`stats.yardstick.speed`): a fifth of a second.
ROUNDS_WANTED = 20

# One round trip is shorter than a wake-up of the scheduler.
ROUND_TRIPS = 10


def _sql(name: str) -> str:
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


@dataclass
class Yardstick:
    """The yardstick of one session; made in the database when it is first asked.

    Attributes:
        caller: the session's direct connection.
        rng: of the moments.
        clock: seconds, as `time.monotonic`.
    """

    caller: Connection
    rng: random.Random
    clock: Callable[[], float] = time.monotonic
    at_s: list[float] = field(default_factory=list)
    times_ns: dict[str, list[int]] = field(default_factory=dict)
    missing: str = ""
    """Why there is none; empty where there is one."""
    _kinds: dict[str, str] = field(default_factory=dict)
    _began_s: float = 0.0
    _due_s: float | None = None

    def between(self) -> None:
        """A round, if one is due: to be called between blocks, with no transaction open."""
        if self.missing:
            return
        if self._due_s is None:
            self._begin()
        elif self.clock() >= self._due_s:
            self._round()

    def _begin(self) -> None:
        try:
            self.caller.execute(_sql("create"))
        except StatementError as error:  # no right to make temporary tables
            self.caller.rollback()
            self.missing = error.what
            return
        self._kinds = {kind: _sql(kind.replace(" ", "_").replace("-", "_")) for kind in KINDS}
        self._round()  # fills caches
        self.at_s.clear()
        self.times_ns.clear()
        self._began_s = self.clock()
        self._round()

    def _round(self) -> None:
        start_s = self.clock()
        self.at_s.append(round(start_s - self._began_s, 3))
        for kind, sql in self._kinds.items():
            self.times_ns.setdefault(kind, []).append(self._timed(kind, sql))
        end_s = self.clock()
        # Moments of a Poisson process see a machine as it is on average.
        self._due_s = end_s + self.rng.expovariate(SHARE / max(end_s - start_s, 1e-6))

    def _timed(self, kind: str, sql: str) -> int:
        caller = self.caller
        if kind == COMMIT:
            caller.execute("begin")
            caller.execute(sql)
            sql = "commit"
        start_ns = caller.busy_ns
        calls = ROUND_TRIPS if kind == ROUND_TRIP else 1
        for _ in range(calls):
            caller.execute(sql)
        return (caller.busy_ns - start_ns) // calls

    def complete(self) -> None:
        """The rounds that a short session lacks; nothing where none was begun."""
        while self.at_s and len(self.at_s) < ROUNDS_WANTED:
            self._round()

    def record(self, steal_share: float | None) -> record.Yardstick | None:
        """What was measured; None where nothing was.

        Args:
            steal_share: of the processors' time during the session, taken by the hypervisor.
        """
        if not self.at_s:
            return None
        return record.Yardstick(
            at_s=tuple(self.at_s),
            times_ns={kind: tuple(times) for kind, times in self.times_ns.items()},
            steal_share=steal_share,
        )
