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

from loadtests.breakpoint import Finding, Tried, next_rate, not_sustained, sustained
from loadtests.clients import ARM_OF_LEVEL
from loadtests.outcome import Clicks
from loadtests.run import Target, run_stage
from loadtests.stages import SESSIONS_MIN
from phases.bottleneck import Resource, bound_by, heaviest, n_plus_one_suspects
from phases.catalogue import Catalogue
from phases.cell import FLATTERING, Reason, Verdict, code_of
from phases.errors import CannotMeasure
from records import store
from records.load import LoadRecord
from records.matrix import Breakpoint, MatrixRecord, Probe, Suspect
from records.sampler import SamplerRecord

# A phase's upper bound is reached on some day; the peak of that day is not the highest of the year.
HEAD_ROOM = 1.3

CELL_S = 8.0
PROBE_S = 6.0

# A small population that misses its objective far above its peak is driven again, for so long and
# as near to the peak as enough sessions allow.
CELL_AGAIN_S = 25.0

# A slow rate needs a long stage before enough sessions came; beyond this it is given up.
PROBE_S_MAX = 40.0

# Four doublings and three divisions: a factor of 16 from the start, known to within 15%.
PROBES_MAX = 7


@dataclass(frozen=True)
class Standing:
    """A stack that is up."""

    target: Target
    pids: dict[str, int]
    """Root process of each component, by name: `postgres`, `api`, …"""
    pooler_dsn: str | None = field(default=None, repr=False)
    """Of its PgBouncer; None where it has none."""


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
class Plan:
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


def run_matrix(
    plan: Plan,
    catalogue: Catalogue,
    stand: Stand,
    sample: Sample,
    on_progress: Callable[[str], None] = lambda _: None,
) -> MatrixRecord:
    """Drive every cell, search every level's breakpoint, and write `matrix.json`.

    A cell that cannot be driven is named in the record; the others are driven all the same. The
    breakpoint is searched on the largest data set.
    """
    driver = _Driver(plan, catalogue, sample)
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
                    cells.append(driver.cell(standing, level, users, rate))
                    if users == max(plan.sizes) and plan.probes_max:
                        on_progress(f"level {level}: how far does it go?")
                        found, probes = driver.search(standing, level, users, rate)
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


class _Driver:
    """Drives single stages of a plan."""

    def __init__(self, plan: Plan, catalogue: Catalogue, sample: Sample) -> None:
        self._plan = plan
        self._catalogue = catalogue
        self._sample = sample

    def cell(self, standing: Standing, level: int, users: int, rate: float) -> Probe:
        """The verdict at `rate`; where that is too slow to judge by, above it."""
        stage = f"cell-level-{level}-{users}-users"
        probe = self.drive(standing, stage, level, users, rate, self._plan.cell_s, at_peak=True)
        if any(code_of(reason) == Reason.ABOVE_PEAK for reason in probe.reasons):
            again_s = max(CELL_AGAIN_S, self._plan.cell_s)
            probe = self.drive(standing, stage, level, users, rate, again_s, at_peak=True)
        return probe

    def drive(
        self,
        standing: Standing,
        stage: str,
        level: int,
        users: int,
        rate: float,
        duration_s: float,
        *,
        at_peak: bool = False,
    ) -> Probe:
        """One stage at `rate` sessions per second, sampled and judged."""
        with ExitStack() as watched:
            out = self._plan.run_dir / "sampler"
            path = watched.enter_context(
                self._sample(users, stage=stage, out=out, standing=standing)
            )
            load = run_stage(
                standing.target,
                stage=stage,
                arm=ARM_OF_LEVEL[level],
                level=level,
                users=users,
                seed=self._plan.seed,
                duration_s=duration_s,
                arrival_rate_per_s=rate,
                out=self._plan.run_dir / "load",
            )
        used = store.read(path, SamplerRecord) if path.exists() else None
        return probe_of(load, used, self._catalogue, at_peak=at_peak)

    def search(
        self, standing: Standing, level: int, users: int, start: float
    ) -> tuple[Breakpoint, tuple[Probe, ...]]:
        """The largest rate that `standing` sustains, from `start` sessions per second on."""
        tried: list[Tried] = []
        probes: list[Probe] = []
        rate = next_rate(tried, start)
        while rate is not None and len(probes) < self._plan.probes_max:
            needed_s = SESSIONS_MIN / rate
            if needed_s > PROBE_S_MAX:
                if not tried:  # the modelled peak of a small population: begin where it can be told
                    start = rate = SESSIONS_MIN / self._plan.probe_s
                    continue
                break
            stage = f"breakpoint-level-{level}-{users}-users-{len(probes) + 1}"
            duration_s = max(self._plan.probe_s, needed_s)
            probe = self.drive(standing, stage, level, users, rate, duration_s)
            probes.append(probe)
            tried.append(Tried(probe.rate_sessions_per_s, finding_of(probe)))
            rate = next_rate(tried, start)
        return self._breakpoint(level, users, tried, probes), tuple(probes)

    def _breakpoint(
        self, level: int, users: int, tried: Sequence[Tried], probes: Sequence[Probe]
    ) -> Breakpoint:
        best = sustained(tried)
        per_user = self._catalogue.workload.arrival_rate_per_s(1)
        unknown = any(probe.finding is Finding.UNKNOWN for probe in tried)
        over = next_rate(tried, 1.0) is None
        return Breakpoint(
            level=level,
            users=users,
            sustained_sessions_per_s=best,
            failed_sessions_per_s=not_sustained(tried),
            users_max=None if best is None else int(best / per_user),
            ended="generator" if unknown else "bracketed" if over else "budget",
            probes=tuple(probe.stage for probe in probes),
        )


def finding_of(probe: Probe) -> Finding:
    """What a judged stage says about its rate."""
    if probe.verdict == Verdict.PASS:
        return Finding.SUSTAINED
    if probe.verdict == Verdict.FAIL:
        return Finding.NOT_SUSTAINED
    flattered_only = all(code_of(reason) in FLATTERING for reason in probe.reasons)
    return Finding.NOT_SUSTAINED if flattered_only else Finding.UNKNOWN


def probe_of(
    load: LoadRecord, used: SamplerRecord | None, catalogue: Catalogue, *, at_peak: bool
) -> Probe:
    """The verdict on one stage, with what bound it.

    Args:
        load: the stage.
        used: what it used; None where nothing was sampled.
        catalogue: for the SLO.
        at_peak: whether the population at its modelled peak is judged, or the rate itself.
    """
    asked, modelled = load.rate_sessions_per_s, load.modelled_sessions_per_s
    clicks = Clicks.of(load)
    judgement = clicks.judge(
        catalogue.slo,
        rate_over_peak=asked / modelled if at_peak and asked and modelled else None,
    )
    uses = used.uses() if used else ()
    bound = bound_by(used.used() if used else None)
    named = judgement.verdict is Verdict.FAIL and bound.resource is not Resource.NOTHING
    most, total_ms = heaviest(uses), sum(use.total_ms for use in uses)
    return Probe(
        stage=load.stage,
        level=load.level,
        users=load.users,
        rate_sessions_per_s=load.rate_sessions_per_s or load.offered_sessions_per_s,
        verdict=judgement.verdict.value,
        reasons=judgement.reasons,
        latency_ms_p95=clicks.latency_ms_p95,
        clicks=clicks.count,
        clicks_failed=clicks.failed,
        bound_by=bound.resource.value if named else None,
        bound_detail=bound.detail if named else None,
        statement=most.sql if most else None,
        statement_share=most.total_ms / total_ms if most and total_ms else None,
        suspects=tuple(
            Suspect(
                sql=suspect.sql,
                calls_per_click=suspect.calls_per_click,
                rows_per_call=suspect.rows_per_call,
                time_share=suspect.time_share,
            )
            for suspect in n_plus_one_suspects(uses, clicks.count)
        ),
    )
