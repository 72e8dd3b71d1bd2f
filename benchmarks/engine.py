"""The measuring engine: interleaved blocks of two arms until the interval is narrow enough.

Talks to one connection inside one running event loop; keeps nothing in the database (a block is a
transaction that is rolled back, unless the arms make requests of their own). Returns what
`records.benchmark` stores.
"""

from __future__ import annotations

import gc
import json
import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import asyncpg

import records.benchmark as record
from benchmarks.plans import Plan, explain
from benchmarks.technique import Arm, Parameters, Role, Row, Technique
from phases.errors import CannotMeasure
from stats.paired import Ratio, ratio

# A block's timed part per arm: long enough that its mean outweighs one late wake-up, short enough
# that the machine is the same for both arms of a block.
BLOCK_S = 0.02
CALLS_PER_BLOCK_MAX = 10

# Six blocks are the fewest that have a 95% interval at all (stats.paired), twelve find 5% where
# the blocks vary by 5% (FACTS §7).
BLOCKS_MIN = 6
PRECISE_BLOCKS_MIN = 12
# A p95 with an upper bound needs 72 calls (FACTS §7).
PRECISE_CALLS_MIN = 72

# Wanted: ±2.5%, which tells 5% from nothing; or a twentieth of a large effect, since nobody
# decides otherwise at 80× than at 84×. In logarithms.
HALF_WIDTH_WANTED = 0.025
HALF_WIDTH_OF_EFFECT = 0.05

# A statement so slow that six blocks take this many times their allowance is not measured on.
OVERRUN_MAX = 4.0

Stop = Literal["precise", "budget", "disabled"]


class Connection:
    """A `benchmarks.technique.Caller` on one asyncpg connection, which counts round trips."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.raw = connection
        self.round_trips = 0
        self.first: tuple[str, tuple[object, ...]] | None = None
        self._prepared: dict[str, asyncpg.prepared_stmt.PreparedStatement] = {}

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Rows of one prepared statement: one round trip, preparing it aside."""
        self.round_trips += 1
        prepared = self._prepared.get(sql)
        if prepared is None:
            prepared = self._prepared[sql] = await self.raw.prepare(sql)
        if self.first is None:
            self.first = sql, arguments
        rows: Sequence[Row] = await prepared.fetch(*arguments)
        return rows

    async def request(self, user: UUID, sql: str, *arguments: object) -> Sequence[Row]:
        """One request as the API makes it: four round trips."""
        self.round_trips += 2
        await self.raw.execute("begin")
        await self.raw.fetchval(CLAIM, *claims_of(user))
        rows = await self.fetch(sql, *arguments)
        await self.raw.execute("commit")
        self.round_trips += 1
        return rows

    def forget(self) -> None:
        """Drop prepared statements: those of another technique's objects."""
        self._prepared.clear()
        self.first = None


# PostgREST sets role and claims with one statement (FACTS §3), local to the transaction.
CLAIM = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"


def claims_of(user: UUID) -> tuple[str, str]:
    """Role and JWT claims of a signed-in user."""
    role = Role.USER.value
    return role, json.dumps({"sub": str(user), "role": role, "aud": role})


@dataclass
class _Side:
    """What one arm has given so far."""

    arm: Arm
    block_ns: list[float] = field(default_factory=list)
    call_ns: list[int] = field(default_factory=list)
    rows: int = 0
    round_trips: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Answers:
    """Of one block of one arm: a fingerprint and the number of rows per call."""

    fingerprints: tuple[int, ...]
    rows: int


async def _arranged(caller: Connection, technique: Technique, arm: Arm, user: UUID) -> None:
    """Open the block's transaction with this arm's state of affairs and rights."""
    await caller.raw.execute("begin")
    if arm.arrange:
        await caller.raw.execute(arm.arrange)
    if technique.role is Role.USER:
        await caller.raw.fetchval(CLAIM, *claims_of(user))


async def _block(
    caller: Connection, technique: Technique, side: _Side, drawn: Sequence[Parameters]
) -> _Answers:
    """Run one arm once per drawn parameters, timed; an untimed call before makes the plan anew."""
    arm, own = side.arm, not technique.requests
    answers: list[Sequence[Row]] = []
    times: list[int] = []
    if own:
        await _arranged(caller, technique, arm, drawn[0].user_id)
    try:
        await arm.body(caller, drawn[0])
        for parameters in drawn:
            if own and technique.role is Role.USER:
                await caller.raw.fetchval(CLAIM, *claims_of(parameters.user_id))
            trips = caller.round_trips
            start = time.perf_counter_ns()
            rows = await arm.body(caller, parameters)
            times.append(time.perf_counter_ns() - start)
            side.round_trips.append(caller.round_trips - trips)
            answers.append(rows)
    except asyncpg.PostgresError as error:
        raise CannotMeasure(
            f"{technique.id}: the statement of arm {arm.name!r} fails: {error}",
            untouched="Its transaction was rolled back, and nothing of it was saved",
        ) from error
    finally:
        if caller.raw.is_in_transaction():
            await caller.raw.execute("rollback")
    side.call_ns += times
    side.block_ns.append(sum(times) / len(times))
    side.rows = sum(map(len, answers))
    return _Answers(tuple(hash(tuple(map(tuple, rows))) for rows in answers), side.rows)


def _check_equal(technique: Technique, first: _Answers, second: _Answers) -> None:
    one, other = technique.before.name, technique.after.name
    if first.fingerprints != second.fingerprints:
        raise CannotMeasure(
            f"{technique.id}: the arms do not answer the same: {one!r} gave {first.rows} rows, "
            f"{other!r} gave {second.rows}"
            + (", with other contents" if first.rows == second.rows else ""),
            untouched="The comparison was not saved",
            then="Make both arms return the same rows in the same order",
        )


class Comparing:
    """Blocks of one technique, one after the other; `measure` drives it."""

    def __init__(
        self,
        caller: Connection,
        technique: Technique,
        population: Sequence[Parameters],
        rng: random.Random,
    ) -> None:
        self.caller = caller
        self.technique = technique
        self.population = population
        self.rng = rng
        self.sides = (_Side(technique.before), _Side(technique.after))
        self.calls = 1
        self._next = rng.randrange(len(population))

    def _draw(self) -> list[Parameters]:
        """The next parameters, the same for both arms of a block."""
        size = len(self.population)
        drawn = [self.population[(self._next + i) % size] for i in range(self.calls)]
        self._next = (self._next + self.calls) % size
        return drawn

    async def block(self) -> None:
        """Every arm once, in fresh random order, on the same parameters."""
        drawn = self._draw()
        answers: dict[int, _Answers] = {}
        for place in self.rng.sample(range(2), 2):
            side = self.sides[place]
            answers[place] = await _block(self.caller, self.technique, side, drawn)
        _check_equal(self.technique, answers[0], answers[1])

    async def rehearse(self) -> None:
        """One block that does not count: fills caches, makes plans, sizes the blocks to come."""
        await self.block()
        slowest_s = max(side.call_ns[-1] for side in self.sides) / 1e9
        self.calls = max(1, min(CALLS_PER_BLOCK_MAX, int(BLOCK_S / slowest_s)))
        for side in self.sides:
            side.block_ns.clear()
            side.call_ns.clear()
            side.round_trips.clear()

    @property
    def blocks(self) -> int:
        """Blocks done."""
        return len(self.sides[0].block_ns)

    def ratio(self) -> Ratio:
        """After/before so far."""
        return ratio(self.sides[0].block_ns, self.sides[1].block_ns)

    def precise(self) -> bool:
        """Whether the interval is as narrow as wanted, on enough calls for a p95."""
        if self.blocks < max(PRECISE_BLOCKS_MIN, math.ceil(PRECISE_CALLS_MIN / self.calls)):
            return False
        found = self.ratio()
        wanted = max(HALF_WIDTH_WANTED, HALF_WIDTH_OF_EFFECT * abs(math.log(found.estimate)))
        return found.log_half_width <= wanted


async def _run_blocks(comparing: Comparing, budget_s: float) -> Stop:
    """Blocks until the interval is narrow or time is up."""
    start = time.monotonic()
    check_at = PRECISE_BLOCKS_MIN
    while True:
        await comparing.block()
        done, elapsed_s = comparing.blocks, time.monotonic() - start
        if done >= check_at:
            if comparing.precise():
                return "precise"
            check_at = done + max(1, done // 10)  # the interval costs n² to compute
        if done >= BLOCKS_MIN and elapsed_s * (done + 1) / done > budget_s:
            return "budget"
        if elapsed_s > OVERRUN_MAX * budget_s and done < BLOCKS_MIN:
            raise CannotMeasure(
                f"{comparing.technique.id}: the budget of {budget_s:.1f} s is too small: "
                f"{done} blocks took {elapsed_s:.1f} s, and {BLOCKS_MIN} are the fewest that "
                "say anything",
                untouched="The comparison was not saved",
                then="Give a larger --budget",
            )


async def measure(
    caller: Connection,
    technique: Technique,
    population: Sequence[Parameters],
    *,
    title: str,
    budget_s: float,
    rng: random.Random,
    disabled: bool = False,
) -> record.Comparison:
    """Compare the two arms of `technique`.

    Args:
        caller: an idle connection of the tables' owner.
        technique: what to compare.
        population: drawn parameters, used in turn from a random start.
        title: for the record.
        budget_s: seconds for the blocks; the fewest blocks that say anything may take longer.
        rng: orders the arms within each block.
        disabled: one block only, as under --benchmark-disable.

    Raises:
        CannotMeasure: a statement fails, the arms answer differently, or the budget is too small.
    """
    caller.forget()
    comparing = Comparing(caller, technique, population, rng)
    stop: Stop = "disabled"
    await comparing.rehearse()
    plans = [await _plan(caller, technique, side.arm, population[0]) for side in comparing.sides]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        if disabled:
            await comparing.block()
        else:
            stop = await _run_blocks(comparing, budget_s)
    finally:
        if collecting:
            gc.enable()
    before, after = (
        _arm_record(side, plan, comparing.calls)
        for side, plan in zip(comparing.sides, plans, strict=True)
    )
    return record.Comparison(
        technique=technique.id, title=title, stop=stop, before=before, after=after
    )


async def _plan(
    caller: Connection, technique: Technique, arm: Arm, drawn: Parameters
) -> Plan | None:
    """The plan of the arm's first statement, in the state of affairs that its blocks see."""
    caller.first = None
    try:
        if not technique.requests:
            await _arranged(caller, technique, arm, drawn.user_id)
        await arm.body(caller, drawn)
        if caller.first is None:
            return None
        if technique.requests:
            await _arranged(caller, technique, arm, drawn.user_id)
        return await explain(caller.raw, *caller.first)
    finally:
        if caller.raw.is_in_transaction():
            await caller.raw.execute("rollback")


def _arm_record(side: _Side, plan: Plan | None, calls: int) -> record.Arm:
    return record.Arm(
        name=side.arm.name,
        sql=side.arm.sql,
        block_ns=tuple(side.block_ns),
        call_ns=tuple(side.call_ns),
        calls_per_block=calls,
        rows=side.rows,
        plan=plan.text if plan else "",
        plan_hash=plan.hash if plan else "",
        shared_buffers=plan.shared_buffers if plan else None,
        statements=round(statistics.median(side.round_trips)),
    )
