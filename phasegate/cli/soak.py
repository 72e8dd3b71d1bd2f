"""`--soak`: one cell driven long enough to meet what shows in time alone.

`run --soak` drives a level of ours and writes a run of that one stage. Ctrl-C keeps what
was measured.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from phasegate.cli import console
from phasegate.cli.drive_matrix import Stacks, standing_of
from phasegate.cli.pipeline import RunPlan, parts_folder, seed
from phasegate.cli.run_record import Journal
from phasegate.cli.soak_options import interval_s
from phasegate.load.capacity_matrix import Driver, MatrixPlan
from phasegate.records.faults import require_writable
from phasegate.seeding.dataset_spec import dataset_spec
from phasegate.seeding.target import check_disk
from phasegate.seeding.template_database import COPIES
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.machine import describe_server
from phasegate.stack.postgres import cluster_dir, running_postgres

STAGE = "soak"
COMPARES_NOTHING = "a soak drives one cell; `phasegate run` without --soak compares techniques"


def run(plan: RunPlan, level: int, duration_s: float) -> tuple[Path, bool]:
    """Drive one cell of `plan`: the folder of the run, and whether it was stopped by hand.

    Args:
        plan: users, seed, compute size and where to write; the rest of it does not matter here.
        level: of the project, counted from 1.
        duration_s: of the stage.

    Raises:
        KeyboardInterrupt: it was stopped before a click was recorded.
    """
    plan.project.level(level)
    with locked(cache_dir(), "phasegate run"):
        require_writable(plan.results, purpose="results")
        check_disk(cache_dir(), dataset_spec(plan.users, plan.seed).rows_expected, COPIES)
        journal = Journal(
            project=plan.project,
            users=plan.users,
            sizes=(plan.users,),
            seed=plan.seed,
            quick=False,
            results=plan.results,
        )
        data_dir = cluster_dir()
        stopped = False
        with journal.kept_if_begun(), running_postgres(data_dir) as server:
            journal.server_data_dir = data_dir
            data = seed(journal, server, plan, plan.users)
            stacks = Stacks(
                plan.project,
                server,
                {plan.users: data.dsn},
                parts_folder(),
                plan.compute,
                plan.mode,
                soak_s=duration_s,
            )
            name = f"soak: level {level} at the peak of {plan.users:,} users"
            try:
                with journal.stage(name), console.step(name) as show:
                    show(f"{duration_s / 60:g} min; Ctrl-C ends it and keeps what there is")
                    _drive(plan, level, journal, stacks)
            except KeyboardInterrupt:
                if not recorded(journal.folder):
                    raise
                stopped = True
        return _published(journal, stopped=stopped), stopped


def _drive(plan: RunPlan, level: int, journal: Journal, stacks: Stacks) -> None:
    matrix = MatrixPlan(
        levels=(level,), sizes=(plan.users,), seed=plan.seed, run_dir=journal.folder
    )
    driver = Driver(matrix, plan.project, stacks.sample)
    workload = plan.project.catalogue.workload
    with stacks.running(level, plan.users) as running:
        journal.levels[level] = running.parts
        journal.server = asyncio.run(describe_server(running.server))
        driver.drive(
            standing_of(running, plan.project),
            STAGE,
            level,
            plan.users,
            workload.arrival_rate_per_s(plan.users) * matrix.head_room,
            stacks.soak_s,
            interval_s=interval_s(stacks.soak_s),
        )


def recorded(folder: Path) -> bool:
    """Whether a stage of `folder` has its record: the generator wrote it as it was ended."""
    return any((folder / "load").glob("[!.]*.json"))


def _published(journal: Journal, *, stopped: bool) -> Path:
    # matplotlib takes a second to import; only this step needs it.
    from phasegate import report

    journal.skip("benchmarks", COMPARES_NOTHING)
    journal.write("interrupted" if stopped else "complete")
    with console.step("report"):
        report.build(journal.folder, journal.project)
    return journal.publish()
