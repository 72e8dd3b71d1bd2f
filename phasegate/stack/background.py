"""What runs beside the tables, as a project declares it: background jobs.

Reads `stack/sql/jobs.sql` and the files of the project that its `[jobs]` name; writes schema
`private` and pgqueuer's schema `queue`. The worker and the functions of the API find what is
declared in the database, and need no project.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import asyncpg
import msgspec

from phasegate.model.errors import ConfigurationError
from phasegate.project import Project
from phasegate.stack.database import connected, literal, read_sql, run


class JobSql(msgspec.Struct, frozen=True):
    """A job's statements, as `private.declare_jobs` takes them."""

    job: str
    work: str
    owns: str | None


@dataclass(frozen=True)
class Background:
    """What a stack has beside its tables.

    Attributes:
        users_table: of the project, schema-qualified.
        users_key: its column that tokens carry.
        jobs: that can be asked for; on the spot in every stack.
        is_queued: whether they can also be accepted, and done later.
    """

    users_table: str
    users_key: str
    jobs: tuple[JobSql, ...]
    is_queued: bool


def background_of(project: Project, parts: Collection[str]) -> Background:
    """What a stack with `parts` has beside its tables.

    Raises:
        ConfigurationError: a file that the project names cannot be read.
    """

    def text(name: str, key: str, path: str) -> str:
        return project.text(path, f"phasegate.toml: jobs.{name}.{key}")

    return Background(
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
        is_queued="jobs" in parts,
    )


def background_sql(background: Background, *, has_queue: bool) -> tuple[tuple[str, str], ...]:
    """The SQL that brings a database to `background`, from any other: (what it is, text) each.

    It may run in one transaction, and twice.

    Args:
        background: what shall be there.
        has_queue: pgqueuer's tables are there already.
    """
    pieces = [("jobs", read_sql("jobs"))]
    if background.jobs:
        queued = "true" if background.is_queued else "false"
        kinds = msgspec.json.encode(background.jobs).decode()
        users = f"{literal(background.users_table)}, {literal(background.users_key)}"
        pieces.append(("the users who may ask for one", f"select private.make_jobs({users});"))
        pieces.append(
            (
                f"jobs of the project: {', '.join(job.job for job in background.jobs)}",
                f"select private.declare_jobs({literal(kinds)}, {queued});",
            )
        )
    if background.is_queued and not has_queue:
        # Imported where it is needed: pgqueuer's import takes longer than all the rest of this.
        from phasegate.stack.job_queue import install_query

        pieces.append(("pgqueuer's tables, in a schema of their own", install_query()))
    if has_queue and not background.is_queued:
        pieces.append(("queue_undo", read_sql("queue_undo")))
    return tuple(pieces)


async def arrange_on(connection: asyncpg.Connection, background: Background) -> None:
    """As `arrange`, on a connection that the caller owns, outside a transaction."""
    has_queue = bool(await connection.fetchval(read_sql("has_queue")))
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        for name, text in background_sql(background, has_queue=has_queue):
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
    if background.is_queued and has_queue:
        from phasegate.stack.job_queue import install_on

        await install_on(connection)  # of an earlier version, perhaps


def arrange(dsn: str, background: Background) -> None:
    """Have the database behind `dsn` know what runs beside its tables. Idempotent.

    Raises:
        ConfigurationError: a statement of the project's is wrong; nothing was changed.
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: as for a right that is missing; nothing was changed.
    """

    async def work() -> None:
        async with connected(dsn) as connection:
            await arrange_on(connection, background)

    run(work())
