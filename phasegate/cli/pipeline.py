"""`phasegate run`: seed → load → benchmarks → report, each room in order, on a server of our own.

Writes `results/<run-id>/` and the cache folder; leaves no process behind, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from phasegate import seeding
from phasegate.advise.run import AdvicePlan, advise
from phasegate.advise.watch import WATCH_S
from phasegate.cli import console
from phasegate.cli import drive_matrix as matrix
from phasegate.cli.run_record import Journal
from phasegate.compare.run import add_replica, on_replica, run_benchmarks
from phasegate.compare.sizes_between import BUDGET_SHARE, techniques_between
from phasegate.levels.stack import RunningLevel
from phasegate.load.capacity_matrix import MatrixPlan
from phasegate.model.errors import CannotMeasure, PhasegateError
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.faults import require_writable
from phasegate.records.matrix import MatrixRecord
from phasegate.records.seed import SeedRecord
from phasegate.seeding.dataset_spec import dataset_spec
from phasegate.seeding.target import check_disk
from phasegate.seeding.template_database import COPIES
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.database import apply_sql
from phasegate.stack.emulation import Mode
from phasegate.stack.inspect import planner_settings
from phasegate.stack.levels import apply_level
from phasegate.stack.machine import describe_server
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres
from phasegate.stack.replica import feeding, running_replica

LOAD = "load: the phase matrix"
ADVISE = "findings: candidates"
BENCHMARKS = "benchmarks"
BETWEEN = "benchmarks: beside N*"
LEAST = "load: the simplest stack that holds"
REPLICA = "benchmarks: on a replica"
# What there is before anything was done: what candidates are held against.
FIRST = 1
QUICK_WATCH_S = 2.0
# About 40 blocks of its comparison; making the replica takes longer than this.
REPLICA_BUDGET_S = 4.0


@dataclass(frozen=True)
class RunPlan:
    """What one run does."""

    project: Project
    users: int
    sizes: tuple[int, ...]
    sizes_between: tuple[int, ...]
    """Where the benchmarks of a technique are made as well whose N* may lie there."""
    seed: int
    quick: bool
    jobs: int
    fresh: bool
    results: Path
    compute: Compute | None
    """Supabase size that is in force for the load's levels; this machine as it is if None."""
    mode: Mode
    """What of that size is in force."""
    cell_s: float
    probe_s: float
    probes_max: int
    benchmark_budget_s: float
    advise_budget_s: float
    least_trials_max: int
    """Of the search for the simplest stack, for each size; 0 leaves it out."""


@dataclass(frozen=True)
class DataSet:
    """A seeded database that is ready to be measured."""

    users: int
    dsn: str
    record: SeedRecord


def run(plan: RunPlan) -> tuple[Path, Sequence[str]]:
    """Carry `plan` out; returns the folder of the finished run, and the lines that close it."""
    with locked(cache_dir(), "phasegate run"):
        require_writable(plan.results, purpose="results")
        sizes = (*plan.sizes, *plan.sizes_between)
        rows = sum(dataset_spec(users, plan.seed).rows_expected for users in sizes)
        check_disk(cache_dir(), rows, COPIES)  # before the first size is seeded
        journal = Journal(
            project=plan.project,
            users=plan.users,
            sizes=plan.sizes,
            seed=plan.seed,
            quick=plan.quick,
            results=plan.results,
        )
        data_dir = cluster_dir()
        with journal.kept_if_begun(), running_postgres(data_dir) as server:
            journal.server_data_dir = data_dir
            journal.server = asyncio.run(describe_server(server))
            data_sets = [seed(journal, server, plan, users) for users in plan.sizes]
            _note_planner_settings(journal, data_sets)
            _load(journal, server, data_sets, plan)
            _advise(journal, server, data_sets, plan)
            records = _benchmark(journal, server, data_sets, plan)
            _find_least(journal, server, data_sets, plan, records)
            if records:
                _on_replica(journal, server, data_sets[-1].dsn, records[-1], plan)
        return _publish(journal)


def _note_planner_settings(journal: Journal, data_sets: list[DataSet]) -> None:
    """As the load meets them; the benchmarks' sessions say their own (`_benchmark`)."""
    found = planner_settings(data.dsn for data in data_sets)
    if journal.server is not None:
        journal.server = msgspec.structs.replace(journal.server, planner_settings=found)
    console.tell_planner_settings(found)


def seed(journal: Journal, server: PostgresServer, plan: RunPlan, users: int) -> DataSet:
    """The data set of `users`, made or found, as a stage of the run."""
    name = f"seed {users:,} users"
    with journal.stage(name), console.row_bar(name) as move:
        dsn, record = seeding.ensure_dataset(
            server,
            users=users,
            seed=plan.seed,
            jobs=plan.jobs,
            fresh=plan.fresh,
            on_progress=move,
        )
        store.write(journal.folder / "seed" / f"{users}.json", record)
    return DataSet(users, dsn, record)


def _matrix_plan(journal: Journal, plan: RunPlan) -> MatrixPlan:
    return MatrixPlan(
        levels=tuple(range(1, len(plan.project.levels) + 1)),
        # The small form walks through each level once.
        sizes=plan.sizes[-1:] if plan.quick else plan.sizes,
        seed=plan.seed,
        run_dir=journal.folder,
        cell_s=plan.cell_s,
        probe_s=plan.probe_s,
        probes_max=plan.probes_max,
    )


def _load(
    journal: Journal,
    server: PostgresServer,
    data_sets: list[DataSet],
    plan: RunPlan,
) -> None:
    wanted = _matrix_plan(journal, plan)

    def note_parts(running: RunningLevel) -> None:
        journal.levels[running.level] = running.parts

    with journal.stage(LOAD), console.step(LOAD) as show:
        record = matrix.measure(
            server,
            {data.users: data.dsn for data in data_sets},
            wanted,
            plan.project,
            folder=parts_folder(),
            compute=plan.compute,
            mode=plan.mode,
            on_level=note_parts,
            on_progress=show,
        )
    for level, parts in journal.levels.items():
        for part in parts:
            if part.outcome == "skipped":
                journal.skip(f"level {level}: {part.name}", part.note)
                console.say(f"  left out: level {level}: {part.name}: {part.note}")
    for sentence in record.not_measured:
        console.say(f"  not driven: {sentence}")


def _advise(
    journal: Journal, server: PostgresServer, data_sets: list[DataSet], plan: RunPlan
) -> None:
    """Candidates beyond the project's techniques, up to a size that keeps the run short.

    Without them a run is still worth its while: the stage says why there are none.
    """
    largest = plan.project.catalogue.run.advise_users_max
    chosen = [data for data in data_sets if data.users <= largest] or data_sets[:1]
    if plan.quick:
        chosen = data_sets[:1]
    with (
        suppress(PhasegateError),
        journal.stage(ADVISE),
        console.step(ADVISE) as show,
    ):
        for data in chosen:
            apply_level(data.dsn, FIRST, plan.project)
        wanted = AdvicePlan(
            plan.project,
            FIRST,
            plan.seed,
            plan.advise_budget_s,
            new_only=True,
            watch_s=QUICK_WATCH_S if plan.quick else WATCH_S,
        )
        databases = {data.users: data.dsn for data in chosen}
        advise(wanted, server, databases, journal.folder, on_progress=show)


def _benchmark(
    journal: Journal, server: PostgresServer, data_sets: list[DataSet], plan: RunPlan
) -> tuple[BenchmarkRecord, ...]:
    """Every technique at the run's sizes, and between them those whose N* lies there; ascending."""
    if not (plan.project.techniques or any(plan.project.benchmarks.glob("bench_*.py"))):
        journal.skip(BENCHMARKS, "the project has no technique in benchmarks/")
        return ()
    of_between_s = plan.benchmark_budget_s * BUDGET_SHARE if plan.sizes_between else 0.0
    records = _benchmark_at(
        journal, BENCHMARKS, data_sets, plan, plan.benchmark_budget_s - of_between_s
    )
    slo_ms = plan.project.catalogue.slo.statement_latency_ms_p95
    if wanted := techniques_between(records, plan.sizes_between, slo_ms):
        between = [seed(journal, server, plan, users) for users in wanted]
        records += _benchmark_at(journal, BETWEEN, between, plan, of_between_s, only=wanted)
    known = (journal.server.planner_settings if journal.server else None) or ()
    of_sessions = (one for record in records for one in record.planner_settings or ())
    console.tell_planner_settings(one for one in dict.fromkeys(of_sessions) if one not in known)
    return tuple(sorted(records, key=lambda record: record.users))


def _benchmark_at(
    journal: Journal,
    name: str,
    data_sets: list[DataSet],
    plan: RunPlan,
    budget_s: float,
    *,
    only: Mapping[int, Collection[str]] | None = None,
) -> tuple[BenchmarkRecord, ...]:
    with journal.stage(name), console.step(name) as show:
        return run_benchmarks(
            {data.users: data.dsn for data in data_sets},
            seed_sha256={data.users: data.record.sha256 for data in data_sets},
            seed=plan.seed,
            out=journal.folder / "bench",
            budget_s=budget_s,
            slo_ms_p95=plan.project.catalogue.slo.statement_latency_ms_p95,
            on_progress=show,
            stay_raised=only is None,
            project=plan.project,
            only=only,
        )


def _on_replica(
    journal: Journal, server: PostgresServer, dsn: str, record: BenchmarkRecord, plan: RunPlan
) -> None:
    """Without a replica a run is still worth its while: the stage says why there was none."""
    if not on_replica(plan.project):
        return
    with (
        suppress(PhasegateError),
        journal.stage(REPLICA),
        console.step(REPLICA) as show,
    ):
        out = journal.folder / "bench"
        _benchmark_on_replica(server, dsn, record, plan.seed, out, show)


def _find_least(
    journal: Journal,
    server: PostgresServer,
    data_sets: list[DataSet],
    plan: RunPlan,
    records: Sequence[BenchmarkRecord],
) -> None:
    """The simplest stack that holds; a run without it is still worth its while."""
    if not plan.least_trials_max:
        return
    # Brings the report room, and so matplotlib, which takes a second to import.
    from phasegate.cli.least_candidates import Candidates

    benchmarks = {record.users: record for record in records}
    candidates = Candidates.of_run(plan.project, benchmarks, journal.folder)
    with suppress(CannotMeasure), journal.stage(LEAST), console.step(LEAST) as show:
        matrix.find_least(
            server,
            {data.users: data.dsn for data in data_sets},
            _matrix_plan(journal, plan),
            candidates,
            folder=parts_folder(),
            trials_max=plan.least_trials_max,
            compute=plan.compute,
            mode=plan.mode,
            on_progress=show,
        )


def _benchmark_on_replica(
    server: PostgresServer,
    dsn: str,
    record: BenchmarkRecord,
    seed: int,
    out: Path,
    on_progress: Callable[[str], None],
) -> None:
    """Add the comparison that needs a replica to the record of the largest data set.

    It comes after all others: what feeding a replica takes makes every write dearer. The server
    keeps those settings until it stops.

    Raises:
        CannotMeasure: there is no room for a replica, it does not start, or the session failed.
    """
    on_progress("restart the server")
    primary = feeding(server)
    apply_sql(dsn, "warm")
    on_progress("copy the server")
    with running_replica(primary, parts_folder() / "replica") as replica:
        add_replica(
            record,
            dsn,
            replica.dsn(dsn.rpartition("/")[2]),
            seed=seed,
            out=out,
            budget_s=REPLICA_BUDGET_S,
            on_progress=on_progress,
        )


def parts_folder() -> Path:
    """Of poolers and replicas: whatever a run that was killed left there is cleared away."""
    return cluster_dir().parent / "level"


def _publish(journal: Journal) -> tuple[Path, Sequence[str]]:
    # matplotlib takes a second to import; only this step needs it.
    from phasegate import report

    # Drawing is no stage of the record: a run stays the same however often it is drawn.
    journal.write("complete")
    with console.step("report"):
        # The project as it was read: a run takes minutes, and files are edited.
        _, lines = report.publish(journal.folder, journal.project)
    return journal.publish(), lines


def conclude(folder: Path) -> None:
    """Return where the finished run in `folder` says something of the load.

    Raises:
        CannotMeasure: no cell of its matrix was driven.
    """
    record = store.read(folder / "matrix.json", MatrixRecord)
    if not record.cells:
        raise CannotMeasure(
            f"No load was driven: {'; '.join(record.not_measured).rstrip('.')}",
            untouched=f"What else was measured is in {folder}",
            then="Mend that, and run it again",
        )
