"""What comes after the rows: keys and defaults, then statistics and the visibility map.

Reads the project's `seed/keys.sql`; runs its statements table by table over several connections,
since each of them reads a whole table.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import asyncpg

from phasegate.project import SeedFolder
from phasegate.project.declared import plain
from phasegate.seeding.dataset_spec import DatasetSpec
from phasegate.seeding.prepare import note, objects
from phasegate.seeding.schema import Schema
from phasegate.seeding.target import quoted, sql
from phasegate.stack.database import connected, read_sql

# At once, beside the connection that holds the lock: poolers of small servers lend few.
CONNECTIONS_MAX = 3
# Each has a backend at work; a worker beside every one of them needs as many cores again.
NO_CORE_TO_SPARE = (os.cpu_count() or 1) < 2 * CONNECTIONS_MAX

_TABLE = re.compile(
    r"""
    ^(?:alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?
      |create\s+(?:unique\s+)?index\b.*?\bon\s+(?:only\s+)?)
    (?P<table>(?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_FOREIGN_KEY = re.compile(r"^alter\s+table\b.*\bforeign\s+key\b", re.IGNORECASE | re.DOTALL)
# Comments and quoted text are passed over whole: a semicolon in them ends nothing.
_TOKENS = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|\'\')*'|"[^"]*"|(\$\w*\$).*?\1|;|[^-/'"$;]+|.""",
    re.DOTALL,
)


def statements_of(text: str) -> tuple[str, ...]:
    """The statements of an SQL file, without comments."""
    found = [""]
    for token in _TOKENS.finditer(text):
        if token[0] == ";":
            found.append("")
        elif not token[0].startswith(("--", "/*")):
            found[-1] += token[0]
    return tuple(statement.strip() for statement in found if statement.strip())


def key_statements(folder: SeedFolder) -> tuple[tuple[str, str], ...]:
    """(table, statement) of the project's keys, in order; no table where it alters none."""
    found = []
    for statement in statements_of(read_sql(folder.keys)):
        match = _TABLE.match(statement)
        table = match["table"].replace('"', "") if match is not None else ""
        found.append((plain(table), statement))
    return tuple(found)


def foreign_last(statements: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The statements of tables, then their foreign keys, then what belongs to no table."""
    return sorted(statements, key=lambda one: (not one[0], _FOREIGN_KEY.search(one[1]) is not None))


async def _in_one_transaction(dsn: str, statements: Iterable[str]) -> None:
    async with connected(dsn, statement_cache_size=0) as connection:
        await _transaction(connection, statements)


async def _transaction(connection: asyncpg.Connection, statements: Iterable[str]) -> None:
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        await connection.execute(sql("finish_memory"))
        await connection.execute(sql("finish_workers"), NO_CORE_TO_SPARE)
        for statement in statements:
            await connection.execute(statement)


async def _beside_the_tables(dsn: str, statements: list[str]) -> None:
    """Run what belongs to no table, and note what it made."""
    async with (
        connected(dsn, statement_cache_size=0) as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        await connection.execute(read_sql("settings"))
        before = await objects(connection)
        for statement in statements:
            await connection.execute(statement)
        await note(connection, before, "note_more")


async def _side_by_side(dsn: str, statements: Iterable[tuple[str, str]]) -> None:
    """Run (table, statement)s: a transaction per table, in order within it."""
    by_table: dict[str, list[str]] = defaultdict(list)
    for table, statement in statements:
        by_table[table].append(statement)
    # The last tables are the largest: they begin first, the small ones fill the gaps.
    await _shared_out(dsn, reversed(by_table.values()), _transaction)


Piece = TypeVar("Piece")


async def _shared_out(
    dsn: str,
    pieces: Iterable[Piece],
    carry_out: Callable[[asyncpg.Connection, Piece], Awaitable[None]],
) -> None:
    """Each of `pieces` on whichever of a few connections is free; a new one costs milliseconds.

    Where `carry_out` lets the server end one, the next piece has another.
    """
    left = deque(pieces)

    async def work() -> None:
        while left:
            async with connected(dsn, statement_cache_size=0) as connection:
                while left and not connection.is_closed():
                    await carry_out(connection, left.popleft())

    async with asyncio.TaskGroup() as group:
        for _ in range(min(CONNECTIONS_MAX, len(left))):
            group.create_task(work())


async def finish(dsn: str, spec: DatasetSpec, schema: Schema) -> None:
    """Make the keys of the loaded tables, check them, and let the planner know the tables.

    A foreign key is first declared for new rows, which takes its locks for an instant; checking the
    old rows then locks nothing that another check needs. A partitioned table cannot do that before
    PostgreSQL 18: its key is declared and checked in one, beside the other checks. What belongs to
    no table (a trigger's function, a view) comes last, in order.
    """
    tables = spec.tables
    names = [quoted(table) for table in tables]
    statements = key_statements(spec.folder)
    foreign = [pair for pair in statements if _FOREIGN_KEY.search(pair[1])]
    others = [pair for pair in statements if pair[0] and not _FOREIGN_KEY.search(pair[1])]
    await _side_by_side(dsn, others)
    await _in_one_transaction(
        dsn, (f"{text} not valid" for table, text in foreign if table not in schema.partitioned)
    )
    async with connected(dsn, statement_cache_size=0) as connection, connection.transaction():
        await connection.execute(read_sql("settings"))
        unchecked = await connection.fetch(sql("unchecked_keys"), names)
        last = await connection.fetch(sql("sequences"), names)
    checks = [(row["table"], row["statement"]) for row in unchecked]
    await _side_by_side(
        dsn, [*checks, *(pair for pair in foreign if pair[0] in schema.partitioned)]
    )
    await _beside_the_tables(dsn, [text for table, text in statements if not table])
    await _in_one_transaction(dsn, (row["statement"] for row in last))

    # VACUUM skips most frozen pages and takes those it read for empty: on tables of some hundred
    # pages it would leave a third too few `reltuples`, which ANALYZE then puts right.
    await _shared_out(dsn, tables, _vacuum)
    await _side_by_side(dsn, ((table, f"analyze {quoted(table)}") for table in tables))


async def _vacuum(connection: asyncpg.Connection, table: str) -> None:
    """Note in the visibility map what COPY FREEZE did not, so that index-only scans are possible.

    It cannot run inside a transaction, so it is under the server's and the role's own limits for a
    statement, and for a transaction, which ends the connection. A frozen table is done in no time,
    and where it is not, the data are whole all the same.
    """
    with suppress(asyncpg.QueryCanceledError, asyncpg.ConnectionDoesNotExistError):
        await connection.execute(f"vacuum {quoted(table)}")
