"""The local copy: an empty server of our own, thrown away at the end, that gets the app's schema.

Reads migrations or the entries of a dump; writes a cluster in the cache folder while it lasts.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from phasegate.adopt.dump import Entry
from phasegate.adopt.facts import SQL
from phasegate.adopt.migrations import Migration, Migrations
from phasegate.adopt.statements import Statement, statements_of
from phasegate.model.errors import ConfigurationError
from phasegate.stack.cache import cache_dir, locked, make_open
from phasegate.stack.database import connected, read_sql
from phasegate.stack.levels import FOUNDATION
from phasegate.stack.postgres import PostgresServer, running_postgres, stop_postgres
from phasegate.stack.stand_ins import NAMES_ONLY, STOOD_IN

# Nothing in it is to last: what makes it safe only costs time.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
    "shared_preload_libraries": "",
    "max_locks_per_transaction": "1024",  # a dump of a thousand tables locks each of them
}

# What cannot be in a transaction, and what a transaction must not hold back.
_ALONE = re.compile(
    r"\bconcurrently\b|\badd\s+value\b|^\s*(?:begin|start\s+transaction|commit|vacuum)\b"
    r"|\balter\s+system\b|\b(?:create|drop)\s+(?:database|tablespace)\b",
    re.IGNORECASE | re.MULTILINE,
)
_EXTENSION = re.compile(
    r"create\s+extension\s+(?:if\s+not\s+exists\s+)?(?:\"([^\"]+)\"|([\w-]+))", re.IGNORECASE
)
SUPABASE_PATH = '"$user", public, extensions'


@dataclass(frozen=True)
class Loss:
    """Something of the app that the copy lacks."""

    what: str
    why: str

    @property
    def sentence(self) -> str:
        """As the user is told."""
        return f"{self.what}: {self.why}"


@contextmanager
def scratch_server() -> Iterator[PostgresServer]:
    """A new server that is gone at the end. One at a time; what a killed run left is removed.

    Raises:
        Refused: another `init` is running.
    """
    home = cache_dir() / "init"
    make_open(home)
    with locked(home, "phasegate init"):
        data = home / "data"
        if data.exists():
            stop_postgres(data)
        _remove(home)
        try:
            with running_postgres(data, settings=SETTINGS) as server:
                yield server
        finally:
            _remove(home)


def _remove(home: Path) -> None:
    for path in home.glob("*data*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


async def found(connection: asyncpg.Connection, *, as_supabase: bool) -> None:
    """Give the empty database what the app takes for granted."""
    async with connection.transaction():
        for name in FOUNDATION:
            await connection.execute(read_sql(name))
        if as_supabase:
            await connection.execute(read_sql(SQL / "supabase_project.sql"))
    if as_supabase:
        database = await connection.fetchval("select quote_ident(current_database())")
        await connection.execute(f"alter database {database} set search_path = {SUPABASE_PATH}")


async def apply_migrations(dsn: str, migrations: Migrations) -> tuple[Loss, ...]:
    """Apply each file, unedited, as its tool would; returns what could not be had.

    Raises:
        ConfigurationError: a statement failed; file, line and PostgreSQL's words are named.
    """
    losses: list[Loss] = []
    for file in migrations.files:
        async with connected(
            dsn, statement_cache_size=0
        ) as connection:  # what a file sets ends with it
            await _apply(connection, file, losses)
    return tuple(losses)


async def _apply(connection: asyncpg.Connection, file: Migration, losses: list[Loss]) -> None:
    alone = _ALONE.search(file.text) is not None
    if not alone:
        await connection.execute("begin")
    lenient = bool(_lacking(losses))
    for statement in file.statements:
        extensions = [quoted or bare for quoted, bare in _EXTENSION.findall(statement.text)]
        losses += [
            loss for name in extensions for loss in extension_losses(name) if loss not in losses
        ]
        lenient = lenient or bool(_lacking(losses))
        try:
            await _run(connection, statement.text, inside=not alone, lenient=lenient)
        except (
            asyncpg.UndefinedObjectError,
            asyncpg.UndefinedFunctionError,
            asyncpg.UndefinedTableError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.UndefinedColumnError,
            asyncpg.FeatureNotSupportedError,
        ) as error:
            if not lenient:
                raise failed(file, statement, error) from error
            names = ", ".join(_lacking(losses))
            losses.append(
                Loss(
                    f"{file.name}, line {statement.line}: {statement.begins}",
                    f"{_words(error)}; the embedded server lacks {names}",
                )
            )
        except asyncpg.PostgresError as error:
            raise failed(file, statement, error) from error
    if not alone or connection.is_in_transaction():
        await connection.execute("commit")


async def _run(connection: asyncpg.Connection, text: str, *, inside: bool, lenient: bool) -> None:
    """Run a statement, in a way that a failure of it spoils no other where that may be."""
    if not (inside and lenient):
        await connection.execute(text)
        return
    await connection.execute("savepoint one")
    try:
        await connection.execute(text)
    except asyncpg.PostgresError:
        await connection.execute("rollback to savepoint one")
        raise
    await connection.execute("release savepoint one")


def extension_losses(name: str) -> tuple[Loss, ...]:
    """What is lost where the embedded server stands in for the extension `name`."""
    if name in NAMES_ONLY:
        return (Loss(f"extension {name}", "its types and functions are not here"),)
    why = STOOD_IN.get(name, "")
    return (Loss(f"extension {name}", f"stood in for: {why}"),) if why else ()


def _lacking(losses: Iterable[Loss]) -> list[str]:
    names = (loss.what.removeprefix("extension ") for loss in losses)
    return [name for name in names if name in NAMES_ONLY]


def failed(
    file: Migration, statement: Statement, error: asyncpg.PostgresError
) -> ConfigurationError:
    """The error of a migration: file, line, statement, PostgreSQL's words."""
    position = getattr(error, "position", None)
    line = statement.line_of(int(position)) if position else statement.line
    hint = getattr(error, "hint", None)
    return ConfigurationError(
        f"{file.name}, line {line}: {_words(error)} (in: {statement.begins})",
        untouched="Nothing was written",
        then=hint or "Correct the migration, or name another folder",
    )


def _words(error: asyncpg.PostgresError) -> str:
    return " ".join(str(getattr(error, "message", None) or error).split()).rstrip(".")


async def restore(connection: asyncpg.Connection, entries: Iterable[Entry]) -> tuple[Loss, ...]:
    """Make what a source's dump has; returns what could not be made, and why."""
    losses = []
    await connection.execute("set check_function_bodies = off; set search_path = ''")
    for entry in entries:
        try:
            for statement in statements_of(entry.text):
                await connection.execute(statement.text)
        except asyncpg.DuplicateSchemaError:
            continue
        except asyncpg.PostgresError as error:
            losses.append(Loss(entry.title, _words(error)))
    await connection.execute("reset search_path")
    return tuple(losses)
