"""The database that is to be filled: may we write there, and what does its marker say?

Reads the server's catalogues and `phasegate.dataset`; writes nothing. Every refusal happens here,
before anything is changed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import asyncpg

from phasegate.model.errors import ConfigurationError, Refused
from phasegate.records.seed import SeedRecord
from phasegate.seeding.rights import (
    NOTHING_CHANGED,
    Found,
    cannot_count,
    check_may_read,
    check_server,
)
from phasegate.stack.database import read_sql

SQL_FOLDER = Path(__file__).with_name("sql")

# Measured on PostgreSQL 18 with the task app: 115 bytes a row, tables and keys. The rest is for the
# indexes of the other levels, for sorting the largest one, and for WAL where the server writes it.
DISK_BYTES_PER_ROW = 200
DISK_BYTES_MIN = 200 << 20


def quoted(table: str) -> str:
    """`table` or `schema.table` as SQL has it; without a schema it is in public."""
    schema, _, name = table.rpartition(".")
    parts = (schema or "public", name)
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def sql(name: str) -> str:
    """The text of `seed/sql/<name>.sql`."""
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Marker:
    """The row of `phasegate.dataset`."""

    state: str
    key: str
    users: int
    seed: int
    sha256: str | None
    record: str | None


async def inspect(
    connection: asyncpg.Connection, where: str, tables: tuple[str, ...]
) -> tuple[Marker | None, Found]:
    """The marker of the database behind `connection`, None where it is empty; and what was found.

    Whether the role may write is not asked yet: a data set that is there, whole, needs no writing.

    Raises:
        Refused: it is neither empty nor ours, cannot hold the data, or may not be read.
    """
    marker = None
    names = [quoted(table) for table in tables]
    schemas = sorted({table.rpartition(".")[0] or "public" for table in tables})
    async with connection.transaction(readonly=True):
        await connection.execute(read_sql("settings"))
        found = await connection.fetchrow(sql("circumstances"))
        check_server(found, where)
        check_may_read(found, where)
        if found["marked"]:
            row = await connection.fetchrow(sql("read_marker"))
            foreign = await connection.fetch(sql("conflicting_tables"), names)
            marker = None if row is None else Marker(**dict(row))
        else:
            foreign = await connection.fetch(sql("foreign_relations"), schemas)
    if foreign:
        found_names = ", ".join([*(row["name"] for row in foreign[:3]), "…"][: len(foreign)])
        raise Refused(
            f"{where} holds tables that phasegate did not make ({found_names})",
            untouched=NOTHING_CHANGED,
            then="Give it an empty database",
        )
    return marker, found


def whole_record(marker: Marker | None, key: str, where: str, *, replace: bool) -> str | None:
    """The stored record of the data set wanted, where that is there already, whole.

    Raises:
        Refused: another whole data set is there, and `replace` was not given.
    """
    if marker is None or marker.state != "complete":
        return None
    if marker.key == key:
        return marker.record
    if not replace:
        raise Refused(
            f"{where} holds another data set ({marker.users:,} users, seed {marker.seed})",
            untouched=NOTHING_CHANGED,
            then="Add --replace to drop it, or give another database",
        )
    return None


async def is_unaltered(
    connection: asyncpg.Connection, record: SeedRecord, found: Found, where: str
) -> bool:
    """Whether each table has as many rows as when it was loaded. Changed rows are not noticed.

    Raises:
        Refused: the role may not read all rows.
    """
    try:
        async with connection.transaction(readonly=True):
            await connection.execute(read_sql("settings"))
            counted = {
                relation.name: await connection.fetchval(
                    f"select count(*) from {quoted(relation.name)}"  # noqa: S608 - a quoted name
                )
                for relation in record.relations
            }
    except asyncpg.InsufficientPrivilegeError as error:
        raise cannot_count(found, where) from error
    return counted == {relation.name: relation.rows for relation in record.relations}


def check_disk(folder: Path | None, rows: int, copies: int = 1) -> None:
    """Check that the data fit on the disk of `folder`; None, a server elsewhere, cannot be checked.

    Raises:
        ConfigurationError: there is too little room.
    """
    if folder is None or not folder.exists():
        return
    needed = copies * (rows * DISK_BYTES_PER_ROW + DISK_BYTES_MIN)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigurationError(
            f"{rows:,} rows need {needed / 1e9:.1f} GB; {folder} has {free / 1e9:.1f} GB free",
            untouched=NOTHING_CHANGED,
            then="Make room, or seed fewer users",
        )


async def local_data_folder(connection: asyncpg.Connection) -> Path | None:
    """The server's data folder where it is on this machine and we may know it."""
    try:
        async with connection.transaction(readonly=True):
            address = await connection.fetchval("select host(inet_server_addr())")
            folder = await connection.fetchval("select current_setting('data_directory', true)")
    except asyncpg.PostgresError:  # reading it takes pg_read_all_settings
        return None
    if folder is None or (address is not None and not ip_address(address).is_loopback):
        return None
    return Path(folder)
