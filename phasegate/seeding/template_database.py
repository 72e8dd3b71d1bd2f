"""Data sets on the server that phasegate runs itself, each loaded once and copied from then on.

A data set is loaded into a template database of its own that nothing else ever writes to; the
database handed out is a copy of it, so load tests and stack levels can do to it what they like.
Writes the databases `phasegate_<users>` and `phasegate_template_<users>`.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import msgspec

from phasegate.project import SeedFolder, load_project
from phasegate.records.seed import SeedRecord
from phasegate.seeding.dataset import broke_off, reason_of, seed_database
from phasegate.seeding.dataset_spec import DatasetSpec, OnProgress, dataset_spec
from phasegate.seeding.target import check_disk, sql
from phasegate.stack.database import apply_sql, connected, execute, run
from phasegate.stack.levels import FOUNDATION, apply_level
from phasegate.stack.postgres import PostgresServer

# From these major versions on, CREATE DATABASE can be told how to copy, and by which system call.
STRATEGY_VERSION_MIN = 15
COPY_METHOD_VERSION_MIN = 18

# The template and its copy.
COPIES = 2


@dataclass(frozen=True)
class _Names:
    """Databases of one size. Identifiers of ours with a number in them: they need no quoting."""

    users: int

    @property
    def database(self) -> str:
        return f"phasegate_{self.users}"

    @property
    def template(self) -> str:
        return f"phasegate_template_{self.users}"


def ensure_dataset(
    server: PostgresServer,
    *,
    users: int,
    seed: int,
    jobs: int = 2,
    fresh: bool = False,
    locales: tuple[str, ...] | None = None,
    project: SeedFolder | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[str, SeedRecord]:
    """The data set in the database `phasegate_<users>` of `server`, untouched, at stack level 1.

    Whatever was in `phasegate_<users>` is dropped. The data set is loaded only if its template is
    not there yet, is another's (seed, catalogue, schema, Faker or server version differ), or
    `fresh` says so.

    Returns:
        The DSN, and the record of the load (of the earlier one, where reused).

    Raises:
        UsageError: a number or locale that makes no sense.
        ConfigurationError: too little disk; nothing was changed.
        CannotMeasure: the server cannot be reached, or the load broke off; run it again.
    """
    spec = dataset_spec(users, seed, locales, project)
    names = _Names(users)
    started = time.perf_counter()
    try:
        stored = None if fresh else run(_stored_record(server, names, _key(spec)))
        if stored is None:
            check_disk(server.data_dir, spec.rows_expected, COPIES)
            run(_make_room(server, names))
            # As on a Supabase project: schemas and policies name its roles and its functions.
            apply_sql(server.dsn(names.template), *FOUNDATION)
            record = seed_database(
                server.dsn(names.template),
                users=users,
                seed=seed,
                jobs=jobs,
                locales=spec.population.declared.file.locales,
                project=spec.folder,
                on_progress=on_progress,
            )
            run(_keep(server, names, _key(spec), record))
        else:
            record = msgspec.json.decode(stored, type=SeedRecord)
            record = msgspec.structs.replace(
                record, reused=True, load_wall_s=None, memory_bytes_max=None
            )
        run(_copy(server, names.template, names.database))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise broke_off(reason_of(error)) from error
    apply_level(server.dsn(names.database), 1, load_project(spec.folder.root))
    wall_s = time.perf_counter() - started
    return server.dsn(names.database), msgspec.structs.replace(record, wall_s=wall_s)


def _key(spec: DatasetSpec) -> str:
    """Of a template: the rows, and who may see them. Policies are made with the tables."""
    policies = spec.folder.policies
    text = policies.read_bytes() if policies.is_file() else b""
    return f"{spec.key}-{hashlib.sha256(text).hexdigest()[:16]}"


async def _stored_record(server: PostgresServer, names: _Names, key: str) -> str | None:
    """The record kept with the template, if that is whole and holds the data set of `key`."""
    async with connected(server.dsn()) as connection:
        note = await connection.fetchval(sql("template_note"), names.template)
        version = await connection.fetchval("select current_setting('server_version')")
    kept_key, _, record = (note or "").partition("\n")
    return record if kept_key == f"{key} {version}" else None


async def _make_room(server: PostgresServer, names: _Names) -> None:
    """An empty template database, and no database of that size."""
    async with connected(server.dsn()) as connection:
        for name in (names.database, names.template):
            await connection.execute(f"drop database if exists {name} with (force)")
        await connection.execute(f"create database {names.template} template template0")


async def _keep(server: PostgresServer, names: _Names, key: str, record: SeedRecord) -> None:
    """Note on the template that it is whole: one statement, so it is there or it is not."""
    async with connected(server.dsn()) as connection:
        version = await connection.fetchval("select current_setting('server_version')")
        note = f"{key} {version}\n{msgspec.json.encode(record).decode()}"
        literal = await connection.fetchval("select quote_literal($1::text)", note)
        await connection.execute(f"comment on database {names.template} is {literal}")


def copy_dataset(server: PostgresServer, *, users: int, database: str) -> str:
    """Another copy of the data set that `ensure_dataset` loaded; returns its DSN.

    It holds the tables, their keys and their rows, and nothing of any stack level. Whatever was in
    `database`, which needs no quoting, is dropped.

    Raises:
        CannotMeasure: the server cannot be reached, or the copy broke off.
    """
    try:
        run(_copy(server, _Names(users).template, database))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise broke_off(reason_of(error)) from error
    return server.dsn(database)


def drop_copy(server: PostgresServer, database: str) -> None:
    """Drop `database` and cut off whoever uses it; nothing happens where there is none."""
    execute(server.dsn(), f"drop database if exists {database} with (force)")


async def _copy(server: PostgresServer, template: str, database: str) -> None:
    """Make `database` a copy of `template`, file by file."""
    async with connected(server.dsn()) as connection:
        await connection.execute(f"drop database if exists {database} with (force)")
        major = connection.get_server_version().major
        # Before 15 there was no other way than this.
        by_file = " strategy file_copy" if major >= STRATEGY_VERSION_MIN else ""
        statement = f"create database {database} template {template}{by_file}"
        if major >= COPY_METHOD_VERSION_MIN:
            # The kernel copies, or shares the blocks where the file system can.
            with suppress(asyncpg.PostgresError):  # not every file system or platform is able to
                await connection.execute("set file_copy_method = clone")
                await connection.execute(statement)
                return
            await connection.execute("reset file_copy_method")
        await connection.execute(statement)
