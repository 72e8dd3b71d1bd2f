"""The measuring engine: interleaved blocks of two arms until the interval is narrow enough.

Talks to a connection of libpq per arm, usually the same; keeps nothing in the database (a block is
a transaction that is rolled back, unless the arms make requests of their own). Returns what
`records.benchmark` stores.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from phasegate.compare.block import Side, run_alone, run_block, together
from phasegate.compare.connection import Connection
from phasegate.compare.libpq import Session
from phasegate.compare.p95_topup import CALLS_NEAR, CALLS_OF_A_SIZE, near, seconds_for
from phasegate.compare.plans import Plan, plan_note, plan_of
from phasegate.compare.technique import Parameters, Technique
from phasegate.compare.turns import Turn as Turn
from phasegate.compare.yardstick import Yardstick
from phasegate.model.errors import CannotMeasure
from phasegate.records import benchmark as record
from phasegate.stats.paired import Ratio, ratio

# A block's timed part per arm: short enough that the machine is the same for both arms of a block.
BLOCK_S = 0.02
CALLS_PER_BLOCK_MAX = 10

# Six blocks are the fewest with a 95% interval; twelve find an effect of 5% where the blocks vary
# by 5% (docs/method.md#comparing-two-arms).
BLOCKS_MIN = 6
PRECISE_BLOCKS_MIN = 12

# Wanted: ±2%, which finds 5% with power 0.95 at a 99% bound (stats.paired.alarms:
# (2.576 + 1.645) · 2%/1.96 = 4.3% < ln 1.05); or a twentieth of a large effect, since nobody
# decides otherwise at 80× than at 84×. In logarithms.
HALF_WIDTH_WANTED = 0.02
HALF_WIDTH_OF_EFFECT = 0.05

# A statement so slow that six blocks take this much longer than allowed is not measured on.
OVERRUN_S_MAX = 30.0

# Calls by which short statements are sized: the quickest of three was not disturbed.
REHEARSAL_CALLS = 3

# Of the time allowed: calls for a p95 that take no more are made even when it is up. Few statements
# take so long that it shows and are so quick that N* may lie there.
ALONE_SHARE = 2.0
# And of the old way, where N* lies beside this size: up to so many times its share of the time.
NEAR_SHARE = 4.0

# Above this, making the plan anew (1 ms or so) is nothing beside the call, and a warm-up doubles
# the cost.
WARM_UP_S_MAX = 0.1

# The server plans a prepared statement anew for its first five calls, and decides at the sixth
# (PostgreSQL manual, PREPARE): not in what is timed, where calls are so short that it shows.
PLANNED_CALLS = 5

Stop = Literal["precise", "budget", "disabled"]


class BudgetTooSmall(CannotMeasure):
    """Time was up long before there were blocks enough to say anything."""


class Comparing:
    """Blocks of one technique, one after the other; `measure` drives it."""

    def __init__(
        self,
        callers: tuple[Connection, Connection],
        besides: tuple[Session | None, Session | None],
        technique: Technique,
        population: Sequence[Parameters],
        rng: random.Random,
        yardstick: Yardstick | None = None,
    ) -> None:
        self.technique = technique
        self.population = population
        self.rng = rng
        self.yardstick = yardstick
        self.sides = (
            Side(technique.before, callers[0], besides[0]),
            Side(technique.after, callers[1], besides[1]),
        )
        self.calls = 1
        self.warm_up = True
        self.quickest_s = [0.0, 0.0]
        """Seconds of each arm's quickest call in the rehearsal."""
        self.plans: list[Plan | None] = []
        self.turns: list[int] = []
        """Blocks done at the end of each turn."""
        self.turn_s = 0.0
        """Seconds of a turn, had no other comparison taken more than its share."""
        self.stop: Stop = "disabled"
        self._next = rng.randrange(len(population))

    def _draw(self, calls: int) -> list[Parameters]:
        """The next parameters."""
        size = len(self.population)
        drawn = [self.population[(self._next + i) % size] for i in range(calls)]
        self._next = (self._next + calls) % size
        return drawn

    def _between(self) -> None:
        """What may be measured between two blocks."""
        if self.yardstick is not None:
            self.yardstick.between()

    def block(self) -> None:
        """Every arm once, in fresh random order, on the same parameters."""
        self._between()
        drawn = self._draw(self.calls)
        run_block(self.technique, self.sides, drawn, self.rng, warm_up=self.warm_up)

    def rehearse(self) -> None:
        """Blocks that do not count: fill caches, make plans, size the blocks to come."""
        self.warm_up = False  # this is one
        self.block()
        self.warm_up = True
        if max(side.call_ns[-1] for side in self.sides) < BLOCK_S * 1e9:
            # One call says little of a short one.
            self.calls = REHEARSAL_CALLS
            self.block()
        self.quickest_s = [min(side.call_ns[-self.calls :]) / 1e9 for side in self.sides]
        slowest_s = max(self.quickest_s)
        self.calls = max(1, min(CALLS_PER_BLOCK_MAX, int(BLOCK_S / slowest_s)))
        self.warm_up = slowest_s < WARM_UP_S_MAX
        for side in self.sides:
            side.forget()

    def resume(self, besides: tuple[Session | None, Session | None]) -> None:
        """Go on after others were measured: plans are made anew, and caches filled again."""
        for caller in {id(side.caller): side.caller for side in self.sides}.values():
            caller.forget()
        for side, beside, quickest_s in zip(self.sides, besides, self.quickest_s, strict=True):
            side.beside = beside
            if quickest_s < WARM_UP_S_MAX:  # a slow one reads more than a cache of the processor
                done = len(side.alone_ns)
                self.alone(side, PLANNED_CALLS if quickest_s < BLOCK_S else 1)
                del side.alone_ns[done:]

    def warm_up_each(self) -> None:
        """From now on, warm up each arm by what its own calls take, not by the slower one's."""
        # Where nothing is arranged the plans stay: what a turn begins with is warm-up enough.
        self.warm_up = not together(self.sides)
        for side, quickest_s in zip(self.sides, self.quickest_s, strict=True):
            side.warm_up = quickest_s < WARM_UP_S_MAX

    @property
    def blocks(self) -> int:
        """Blocks done."""
        return len(self.sides[0].block_ns)

    def ratio(self) -> Ratio:
        """After/before so far."""
        return ratio(self.sides[0].block_ns, self.sides[1].block_ns)

    def alone(self, side: Side, calls: int) -> None:
        """So many calls of one arm without the other: for its percentiles only."""
        while calls > 0:
            self._between()
            drawn = self._draw(min(CALLS_PER_BLOCK_MAX, calls))
            run_alone(self.technique, side, drawn, self.rng)
            calls -= len(drawn)

    def precise(self, turn: Turn) -> bool:
        """Whether the interval is as narrow as wanted, or on its way there."""
        found = self.ratio()
        wanted = max(HALF_WIDTH_WANTED, HALF_WIDTH_OF_EFFECT * abs(math.log(found.estimate)))
        return found.log_half_width <= wanted * math.sqrt(turn.of / (turn.number + 1))


def _run_blocks(comparing: Comparing, budget_s: float, turn: Turn) -> Stop:
    """Blocks until the interval is narrow or time is up."""
    start, before = time.monotonic(), comparing.blocks
    fewest = turn.due(BLOCKS_MIN)
    check_at = max(BLOCKS_MIN, turn.due(PRECISE_BLOCKS_MIN))
    while True:
        comparing.block()
        done, elapsed_s = comparing.blocks, time.monotonic() - start
        if done >= check_at:
            if comparing.precise(turn):
                return "precise"
            check_at = done + max(1, done // 10)  # the interval costs n² to compute
        of_next_s = elapsed_s / (done - before)
        if done >= fewest and elapsed_s + of_next_s > budget_s:
            return "budget"
        if elapsed_s > budget_s + OVERRUN_S_MAX and done < fewest:
            raise BudgetTooSmall(
                f"{comparing.technique.id}: the budget of {budget_s:.1f} s is too small: "
                f"{done} blocks took {elapsed_s:.1f} s, and an interval needs {BLOCKS_MIN}",
                untouched="The comparison was not saved",
                then="Give a larger --budget",
            )


def _check_budget(comparing: Comparing, budget_s: float) -> None:
    """Give up before minutes are spent on a plan and on blocks too few to say anything."""
    needed_s = BLOCKS_MIN * sum(comparing.quickest_s)
    if needed_s > budget_s + OVERRUN_S_MAX:
        raise BudgetTooSmall(
            f"{comparing.technique.id}: the budget of {budget_s:.1f} s is too small: the "
            f"{BLOCKS_MIN} blocks that an interval needs would take {needed_s:.0f} s",
            untouched="The comparison was not saved",
            then="Give a larger --budget",
        )


def _run_alone(
    comparing: Comparing, budget_s: float, left_s: float, turn: Turn, objective_ms: float
) -> None:
    """The turn's share of the calls that a p95 lacks.

    Where N* lies beside this size as many as there is time for, elsewhere all of them or none.
    """
    deadline = time.monotonic() + left_s
    for side in sorted(comparing.sides, key=lambda side: side.call_ns[-1]):
        matters = side is comparing.sides[0] and near(side.call_ns, objective_ms)
        wanted = CALLS_NEAR if matters else CALLS_OF_A_SIZE
        missing = turn.due(wanted) - len(side.call_ns) - len(side.alone_ns)
        allowed_s = max(deadline - time.monotonic(), budget_s * ALONE_SHARE)
        if matters:
            allowed_s = max(allowed_s, comparing.turn_s * NEAR_SHARE)
            missing = min(missing, int(allowed_s / seconds_for(side.call_ns, 1)))
        if missing > 0 and seconds_for(side.call_ns, missing) <= allowed_s:
            comparing.alone(side, missing)


def measure(
    callers: tuple[Connection, Connection],
    technique: Technique,
    population: Sequence[Parameters],
    *,
    title: str,
    budget_s: float,
    rng: random.Random,
    disabled: bool = False,
    for_p95: bool = True,
    objective_ms: float = math.inf,
    besides: tuple[Session | None, Session | None] = (None, None),
    yardstick: Yardstick | None = None,
) -> record.Comparison:
    """Compare the two arms of `technique`, in one turn.

    Args:
        callers: idle connections of the tables' owner, for before and after; may be one.
        technique: what to compare.
        population: drawn parameters, used in turn from a random start.
        title: for the record.
        budget_s: seconds for the blocks, and then for the calls that a p95 lacks; the fewest blocks
            that say anything may take longer.
        rng: orders the arms within each block.
        disabled: one block only, as under --benchmark-disable.
        for_p95: whether to make the calls that a p95 lacks.
        objective_ms: of the old way's p95: beside it more calls are made.
        besides: where the statements beside the arms run; None where there is none.
        yardstick: asked between the blocks; None leaves it out.

    Raises:
        CannotMeasure: a statement fails, or the arms answer differently.
        BudgetTooSmall: six blocks would take far longer than allowed.
    """
    comparing = Comparing(callers, besides, technique, population, rng, yardstick)
    begin(comparing, math.inf if disabled else budget_s)
    if disabled:
        comparing.block()
    else:
        proceed(comparing, budget_s, Turn(), for_p95=for_p95, objective_ms=objective_ms)
    return conclude(comparing, title)


def begin(comparing: Comparing, budget_s: float) -> None:
    """Rehearse, and note the plans. `budget_s` are seconds for all turns together.

    Raises:
        CannotMeasure: a statement fails, or the arms answer differently.
        BudgetTooSmall: six blocks would take far longer than allowed.
    """
    for side in comparing.sides:
        side.caller.forget()
    comparing.rehearse()
    comparing.warm_up_each()
    _check_budget(comparing, budget_s)
    comparing.plans = [plan_of(comparing.technique, side) for side in comparing.sides]


def proceed(
    comparing: Comparing, budget_s: float, turn: Turn, *, for_p95: bool, objective_ms: float
) -> None:
    """One turn of at most `budget_s` seconds, or of its share of the fewest blocks.

    The calls that N* rests on may take longer (`NEAR_SHARE`).

    Raises:
        CannotMeasure: a statement fails, or the arms answer differently.
        BudgetTooSmall: the blocks take far longer than allowed.
    """
    with _without_collections():
        start = time.monotonic()
        comparing.turn_s = max(comparing.turn_s, budget_s)
        comparing.stop = _run_blocks(comparing, budget_s, turn)
        if for_p95:
            left_s = start + budget_s - time.monotonic()
            _run_alone(comparing, budget_s, left_s, turn, objective_ms)
    comparing.turns.append(comparing.blocks)


def conclude(comparing: Comparing, title: str) -> record.Comparison:
    """The record of all turns, with what a reader must know of the plans.

    Raises:
        CannotMeasure: a statement fails.
    """
    technique, sides = (
        comparing.technique,
        tuple(zip(comparing.sides, comparing.plans, strict=True)),
    )
    notes = [plan_note(technique, side, plan) for side, plan in sides]
    before, after = (_arm_record(side, plan, comparing.calls) for side, plan in sides)
    return record.Comparison(
        technique=technique.id,
        title=title,
        stop=comparing.stop,
        before=before,
        after=after,
        turns=tuple(comparing.turns),
        notes=tuple(note for note in notes if note),
    )


def call_before(
    callers: tuple[Connection, Connection],
    technique: Technique,
    population: Sequence[Parameters],
    calls: int,
    *,
    rng: random.Random,
    besides: tuple[Session | None, Session | None] = (None, None),
) -> tuple[int, ...]:
    """Times of so many calls of the arm "before" alone, in ns: for its p95.

    Raises:
        CannotMeasure: a statement fails.
    """
    callers[0].forget()
    comparing = Comparing(callers, besides, technique, population, rng)
    side, _ = comparing.sides
    with _without_collections():
        comparing.alone(side, 1)  # fills caches, makes plans
        side.warm_up = side.alone_ns.pop() / 1e9 < WARM_UP_S_MAX
        comparing.alone(side, calls)
    return tuple(side.alone_ns)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Python's garbage is collected before and after, not meanwhile."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _arm_record(side: Side, plan: Plan | None, calls: int) -> record.Arm:
    return record.Arm(
        name=side.arm.name,
        sql=side.arm.sql,
        block_ns=tuple(side.block_ns),
        call_ns=tuple(side.call_ns),
        alone_ns=tuple(side.alone_ns),
        calls_per_block=calls,
        rows=side.rows,
        plan=plan.text if plan else "",
        plan_hash=plan.hash if plan else "",
        shared_buffers=plan.shared_buffers if plan else None,
        statements=round(statistics.median(side.round_trips)),
        delay_ms=side.arm.route.delay_ms,
    )
