"""The part of a stack level that lives in the database, as one SQL text: shown, then applied.

Reads `stack/sql/*.sql`, pgqueuer's own SQL and the project's jobs. Runs the text that was shown, on
demand alone, on a database that holds a data set of phasegate's; anybody else's is left alone.
"""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from phasegate.model.errors import CannotMeasure, Refused
from phasegate.project import load_project
from phasegate.stack.background import background_of, background_sql
from phasegate.stack.database import connected, read_sql, redact, run
from phasegate.stack.levels import LEVEL_OF_WORKER, steps
from phasegate.stack.partitions import partman_version

NOTHING_CHANGED = "Nothing was changed"

HEAD = """\
-- The database's part of phasegate's stack level {level}, in one transaction: all or nothing.
-- For a seeded database that nobody works with meanwhile: indexes are made in place, which keeps
-- writers waiting. On a live table, take the single migrations: phasegate sql TECHNIQUE."""


def script(level: int, *, has_queue: bool = False, partman: int | None = None) -> str:
    """The SQL that brings a database of any level to `level`, fit for psql.

    Args:
        level: 1, 2 or 3.
        has_queue: the queue is there already.
        partman: major version of pg_partman where the server has it.

    Raises:
        UsageError: there is no such level.
    """
    names = ["settings", *steps(level)]
    pieces = [(name, read_sql(name)) for name in names]
    project = load_project()
    background = background_of(project, project.parts_of(level))
    pieces += background_sql(background, has_queue=has_queue)
    if level == LEVEL_OF_WORKER:
        more = ["partitions", "manage_partitions"]
        if partman is not None:
            more += [f"partitions_partman_{partman}", "partitions_partman"]
        pieces += [(name, read_sql(name)) for name in more]
    body = "\n\n".join(f"-- == {name}\n{text.strip()}" for name, text in pieces)
    return f"{HEAD.format(level=level)}\n\nbegin;\n\n{body}\n\ncommit;\n"


def apply_script(dsn: str, level: int, show: Callable[[str], None]) -> None:
    """Show the SQL that this database needs to be at `level`, then run it.

    Raises:
        UsageError: there is no such level.
        Refused: the database holds no whole data set of phasegate's.
        CannotMeasure: it cannot be reached, or a statement failed; nothing was changed.
    """
    steps(level)  # a wrong level is named before anything is opened

    async def work() -> None:
        async with connected(dsn, statement_cache_size=0) as connection:
            try:
                await _check_ours(connection, redact(dsn))
                text = script(
                    level,
                    has_queue=await connection.fetchval(read_sql("has_queue")),
                    partman=await partman_version(connection),
                )
                show(text)
                await connection.execute(text)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                raise CannotMeasure(
                    f"Stack level {level} could not be applied to {redact(dsn)}: {error}",
                    untouched=NOTHING_CHANGED,
                    then="Connect as the owner of its tables, or mend what the server names",
                ) from error

    run(work())


async def _check_ours(connection: asyncpg.Connection, where: str) -> None:
    marked = await connection.fetchval(read_sql("is_marked"))
    if not (marked and await connection.fetchval(read_sql("holds_dataset"))):
        raise Refused(
            f"{where} holds no whole data set of phasegate's, and a level is for nothing else",
            untouched=NOTHING_CHANGED,
            then="Seed it with `phasegate seed`, or take single steps: phasegate sql TECHNIQUE",
        )
