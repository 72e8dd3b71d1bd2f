"""Which compute size holds: the same load under one size after another.

Writes `sizes/load/*.json` and `sizes/sampler/*.json` below a run's folder. It starts no server:
whoever calls it hands over `stand`, which brings the stack up under a size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from phasegate.load.capacity_matrix import (
    CELL_AGAIN_S,
    HEAD_ROOM,
    Change,
    Driver,
    MatrixPlan,
    Sample,
    Standing,
)
from phasegate.load.edge import LONG_TIMES, PARTS, bounds_of, is_clear, longer, settled
from phasegate.load.run import WARM_UP_S
from phasegate.load.stage_result import Driven, begun_s, says_nothing, under_load
from phasegate.load.stages import SESSIONS_MIN
from phasegate.model.credits import of_processor
from phasegate.model.prices import Compute
from phasegate.model.size_search import next_size, smallest
from phasegate.model.verdict import Reason, Verdict
from phasegate.project import Project
from phasegate.records.matrix import Probe
from phasegate.records.sampler import DiskUse
from phasegate.records.sizes import Cache, Mode, SizeAnswer, SizeDrive, SizeUse


@dataclass(frozen=True)
class SizeStanding:
    """A stack that is up under a size, with a cold cache."""

    standing: Standing
    not_in_force: tuple[str, ...]
    """What of the size is not, a sentence each."""
    left_out: tuple[str, ...]
    warm: Callable[[], None] = field(repr=False)
    """Reads what fits into memory."""


class StandUnder(Protocol):
    """Brings the stack up under a compute size."""

    def __call__(self, size: Compute, mode: Mode) -> AbstractContextManager[SizeStanding]:
        """The stack under `size`, cold, until the block ends."""


@dataclass(frozen=True)
class SizePlan:
    """What is asked."""

    users: int
    level: int
    """The highest all of whose parts are there, or 1."""
    parts: tuple[str, ...]
    change: Change
    """How `parts` differ from those of the level."""
    sizes: tuple[Compute, ...]
    """Ascending: those that this machine can put in force."""
    seed: int
    run_dir: Path
    cell_s: float
    head_room: float = HEAD_ROOM


class SizeSearch:
    """Drives sizes as they are asked for, each once."""

    def __init__(
        self,
        plan: SizePlan,
        project: Project,
        stand: StandUnder,
        sample: Sample,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._plan, self._catalogue, self._stand = plan, project.catalogue, stand
        rate = self._catalogue.workload.arrival_rate_per_s(plan.users) * plan.head_room
        enough = rate * plan.cell_s >= SESSIONS_MIN
        self._cell_s = plan.cell_s if enough else CELL_AGAIN_S
        matrix = MatrixPlan((plan.level,), (plan.users,), plan.seed, plan.run_dir, self._cell_s)
        self._driver = Driver(matrix, project, sample, plan.run_dir / "sizes")
        self._on_progress = on_progress
        self._drives: dict[tuple[str, Mode, Cache], SizeDrive] = {}
        self._not_in_force: dict[str, None] = {}
        self._left_out: dict[str, None] = {}

    def answer(self) -> SizeAnswer:
        """The smallest size that holds for ever, and the smallest that holds in its burst."""
        sizes = self._plan.sizes
        sustained = self._smallest(sizes, "sustained")
        below = [each.name for each in sizes].index(sustained) if sustained else len(sizes)
        # What holds for ever holds in a burst: only smaller ones are still to be asked.
        burst = self._smallest(sizes[:below], "burst") or sustained
        if burst is not None and burst != sustained:
            self.verdict(burst, "sustained")  # what comes after the burst
        driven = self._drives.get((burst or "", "burst", "warm"))
        used = driven.used if driven else None
        plan = self._plan
        return SizeAnswer(
            users=plan.users,
            level=plan.level,
            parts=plan.parts,
            sizes=tuple(each.name for each in sizes),
            sustained=sustained,
            burst=burst,
            burst_cores=self._at_peak(driven, used.cores if used else None),
            burst_operations_per_s=self._at_peak(driven, used.operations_per_s if used else None),
            drives=tuple(self._drives.values()),
            not_in_force=tuple(self._not_in_force),
            left_out=tuple(self._left_out),
        )

    def holds(self) -> bool:
        """Whether the largest of the sizes holds in its burst: whether a search is worth while."""
        return self.verdict(self._plan.sizes[-1].name, "burst") is Verdict.PASS

    def verdict(self, size: str, mode: Mode) -> Verdict:
        """Whether `size` holds: with the warm cache that it has but for minutes after a restart."""
        return Verdict(self.drives(size, mode)[1].verdict)

    def drives(self, size: str, mode: Mode) -> tuple[SizeDrive, SizeDrive]:
        """Its stages with a cold and a warm cache, driven now unless they were before."""
        if (size, mode, "warm") not in self._drives:
            self._drive(next(each for each in self._plan.sizes if each.name == size), mode)
        return self._drives[size, mode, "cold"], self._drives[size, mode, "warm"]

    def _smallest(self, sizes: Sequence[Compute], mode: Mode) -> str | None:
        names, seen = [each.name for each in sizes], dict[str, Verdict]()
        for name in names:
            if (name, mode, "warm") in self._drives:
                seen[name] = self.verdict(name, mode)
        while (name_next := next_size(names, seen)) is not None:
            seen[name_next] = self.verdict(name_next, mode)
        return smallest(names, seen)

    def _drive(self, size: Compute, mode: Mode) -> None:
        with self._stand(size, mode) as up:
            self._not_in_force |= dict.fromkeys(up.not_in_force)
            self._left_out |= dict.fromkeys(up.left_out)
            standing = _marked(up)
            for cache in ("cold", "warm"):
                self._on_progress(f"{size.name}, {mode}, {cache} cache")
                if cache == "warm":
                    up.warm()
                self._drives[size.name, mode, cache] = self._stage(standing, size, mode, cache)

    def _stage(self, standing: Standing, size: Compute, mode: Mode, cache: Cache) -> SizeDrive:
        """One stage; with a warm cache driven again, longer, where it is not clear of its edge.

        What was read once is cold no more, so that a cold one cannot be driven again.
        """
        plan, slo = self._plan, self._catalogue.slo
        stage = f"{size.name}-{mode}-{cache}-level-{plan.level}-{plan.users}-users"
        rate = self._catalogue.workload.arrival_rate_per_s(plan.users) * plan.head_room

        def drive(rate: float, lasts_s: float, interval_s: float = 0.0) -> tuple[Driven, Probe]:
            driven = self._driver.drive(
                standing, stage, plan.level, plan.users, rate, lasts_s, plan.change, interval_s
            )
            return driven, driven.probe(self._catalogue, at_peak=True)

        (driven, probe), bounds = drive(rate, self._cell_s), None
        per_session = probe.clicks / probe.sessions if probe.sessions else 0.0
        again_s, again_rate = longer(self._cell_s, rate, per_session)
        for _ in range(LONG_TIMES if cache == "warm" else 0):
            if bounds is not None and not says_nothing(probe):
                break
            if is_clear(probe, slo, _busy_share(driven, size, mode)):
                break
            self._on_progress(f"{size.name}, {mode}: near the edge, {again_s:.0f} s more")
            driven, probe = drive(again_rate, again_s, again_s / PARTS)
            bounds = bounds_of(driven)
        verdict, reasons = probe.verdict, probe.reasons
        if bounds is not None:
            busy_share = _busy_share(driven, size, mode)
            most = self._catalogue.usage.cpu_share_max
            verdict, reasons = settled(probe, bounds, slo, busy_share, most)
        return SizeDrive(
            stage=stage,
            size=size.name,
            mode=mode,
            cache=cache,
            verdict=verdict,
            reasons=reasons,
            latency_ms_p95=probe.latency_ms_p95,
            latency_ms_p95_between=None if bounds is None else bounds.latency_ms_p95,
            clicks=probe.clicks,
            sessions=probe.sessions or 0,
            rate_sessions_per_s=probe.rate_sessions_per_s,
            bound_by=probe.bound_by,
            used=_used(driven),
        )

    def _at_peak(self, drive: SizeDrive | None, amount_per_s: float | None) -> float | None:
        """An amount per second of a stage, at the modelled peak instead of the stage's rate."""
        if drive is None or amount_per_s is None:
            return None
        peak = self._catalogue.workload.arrival_rate_per_s(self._plan.users)
        return amount_per_s / drive.rate_sessions_per_s * peak


def _marked(up: SizeStanding) -> Standing:
    """The standing, with what keeps its stages from counting."""
    marks = tuple(f"{Reason.NOT_IN_FORCE}: {each}" for each in up.not_in_force)
    return replace(up.standing, marks=(*up.standing.marks, *marks))


def _busy_share(driven: Driven, size: Compute, mode: Mode) -> float | None:
    """Of the processor that `size` allows, what the database used under load."""
    used, allowed = _used(driven), of_processor(size)
    if used is None or used.cores is None:
        return None
    return used.cores / (allowed.max_per_s if mode == "burst" else allowed.baseline_per_s)


def _used(driven: Driven) -> SizeUse | None:
    """What the database used: cores and operations under load, blocks from the first request on."""
    load, record = driven.load, driven.used
    looks = [(each.at_s, each.disk) for each in under_load(load, record) if each.disk is not None]
    if len(looks) < 2 or record is None:
        return None
    # A look asks the server, which answers late where it is held back: by the clock, not the plan.
    lasted_s = looks[-1][0] - looks[0][0]
    steady = [disk for _, disk in looks[1:]]
    cpu_s, reads, writes = (_total(steady, name) for name in ("cpu_s", "reads", "writes"))
    both = None if reads is None or writes is None else reads + writes
    first_s, whole_s = begun_s(load, record), WARM_UP_S + load.duration_s
    found = [
        (each.at_s - first_s, each.disk)
        for each in record.samples
        if each.disk is not None and 0 < each.at_s - first_s <= whole_s + record.interval_s
    ]
    whole = [disk for _, disk in found]
    read = _total(whole, "reads")
    return SizeUse(
        cores=None if cpu_s is None else cpu_s / lasted_s,
        operations_per_s=None if both is None else both / lasted_s,
        sessions=whole_s * (load.rate_sessions_per_s or load.offered_sessions_per_s),
        reads=None if read is None else int(read),
        blocks_hit=sum(each.blocks_hit for each in whole),
        blocks_read=sum(each.blocks_read for each in whole),
        blocks_read_first=sum(disk.blocks_read for at_s, disk in found if at_s <= whole_s / 2),
    )


def _total(found: Sequence[DiskUse], name: str) -> float | None:
    values = [getattr(each, name) for each in found]
    return None if None in values else float(sum(values))
