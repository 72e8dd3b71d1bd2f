"""The phase matrix on this machine: the load room's cells on the stack room's levels, sampled.

Writes what `load.capacity_matrix` and `stack.sampler` write, under the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from phasegate.levels.runner import RunningLevel, running_level
from phasegate.load.capacity_matrix import MatrixPlan, Standing, run_matrix
from phasegate.load.run import Target
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records.matrix import MatrixRecord
from phasegate.stack.emulation import Mode
from phasegate.stack.inspect import unguarded
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.sampler import sampling


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

    @contextmanager
    def stand(level: int, users: int) -> Iterator[Standing]:
        with running_level(
            server,
            databases[users],
            level,
            folder=folder,
            compute=compute,
            mode=mode,
            project=project,
        ) as running:
            on_level(running)
            target = Target(
                url=running.api.url, anon_key=running.api.anon_key, jwt_secret=running.jwt_secret
            )
            open_rows = unguarded(running.dsn)
            yield Standing(target, dict(running.pids), running.pooler_dsn, open_rows)

    def sample(
        users: int, *, stage: str, out: Path, standing: Standing
    ) -> AbstractContextManager[Path]:
        return sampling(
            databases[users],
            stage=stage,
            out=out,
            pids=standing.pids,
            api_url=None if project.api.command else standing.target.url,
            pooler_dsn=standing.pooler_dsn,
        )

    return run_matrix(plan, project, stand, sample, on_progress)
