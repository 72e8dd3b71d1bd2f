"""One measuring session on one database: opened, brought to the level that the arms need, closed.

Connects to the DSN; creates what the stack's levels lack and takes it away again at the end, so
that the database is left as it was found. Collects the records of what was measured.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np

from phasegate.compare.connection import Connection
from phasegate.compare.connections import Routes, Unavailable, route_note
from phasegate.compare.cpu_affinity import Placement, is_local
from phasegate.compare.dataset import DataSet, draw_population, read_dataset
from phasegate.compare.engine import (
    BudgetTooSmall,
    Comparing,
    Turn,
    begin,
    conclude,
    measure,
    proceed,
)
from phasegate.compare.libpq import Session
from phasegate.compare.schema_level import Raised
from phasegate.compare.syntax import check_syntax
from phasegate.compare.technique import Arm, Draw, Parameters, Technique
from phasegate.compare.technique_folders import SELF_CHECK as SELF_CHECK
from phasegate.compare.technique_folders import project_here
from phasegate.compare.turns import Budget as Budget
from phasegate.compare.yardstick import Yardstick
from phasegate.model.errors import PhasegateError, Refused
from phasegate.project import Project
from phasegate.records import benchmark as record
from phasegate.stack.machine import processor_ticks, steal_share
from phasegate.stats.paired import ratio_of_logs
from phasegate.stats.self_check import redrawn

# The last techniques are not starved by slow ones before them: this is about 30 blocks of short
# statements. The self-check says what the others can find, so it has a night's share.
TECHNIQUE_S_MIN = 0.3
SELF_CHECK_S_MIN = 2.0
# Turns of each comparison, with all others' turns between them (`engine.Turn`).
TURNS = 3
SETUP_USERS_MAX = 30_000
"""Up to here a technique's set-up (an index over 1.5M rows of logs) takes less than a turn, so that
each of its turns has one; with more users it has a single turn."""
# Any number that no other program's advisory lock is likely to have: "phasegat" in ASCII.
LOCK = "select pg_try_advisory_lock($1)"
LOCK_KEY = 0x7068617365676174
# A session that was killed holds it until the server has done with its last statement.
LOCK_PATIENCE_S = 3.0
LOCK_POLL_S = 0.1


@dataclass(frozen=True)
class Arms:
    """What the engine needs besides the technique; connections are those of before and after."""

    population: Sequence[Parameters]
    callers: tuple[Connection, Connection]
    besides: tuple[Session | None, Session | None]
    """For the statement that runs beside each arm."""


def _with_routes(found: record.Comparison, technique: Technique, arms: Arms) -> record.Comparison:
    """With what a round trip of each arm takes, where something stands in between."""
    callers = dict(zip((arm.route for arm in technique.arms), arms.callers, strict=True))
    routes = (route_note(route, caller) for route, caller in callers.items())
    notes = (*found.notes, *(note for note in routes if note))
    return msgspec.structs.replace(found, notes=notes)


def checked(same: record.Comparison) -> record.SelfCheck:
    """The A/A comparison with its false alarms and power (`stats.self_check`)."""
    logs = np.log(np.array(same.after.block_ns) / np.array(same.before.block_ns))
    tally = redrawn(logs)
    return record.SelfCheck(
        same=same,
        pairs=tally.pairs,
        false_alarms=tally.false_alarms,
        injected=tally.injected,
        injections=tally.injections,
        found=tally.found,
        # Finite: the engine makes at least the six blocks that an interval needs.
        minimal_detectable=ratio_of_logs(logs).minimal_detectable,
    )


class BenchmarkSession:
    """An open session. Use as a context manager."""

    def __init__(
        self,
        dsn: str,
        *,
        users: int | None,
        sha256: str | None,
        seed: int,
        budget: Budget,
        disabled: bool,
        stay_raised: bool = False,
        settled: frozenset[str] = frozenset(),
        project: Project | None = None,
    ) -> None:
        self._dsn = dsn
        self._users = users
        self._sha256 = sha256
        self._seed = seed
        self.budget = budget
        self._disabled = disabled
        self._stay_raised = stay_raised
        self.settled = settled
        """Techniques whose N* lies below this size: their p95 here needs no bound."""
        self.rng = random.Random(seed)
        self.allowance_s = 0.0
        """Seconds that the technique being measured was given."""
        self.techniques: dict[str, Technique] = {}
        """Those that were measured."""
        self._done: dict[str, record.Comparison] = {}
        self._under_way: dict[str, Comparing] = {}
        self._planned: Sequence[Technique] = ()
        self._drawn: dict[Draw, Sequence[Parameters]] = {}
        """What techniques drew for themselves: a scan of a table, so once for all turns."""
        self.say: Callable[[str], None] = lambda _: None
        self.project = project or project_here()
        self._unmeasured: dict[str, PhasegateError] = {}
        self._skipped: dict[str, record.Skipped] = {}
        self.started_at = datetime.now(UTC).isoformat(timespec="seconds")

    def __enter__(self) -> BenchmarkSession:
        """Connect, check the data, bring the database to the level that the arms need."""
        self.caller = Connection(self._dsn)
        try:
            self.dataset: DataSet = read_dataset(
                self.caller, users=self._users, sha256=self._sha256
            )
            self._lock()
            self.population: Sequence[Parameters] = draw_population(
                self.caller, self.project, self._seed
            )
            check_syntax(self.caller, self.project)
            self._raised = Raised(self._dsn, self.caller, self.project)
        except BaseException:
            self.caller.close()
            raise
        self.placement = Placement(self._dsn)
        self.placement.take(self.caller.backend_pid)
        self.routes = Routes(self._dsn, self.caller, self.placement)
        self.yardstick = Yardstick(self.caller, random.Random(self._seed))
        self._ticks = processor_ticks() if is_local(self._dsn) else ()
        # What is there by now stays: collecting before each turn then looks at what came after it.
        gc.collect()
        gc.freeze()
        self.budget.opened()
        return self

    def _lock(self) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while self.caller.once(LOCK, str(LOCK_KEY)).column(0) != ["t"]:
            if time.monotonic() > deadline:
                raise Refused(
                    "Another benchmark is measuring this database",
                    untouched="Nothing was changed",
                    then="Wait for it to end",
                )
            time.sleep(LOCK_POLL_S)

    def __exit__(self, *_: object) -> None:
        """Take away what was created, and close; each step whatever becomes of the others."""
        gc.unfreeze()
        with ExitStack() as stack:
            if not self._stay_raised:
                stack.callback(self._raised.restore)
            else:
                stack.callback(self._raised.keep)
            stack.callback(self.caller.close)  # before that: its locks would be waited for
            stack.callback(self.placement.release)
            stack.callback(self.routes.close)

    def comparison(self, technique: Technique) -> record.Comparison:
        """Both arms of `technique` and what it costs, measured once per session.

        Raises:
            Unavailable: the machine or the server lacks what it needs.
            BudgetTooSmall: its statements take far longer than allowed.
            CannotMeasure: it could not be measured fairly.
        """
        if self._planned:
            planned, self._planned = self._planned, ()
            self._measure_in_turns(planned)
        if technique.id in self._unmeasured:  # its other arm was asked for before
            raise self._unmeasured[technique.id]
        if technique.id not in self._done:
            try:
                self._take_turn(technique, Turn(), shares=1)
            except PhasegateError as error:
                self._unmeasured[technique.id] = error
                raise
        return self._done[technique.id]

    def plan(self, techniques: Sequence[Technique], say: Callable[[str], None]) -> None:
        """Measure these in turns as soon as one of them is asked for.

        Args:
            techniques: in the order of their turns.
            say: told what is being measured.
        """
        self._planned, self.say = tuple(techniques), say

    def _measure_in_turns(self, techniques: Sequence[Technique]) -> None:
        """See `Turn`. What takes long to set up has one turn.

        A fault ends it, and the technique whose it is says so when asked for; one that is not there
        or too slow does not.
        """
        turns = [
            (technique, Turn(number, self._turns(technique)))
            for writes in (False, True)  # what is rolled back still leaves its traces
            for number in range(TURNS)
            for technique in techniques
            if bool(technique.writes) is writes and number < self._turns(technique)
        ]
        self.budget.shares = TURNS * len(techniques)
        for technique, turn in turns:
            if technique.id in self._unmeasured:
                self.budget.shares -= TURNS // turn.of
                continue
            try:
                self._take_turn(technique, turn, shares=TURNS // turn.of)
            except PhasegateError as error:
                self._unmeasured[technique.id] = error
                if not isinstance(error, (Unavailable, BudgetTooSmall)):
                    return

    def _turns(self, technique: Technique) -> int:
        sets_up = technique.setup or self._raised.lacking(technique.needs)
        once = sets_up and self.dataset.users > SETUP_USERS_MAX
        return 1 if self._disabled or once else TURNS

    def _take_turn(self, technique: Technique, turn: Turn, *, shares: int) -> None:
        """One turn, with so many shares of the budget; the last makes the record."""
        self.say(technique.id)
        floor_s = SELF_CHECK_S_MIN if technique.id == SELF_CHECK else TECHNIQUE_S_MIN
        turn_s = self.budget.allowance_s(floor_s / turn.of, shares)
        self.allowance_s = turn_s * turn.of
        with self.made_ready(technique), self.arms(technique) as arms:
            comparing = self._under_way.get(technique.id)
            if comparing is None:
                yardstick = None if self._disabled else self.yardstick
                comparing = Comparing(
                    arms.callers, arms.besides, technique, arms.population, self.rng, yardstick
                )
                begin(comparing, self.allowance_s)
                self._under_way[technique.id] = comparing
            else:
                comparing.resume(arms.besides)
            if self._disabled:
                comparing.block()
            else:
                for_p95 = technique.id not in self.settled
                objective_ms = self._objective_ms
                proceed(comparing, turn_s, turn, for_p95=for_p95, objective_ms=objective_ms)
            if not turn.last:
                return
            found = _with_routes(conclude(comparing, self.title(technique)), technique, arms)
            probes = () if self._disabled else technique.costs
            costs = tuple(cost for probe in probes for cost in probe(self))
        self._done[technique.id] = msgspec.structs.replace(found, costs=costs)
        self.techniques[technique.id] = technique

    @contextmanager
    def made_ready(self, technique: Technique) -> Iterator[None]:
        """What `technique` needs and sets up, taken back at the end.

        Raises:
            Unavailable: the server is too old for it.
            CannotMeasure: a migration fails; nothing was changed.
        """
        major = self.caller.server_major
        if major < technique.server_major_min:
            raise Unavailable(
                f"it needs PostgreSQL {technique.server_major_min}, and the server is {major}"
            )
        with ExitStack() as stack:
            self._raised.bring(technique.needs)
            if technique.setup:
                self._raised.note_setup(technique.id)
                stack.callback(self._raised.note_setup, None)
                # Teardown first: whatever a session before left behind.
                self.caller.execute(technique.teardown)
                stack.callback(self.caller.execute, technique.teardown)
                self.caller.execute(technique.setup)
            yield

    def measure_arms(self, technique: Technique, budget_s: float) -> record.Comparison:
        """The two arms alone, afresh each time."""
        with self.arms(technique) as arms:
            found = measure(
                arms.callers,
                technique,
                arms.population,
                title=self.title(technique),
                budget_s=budget_s,
                rng=self.rng,
                disabled=self._disabled,
                for_p95=False,
                besides=arms.besides,
                yardstick=None if self._disabled else self.yardstick,
            )
        return _with_routes(found, technique, arms)

    @property
    def _objective_ms(self) -> float:
        return self.project.catalogue.slo.statement_latency_ms_p95

    def title(self, technique: Technique) -> str:
        """As its folder calls it."""
        folder = self.project.techniques.get(technique.id)
        return folder.file.title if folder else technique.id

    @contextmanager
    def arms(self, technique: Technique) -> Iterator[Arms]:
        """What the engine needs to compare the arms of `technique`.

        Raises:
            Unavailable: the machine lacks a way to the server that they ask for.
        """
        population = self.population
        if technique.draw is not None:
            if technique.draw not in self._drawn:
                self._drawn[technique.draw] = technique.draw(self.caller, population)
            population = self._drawn[technique.draw]
        before, after = technique.arms
        callers = self.routes.caller(before.route), self.routes.caller(after.route)
        with ExitStack() as stack:
            if technique.writes:  # what was rolled back is still in the table
                stack.callback(self.caller.execute, f"vacuum {technique.writes}")
            yield Arms(
                population, callers, (self._beside(before, stack), self._beside(after, stack))
            )

    def _beside(self, arm: Arm, stack: ExitStack) -> Session | None:
        """A connection for what runs beside `arm`, on any core: it is load, not measured."""
        if arm.beside is None:
            return None
        session = self.routes.open(arm.beside.route, Session)
        stack.callback(session.close)
        return session

    def skip(self, technique: Technique, why: PhasegateError) -> None:
        """Note that `technique` was not measured, and what would enable it."""
        self._skipped[technique.id] = record.Skipped(
            technique=technique.id, reason=why.what, then=why.then
        )

    @property
    def comparisons(self) -> tuple[record.Comparison, ...]:
        """Of the techniques measured so far, without the self-check."""
        return tuple(found for id_, found in self._done.items() if id_ != SELF_CHECK)

    def note(self, comparison: record.Comparison) -> None:
        """Keep `comparison` in place of the one of its technique."""
        self._done[comparison.technique] = comparison

    def record(self) -> record.BenchmarkRecord:
        """Everything measured so far; a short session's yardstick is completed first."""
        self.yardstick.complete()
        same = self._done.get(SELF_CHECK)
        return record.BenchmarkRecord(
            format_version=record.BenchmarkRecord.FORMAT_VERSION,
            users=self.dataset.users,
            seed=self.dataset.seed,
            sha256=self.dataset.sha256,
            started_at=self.started_at,
            server_version=self.dataset.server_version,
            comparisons=self.comparisons,
            self_check=None if same is None or self._disabled else checked(same),
            placement=self.placement.said,
            planner_settings=self.dataset.planner_settings,
            skipped=tuple(self._skipped.values()),
            yardstick=self.yardstick.record(steal_share(self._ticks, processor_ticks())),
        )
