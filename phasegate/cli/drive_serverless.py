"""Serverless clients driven: PostgreSQL with a size's connections, then PgBouncer in front of it.

Seeds what is missing; starts a server of ours for each size, and stops it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean

import msgspec

from phasegate import seeding
from phasegate.cli import console
from phasegate.cli.serverless import Asked, answer
from phasegate.compare.connection import Connection
from phasegate.compare.dataset import draw_population
from phasegate.compare.technique import Arm, Parameters, Role, Technique
from phasegate.compare.technique_folders import pair, self_check
from phasegate.model.errors import UsageError
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records.serverless import Climb, ServerlessAnswer, Through, Users
from phasegate.serverless.climb import Aim, Climbed, climb, rehearsed
from phasegate.serverless.target import logged_in, reached
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.compute import server_settings
from phasegate.stack.levels import apply_parts
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres

LONGER_MAX, LAG_MS_MAX = 1.2, 50.0
"""What takes so much longer than meant waits for a processor, not for connections; and requests
that are sent in bunches do not come at random."""


@dataclass(frozen=True)
class Driven:
    """The answers with their climbs, and what was driven."""

    answers: tuple[ServerlessAnswer, ...]
    query_s: float
    statement: str


def statement_of(project: Project, id_: str | None, arm: str) -> tuple[Technique, Arm]:
    """The technique and the arm of it that functions send.

    Raises:
        UsageError: there is none such, or it is nothing that functions can send.
    """
    if id_ is None:
        found = self_check(project)
        return found, found.after
    technique = pair(project, id_)
    if technique is None:
        raise UsageError(
            f"The arms of {id_} are Python, and functions send statements",
            untouched="Nothing was started",
            then="Name a technique whose arms are statements",
        )
    chosen: Arm = getattr(technique, arm)
    arranged = chosen.arrange and not project.technique(id_).same_query
    unfit = {
        "it writes": technique.writes,
        "it is the owner's": technique.role is Role.OWNER,
        "it needs a set-up of its own": technique.setup,
        "its arm needs something arranged": arranged,
    }
    for why, is_so in unfit.items():
        if is_so:
            raise UsageError(
                f"The statement of {id_} cannot be sent by functions: {why}",
                untouched="Nothing was started",
                then="Name a technique that reads as a user",
            )
    return technique, chosen


def driven(asked: Asked) -> Driven:
    """Climb on each size in each way.

    Raises:
        ConfigurationError: there is no PgBouncer on this machine.
        CannotMeasure: a statement failed.
    """
    project = asked.project
    technique, arm = statement_of(project, asked.technique, asked.arm)
    parts = set(project.parts_of(len(project.levels))) | set(technique.needs)
    if asked.technique is not None and asked.arm == "before":
        parts.discard(project.applied_by(asked.technique).id)
    answers, queries_s = [], []
    with locked(cache_dir(), "phasegate serverless"):
        for size in asked.sizes:
            with running_postgres(cluster_dir(), settings=server_settings(size)) as server:
                dsn = _seeded(server, asked)
                apply_parts(dsn, parts, project)
                population = _population(dsn, asked, technique)
                for through in asked.through:
                    name = f"{size.name}, {through}"
                    with console.step(name) as show:
                        seen = _climbed(asked, size, through, dsn, (arm, population), show)
                    query_s = fmean(each.query_s for each in seen)
                    said = answer(asked, asked.clients(query_s), size, through)
                    climbs = tuple(map(as_record, seen))
                    answers.append(msgspec.structs.replace(said, climbs=climbs))
                    queries_s.append(query_s)
    sent = "the self-check's" if asked.technique is None else f"{asked.technique}, {asked.arm}"
    return Driven(tuple(answers), fmean(queries_s), sent)


def _seeded(server: PostgresServer, asked: Asked) -> str:
    with console.row_bar(f"seed {asked.users:,} users") as move:
        dsn, _ = seeding.ensure_dataset(
            server, users=asked.users, seed=asked.seed, jobs=asked.jobs, on_progress=move
        )
    return dsn


def _population(dsn: str, asked: Asked, technique: Technique) -> list[Parameters]:
    connection = Connection(dsn)
    try:
        drawn = draw_population(connection, asked.project, asked.seed)
        if technique.draw is not None:
            drawn = technique.draw(connection, drawn)
        return list(drawn)
    finally:
        connection.close()


def _climbed(
    asked: Asked,
    size: Compute,
    through: Through,
    dsn: str,
    sent: tuple[Arm, list[Parameters]],
    show: Callable[[str], None],
) -> list[Climbed]:
    """The climbs of one size, reached in one way."""
    said, way = asked.project.catalogue.serverless, asked.way(size, through)
    folder = cluster_dir().parent / "serverless"
    with (
        logged_in(dsn) as login,
        reached(login, way, others=said.other_connections, folder=folder) as to,
    ):
        aim = Aim(
            clients=asked.clients(),
            way=way,
            dsn=to,
            arm=sent[0],
            population=sent[1],
            idle_timeout_s=said.idle_timeout_s,
            freezes=said.freezes,
            kept_s=said.kept_s,
            seed="",
        )
        aim = replace(aim, clients=asked.clients(rehearsed(aim)))
        seeds = [f"{asked.seed}/{size.name}/{through}/{n}" for n in range(asked.climbs)]
        return [climb(replace(aim, seed=seed), show) for seed in seeds]


def as_record(seen: Climbed) -> Climb:
    """`seen`, for the record."""
    return Climb(
        users=seen.users,
        modelled=Users(
            estimate=seen.modelled.estimate, low=seen.modelled.low, high=seen.modelled.high
        ),
        fair=seen.longer <= LONGER_MAX and seen.lag_ms_p95 <= LAG_MS_MAX,
        limit=seen.limit,
        said=seen.said,
        instances=seen.instances,
        connections=seen.connections,
        requests=seen.requests,
        query_ms=seen.query_s * 1000,
        stretch=seen.stretch,
        lag_ms_p95=seen.lag_ms_p95,
        longer=seen.longer,
    )
