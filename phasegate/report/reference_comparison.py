"""Two runs on the reference core: whether two machines give one answer, by their yardsticks.

Takes two `Findings`, returns values and lines; reads no file, draws nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from phasegate.report.effects import Technique
from phasegate.report.figures import Findings
from phasegate.report.format import plain, significant
from phasegate.report.headline import needed_from
from phasegate.stats.crossover import Crossover, Outcome

CLOSE = 1.25
"""What N* and times of one commit may differ by between two machines, by the yardstick."""


@dataclass(frozen=True)
class Need:
    """N* of one technique on the reference core, in both runs."""

    technique: str
    first: Crossover
    second: Crossover

    @property
    def factor(self) -> float | None:
        """Second over first; None where one of them is no estimate but a bound."""
        if self.first.users is None or self.second.users is None:
            return None
        return self.second.users / self.first.users

    @property
    def agree(self) -> bool:
        """Whether the intervals meet; an open end is as far as can be."""
        spans = [(n.low or 0.0, n.high or math.inf) for n in (self.first, self.second)]
        return max(low for low, _ in spans) <= min(high for _, high in spans)


@dataclass(frozen=True)
class OnReference:
    """What two runs say of the reference core."""

    needs: tuple[Need, ...]
    times: tuple[float, ...]
    """Old ways' times on it, second ÷ first, by technique and size."""
    no_yardstick: tuple[str, ...]
    """Runs that cannot say anything of it."""


def on_reference(first: Findings, second: Findings, *, one_machine: bool) -> OnReference:
    """The techniques that both runs measured; on one machine nothing hangs on a yardstick."""
    techniques = {t.technique: t for t in second.techniques}
    pairs = [(t, techniques[t.technique]) for t in first.techniques if t.technique in techniques]
    return OnReference(
        needs=tuple(
            Need(a.technique, a.elsewhere.reference, b.elsewhere.reference)
            for a, b in pairs
            if a.elsewhere and b.elsewhere
        ),
        times=tuple(ratio for a, b in pairs for ratio in _times(a, b)),
        no_yardstick=tuple(
            plain(f.run.run.run_id, 80)
            for f in (first, second)
            if f.techniques and not f.machine and not one_machine
        ),
    )


def _times(first: Technique, second: Technique) -> Iterator[float]:
    """The median call on the reference core, second ÷ first, at sizes that both measured."""
    one, two = (
        {
            effect.users: statistics.median(effect.comparison.before.call_ns) * factor.estimate
            for effect, factor in zip(
                t.effects, t.elsewhere.factors if t.elsewhere else (), strict=False
            )
        }
        for t in (first, second)
    )
    yield from (two[size] / one[size] for size in one if size in two)


def lines(found: OnReference) -> Iterator[str]:
    """For a terminal; nothing where the runs agree in every figure."""
    for run in found.no_yardstick:
        yield (
            f"{run} has no yardstick (older than it, or not allowed): its times and N* hold for "
            "its own machine, and are not compared."
        )
    if all(need.factor in (None, 1.0) for need in found.needs):
        return
    close = sum(1 / CLOSE <= ratio <= CLOSE for ratio in found.times)
    yield (
        f"On the reference core: {close} of {len(found.times)} times of the old way within a "
        f"factor {CLOSE:g} of each other; N*:"
    )
    for need in found.needs:
        if need.first.outcome is need.second.outcome is Outcome.ABOVE:
            continue
        factor = "" if need.factor is None else f", × {significant(need.factor, 3)}"
        meet = "" if need.agree else "; the intervals exclude each other"
        yield (
            f"  {plain(need.technique, 60)}: {needed_from(need.first)} → "
            f"{needed_from(need.second)}{factor}{meet}"
        )
