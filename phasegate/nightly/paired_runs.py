"""HEAD and baseline in turns: blocks of the same calls, on two copies of one data set.

Starts a process per side (`stack.remote_measure`) and makes the databases `phasegate_night_a` and
`…_b`; both are dropped at the end, also after an error. Each side brings
its copy to its own stack level.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from phasegate import seeding
from phasegate.compare.engine import BLOCK_S, HALF_WIDTH_OF_EFFECT, OVERRUN_S_MAX, WARM_UP_S_MAX
from phasegate.compare.session import SELF_CHECK, Budget
from phasegate.model.errors import CannotMeasure
from phasegate.nightly.worktrees import HEAD, Tree
from phasegate.project import load_project
from phasegate.records.night import Evidence, Ratios
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.remote_measure import Child, ChildFault, Opened
from phasegate.stats.nightly import slower, suspicious
from phasegate.stats.paired import ALARM_CONFIDENCE, ratio_of_logs

MODULES = {"sql": "phasegate.compare.sql_child", "api": "phasegate.api.api_child"}
"""What measures each room of series."""


def same_of(room: str) -> tuple[str, ...]:
    """What A/A is measured with: short statements, where the instrument's own noise shows most.

    Of the API, the first request that the project declares; none where it declares none.
    """
    if room == "sql":
        return (f"sql/{SELF_CHECK}/before",)
    return tuple(f"{room}/{id_}" for id_ in load_project().requests)[:1]


DATABASES = ("phasegate_night_a", "phasegate_night_b")

# ±1.5% at 95% is a standard error of 0.77%: a slow-down of 5% lies almost four of them above the
# bar of suspicion, and more than six above none (`stats.nightly`).
HALF_WIDTH_WANTED = 0.015

# Of one round: eight blocks are the fewest that have a 99% interval (2 · 2⁻⁸ < 1%).
BLOCKS_MIN = 8
# Of short statements as many as fill a block: asking for one costs as much as a few calls.
CALLS_PER_BLOCK_MAX = 50

# Of one round: they are kept for years.
BLOCKS_MAX = 60

# Two processes of the same program differ in speed for as long as they live, because the operating
# system places each one's memory differently. In seven pairs, APIs differed by 2 to 4% (one
# standard deviation); backends did not differ visibly, because one postmaster forks them all. So
# a series is measured in rounds of fresh processes, one after the other. Where rounds differ,
# neighbouring blocks are correlated, and the interval is widened for that (`stats.paired`).
# Blocks scattering by 5%, simulated: false alarms that confirm themselves, power to find 5% twice.
# Pairs that differ by 4%: one round 7%, 0.50; four 0.4%, 0.67 to 0.80; eight 0.04%, 0.84.
# Pairs that differ by 2%: one round 1.3%, 0.76; four 0.007%, 0.97; eight 0.000%, 1.00.
# Pairs that differ by 1%: two rounds 0.001%, 0.98.
ROUNDS = {"sql": 2, "api": 8}

# The last series are not starved by slow ones before them.
SERIES_S_MIN = 0.5

LOG_DIGITS = 5  # a hundred-thousandth is far below what any block can tell


@dataclass(frozen=True)
class Rig:
    """Where it is measured. The server holds the data set of so many users (`ensure_dataset`)."""

    server: PostgresServer
    users: int
    seed: int
    rounds: Mapping[str, int] = field(default_factory=lambda: ROUNDS)


@dataclass(frozen=True)
class Measured:
    """One series measured once. `logs` are empty where it could not be; `note` says why."""

    logs: tuple[float, ...] = ()
    """ln(HEAD ÷ baseline), one a block, round after round."""
    calls: int = 0
    """Per block."""
    head: Evidence | None = None
    baseline: Evidence | None = None
    note: str = ""
    head_ns: float = 0.0
    """Median time of HEAD's calls, over the blocks of the first round: what rules without a
    baseline compare from night to night (`instruments.nightly_validation`)."""

    @property
    def suspicious(self) -> bool:
        """Whether it is reason enough to measure again (`stats.nightly`)."""
        return bool(self.logs) and suspicious(np.array(self.logs))

    def confirmed_by(self, again: Measured) -> bool:
        """Whether both speak of a slow-down for certain (`stats.nightly`)."""
        return bool(again.logs) and slower(np.array(self.logs), np.array(again.logs))

    @property
    def ratios(self) -> Ratios | None:
        """As recorded."""
        return ratios_of(self.logs, self.calls) if self.logs else None


def ratios_of(logs: Sequence[float], calls: int) -> Ratios:
    """The record of log-ratios HEAD ÷ baseline, one a block."""
    found = ratio_of_logs(np.array(logs), ALARM_CONFIDENCE)
    return Ratios(
        logs=tuple(logs),
        calls_per_block=calls,
        estimate=found.estimate,
        low=found.low if found.low > 0 else None,
        high=found.high if math.isfinite(found.high) else None,
    )


@contextmanager
def sitting(
    rig: Rig, room: str, trees: tuple[Tree, Tree], *, swapped: bool = False
) -> Iterator[Sitting]:
    """Two fresh processes on two fresh copies of the data set: HEAD's, and what it is held against.

    Args:
        rig: server and data set.
        room: `sql` or `api`.
        trees: HEAD's, and the other.
        swapped: each side gets the copy that the other one has otherwise, so that what a copy's
            place on the disk does cannot confirm itself.

    Raises:
        ChildFault: a side does not start; `who` names it.
    """
    names = DATABASES[::-1] if swapped else DATABASES
    with ExitStack() as stack:
        children = []
        for name, tree in zip(names, trees, strict=True):
            stack.callback(seeding.drop_copy, rig.server, name)
            dsn = seeding.copy_dataset(rig.server, users=rig.users, database=name)
            child = Child(
                [tree.python, "-m", MODULES[room]],
                tree.code,
                who=tree.who,
                dsn=dsn,
                seed=rig.seed,
                project=tree.project,
            )
            stack.callback(child.close)
            children.append(child)
        opened = [child.open() for child in children]
        yield Sitting((children[0], children[1]), (opened[0], opened[1]))


class Sitting:
    """Both sides, opened; index 0 is HEAD."""

    def __init__(self, children: tuple[Child, Child], opened: tuple[Opened, Opened]) -> None:
        self._children = children
        self.series, self.baseline_series = (
            {series.id: series.name for series in each.series} for each in opened
        )
        """Names by id, of what each side can measure."""
        self._rng = random.Random()

    def measure(
        self, series: str, budget_s: float, *, calls: int = 0, half_width: float
    ) -> Measured:
        """One series, within `budget_s` or the fewest blocks that say anything.

        Args:
            series: its id.
            budget_s: seconds for the blocks.
            calls: per block; as a rehearsal finds if 0.
            half_width: of the 95% interval in logarithms, at which it stops.

        Raises:
            ChildFault: a side ended.
        """
        asked = HEAD
        try:
            for child in self._children:
                asked = child.who
                child.ask("begin", series=series)
            return self._run(budget_s, calls, half_width)
        except ChildFault:
            raise
        except CannotMeasure as error:
            why = error.what if asked == HEAD else f"{asked}: {error.what}"
            return Measured(note=f"not measured: {why}")
        finally:
            for child in self._children:
                _end(child)

    def _run(self, budget_s: float, calls: int, half_width: float) -> Measured:
        quick_s = max(float(child.ask("rehearse")) for child in self._children) / 1e9
        calls = calls or max(1, min(CALLS_PER_BLOCK_MAX, int(BLOCK_S / quick_s)))
        warm_up = quick_s < WARM_UP_S_MAX
        logs: list[float] = []
        heads_ns: list[float] = []
        evidence: list[Evidence] = []
        order = [0, 1]
        began = time.monotonic()
        check_at = BLOCKS_MIN
        while len(logs) < BLOCKS_MAX:
            number = len(logs)
            # Who goes first: each side equally often, in random order.
            order = order[::-1] if number % 2 else self._rng.sample(order, 2)
            times = {side: self._block(side, number, calls, warm_up) for side in order}
            logs.append(round(math.log(times[0] / times[1]), LOG_DIGITS))
            heads_ns.append(times[0])
            if number == 0:  # of the same calls on both sides, in the same state
                evidence = [
                    msgspec.convert(child.ask("evidence"), Evidence) for child in self._children
                ]
                began = time.monotonic()
            done, elapsed_s = len(logs), time.monotonic() - began
            if done >= check_at:
                if _narrow(logs, half_width):
                    break
                check_at = done + max(1, done // 10)  # the interval costs n² to compute
            if done >= BLOCKS_MIN and elapsed_s * (done + 1) / done > budget_s:
                break
            if done < BLOCKS_MIN and elapsed_s > budget_s + OVERRUN_S_MAX:
                raise CannotMeasure(
                    f"{done} blocks took {elapsed_s:.0f} s, and an interval needs {BLOCKS_MIN}",
                    then="Give --budget more seconds, or measure fewer series with --only",
                )
        median_ns = statistics.median(heads_ns)
        return Measured(tuple(logs), calls, evidence[0], evidence[1], head_ns=median_ns)

    def _block(self, side: int, number: int, calls: int, warm_up: bool) -> float:
        child = self._children[side]
        return float(child.ask("block", number=number, calls=calls, warm_up=warm_up))


def _end(child: Child) -> None:
    """Take a set-up back; a child that has ended has nothing to take back."""
    try:
        child.ask("end")
    except CannotMeasure:
        return


def _narrow(logs: Sequence[float], half_width: float) -> bool:
    found = ratio_of_logs(np.array(logs))
    effect = abs(math.log(found.estimate))
    return found.log_half_width <= max(half_width, HALF_WIDTH_OF_EFFECT * effect)


def measure_each(
    rig: Rig,
    room: str,
    trees: tuple[Tree, Tree],
    series: Sequence[str],
    budget_s: float,
    *,
    swapped: bool = False,
    on_open: Callable[[Sitting], None] = lambda _: None,
    on_series: Callable[[str], None] = lambda _: None,
) -> dict[str, Measured]:
    """Several series of one room, in as many rounds of fresh processes as the rig has for it.

    Args:
        rig: server, data set, rounds.
        room: `sql` or `api`.
        trees: HEAD's, and the other.
        series: ids; those that a side does not know are left out.
        budget_s: seconds for all blocks; what one series leaves of it, the next ones share.
        swapped: begins with the databases swapped; each further round swaps them again.
        on_open: given each round's sitting before anything is measured.
        on_series: told what is being measured.

    Raises:
        ChildFault: a side does not start, or ended; `who` names it.
    """
    found: dict[str, Measured] = {}
    rounds = rig.rounds[room]
    half_width = HALF_WIDTH_WANTED * math.sqrt(rounds)
    for turn in range(rounds if series else 0):
        with sitting(rig, room, trees, swapped=swapped != bool(turn % 2)) as both:
            on_open(both)
            known = [id_ for id_ in series if id_ in both.series and id_ in both.baseline_series]
            budget = Budget(budget_s / rounds, len(known))
            for id_ in known:
                on_series(id_)
                before = found.get(id_, Measured())
                if before.note:  # it could not be measured in the round before either
                    continue
                now = both.measure(
                    id_,
                    budget.allowance_s(SERIES_S_MIN),
                    calls=before.calls,
                    half_width=half_width,
                )
                logs = () if now.note else before.logs + now.logs
                found[id_] = replace(before if turn else now, logs=logs, note=now.note)
    return found
