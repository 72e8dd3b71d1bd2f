"""The phase matrix on this machine: the load room's cells on the stack room's levels, sampled.

Writes what `load.capacity_matrix` and `stack.sampler` write, under the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from phasegate.levels.kept import Kept
from phasegate.levels.runner import running_level
from phasegate.levels.stack import RunningLevel
from phasegate.load.breakpoint import Finding
from phasegate.load.capacity_matrix import (
    Driver,
    MatrixPlan,
    Standing,
    cell_name,
    run_matrix,
)
from phasegate.load.least_parts import Search
from phasegate.load.run import Target
from phasegate.load.stage_result import Driven, finding_of
from phasegate.model.prices import Compute
from phasegate.model.verdict import Reason
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.least import LeastRecord, LeastStack, Needed, Trial
from phasegate.records.load import LoadRecord
from phasegate.records.matrix import MatrixRecord, Probe
from phasegate.records.sampler import SamplerRecord
from phasegate.stack.emulation import Mode
from phasegate.stack.inspect import unguarded
from phasegate.stack.levels import apply_parts, present_parts
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.sampler import INTERVAL_S, sampling

if TYPE_CHECKING:
    from phasegate.cli.least_candidates import Candidates

SAMPLES_MAX = 7200
"""Of a long stage: a record of a few MB."""


def measure(
    server: PostgresServer,
    databases: Mapping[int, str],
    plan: MatrixPlan,
    project: Project,
    *,
    folder: Path,
    compute: Compute | None = None,
    mode: Mode = "sustained",
    on_level: Callable[[RunningLevel], None] = lambda _: None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> MatrixRecord:
    """Every level of `plan` on every data set, and how far each level goes.

    Args:
        server: of ours, running; levels restart it with their settings.
        databases: DSN by registered users, one for each of `plan.sizes`.
        plan: what to measure.
        project: its sessions, workload and SLO.
        folder: for the files of poolers and replicas; as root it must lie where the service user
            can go.
        compute: the Supabase size to put in force; this machine as it is if None.
        mode: what of that size is in force.
        on_level: shown each level as it is up, with the parts that it consists of.
        on_progress: told what is being measured.
    """
    with Kept() as kept:
        stacks = Stacks(project, server, databases, folder, compute, mode, kept=kept)

        @contextmanager
        def stand(level: int, users: int) -> Iterator[Standing]:
            with stacks.running(level, users) as running:
                on_level(running)
                yield standing_of(running, project)

        return run_matrix(plan, project, stand, stacks.sample, on_progress)


@dataclass(frozen=True)
class Stacks:
    """The stacks of a run: any set of parts on any of its data sets."""

    project: Project
    server: PostgresServer
    databases: Mapping[int, str]
    folder: Path
    compute: Compute | None
    mode: Mode
    cold: bool = False
    soak_s: float = 0.0
    """Of a long stage, which meets what a short one must not; 0 for one of seconds."""
    kept: Kept | None = None
    """Between one stack and the next; None where nothing is."""

    def running(
        self, parts: int | Iterable[str], users: int
    ) -> AbstractContextManager[RunningLevel]:
        """A level, or a set of parts, on the data set of `users`."""
        return running_level(
            self.server,
            self.databases[users],
            parts,
            folder=self.folder,
            compute=self.compute,
            mode=self.mode,
            cold=self.cold,
            project=self.project,
            settings=self.project.catalogue.soak.server if self.soak_s else None,
            kept=self.kept,
        )

    def sample(
        self, users: int, *, stage: str, out: Path, standing: Standing
    ) -> AbstractContextManager[Path]:
        """See `load.capacity_matrix.Sample`."""
        return sampling(
            self.databases[users],
            stage=stage,
            out=out,
            pids=standing.pids,
            api_url=None if self.project.api.command else standing.target.url,
            pooler_dsn=standing.pooler_dsn,
            watched=standing.watched,
            interval_s=max(INTERVAL_S, self.soak_s / SAMPLES_MAX),
            events=bool(self.soak_s),
            server_log=self.server.log if self.soak_s else None,
        )


def standing_of(running: RunningLevel, project: Project) -> Standing:
    """A stack as the load room knows it."""
    target = Target(
        url=running.api.url, anon_key=running.api.anon_key, jwt_secret=running.jwt_secret
    )
    emulation = running.emulation
    return Standing(
        target,
        dict(running.pids),
        running.pooler_dsn,
        unguarded(running.dsn, project.about.schemas),
        marks=tuple(
            f"{Reason.SMALLER}: this machine has {each}"
            for each in (emulation.smaller if emulation else ())
        ),
        watched=None if emulation is None else emulation.watched,
    )


def find_least(
    server: PostgresServer,
    databases: Mapping[int, str],
    plan: MatrixPlan,
    candidates: Candidates,
    *,
    folder: Path,
    trials_max: int,
    compute: Compute | None = None,
    mode: Mode = "sustained",
    on_progress: Callable[[str], None] = lambda _: None,
) -> LeastRecord:
    """The smallest set of parts that holds on each data set, driven; writes `least.json`.

    Args:
        server: as `measure` takes it; the others likewise.
        databases: see there.
        plan: see there; its levels and probes do not matter here.
        candidates: what may be added, and what is tried first.
        folder: see `measure`.
        trials_max: stages that the search of one data set may drive.
        compute: see `measure`.
        mode: see there.
        on_progress: told what is being driven.
    """
    project, kept = candidates.project, Kept()
    stacks = Stacks(project, server, databases, folder, compute, mode, kept=kept)
    driver = Driver(plan, project, stacks.sample, plan.run_dir / "least")

    def drive(added: tuple[str, ...], users: int, stage: str) -> Driven:
        parts = candidates.stack_of(added)
        before = _cell_before(plan, users) if parts == project.parts_of(FIRST) else None
        if before is not None and finding_of(candidates.probe(before)) is not Finding.UNKNOWN:
            return before
        rate = project.catalogue.workload.arrival_rate_per_s(users) * plan.head_room
        on_progress(f"{users:,} users with {', '.join(added) or 'nothing'}")
        with stacks.running(parts, users) as running:
            change = candidates.change_of(running.level, parts)
            return driver.cell(
                standing_of(running, project), stage, running.level, users, rate, change
            )

    found: list[LeastStack] = []
    start: tuple[str, ...] = ()
    with taking_away(databases, candidates):
        try:
            for users in plan.sizes:
                search = _search(drive, users, candidates, trials_max)
                finding, parts = search.least(start, candidates.names)
                start = parts if finding is Finding.SUSTAINED else start
                found.append(_stack(users, finding, parts, search, candidates))
        finally:
            kept.release()
    record = LeastRecord(
        format_version=LeastRecord.FORMAT_VERSION,
        head_room=plan.head_room,
        always=tuple(sorted(candidates.always)),
        left_out=candidates.left_out,
        stacks=tuple(found),
    )
    store.write(plan.run_dir / "least.json", record)
    return record


def _cell_before(plan: MatrixPlan, users: int) -> Driven | None:
    """What the matrix of this run drove at the first level, where that has the very same parts."""
    stage = f"{cell_name(FIRST, users)}.json"
    load, used = plan.run_dir / "load" / stage, plan.run_dir / "sampler" / stage
    if not load.exists():
        return None
    sampled = store.read(used, SamplerRecord) if used.exists() else None
    return Driven(store.read(load, LoadRecord), sampled)


@contextmanager
def taking_away(databases: Mapping[int, str], candidates: Candidates) -> Iterator[None]:
    """At the end, what the project does not have goes: whoever comes next knows nothing of it."""
    try:
        yield
    finally:
        for dsn in databases.values() if candidates.proposed else ():
            there = present_parts(dsn, candidates.project)
            if there & set(candidates.proposed):
                apply_parts(dsn, there - set(candidates.proposed), candidates.project)


FIRST = 1
"""The level of what there is before anything was done."""

OUTCOMES: dict[Finding, Literal["holds", "does not hold", "cannot tell"]] = {
    Finding.SUSTAINED: "holds",
    Finding.NOT_SUSTAINED: "does not hold",
    Finding.UNKNOWN: "cannot tell",
}


def _search(
    drive: Callable[[tuple[str, ...], int, str], Driven],
    users: int,
    candidates: Candidates,
    trials_max: int,
) -> Search[Driven]:
    stages = count(1)

    def see(added: tuple[str, ...]) -> tuple[Finding, Driven]:
        driven = drive(added, users, f"{users}-users-{next(stages)}")
        return finding_of(candidates.probe(driven)), driven

    def promising(left: Sequence[str], driven: Driven) -> Sequence[str]:
        return candidates.promising(left, driven, users)

    return Search(see, promising, trials_max)


def _stack(
    users: int,
    finding: Finding,
    parts: tuple[str, ...],
    search: Search[Driven],
    candidates: Candidates,
) -> LeastStack:
    def probe_without(part: str) -> Probe | None:
        driven = search.without(parts, part)
        return None if driven is None else candidates.probe(driven)

    titles = {id_: each.title for id_, each in candidates.proposed.items()}
    driven = search.trials.get(frozenset(parts))
    trials = tuple(
        Trial(parts=added, probe=candidates.probe(driven))
        for added, _, driven in search.trials.values()
    )
    return LeastStack(
        users=users,
        outcome=OUTCOMES[finding],
        needed=tuple(
            Needed(part=part, without=probe_without(part), proposed=titles.get(part, ""))
            for part in parts
        ),
        kept_up_by=tuple(sorted(candidates.upkeep_of(parts))),
        probe=next((t.probe for t in trials if set(t.parts) == set(parts)), trials[-1].probe),
        cpu_s_per_session=None if driven is None else driven[2].database_s_per_session(),
        trials=trials,
    )
