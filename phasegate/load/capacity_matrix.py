"""The phase matrix: every stack level on every data set, and how far each level goes.

Orchestrates `run_stage`; writes `load/<stage>.json`, `sampler/<stage>.json` (by the sampler that it
is handed) and `matrix.json`. It opens no database and starts no server: whoever calls it hands over
`stand`, which brings a level up and yields where it answers, and `sample`, which watches it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from phasegate.load.breakpoint import (
    Tried,
    is_bracketed,
    next_rate,
    not_sustained,
    sustained,
    unknown,
)
from phasegate.load.run import Target, run_stage
from phasegate.load.stage_result import (
    TAKEN_AWAY,
    Driven,
    finding_of,
    marked_unguarded,
    marked_where_shared,
    marked_where_stolen,
    says_nothing,
)
from phasegate.load.stages import CLICKS_MIN, SESSIONS_MIN, seconds_to_judge
from phasegate.model.errors import CannotMeasure
from phasegate.model.verdict import Reason, code_of
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.matrix import Breakpoint, MatrixRecord, Probe
from phasegate.records.sampler import SamplerRecord
from phasegate.stack.disk_watch import Watched

# A phase's upper bound is reached on some day; the peak of that day is not the highest of the year.
HEAD_ROOM = 1.3

CELL_S = 8.0
PROBE_S = 6.0

# A cell that could not be told is driven once more: for so long, and so nearer to its peak, where a
# small population missed its objective far above it or clicks were too few; as it was where other
# programs had the machine, and may not any more.
CELL_AGAIN_S = 25.0
CELL_AGAIN_S_MAX = 45.0  # twice the peak of 10,000 users takes 42 s
LONGER = frozenset({Reason.ABOVE_PEAK, Reason.TOO_FEW})

# A slow rate needs a long stage before enough sessions came; beyond this it is given up.
PROBE_S_MAX = 40.0

# Two or three steps up, then divisions: from a factor of 8 to within a fifth takes four.
PROBES_MAX = 7


@dataclass(frozen=True)
class Standing:
    """A stack that is up."""

    target: Target
    pids: dict[str, int]
    """Root process of each component, by name: `postgres`, `api`, …"""
    pooler_dsn: str | None = field(default=None, repr=False)
    """Of its PgBouncer; None where it has none."""
    unguarded: tuple[str, ...] = ()
    """Why row-level security does not hold there, a sentence each: no stage then counts."""
    marks: tuple[str, ...] = ()
    """Reasons (`code: sentence`) of every stage there: where a compute size is not in force."""
    watched: Watched | None = None
    """The control group that its database is in; None where it is in none of ours."""


class Stand(Protocol):
    """Brings a stack up."""

    def __call__(self, level: int, users: int) -> AbstractContextManager[Standing]:
        """Level `level` on the data set of `users`, until the block ends.

        Raises:
            CannotMeasure: this machine cannot; what is missing is named.
        """


class Sample(Protocol):
    """Watches a stack: `stack.sampler.sampling`, bound to its database."""

    def __call__(
        self, users: int, *, stage: str, out: Path, standing: Standing
    ) -> AbstractContextManager[Path]:
        """Sample until the block ends; yields where the record will be."""


@dataclass(frozen=True)
class MatrixPlan:
    """What to measure."""

    levels: tuple[int, ...]
    sizes: tuple[int, ...]
    """Registered users of the data sets."""
    seed: int
    run_dir: Path
    cell_s: float = CELL_S
    probe_s: float = PROBE_S
    probes_max: int = PROBES_MAX
    """Of the breakpoint search of each level; 0 leaves it out."""
    head_room: float = HEAD_ROOM


def cell_name(level: int, users: int) -> str:
    """Of the stage of a cell: its records are named so."""
    return f"cell-level-{level}-{users}-users"


def run_matrix(
    plan: MatrixPlan,
    project: Project,
    stand: Stand,
    sample: Sample,
    on_progress: Callable[[str], None] = lambda _: None,
) -> MatrixRecord:
    """Drive every cell, search every level's breakpoint, and write `matrix.json`.

    A cell that cannot be driven is named in the record; the others are driven all the same. The
    breakpoint is searched on the largest data set.
    """
    catalogue = project.catalogue
    driver = Driver(plan, project, sample)
    cells: list[Probe] = []
    searched: list[Probe] = []
    breakpoints: list[Breakpoint] = []
    missing: list[str] = []
    for level in plan.levels:
        for users in plan.sizes:
            on_progress(f"level {level} with {users:,} users")
            try:
                with stand(level, users) as standing:
                    rate = catalogue.workload.arrival_rate_per_s(users) * plan.head_room
                    stage = cell_name(level, users)
                    cell = driver.cell(standing, stage, level, users, rate)
                    cells.append(cell.probe(catalogue, at_peak=True))
                    if users == max(plan.sizes) and plan.probes_max:
                        on_progress(f"level {level}: how far does it go?")
                        found, probes = driver.search(standing, cell)
                        breakpoints.append(found)
                        searched.extend(probes)
            except CannotMeasure as error:
                missing.append(f"level {level} with {users:,} users: {error.sentence()}")
    record = MatrixRecord(
        format_version=MatrixRecord.FORMAT_VERSION,
        head_room=plan.head_room,
        cells=tuple(cells),
        searched=tuple(searched),
        breakpoints=tuple(breakpoints),
        not_measured=tuple(missing),
    )
    store.write(plan.run_dir / "matrix.json", record)
    return record


@dataclass(frozen=True)
class Change:
    """How the parts of a stack differ from those of its level."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


NO_CHANGE = Change()


class Driver:
    """Drives single stages of a plan.

    Args:
        plan: what is measured.
        project: its sessions, workload and SLO.
        sample: watches a stage.
        out: folder of `load/` and `sampler/`; the plan's own if None.
    """

    def __init__(
        self, plan: MatrixPlan, project: Project, sample: Sample, out: Path | None = None
    ) -> None:
        self._plan = plan
        self._project, self._catalogue = project, project.catalogue
        self._sample = sample
        self._out = out or plan.run_dir

    def cell(
        self,
        standing: Standing,
        stage: str,
        level: int,
        users: int,
        rate: float,
        change: Change = NO_CHANGE,
    ) -> Driven:
        """The cell at `rate`; where that is too slow to judge by, above it."""
        driven = self.drive(standing, stage, level, users, rate, self._plan.cell_s, change)
        reasons = driven.probe(self._catalogue, at_peak=True).reasons
        codes = {code_of(reason) for reason in reasons}
        if codes & (LONGER | TAKEN_AWAY):
            again_s = max(CELL_AGAIN_S if codes & LONGER else 0.0, self._plan.cell_s)
            if codes & LONGER == {Reason.TOO_FEW}:
                # As many a second as before: where sessions have a click each, more must come.
                rate = max(rate, driven.load.rate_sessions_per_s or 0.0)
            judged_s = seconds_to_judge(self._catalogue.workload.arrival_rate_per_s(users))
            if Reason.ABOVE_PEAK in codes and judged_s <= CELL_AGAIN_S_MAX:
                again_s = max(again_s, judged_s)
            driven = self.drive(standing, stage, level, users, rate, again_s, change)
        return driven

    def drive(
        self,
        standing: Standing,
        stage: str,
        level: int,
        users: int,
        rate: float,
        duration_s: float,
        change: Change = NO_CHANGE,
        interval_s: float = 0.0,
    ) -> Driven:
        """One stage at `rate` sessions per second, sampled; clicks also by interval, if not 0."""
        with ExitStack() as watched:
            out = self._out / "sampler"
            path = watched.enter_context(
                self._sample(users, stage=stage, out=out, standing=standing)
            )
            load = run_stage(
                standing.target,
                stage=stage,
                project=self._project,
                level=level,
                added=change.added,
                removed=change.removed,
                users=users,
                seed=self._plan.seed,
                duration_s=duration_s,
                arrival_rate_per_s=rate,
                out=self._out / "load",
                interval_s=interval_s,
            )
        used = store.read(path, SamplerRecord) if path.exists() else None
        marked = marked_where_shared(marked_unguarded(load, standing.unguarded), used)
        marked = marked_where_stolen(marked, used)
        marked = msgspec.structs.replace(marked, invalid=(*marked.invalid, *standing.marks))
        if marked != load:
            store.write(self._out / "load" / f"{stage}.json", marked)
        return Driven(marked, used)

    def search(self, standing: Standing, cell: Driven) -> tuple[Breakpoint, tuple[Probe, ...]]:
        """The largest rate that `standing` sustains, from what its cell says on."""
        level, users = cell.load.level, cell.load.users
        # The cell was driven as every probe is; at its rate there is nothing more to learn.
        first = cell.probe(self._catalogue, at_peak=False)
        tried = [Tried(first.rate_sessions_per_s, finding_of(first), cell.processor_share())]
        stages, probes = [first.stage], list[Probe]()
        per_session = first.clicks / first.sessions if first.sessions else 0.0
        sessions_needed = max(SESSIONS_MIN, CLICKS_MIN / per_session if per_session else 0.0)
        rate = next_rate(tried, first.rate_sessions_per_s)
        while rate is not None and len(probes) < self._plan.probes_max:
            needed_s = sessions_needed / rate
            if needed_s > PROBE_S_MAX:
                break
            stage = f"breakpoint-level-{level}-{users}-users-{len(probes) + 1}"
            duration_s = max(self._plan.probe_s, needed_s)
            driven = self.drive(standing, stage, level, users, rate, duration_s)
            probe = driven.probe(self._catalogue, at_peak=False)
            if says_nothing(probe):
                driven = self.drive(standing, stage, level, users, rate, 2 * duration_s)
                probe = driven.probe(self._catalogue, at_peak=False)
            probes.append(probe)
            stages.append(stage)
            tried.append(
                Tried(probe.rate_sessions_per_s, finding_of(probe), driven.processor_share())
            )
            rate = next_rate(tried, first.rate_sessions_per_s)
        return self._breakpoint(level, users, tried, stages), tuple(probes)

    def _breakpoint(
        self, level: int, users: int, tried: Sequence[Tried], stages: Sequence[str]
    ) -> Breakpoint:
        best, failed, untold = sustained(tried), not_sustained(tried), unknown(tried)
        per_user = self._catalogue.workload.arrival_rate_per_s(1)
        generator = untold is not None and (failed is None or untold < failed)
        return Breakpoint(
            level=level,
            users=users,
            sustained_sessions_per_s=best,
            failed_sessions_per_s=failed,
            users_max=None if best is None else int(best / per_user),
            ended=("generator" if generator else "bracketed" if is_bracketed(tried) else "budget"),
            probes=tuple(stages),
            unknown_sessions_per_s=untold,
        )
