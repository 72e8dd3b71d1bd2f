"""`python -m instruments shares`: what a share of the processor does to the p95 of clicks.

PostgreSQL, its pooler and an API on their machine get one share after another, in random order
within each round, on a stack that stays up and has its data in memory. Writes `load/*.json` and
`sampler/*.json` below the folder that it is given.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from phasegate import seeding
from phasegate.cli.drive_matrix import Stacks, standing_of
from phasegate.load.capacity_matrix import HEAD_ROOM, Driver, MatrixPlan
from phasegate.load.stage_result import Driven, under_load
from phasegate.load.summary import Clicks
from phasegate.project import Project
from phasegate.report.format import milliseconds
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.control_group_files import Limits
from phasegate.stack.control_groups import make_group
from phasegate.stack.credit_keeper import Folder
from phasegate.stack.database import apply_sql
from phasegate.stack.disk_watch import Watched
from phasegate.stack.postgres import cluster_dir, running_postgres


@dataclass(frozen=True)
class Shares:
    """What is measured."""

    level: int
    users: int
    cores: tuple[float, ...]
    """For the database; 0: no limit."""
    rounds: int
    seconds: float
    """Of each stage, without its warm-up."""
    seed: int
    """Of the data set and of the arrivals."""
    out: Path


@dataclass(frozen=True)
class Stage:
    """A stage under a share."""

    cores: float
    driven: Driven

    @property
    def used_cores(self) -> float | None:
        """By the database, the mean under load; None where it was not sampled."""
        looks = [
            (each.at_s, each.disk.cpu_s)
            for each in under_load(self.driven.load, self.driven.used)
            if each.disk is not None and each.disk.cpu_s is not None
        ]
        if len(looks) < 2:
            return None
        return sum(used for _, used in looks[1:]) / (looks[-1][0] - looks[0][0])


def measure(project: Project, plan: Shares) -> Iterator[Stage]:
    """The stages, as they are driven.

    Raises:
        OSError: this account may not limit the processor of a control group.
    """
    rate = project.catalogue.workload.arrival_rate_per_s(plan.users) * HEAD_ROOM
    with locked(cache_dir(), "instruments shares"), running_postgres(cluster_dir()) as server:
        dsn, _ = seeding.ensure_dataset(server, users=plan.users, seed=plan.seed)
        folder = cluster_dir().parent / "level"
        stacks = Stacks(project, server, {plan.users: dsn}, folder, None, "sustained")
        matrix = MatrixPlan((plan.level,), (plan.users,), plan.seed, plan.out)
        driver = Driver(matrix, project, stacks.sample)
        with stacks.running(plan.level, plan.users) as running:
            apply_sql(dsn, "warm")
            group = make_group(running.pids["postgres"])
            try:
                shared = {"postgres", "pgbouncer"}
                shared |= {"api"} if project.api.on_database_machine else set()
                for name in shared & running.pids.keys():
                    group.enter(running.pids[name])
                folders = tuple(
                    Folder(kind, place.version, str(path))
                    for kind, (place, path) in group.found.items()
                )
                standing = replace(standing_of(running, project), watched=Watched(folders, None))
                for number, cores in _order(plan):
                    group.limit(Limits(cores=cores or None), ("cpu",))
                    if "cpu" in group.missing:
                        raise OSError(group.missing["cpu"])
                    name = f"{cores:g}-cores-{number}"
                    yield Stage(
                        cores,
                        driver.drive(standing, name, plan.level, plan.users, rate, plan.seconds),
                    )
            finally:
                group.close()


def _order(plan: Shares) -> Iterator[tuple[int, float]]:
    draw = random.Random(plan.seed)
    for number in range(1, plan.rounds + 1):
        yield from ((number, each) for each in draw.sample(plan.cores, len(plan.cores)))


def of_stage(stage: Stage) -> str:
    """A stage, in a line."""
    clicks = Clicks.of(stage.driven.load)
    p95 = clicks.latency_ms_p95
    used = stage.used_cores
    said = [
        f"{_share(stage.cores):>9}",
        "no clicks" if p95 is None else f"p95 {milliseconds(p95)}",
        f"{clicks.failed} of {clicks.count} clicks failed",
        "use not sampled" if used is None else f"{used:.3f} cores used",
        *stage.driven.load.invalid,
    ]
    return "  ".join(said)


def lines(stages: Sequence[Stage]) -> Iterator[str]:
    """Median and range of each share's p95."""
    for cores in sorted({each.cores for each in stages}, key=lambda each: each or math.inf)[::-1]:
        p95s = [
            p95
            for each in stages
            if each.cores == cores
            and (p95 := Clicks.of(each.driven.load).latency_ms_p95) is not None
        ]
        if p95s:
            low, middle, high = (f(p95s) for f in (min, statistics.median, max))
            yield (
                f"{_share(cores):>9}: p95 {milliseconds(middle)} "
                f"({milliseconds(low)} to {milliseconds(high)}, {len(p95s)} stages)"
            )


def _share(cores: float) -> str:
    return f"{cores:g} cores" if cores else "no limit"
