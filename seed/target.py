"""The database that is to be filled: may we write there, and what does its marker say?

Reads the server's catalogues and `phasegate.dataset`; writes nothing. Every refusal happens here,
before anything is changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import asyncpg

from phases.errors import ConfigurationError, Refused
from records.seed import SeedRecord
from stack.database import redact

SQL_FOLDER = Path(__file__).with_name("sql")

# The oldest server that still gets fixes, and the first whose COPY FREEZE marks pages all-visible.
VERSION_MIN = 140_000

# Measured on PostgreSQL 18: 14.1 kB a user at stack level 1, tables and keys. The rest is for the
# indexes of the other levels, for sorting the largest one, and for WAL where the server writes it.
DISK_BYTES_PER_USER = 24_000
DISK_BYTES_MIN = 200 << 20

NOTHING_CHANGED = "Nothing was changed"


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


async def inspect(connection: asyncpg.Connection, dsn: str) -> Marker | None:
    """The marker of the database behind `connection`, None where the database is empty.

    Raises:
        Refused: it is neither empty nor ours, read-only, too old, or does not let us write.
    """
    where = redact(dsn)
    async with connection.transaction(readonly=True):
        found = await connection.fetchrow(sql("circumstances"))
        check_server(found, where)
        if found["marked"]:
            row = await connection.fetchrow(sql("read_marker"))
            foreign = await connection.fetch(sql("usurpers"))
            if row is not None and not foreign:
                return Marker(**dict(row))
        else:
            foreign = await connection.fetch(sql("foreign_relations"))
    if foreign:
        names = ", ".join([*(row["name"] for row in foreign[:3]), "…"][: len(foreign)])
        raise Refused(
            f"{where} holds tables that phasegate did not make ({names})",
            untouched=NOTHING_CHANGED,
            then="Give it an empty database",
        )
    return None


def check_server(found: Mapping[str, Any], where: str) -> None:
    """Check what `circumstances.sql` said.

    Raises:
        Refused: the server is too old or read-only, or the user may not create what is needed.
    """
    if found["version"] < VERSION_MIN:
        raise Refused(
            f"{where} runs PostgreSQL {found['version_text']}; phasegate needs 14 or newer",
            untouched=NOTHING_CHANGED,
            then="Give it a newer server",
        )
    if found["read_only"]:
        raise Refused(
            f"{where} is read-only",
            untouched=NOTHING_CHANGED,
            then="Give the primary's address, not a replica's",
        )
    if not (found["may_make_schemas"] and found["may_make_tables"]):
        raise Refused(
            f"The user of {where} may not create schemas, or tables in `public`",
            untouched=NOTHING_CHANGED,
            then="Grant CREATE on the database and on schema public, or connect as its owner",
        )


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


async def is_unaltered(connection: asyncpg.Connection, record: SeedRecord) -> bool:
    """Whether each table has as many rows as when it was loaded. Changed rows are not noticed."""
    async with connection.transaction(readonly=True):
        counted = await connection.fetch(sql("count_rows"))
    return {row["name"]: row["rows"] for row in counted} == {
        relation.name: relation.rows for relation in record.relations
    }


def check_disk(folder: Path | None, users: int, copies: int = 1) -> None:
    """Check that the data fit on the disk of `folder`; None, a server elsewhere, cannot be checked.

    Raises:
        ConfigurationError: there is too little room.
    """
    if folder is None or not folder.exists():
        return
    needed = copies * (users * DISK_BYTES_PER_USER + DISK_BYTES_MIN)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigurationError(
            f"{users:,} users need {needed / 1e9:.1f} GB; {folder} has {free / 1e9:.1f} GB free",
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
