"""The user's database as a source: its shape and its figures, in one read-only transaction.

Reads catalogues and runs pg_dump on the same snapshot where the server can share it; writes nothing
there, and asks for no row.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from phasegate.adopt.dump import DumpFailed, Entry, dump, entries_of
from phasegate.adopt.facts import SQL, SourceFacts, read_facts
from phasegate.adopt.schemas import is_of_the_app
from phasegate.adopt.tls_relay import is_needed, tls_relay
from phasegate.model.dsn import Dsn
from phasegate.model.errors import CannotMeasure, ConfigurationError, Refused
from phasegate.stack.binaries import server_version
from phasegate.stack.database import connected, read_sql

VERSION_MIN = 13
NOTHING = "Nothing was changed there, and nothing was written here"
NAMED_MAX = 3

# What the source's own users must not be kept waiting by.
LIMITS = (
    "set local statement_timeout = '60s'; set local lock_timeout = '5s'; set local search_path = ''"
)

# Libpq's variables for what an address may hold.
_VARIABLES = {
    "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "options": "PGOPTIONS", "passfile": "PGPASSFILE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}  # fmt: skip
CONNECT_TIMEOUT_S = "10"
_OF_THE_ENVIRONMENT = ("PGUSER", "PGPASSWORD", "PGPASSFILE", "HOME")


@dataclass(frozen=True)
class Extension:
    """An extension of the source."""

    name: str
    statement: str
    place: str
    """The statement that makes its schema."""


@dataclass(frozen=True)
class Source:
    """What was read of a database.

    Attributes:
        entries: of its dump: the app's schemas alone.
        schemas: the app's, that hold tables.
        extensions: in the order that they were made in.
        roles: name → statement, of those that policies and grants name.
        facts: counts and planner's figures.
        as_supabase: whether Supabase made it.
        is_replica: whether it is one.
    """

    entries: tuple[Entry, ...]
    schemas: tuple[str, ...]
    extensions: tuple[Extension, ...]
    roles: Mapping[str, str]
    facts: SourceFacts
    as_supabase: bool
    is_replica: bool


async def read_source(dsn: str, wanted: Sequence[str] = ()) -> Source:
    """The shape and figures of the database behind `dsn`.

    Args:
        dsn: its address.
        wanted: schemas; all of the app's where empty.

    Raises:
        CannotMeasure: it cannot be reached, is locked, or changed while it was read.
        Refused: its version is not known, or the role may not read it; the grants are named.
        ConfigurationError: it holds no tables.
    """
    where = Dsn.of(dsn).shown
    try:
        return await _attempt(dsn, where, wanted)
    except DumpFailed:  # a table may have gone between the snapshot and pg_dump's lock on it
        pass
    try:
        return await _attempt(dsn, where, wanted)
    except DumpFailed as error:
        raise CannotMeasure(
            f"pg_dump could not read the schema of {where}: {error}",
            untouched=NOTHING,
            then="Try again; if it stays so, dump the schema by hand and give it with --migrations",
        ) from error


async def _attempt(dsn: str, where: str, wanted: Sequence[str]) -> Source:
    async with connected(dsn, statement_cache_size=0) as connection:
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(LIMITS)
                return await _read(connection, Dsn.of(dsn), where, wanted)
        except asyncpg.InsufficientPrivilegeError as error:
            raise Refused(
                f"{where} does not let the role read its catalogues: {error}",
                untouched=NOTHING,
                then="Connect as the owner of its tables",
            ) from error
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as error:
            raise CannotMeasure(
                f"{where} was too busy: {error}", untouched=NOTHING, then="Try again later"
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise CannotMeasure(
                f"{where} broke off: {error}", untouched=NOTHING, then="Try again"
            ) from error


async def _read(
    connection: asyncpg.Connection, dsn: Dsn, where: str, wanted: Sequence[str]
) -> Source:
    about = await connection.fetchrow(read_sql(SQL / "source.sql"))
    _check_version(about, where)
    schemas = await _schemas(connection, about, where, wanted)
    extensions = await connection.fetch(read_sql(SQL / "source_extensions.sql"))
    roles = await connection.fetch(read_sql(SQL / "source_roles.sql"), list(schemas))
    triggers = await connection.fetch(read_sql(SQL / "source_triggers.sql"), list(schemas))
    more = (Entry("TRIGGER", row["schema"], row["name"], row["statement"]) for row in triggers)
    facts = await read_facts(connection, schemas)
    text = await _dump(dsn, schemas, await _snapshot(connection))
    return Source(
        (*entries_of(text), *more),
        schemas,
        tuple(Extension(row["name"], row["statement"], row["place"]) for row in extensions),
        {row["name"]: row["statement"] for row in roles},
        facts,
        about["is_supabase"],
        about["is_replica"],
    )


def _check_version(about: Mapping[str, Any], where: str) -> None:
    newest = server_version()[0]
    if not VERSION_MIN <= about["version"] // 10_000 <= newest:
        raise Refused(
            f"{where} runs PostgreSQL {about['version_text']}; "
            f"init reads {VERSION_MIN} to {newest}",
            untouched=NOTHING,
            then="Give its migrations instead, with --migrations DIR",
        )


async def _schemas(
    connection: asyncpg.Connection, about: Mapping[str, Any], where: str, wanted: Sequence[str]
) -> tuple[str, ...]:
    """The app's schemas, all of which the role may read."""
    rows = await connection.fetch(read_sql(SQL / "source_schemas.sql"))
    there = {
        row["name"]: row
        for row in rows
        if row["name"] in wanted
        or is_of_the_app(
            row["name"], as_supabase=about["is_supabase"], is_seeded=about["is_seeded"]
        )
    }
    if unknown := [name for name in wanted if name not in there]:
        raise ConfigurationError(
            f"--schema: {where} has no schema {unknown[0]!r}",
            untouched=NOTHING,
            then=f"It has {', '.join(there)}",
        )
    chosen = {name: row for name, row in there.items() if not wanted or name in wanted}
    if not any(row["tables"] for row in chosen.values()):
        raise ConfigurationError(
            f"{where} holds no tables of an app" + (f" in {', '.join(chosen)}" if chosen else ""),
            untouched=NOTHING,
            then="Name another database, or its migrations with --migrations DIR",
        )
    _check_rights(chosen, about["role"], where)
    return tuple(chosen)


def _check_rights(chosen: Mapping[str, Any], role: str, where: str) -> None:
    grants = [
        f"grant usage on schema {row['quoted']} to {role}"
        for row in chosen.values()
        if row["tables"] and not row["may_use"]
    ]
    closed = [table for row in chosen.values() for table in row["closed"]]
    grants += [
        f"grant select on all tables in schema {row['quoted']} to {role}"
        for row in chosen.values()
        if row["closed"]
    ]
    if grants:
        named = ", ".join([*closed[:NAMED_MAX], "…"][: len(closed)])
        raise Refused(
            f"Role {role} may not read the shape of {named or 'every schema'} in {where}",
            untouched=NOTHING,
            then=f"Let its owner run: {'; '.join(grants)}; or name other schemas with --schema",
        )


async def _snapshot(connection: asyncpg.Connection) -> str | None:
    """A name for this transaction's view, None where the server (or a pooler) shares none."""
    try:
        return str(await connection.fetchval("select pg_catalog.pg_export_snapshot()"))
    except asyncpg.PostgresError:  # all else was read before
        return None


async def _dump(dsn: Dsn, schemas: Sequence[str], snapshot: str | None) -> str:
    """pg_dump's text; once more without the snapshot where that was the obstacle."""
    async with _environment(dsn) as environment:
        try:
            return await asyncio.to_thread(dump, environment, schemas, snapshot)
        except DumpFailed as error:
            if snapshot is None or "snapshot" not in str(error):
                raise
            return await asyncio.to_thread(dump, environment, schemas, None)


@asynccontextmanager
async def _environment(dsn: Dsn) -> AsyncIterator[dict[str, str]]:
    """Libpq's variables for `dsn`, TLS carried out by us where it is asked for."""
    said = {name: os.environ[name] for name in _OF_THE_ENVIRONMENT if name in os.environ}
    said |= {
        _VARIABLES[name]: value for name, value in dsn.keywords().items() if name in _VARIABLES
    }
    said |= {
        "PGCONNECT_TIMEOUT": CONNECT_TIMEOUT_S,
        "PGSSLMODE": "disable",
        "PGAPPNAME": "phasegate",
    }
    if not is_needed(dsn):
        yield said
        return
    async with tls_relay(dsn) as port:
        yield {**said, "PGHOST": "127.0.0.1", "PGPORT": str(port)}
