"""The database's part of a stack: brought to a set of parts, from whatever is there.

Reads the project's levels and techniques (migration, undo, present) and `stack/sql/`; writes the
database. A technique is applied by its migration, as a person would run it, and is there if its
`present.sql` says so. `stack.background` brings what runs beside the tables. Other parts of a stack
(pooler, replica, worker, API) are processes: `levels.runner`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from phasegate.model.errors import ConfigurationError
from phasegate.project import Project, TechniqueFolder, load_project, transactional
from phasegate.project.contract import WORKER_PARTS
from phasegate.project.technique import MIGRATION, UNDO
from phasegate.stack.background import Piece, arrange_on, background_of
from phasegate.stack.database import connected, literal, read_sql, run
from phasegate.stack.partitions import partman_version

PRESENT = {
    "jobs": "jobs_present",
    "refresh": "refresh_present",
    "partition_upkeep": "partition_upkeep_present",
}
"""Files of `stack/sql/`: is a part there that a worker carries out."""

FOUNDATION = ("supabase",)
"""Roles and the auth schema, which every set of parts stands on, like what `seed/` says."""

GUARDED = """\
do $phasegate_guard$
begin
    if {negation}coalesce((
{present}
    ), false) then
        execute $phasegate_sql$
{sql}
        $phasegate_sql$;
    end if;
end
$phasegate_guard$;"""


@dataclass(frozen=True)
class Found:
    """What a database is known to have, beside the parts that its SQL asks for by itself."""

    has_queue: bool = False
    """Whether the worker's queue is there."""
    partman: int | None = None
    """Major version of pg_partman where the server has it."""


def in_database(project: Project, parts: Iterable[str]) -> frozenset[str]:
    """Those of `parts` that leave something in the database."""
    return project.in_database & frozenset(parts)


def in_order(project: Project, parts: Collection[str]) -> list[TechniqueFolder]:
    """The techniques among `parts`: first those of lower levels, then by name."""
    listed = [part for level in project.levels for part in level.parts]
    wanted = dict.fromkeys(part for part in (*listed, *sorted(parts)) if part in parts)
    return [
        project.techniques[part]
        for part in wanted
        if part in project.techniques and project.techniques[part].migration
    ]


def _where_lacking(policies: Path, project: Project) -> Piece:
    """The project's policies, where the seeder found no roles to make them for."""
    schemas = ", ".join(map(literal, project.about.schemas))
    text = GUARDED.format(
        negation="not ",
        present=f"select exists (select from pg_policies where schemaname in ({schemas}))",  # noqa: S608 - literals
        sql=transactional(read_sql(policies)),
    )
    return f"seed/{policies.name}", text


def _guarded(technique: TechniqueFolder, *, undo: bool) -> Piece:
    """A migration that runs where it is lacking, or an undo that runs where it is too much."""
    text = GUARDED.format(
        negation="" if undo else "not ",
        present=transactional(technique.present).rstrip(";"),
        sql=transactional(technique.taken_away if undo else technique.applied),
    )
    return f"benchmarks/{technique.id}/{UNDO if undo else MIGRATION}", text


def pieces(project: Project, parts: Collection[str]) -> list[Piece]:
    """The SQL that brings a database to the techniques among `parts`, from any other set.

    For one transaction; `background_sql` says what comes after it.

    Args:
        project: whose techniques and schema these are.
        parts: what there shall be; parts that are no techniques are passed over.
    """
    policies, functions = project.seed.policies, project.seed.functions
    return [
        *((name, read_sql(name)) for name in FOUNDATION),
        *([_where_lacking(policies, project)] if policies.is_file() else []),
        *([(f"seed/{functions.name}", read_sql(functions))] if functions.is_file() else []),
        *undone(project, but=parts),
        *(_guarded(each, undo=False) for each in in_order(project, parts)),
    ]


def undone(project: Project, *, but: Collection[str] = ()) -> list[Piece]:
    """The SQL that takes away all techniques of the project but some, where they are there."""
    others = [id_ for id_ in project.techniques if id_ not in but]
    return [_guarded(each, undo=True) for each in reversed(in_order(project, others))]


async def find_on(connection: asyncpg.Connection) -> Found:
    """What `background_sql` must know of the database that is connected to."""
    return Found(
        has_queue=await connection.fetchval(read_sql("has_queue")),
        partman=await partman_version(connection),
    )


async def bring_to_parts(
    connection: asyncpg.Connection, project: Project, parts: Collection[str]
) -> None:
    """As `apply_parts`, on a connection that the caller owns."""
    background = background_of(project, parts)
    said = pieces(project, parts)
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        for name, text in said:
            try:
                await connection.execute(text)
            except asyncpg.PostgresSyntaxError as error:
                raise ConfigurationError(
                    f"{name}: {error}",
                    untouched="Nothing was changed",
                    then="Correct the statement",
                ) from error
    await arrange_on(connection, background)


def apply_parts(dsn: str, parts: Collection[str], project: Project | None = None) -> None:
    """Bring the database behind `dsn` to `parts`: apply what is lacking, undo what is too much.

    In one transaction, what runs beside the tables in another after it; applying the same set again
    changes nothing, and a materialised view that is there keeps its contents and its age.

    Args:
        dsn: of the database.
        parts: of the project; those that are processes or the client's are passed over.
        project: the one here if None.

    Raises:
        ConfigurationError: there is no such part, or its SQL cannot be read.
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: a statement failed, as when the tables are missing; nothing was
            changed.
    """
    here = project or load_project()
    here.check_parts(tuple(parts), "The stack")

    async def work() -> None:
        async with connected(dsn) as connection:
            await bring_to_parts(connection, here, parts)

    run(work())


def apply_level(dsn: str, level: int, project: Project | None = None) -> None:
    """`apply_parts` with those of a level.

    Raises:
        UsageError: there is no such level. Else as `apply_parts`.
    """
    here = project or load_project()
    apply_parts(dsn, here.parts_of(level), here)


async def present_on(connection: asyncpg.Connection, project: Project) -> frozenset[str]:
    """As `present_parts`, on a connection that the caller owns."""
    asked = {part: read_sql(name) for part, name in PRESENT.items()}
    asked |= {id_: each.present for id_, each in project.techniques.items() if each.migration}
    found = set()
    for part, query in asked.items():
        try:
            if await connection.fetchval(query):
                found.add(part)
        except asyncpg.PostgresError as error:
            if part in WORKER_PARTS:
                raise
            raise ConfigurationError(
                f"{project.techniques[part].path.rpartition('/')[0]}/present.sql: {error}",
                untouched="Nothing was changed",
                then="It must be one query that answers true or false on any database",
            ) from error
    return frozenset(found)


def present_parts(dsn: str, project: Project | None = None) -> frozenset[str]:
    """The parts that lie in the database behind `dsn`: what is there, not what was asked for.

    Raises:
        ConfigurationError: a technique's `present.sql` fails.
        CannotMeasure: the server cannot be reached.
    """
    here = project or load_project()

    async def work() -> frozenset[str]:
        async with connected(dsn) as connection:
            return await present_on(connection, here)

    return run(work())


def level_of(project: Project, parts: Collection[str]) -> int:
    """The highest level all of whose database's parts are among `parts`; 1 if none is."""
    for number in range(len(project.levels), 1, -1):
        if in_database(project, project.parts_of(number)) <= set(parts):
            return number
    return 1


def current_level(dsn: str, project: Project | None = None) -> int:
    """The level whose database part is in force behind `dsn`: what is there, not what was asked.

    Raises:
        ConfigurationError: a technique's `present.sql` fails.
        CannotMeasure: the server cannot be reached.
    """
    here = project or load_project()
    return level_of(here, present_parts(dsn, here))
