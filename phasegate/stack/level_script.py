"""The part of a stack level that lives in the database, as one SQL text: shown, then applied.

Reads what `stack.levels` reads. Runs the text that was shown, on demand alone, on a
database that holds a data set of phasegate's; anybody else's is left alone.
"""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from phasegate.model.errors import CannotMeasure, Refused
from phasegate.project import Project, load_project
from phasegate.stack.background import background_of, background_sql
from phasegate.stack.database import connected, read_sql, redact, run
from phasegate.stack.levels import Found, find_on, pieces

NOTHING_CHANGED = "Nothing was changed"

HEAD = """\
-- The database's part of phasegate's stack level {level}, in one transaction: all or nothing.
-- For a seeded database that nobody works with meanwhile: indexes are made in place, which keeps
-- writers waiting. On a live table, take the single migrations: phasegate sql TECHNIQUE."""


def script(level: int, project: Project, found: Found | None = None) -> str:
    """The SQL that brings a database of any level to `level`, fit for psql.

    Args:
        level: of the project, counted from 1.
        project: whose level it is.
        found: what is known of the database; nothing if None.

    Raises:
        UsageError: there is no such level.
    """
    parts = project.parts_of(level)
    known = found or Found()
    said = [
        ("settings", read_sql("settings")),
        *pieces(project, parts),
        *background_sql(
            background_of(project, parts), has_queue=known.has_queue, partman=known.partman
        ),
    ]
    body = "\n\n".join(f"-- == {name}\n{text.strip()}" for name, text in said)
    return f"{HEAD.format(level=level)}\n\nbegin;\n\n{body}\n\ncommit;\n"


def apply_script(dsn: str, level: int, show: Callable[[str], None]) -> None:
    """Show the SQL that this database needs to be at `level`, then run it.

    Raises:
        UsageError: there is no such level.
        Refused: the database holds no whole data set of phasegate's.
        CannotMeasure: it cannot be reached, or a statement failed; nothing was changed.
    """
    project = load_project()
    project.level(level)  # a wrong one is named before anything is opened

    async def work() -> None:
        async with connected(dsn, statement_cache_size=0) as connection:
            try:
                await _check_ours(connection, project, redact(dsn))
                text = script(level, project, await find_on(connection))
                show(text)
                await connection.execute(text)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                raise CannotMeasure(
                    f"Stack level {level} could not be applied to {redact(dsn)}: {error}",
                    untouched=NOTHING_CHANGED,
                    then="Connect as the owner of its tables, or mend what the server names",
                ) from error

    run(work())


async def _check_ours(connection: asyncpg.Connection, project: Project, where: str) -> None:
    marked = await connection.fetchval(read_sql("is_marked"))
    tables = list(project.seed.population.destinations)
    if not (marked and await connection.fetchval(read_sql("holds_dataset"), tables)):
        raise Refused(
            f"{where} holds no whole data set of phasegate's, and a level is for nothing else",
            untouched=NOTHING_CHANGED,
            then="Seed it with `phasegate seed`, or take single steps: phasegate sql TECHNIQUE",
        )
