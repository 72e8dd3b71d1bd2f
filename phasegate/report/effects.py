"""What each technique does, size by size, and what that means for the one who decides.

Takes benchmark records and the catalogue's SLO, returns values; reads no file, draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from phasegate.model.catalogue import Catalogue
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison
from phasegate.report.yardstick import Elsewhere, elsewhere
from phasegate.stats.borrowed_tail import LENDER_CALLS_MIN, nearest, tail_of
from phasegate.stats.crossover import SIZE_DEVIATION, Crossover, Need, Size, crossover, need
from phasegate.stats.paired import (
    ComparisonResult,
    Ratio,
    between_runs,
    judge,
    ratio,
    turn_deviation,
    turn_spread,
)
from phasegate.stats.quantile import p95_bounds

Bounds = tuple[float, float]
"""Of an interval; the upper one is infinite where there are too few calls for one."""

Outcome = Literal["helps", "slower", "same", "cannot tell"]
Advice = Literal["needed", "not needed yet", "slower", "no difference", "cannot tell"]


@dataclass(frozen=True)
class Effect:
    """One technique at one size."""

    users: int
    ratio: Ratio | None
    """After/before with its interval; None where there were too few blocks for one."""
    outcome: Outcome
    before_ms_p95: float
    after_ms_p95: float
    before_ms_p95_bounds: Bounds
    """Of the 95% interval, whatever the distribution (`stats.quantile`)."""
    after_ms_p95_bounds: Bounds
    calls: int
    """Of the arm with fewer calls."""
    comparison: Comparison
    plan_changed: bool
    """Whether an arm's plan has another shape than at the size below."""

    @property
    def source(self) -> str:
        """The file that all of this comes from."""
        return f"bench/{self.users}.json"


@dataclass(frozen=True)
class Technique:
    """One technique over all sizes, and the advice that follows."""

    technique: str
    title: str
    effects: tuple[Effect, ...]
    advice: Advice
    helps_from: int | None
    """Smallest measured size from which it helps at every larger one too; None: at none."""
    crossed: Crossover | None
    """N*, where `before` breaks the SLO; None where nothing was timed."""
    slo_ms_p95: float
    """What N* was found against."""
    elsewhere: Elsewhere | None = None
    """N* on the reference core and the compute sizes; None where no yardstick was measured."""
    sizes: tuple[Size, ...] = ()
    """What N* was found from: the old way at each size."""

    @property
    def largest(self) -> Effect:
        """Its effect at the largest size measured: what the advice rests on."""
        return self.effects[-1]

    @property
    def enough(self) -> bool:
        """Whether the p95 after it keeps the SLO at the largest size."""
        return self.largest.after_ms_p95 <= self.slo_ms_p95


_WORDS: dict[ComparisonResult, Outcome] = {
    ComparisonResult.IMPROVED: "helps",
    ComparisonResult.REGRESSED: "slower",
    ComparisonResult.NO_CHANGE: "same",
    ComparisonResult.CANNOT_TELL: "cannot tell",
}


def outcome_of(found: Ratio | None, within: Ratio | None = None) -> Outcome:
    """The word for an interval of after/before; `stats.paired.judge` decides."""
    return "cannot tell" if found is None else _WORDS[judge(found, within=within)]


def advice_of(needed: Need, last: Outcome) -> Advice:
    """What to do: `needed` from N* and the ratios, `last` the outcome at the largest size.

    A technique that is not needed yet is still told apart by whether it would help at all.
    """
    if needed in (Need.FROM, Need.ALREADY):
        return "needed"
    if needed is Need.HARMFUL:
        return "slower"
    if needed is Need.CANNOT_TELL:
        return "cannot tell"
    words: dict[Outcome, Advice] = {
        "helps": "not needed yet",
        "slower": "slower",
        "same": "no difference",
        "cannot tell": "cannot tell",
    }
    return words[last]


def sizes_of(effects: Sequence[Effect]) -> list[Size]:
    """The arm `before` at each size; empty where it was not timed at one of them."""
    sizes = []
    for effect in effects:
        arm = effect.comparison.before
        calls = np.array(arm.call_ns, dtype=float) / 1e6
        blocks = len(calls) // max(arm.calls_per_block, 1)
        if blocks == 0:
            return []
        rows = calls[: blocks * arm.calls_per_block].reshape(blocks, arm.calls_per_block)
        alone = np.array(arm.alone_ns, dtype=float) / 1e6
        size = Size(users=effect.users, blocks_ms=rows, plan=arm.plan_hash, alone_ms=alone)
        sizes.append(size)
    return sizes


def _calls_ms(arm: Arm) -> np.ndarray:
    """Every timed call; of a record without them the blocks, so that there is something."""
    return np.array(arm.call_ns + arm.alone_ns or arm.block_ns, dtype=float) / 1e6


def _p95_ms(arm: Arm) -> float:
    samples = _calls_ms(arm)
    return float(np.percentile(samples, 95)) if samples.size else float("nan")


def _bounds_ms(arm: Arm) -> Bounds:
    samples = _calls_ms(arm)
    return p95_bounds(samples) if samples.size else (0.0, math.inf)


LIKE_SLO = 10.0
"""Statements at most so many times longer or shorter than the objective say how times wander."""


@dataclass(frozen=True)
class _Turns:
    """What the turns of a run's comparisons say of its day (`stats.paired.turn_deviation`)."""

    of_ratio: float
    of_time: float

    @classmethod
    def of(cls, records: Sequence[BenchmarkRecord], slo_ms: float) -> _Turns:
        ratios, times = [], []
        for comparison in (each for record in records for each in record.comparisons):
            before, after = (
                np.log(np.array(arm.block_ns)) for arm in (comparison.before, comparison.after)
            )
            ratios.append(turn_spread(after - before, comparison.turns))
            if abs(float(np.median(before)) - math.log(slo_ms * 1e6)) < math.log(LIKE_SLO):
                times.append(turn_spread(before, comparison.turns))
        return cls(*(turn_deviation([each for each in found if each]) for found in (ratios, times)))

    def deviation(self, comparison: Comparison) -> float:
        """Of the logarithm of its old way's time between runs, by itself."""
        if not comparison.turns:  # of an older record
            return SIZE_DEVIATION
        return self.of_time / math.sqrt(len(comparison.turns))


def _ratio_of(comparison: Comparison) -> Ratio | None:
    if comparison.stop == "disabled" or not comparison.before.block_ns:
        return None
    found = ratio(comparison.before.block_ns, comparison.after.block_ns)
    return None if math.isinf(found.high) else found


def _effect(users: int, comparison: Comparison, below: Effect | None, turns: _Turns) -> Effect:
    within = _ratio_of(comparison)
    found = within and between_runs(within, max(len(comparison.turns), 1), turns.of_ratio)
    previous = below.comparison if below else None
    return Effect(
        users=users,
        ratio=found,
        outcome=outcome_of(found, within),
        before_ms_p95=_p95_ms(comparison.before),
        after_ms_p95=_p95_ms(comparison.after),
        before_ms_p95_bounds=_bounds_ms(comparison.before),
        after_ms_p95_bounds=_bounds_ms(comparison.after),
        calls=min(
            len(arm.call_ns) + len(arm.alone_ns) for arm in (comparison.before, comparison.after)
        ),
        comparison=comparison,
        plan_changed=previous is not None
        and (previous.before.plan_hash, previous.after.plan_hash)
        != (comparison.before.plan_hash, comparison.after.plan_hash),
    )


def _helps_from(effects: list[Effect]) -> int | None:
    found = None
    for effect in reversed(effects):
        if effect.outcome != "helps":
            break
        found = effect.users
    return found


def techniques(
    records: Iterable[BenchmarkRecord], slo_ms_p95: float, catalogue: Catalogue | None = None
) -> tuple[Technique, ...]:
    """Every technique of `records` (one record a size), in the order first met.

    Args:
        records: ascending in size.
        slo_ms_p95: what a statement may take; `before` beyond it makes a technique needed.
        catalogue: the cores that N* is found on as well; None: on this machine alone.
    """
    by_name: dict[str, list[Effect]] = {}
    titles: dict[str, str] = {}
    yardsticks = {}
    known = tuple(records)
    turns = _Turns.of(known, slo_ms_p95)
    for record in known:
        yardsticks[record.users] = record.yardstick
        for comparison in record.comparisons:
            effects = by_name.setdefault(comparison.technique, [])
            below = effects[-1] if effects else None
            effects.append(_effect(record.users, comparison, below, turns))
            titles[comparison.technique] = comparison.title
    lenders = list(_lenders(by_name))
    found = []
    for name, effects in by_name.items():
        others = [(median, tail) for lender, median, tail in lenders if lender != name]
        sizes = [
            replace(
                size,
                tails=nearest(size.median_ms, others),
                deviation=turns.deviation(effect.comparison),
            )
            for size, effect in zip(sizes_of(effects), effects, strict=False)
        ]
        other = None
        if sizes and catalogue is not None:
            arms = [effect.comparison.before for effect in effects]
            beside = [yardsticks[effect.users] for effect in effects]
            other = elsewhere(sizes, arms, beside, catalogue, slo_ms_p95)
        found.append(_technique(name, titles[name], effects, sizes, slo_ms_p95, other))
    return tuple(found)


def _lenders(by_name: Mapping[str, list[Effect]]) -> Iterator[tuple[str, float, np.ndarray]]:
    """Technique, median in ms and tail of each statement that says something of others' p95."""
    for name, effects in by_name.items():
        for size, effect in zip(sizes_of(effects), effects, strict=False):
            waits = effect.comparison.before.delay_ms  # a network's tail is no machine's
            if size.calls_ms.size >= LENDER_CALLS_MIN and not waits:
                yield name, size.median_ms, tail_of(size.calls_ms)


def _technique(
    name: str,
    title: str,
    effects: list[Effect],
    sizes: list[Size],
    slo_ms_p95: float,
    other: Elsewhere | None,
) -> Technique:
    crossed = crossover(sizes, slo_ms_p95) if sizes else None
    known = [(effect.users, effect.ratio) for effect in effects if effect.ratio is not None]
    needed = need(crossed, known) if crossed and known else Need.CANNOT_TELL
    return Technique(
        technique=name,
        title=title,
        effects=tuple(effects),
        advice=advice_of(needed, effects[-1].outcome),
        helps_from=_helps_from(effects),
        crossed=crossed,
        slo_ms_p95=slo_ms_p95,
        elsewhere=other,
        sizes=tuple(sizes),
    )
