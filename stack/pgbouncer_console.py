"""A running PgBouncer, and what its admin console says of it.

Reads the console through psql; writes nothing.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from phases.errors import CannotMeasure
from stack.binaries import programs
from stack.database import redact, with_database, with_port
from stack.install import PREPARED_FROM

ADMIN_DATABASE = "pgbouncer"
ANSWER_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class PgBouncer:
    """A running pooler of ours."""

    folder: Path
    port: int
    pid: int
    version: tuple[int, int]
    server_dsn: str = field(repr=False)

    @property
    def dsn(self) -> str:
        """The server's DSN with the pooler in its place; the password is in it."""
        return with_port(self.server_dsn, self.port)

    @property
    def statement_cache_size(self) -> int | None:
        """What asyncpg needs to know: 0 where the pooler cannot follow prepared statements."""
        return None if self.version >= PREPARED_FROM else 0

    @property
    def log(self) -> Path:
        """Where it writes what it has to say."""
        return self.folder / "pgbouncer.log"


@dataclass(frozen=True)
class PoolStats:
    """One row of SHOW POOLS: a database and user. Counts of connections."""

    database: str
    user: str
    clients_active: int
    clients_waiting: int
    servers_active: int
    servers_idle: int
    wait_s_max: float
    """How long the oldest waiting client has waited, in seconds."""


def admin(pooler: PgBouncer, command: str) -> list[dict[str, str]]:
    """The rows that the admin console answers to `command`, as text by column name.

    Through psql: the console speaks only the simple query protocol, asyncpg only the extended one.

    Raises:
        CannotMeasure: it does not answer.
    """
    dsn = with_database(pooler.dsn, ADMIN_DATABASE)
    address = urlsplit(dsn)
    try:
        done = subprocess.run(
            [programs() / "psql", "--no-psqlrc", "--csv", "--command", command],
            check=False,
            capture_output=True,
            text=True,
            timeout=ANSWER_TIMEOUT_S,
            env={
                **os.environ,
                "PGHOST": address.hostname or "",
                "PGPORT": str(address.port),
                "PGUSER": unquote(address.username or ""),
                "PGPASSWORD": unquote(address.password or ""),  # keeps it off argv
                "PGDATABASE": ADMIN_DATABASE,
                "PGCONNECT_TIMEOUT": "2",
            },
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"PgBouncer at {redact(dsn)} does not answer") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise CannotMeasure(
            f"PgBouncer at {redact(dsn)} does not answer: {said[-1] if said else done.returncode}"
        )
    lines = [line.split(",") for line in done.stdout.splitlines()]
    return [dict(zip(lines[0], row, strict=False)) for row in lines[1:]]


def pools(pooler: PgBouncer) -> tuple[PoolStats, ...]:
    """SHOW POOLS without the console's own.

    Raises:
        CannotMeasure: the console does not answer.
    """
    return tuple(
        PoolStats(
            database=row["database"],
            user=row["user"],
            clients_active=int(row["cl_active"]),
            clients_waiting=int(row["cl_waiting"]),
            servers_active=int(row["sv_active"]),
            servers_idle=int(row["sv_idle"]),
            wait_s_max=int(row["maxwait"]) + int(row["maxwait_us"]) / 1e6,
        )
        for row in admin(pooler, "SHOW POOLS")
        if row["database"] != ADMIN_DATABASE
    )
