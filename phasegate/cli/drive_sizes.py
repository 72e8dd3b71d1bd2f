"""The search for a compute size on this machine: one size after another put in force, and driven.

Writes what `load.size_drives` and `stack.sampler` write, under the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from phasegate.cli.drive_matrix import Stacks, standing_of
from phasegate.load.size_drives import SizePlan, SizeSearch, SizeStanding
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.stack.database import apply_sql
from phasegate.stack.emulation import Mode
from phasegate.stack.postgres import PostgresServer


def search_sizes(
    server: PostgresServer,
    dsn: str,
    plan: SizePlan,
    project: Project,
    *,
    folder: Path,
    on_progress: Callable[[str], None] = lambda _: None,
) -> SizeSearch:
    """The search for a compute size, on the data set of `plan.users` behind `dsn`.

    Args:
        server: of ours, running; each size restarts it.
        dsn: of the data set.
        plan: what is asked.
        project: its sessions, workload and SLO.
        folder: for the files of poolers and replicas.
        on_progress: told what is being measured.
    """
    stacks = Stacks(project, server, {plan.users: dsn}, folder, None, "sustained", cold=True)

    @contextmanager
    def stand(size: Compute, mode: Mode) -> Iterator[SizeStanding]:
        under = replace(stacks, compute=size, mode=mode)
        with under.running(plan.parts, plan.users) as running:
            emulation = running.emulation
            assert emulation is not None  # noqa: S101 - a size was asked for

            def warm() -> None:
                with emulation.relaxed():
                    apply_sql(dsn, "warm")

            yield SizeStanding(
                standing_of(running, project), emulation.not_in_force, emulation.left_out, warm
            )

    return SizeSearch(plan, project, stand, stacks.sample, on_progress)
