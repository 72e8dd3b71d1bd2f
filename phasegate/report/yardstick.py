"""How fast the machine was against the reference core, and what N* is on other cores.

Takes benchmark records and the catalogue, returns values; reads no file, draws nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phasegate.model.catalogue import Catalogue, Reference
from phasegate.model.plan_work import work_of
from phasegate.model.prices import Compute
from phasegate.model.verdict import STEAL_SHARE_MAX
from phasegate.model.yardstick import NETWORK, OTHER, ROUND_TRIP, WORK
from phasegate.records.benchmark import Arm, BenchmarkRecord, Yardstick
from phasegate.report.format import listed, milliseconds, rounded, significant, users
from phasegate.stats.crossover import Crossover, Size, p95s_of
from phasegate.stats.yardstick import (
    BUSY_SHARE_MAX,
    ROUNDS_MIN,
    WAITING,
    WANDER_MAX,
    Speed,
    any_of,
    blended,
    crossover_elsewhere,
    latency_elsewhere,
    speed,
    trimmed_mean,
    wander,
)

Speeds = Mapping[str, Speed]
"""By kind of work."""


@dataclass(frozen=True)
class Machine:
    """The machine of a run, by its yardstick."""

    overall: Speed
    """One figure for all that is computed: the kinds' mean, within all of them."""
    kinds: Speeds
    """Over all sizes."""
    wandered: float
    """Slowest over quickest part of the run, of the kind of work that moved most."""
    moved: str
    """That kind."""
    steal_share: float | None
    """The largest of the sessions'."""
    rounds: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the figures are less sure than their intervals say; empty where they are not."""
        said = []
        if self.wandered > WANDER_MAX:
            said.append(
                f"The machine's speed wandered while the techniques were compared: its yardstick "
                f"({self.moved}) was {significant(self.wandered)} times as slow in one part of the "
                "run as in another. Ratios hold, since both arms met it; N* is less sure than its "
                "interval says. Measure again while nothing else runs."
            )
        if self.steal_share is not None and self.steal_share > STEAL_SHARE_MAX:
            said.append(
                f"The hypervisor took {self.steal_share:.0%} of the processors' time away while "
                "the techniques were compared: times say little of this machine's core."
            )
        return tuple(said)


@dataclass(frozen=True)
class Elsewhere:
    """N* of one technique on other cores than this machine's."""

    reference: Crossover
    sizes: tuple[tuple[str, Crossover], ...]
    """By compute size, smallest first, at what its processor may use for ever."""
    factors: tuple[Speed, ...]
    """A call of the old way on the reference core / here, by size measured."""

    def alike(self) -> tuple[tuple[Crossover, tuple[str, ...]], ...]:
        """Compute sizes of one processor share together, in order, with their N*."""
        found: list[tuple[Crossover, list[str]]] = []
        for name, crossed in self.sizes:
            if found and found[-1][0] is crossed:
                found[-1][1].append(name)
            else:
                found.append((crossed, [name]))
        return tuple((crossed, tuple(names)) for crossed, names in found)


def speeds_of(yardstick: Yardstick | None, reference: Reference) -> Speeds | None:
    """This machine's speed by kind of work; None where it was not measured often enough."""
    if yardstick is None or len(yardstick.at_s) < ROUNDS_MIN:
        return None
    found = {
        kind: speed([each / 1e6 for each in times], reference.yardstick_ms[kind])
        for kind, times in yardstick.times_ns.items()
        if kind in reference.yardstick_ms
    }
    if not set(WORK) <= set(found):
        return None
    return {**found, OTHER: any_of(found[kind] for kind in WORK), NETWORK: WAITING}


def machine(records: Sequence[BenchmarkRecord], reference: Reference) -> Machine | None:
    """The machine over all sessions; None where one of them has no yardstick."""
    found = [record.yardstick for record in records if record.yardstick is not None]
    if not found or len(found) < len(records):
        return None
    whole = Yardstick(
        at_s=tuple(at for each in found for at in each.at_s),
        times_ns={
            kind: tuple(time for each in found for time in each.times_ns[kind])
            for kind in found[0].times_ns
            if all(kind in each.times_ns for each in found)
        },
    )
    speeds = speeds_of(whole, reference)
    if speeds is None:
        return None
    wanders = {kind: wander(whole.times_ns[kind]) for kind in WORK}
    moved = max(wanders, key=wanders.__getitem__)
    shares = [each.steal_share for each in found if each.steal_share is not None]
    return Machine(
        overall=speeds[OTHER],
        kinds=speeds,
        wandered=wanders[moved],
        moved=moved,
        steal_share=max(shares, default=None),
        rounds=len(whole.at_s),
    )


def shares_of(arm: Arm, round_trip_ms: float) -> dict[str, float]:
    """Milliseconds of a call by what they went into: network, round trips, the plan's work."""
    call_ms = statistics.median(arm.call_ns) / 1e6
    waits = min(call_ms, arm.delay_ms * arm.statements)
    trips = min(call_ms - waits, round_trip_ms * arm.statements)
    rest = call_ms - waits - trips
    work = work_of(arm.plan) or {OTHER: 1.0}
    total = sum(work.values())
    shares = {kind: rest * ms / total for kind, ms in work.items()}
    return {**shares, ROUND_TRIP: trips, NETWORK: waits}


def core_share(compute: Compute) -> float:
    """Of one core, what a statement may use for ever on that size."""
    return min(1.0, compute.cores * compute.cpu_baseline_share)


def elsewhere(
    sizes: Sequence[Size],
    arms: Sequence[Arm],
    yardsticks: Sequence[Yardstick | None],
    catalogue: Catalogue,
    slo_ms: float,
) -> Elsewhere | None:
    """N* on the reference core and on each compute size; None where a size has no yardstick.

    Args:
        sizes: as measured, ascending in users.
        arms: of each size, the one that N* is about.
        yardsticks: of each size's session.
        catalogue: the reference core and the compute sizes.
        slo_ms: the objective.
    """
    reference = catalogue.reference
    known = [(y, speeds_of(y, reference)) for y in yardsticks]
    parts: list[tuple[Speeds, dict[str, float]]] = []
    for arm, (yardstick, speeds) in zip(arms, known, strict=True):
        if yardstick is None or speeds is None:
            return None
        trip_ms = trimmed_mean(np.array(yardstick.times_ns[ROUND_TRIP], dtype=float)) / 1e6
        parts.append((speeds, shares_of(arm, trip_ms)))

    def factors(core: float) -> tuple[Speed, ...]:
        """For a core that is so many times as fast as the reference."""
        return tuple(
            blended(_on(core, speeds), shares, reference.carried_error) for speeds, shares in parts
        )

    p95s = p95s_of(sizes)
    cores = {each.name: core_share(each) * reference.compute_speed for each in catalogue.compute}
    found = {
        core: crossover_elsewhere(sizes, factors(core), slo_ms, p95s=p95s)
        for core in {1.0, *cores.values()}
    }
    return Elsewhere(
        reference=found[1.0],
        sizes=tuple((name, found[core]) for name, core in cores.items()),
        factors=factors(1.0),
    )


def _on(core: float, speeds: Speeds) -> Speeds:
    return {
        kind: each if each is WAITING else each.times(1 / core) for kind, each in speeds.items()
    }


def cell_on_reference(
    latency_ms: float, high_ms: float | None, busy_share: float | None, found: Machine | None
) -> str:
    """The p95 of a cell on as many reference cores; empty where that is not known.

    Args:
        latency_ms: here.
        high_ms: upper end of its interval here; None where there were too few clicks for one.
        busy_share: of all cores here, under load.
        found: this machine.
    """
    if found is None or busy_share is None or busy_share >= BUSY_SHARE_MAX:
        return ""
    likely = latency_elsewhere(latency_ms, busy_share, found.overall.estimate)
    least = latency_elsewhere(latency_ms, busy_share, found.overall.low)
    most = latency_elsewhere(high_ms or latency_ms, busy_share, found.overall.high)
    if likely is None or least is None:
        return "more than reference cores could do"
    end = "more than they could do" if most is None else milliseconds(most)
    end = "no bound by so few clicks" if high_ms is None else end
    return f"{milliseconds(likely)} on reference cores ({milliseconds(least)} to {end})"


def users_on_reference(users_max: float, found: Machine | None) -> str:
    """How far a level goes on as many reference cores; empty where that is not known."""
    if found is None:
        return ""
    least, likely, most = (
        users(rounded(users_max / factor))
        for factor in (found.overall.high, found.overall.estimate, found.overall.low)
    )
    return f"{likely} on reference cores ({least} to {most})"


def sentence(found: Machine | None, reference: Reference) -> str:
    """The machine against the reference core, in words."""
    if found is None:
        return (
            "no yardstick: N* holds for this machine alone, and cannot be compared with another's"
        )
    kinds = [f"{kind} {significant(found.kinds[kind].estimate)}" for kind in WORK]
    return (
        f"{significant(found.overall.estimate)} times as fast as the reference core "
        f"({reference.core}); by kind of work: {listed(kinds)}; {found.rounds} rounds"
    )
