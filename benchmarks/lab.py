"""One measuring session on one database: opened, brought to the level that the arms need, closed.

Connects to the DSN; creates what the stack's levels lack and takes it away again at the end, so
that the database is left as it was found. Collects the records of what was measured.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import msgspec

import records.benchmark as record
from benchmarks.connection import Connection
from benchmarks.dataset import DataSet, draw_population, read_dataset
from benchmarks.engine import measure
from benchmarks.routes import Routes, Unavailable, round_trip_ms
from benchmarks.technique import Parameters, Route, Technique, Via, sql_of
from phases.catalogue import load
from phases.errors import Refused
from stack.database import connected
from stack.levels import bring_to_level, current_level

T = TypeVar("T")

# The arms take away what they compare against, so everything must be there first.
FULL_LEVEL = 3
# Any number that no other program's advisory lock is likely to have: "phasegat" in ASCII.
LOCK_KEY = 0x7068617365676174


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop as fast as the platform has: uvloop's, or asyncio's own on Windows."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # no wheel for Windows

    return uvloop.new_event_loop()


@dataclass
class Budget:
    """Seconds for all techniques together; what one leaves over, the next ones share."""

    total_s: float
    techniques: int
    _start: float = field(default_factory=time.monotonic)

    def allowance_s(self) -> float:
        """For the next technique, which it counts as taken."""
        remaining = max(0.0, self.total_s - (time.monotonic() - self._start))
        share = remaining / max(1, self.techniques)
        self.techniques -= 1
        return share


async def _route_note(route: Route, caller: Connection) -> str:
    """What a round trip really takes where something stands in between."""
    if route.via is Via.NOTHING:
        return ""
    took_ms = await round_trip_ms(caller)
    wanted = f" for {route.delay_ms:g} ms added" if route.via is Via.PROXY else ""
    return f"a round trip through the {route.via.value} takes {took_ms:.2f} ms{wanted}"


class Lab:
    """An open session. Use as a context manager."""

    def __init__(
        self, dsn: str, *, users: int | None, seed: int, budget: Budget, disabled: bool
    ) -> None:
        self._dsn = dsn
        self._users = users
        self._seed = seed
        self._budget = budget
        self._disabled = disabled
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self._rng = random.Random(seed)
        self._done: dict[str, record.Comparison] = {}
        self._titles = {entry.id: entry.title for entry in load().techniques}
        self._skipped: dict[str, record.Skipped] = {}
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def __enter__(self) -> Lab:
        """Connect, check the data, bring the database to the level that the arms need."""
        try:
            self._open()
        except BaseException:
            self._runner.close()
            raise
        return self

    def _open(self) -> None:
        self._level = current_level(self._dsn)
        self._context = connected(self._dsn)
        self.raw: asyncpg.Connection = self.run(self._context.__aenter__())
        self.caller = Connection(self.raw, self._dsn)
        self.routes = Routes(self._dsn, self.caller)
        self.dataset: DataSet = self.run(read_dataset(self.raw, users=self._users))
        self.run(self._lock())
        self.run(bring_to_level(self.raw, FULL_LEVEL))
        self.population: Sequence[Parameters] = self.run(draw_population(self.raw, self._seed))

    async def _lock(self) -> None:
        if not await self.raw.fetchval("select pg_try_advisory_lock($1)", LOCK_KEY):
            raise Refused(
                "Another benchmark is measuring this database",
                untouched="Nothing was changed",
                then="Wait for it to end",
            )

    def __exit__(self, *_: object) -> None:
        """Take away what was created, and close."""
        try:
            if self._level != FULL_LEVEL:
                self.run(bring_to_level(self.raw, self._level))
            self.run(self.routes.close())
            self.run(self._context.__aexit__(None, None, None))
        finally:
            self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, in the session's one event loop."""
        return self._runner.run(work)

    def comparison(self, technique: Technique) -> record.Comparison:
        """Both arms of `technique` and what it costs, measured once per session.

        Raises:
            Unavailable: the machine or the server lacks what it needs.
            CannotMeasure: it could not be measured fairly.
        """
        if technique.id not in self._done:
            self._done[technique.id] = self.run(self._measure(technique))
        return self._done[technique.id]

    async def _measure(self, technique: Technique) -> record.Comparison:
        self._allowance_s = self._budget.allowance_s()
        major = self.raw.get_server_version().major
        if major < technique.server_major_min:
            raise Unavailable(
                f"it needs PostgreSQL {technique.server_major_min}, and the server is {major}"
            )
        try:
            for name in technique.setup:
                await self._script(technique, name)
            found = await self.measure_arms(technique)
            costs = [cost for probe in technique.costs for cost in await probe(self)]
        finally:
            for name in technique.teardown:
                await self._script(technique, name)
        return msgspec.structs.replace(found, costs=tuple(costs))

    async def _script(self, technique: Technique, name: str) -> None:
        await self.raw.execute(sql_of(technique.id, name))

    async def measure_arms(self, technique: Technique, share: float = 1.0) -> record.Comparison:
        """The two arms alone, within `share` of the present allowance."""
        population = self.population
        if technique.draw is not None:
            population = await technique.draw(self.raw, population)
        before = await self.routes.caller(technique.before.route)
        after = await self.routes.caller(technique.after.route)
        try:
            found = await measure(
                (before, after),
                technique,
                population,
                title=self._titles.get(technique.id, technique.id),
                budget_s=self._allowance_s * share,
                rng=self._rng,
                disabled=self._disabled,
            )
        finally:
            if technique.writes:  # what was rolled back is still in the table
                await self.raw.execute(f"vacuum {technique.writes}")
        notes = [
            await _route_note(arm.route, caller)
            for arm, caller in ((technique.before, before), (technique.after, after))
        ]
        return msgspec.structs.replace(
            found, notes=tuple(dict.fromkeys(note for note in notes if note))
        )

    def skip(self, technique: Technique, why: Unavailable) -> None:
        """Note that `technique` was not measured, and what would enable it."""
        self._skipped[technique.id] = record.Skipped(
            technique=technique.id, reason=why.what, then=why.then
        )

    def record(self) -> record.BenchmarkRecord:
        """Everything measured so far."""
        return record.BenchmarkRecord(
            format_version=record.BenchmarkRecord.FORMAT_VERSION,
            users=self.dataset.users,
            seed=self.dataset.seed,
            sha256=self.dataset.sha256,
            started_at=self.started_at,
            server_version=self.dataset.server_version,
            comparisons=tuple(self._done.values()),
            skipped=tuple(self._skipped.values()),
        )
