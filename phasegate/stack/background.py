"""What runs beside the tables, as a project declares it: jobs, refreshes, upkeep of partitions.

Reads `stack/sql/{jobs,refresh,partitions}*.sql` and the project's files; writes a schema of its
own, `phasegate_stack`, pgqueuer's schema `queue` and, where the server has pg_partman, that
extension's configuration. The worker, the functions of the API and the health check find what is
declared in the database, and need no project.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
import msgspec

from phasegate.model.errors import ConfigurationError
from phasegate.project import Partitions, Project, Refresh
from phasegate.project.contract import WORKER_PARTS
from phasegate.stack.database import connected, literal, read_sql, run
from phasegate.stack.partitions import partman_version, upkeep_sql

T = TypeVar("T")


class JobSql(msgspec.Struct, frozen=True):
    """A job's statements, as `phasegate_stack.declare_jobs` takes them."""

    job: str
    work: str
    owns: str | None


Piece = tuple[str, str]
"""Where some SQL comes from, and the SQL."""


@dataclass(frozen=True)
class Background:
    """What a stack has beside its tables.

    Attributes:
        parts: of `WORKER_PARTS`, those that the stack has.
        users_table: of the project, schema-qualified.
        users_key: its column that tokens carry.
        jobs: that can be asked for; on the spot in every stack, later with the part `jobs`.
        refreshes: materialised views that the part `refresh` fills again on a schedule.
        partitions: tables that the part `partition_upkeep` looks after.
    """

    parts: frozenset[str]
    users_table: str
    users_key: str
    jobs: tuple[JobSql, ...]
    refreshes: tuple[Refresh, ...]
    partitions: tuple[Partitions, ...]


def background_of(project: Project, parts: Collection[str]) -> Background:
    """What a stack with `parts` has beside its tables.

    Raises:
        ConfigurationError: a file that the project names cannot be read.
    """

    def text(name: str, key: str, path: str) -> str:
        return project.text(path, f"phasegate.toml: jobs.{name}.{key}")

    techniques = [technique.file for technique in project.techniques.values()]
    return Background(
        parts=WORKER_PARTS & set(parts),
        users_table=project.about.users_table,
        users_key=project.about.users_key,
        jobs=tuple(
            JobSql(
                name,
                text(name, "work", job.work),
                text(name, "owns", job.owns) if job.owns else None,
            )
            for name, job in project.jobs.items()
        ),
        refreshes=_once(technique.refresh for technique in techniques),
        partitions=_once(technique.partitions for technique in techniques),
    )


def _once(found: Iterable[T | None]) -> tuple[T, ...]:
    """What is declared, once each."""
    return tuple(dict.fromkeys(one for one in found if one is not None))


def background_sql(
    background: Background, *, has_queue: bool, partman: int | None
) -> tuple[Piece, ...]:
    """The SQL that brings a database to `background`, from any other.

    It may run in one transaction, and twice.

    Args:
        background: what shall be there.
        has_queue: pgqueuer's tables are there already.
        partman: major version of pg_partman where the server has it.
    """
    parts = background.parts
    pieces = _jobs_sql(background)
    # Its tables hold the schedules of every part that a worker carries out.
    if parts and not has_queue:
        # Imported where it is needed: pgqueuer's import takes longer than all the rest of this.
        from phasegate.stack.job_queue import install_query

        pieces.append(("pgqueuer's tables, in a schema of their own", install_query()))
    if has_queue and not parts:
        pieces.append(_file("queue_undo"))
    if "refresh" in parts:
        views = literal(msgspec.json.encode(background.refreshes).decode())
        named = ", ".join(refresh.view for refresh in background.refreshes) or "none"
        pieces.append(_file("refresh"))
        pieces.append((f"views: {named}", f"select phasegate_stack.declare_refreshes({views});"))
    else:
        pieces.append(_file("refresh_undo"))
    if "partition_upkeep" in parts:
        pieces += upkeep_sql(background.partitions, partman)
    else:
        pieces.append(_file("partition_upkeep_undo"))
    return tuple(pieces)


def _jobs_sql(background: Background) -> list[Piece]:
    pieces = [_file("jobs")]
    if background.jobs:
        kinds = literal(msgspec.json.encode(background.jobs).decode())
        named = ", ".join(job.job for job in background.jobs)
        users = f"{literal(background.users_table)}, {literal(background.users_key)}"
        pieces.append(("users who may ask", f"select phasegate_stack.make_jobs({users});"))
        pieces.append((f"jobs: {named}", f"select phasegate_stack.declare_jobs({kinds});"))
    if "jobs" in background.parts:
        names = ", ".join(literal(job.job) for job in background.jobs)
        pieces.append(_file("queued_jobs"))
        pieces.append(("accepted", f"select phasegate_stack.queue_jobs(array[{names}]::text[]);"))
    else:
        pieces.append(_file("jobs_undo"))
    return pieces


def nothing_beside() -> tuple[Piece, ...]:
    """The SQL that takes away all that runs beside the tables, and what users asked for."""
    return tuple(
        _file(name)
        for name in (
            "jobs_undo", "jobs_drop", "queue_undo", "refresh_undo", "partition_upkeep_undo",
        )
    )  # fmt: skip


def _file(name: str) -> Piece:
    return name, read_sql(name)


async def arrange_on(
    connection: asyncpg.Connection, background: Background, *, use_partman: bool = True
) -> None:
    """As `arrange`, on a connection that the caller owns, outside a transaction."""
    has_queue = bool(await connection.fetchval(read_sql("has_queue")))
    partman = await partman_version(connection) if use_partman else None
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        for name, text in background_sql(background, has_queue=has_queue, partman=partman):
            try:
                await connection.execute(text)
            except asyncpg.InsufficientPrivilegeError:
                raise
            except asyncpg.SyntaxOrAccessError as error:
                raise ConfigurationError(
                    f"What runs beside the tables cannot be declared ({name}): {error}",
                    untouched="Nothing was changed",
                    then="Correct the statement in the project's file that phasegate.toml names",
                ) from error
    if background.parts and has_queue:
        from phasegate.stack.job_queue import install_on

        await install_on(connection)  # of an earlier version, perhaps


def arrange(dsn: str, background: Background, *, use_partman: bool = True) -> None:
    """Have the database behind `dsn` know what runs beside its tables. Idempotent.

    Args:
        dsn: of the database.
        background: what shall run; whatever else was declared no longer does.
        use_partman: whether pg_partman keeps the partitions where the server has it.

    Raises:
        ConfigurationError: a statement of the project's is wrong; nothing was changed.
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: as for a right that is missing; nothing was changed.
    """

    async def work() -> None:
        async with connected(dsn) as connection:
            await arrange_on(connection, background, use_partman=use_partman)

    run(work())
