"""`phasegate run`: seed → load → benchmarks → report, each room in order, on a server of our own.

Writes `results/<run-id>/` and the cache folder; leaves no process behind, however it ends.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

import seed
from benchmarks.run import run_benchmarks
from loadtests.run import Target, run_stage
from phasegate import circumstances, console
from phasegate.journal import Journal
from phases.catalogue import Catalogue, Population
from records import store
from records.seed import SeedRecord
from seed.embedded import COPIES
from seed.target import check_disk
from stack.api import running_api
from stack.binaries import server_version
from stack.cache import cache_dir, locked
from stack.levels import apply_level
from stack.postgres import PostgresServer, running_postgres

# The client that goes with each stack level: what a user of that level would have written.
ARMS = {1: "n-plus-1", 2: "embedded", 3: "embedded+cache"}


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    users: int
    sizes: tuple[int, ...]
    seed: int
    quick: bool
    jobs: int
    fresh: bool
    results: Path
    load_stage_s: float
    benchmark_budget_s: float


@dataclass(frozen=True)
class DataSet:
    """A seeded database that is ready to be measured."""

    users: int
    dsn: str
    record: SeedRecord


def cluster_dir() -> Path:
    """The data folder of our own server, one per major version."""
    return cache_dir() / f"cluster-{server_version()[0]}" / "data"


def run(plan: Plan, catalogue: Catalogue) -> Path:
    """Carry `plan` out and return the folder of the finished run."""
    with locked(cache_dir(), "phasegate run"):
        check_disk(cache_dir(), sum(plan.sizes), COPIES)  # before the first size is seeded
        journal = Journal(
            users=plan.users,
            sizes=plan.sizes,
            seed=plan.seed,
            quick=plan.quick,
            results=plan.results,
        )
        data_dir = cluster_dir()
        with running_postgres(data_dir) as server:
            journal.server_pid_file = data_dir / "postmaster.pid"
            journal.server = asyncio.run(circumstances.describe_server(server))
            data_sets = [
                _seed(journal, server, plan, users, catalogue.population) for users in plan.sizes
            ]
            _load(journal, data_sets[-1], plan, catalogue)
            _benchmark(journal, data_sets, plan)
        return _publish(journal)


def _seed(
    journal: Journal, server: PostgresServer, plan: Plan, users: int, population: Population
) -> DataSet:
    name = f"seed {users:,} users"
    with journal.stage(name), console.row_bar(name) as move:
        dsn, record = seed.ensure_dataset(
            server,
            users=users,
            seed=plan.seed,
            jobs=plan.jobs,
            fresh=plan.fresh,
            population=population,
            on_progress=move,
        )
        store.write(journal.folder / "seed" / f"{users}.json", record)
    return DataSet(users, dsn, record)


def _load(journal: Journal, data: DataSet, plan: Plan, catalogue: Catalogue) -> None:
    for level, arm in ARMS.items():
        name = f"load level {level} ({arm})"
        with journal.stage(name), console.step(name):
            apply_level(data.dsn, level)
            jwt_secret = secrets.token_urlsafe(32)
            with running_api(data.dsn, jwt_secret=jwt_secret, level=level) as api:
                run_stage(
                    Target(url=api.url, anon_key=api.anon_key, jwt_secret=jwt_secret),
                    stage=f"level-{level}",
                    arm=arm,
                    level=level,
                    users=data.users,
                    seed=plan.seed,
                    duration_s=plan.load_stage_s,
                    arrival_rate_per_s=catalogue.workload.arrival_rate_per_s(data.users),
                    out=journal.folder / "load",
                )


def _benchmark(journal: Journal, data_sets: list[DataSet], plan: Plan) -> None:
    name = "benchmarks"
    with journal.stage(name), console.step(name) as show:
        run_benchmarks(
            {data.users: data.dsn for data in data_sets},
            seed_sha256={data.users: data.record.sha256 for data in data_sets},
            seed=plan.seed,
            out=journal.folder / "bench",
            budget_s=plan.benchmark_budget_s,
            on_progress=show,
        )


def _publish(journal: Journal) -> Path:
    # matplotlib takes a second to import; only this step needs it.
    import report

    # Drawing is no stage of the record: a run stays the same however often it is drawn.
    journal.write("complete")
    with console.step("report"):
        report.build(journal.folder)
    return journal.publish()
