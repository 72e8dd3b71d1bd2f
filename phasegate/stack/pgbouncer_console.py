"""A running PgBouncer, and what its admin console says of it.

Reads the console through psql; writes nothing.
"""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from phasegate.model.errors import CannotMeasure
from phasegate.stack.binaries import programs
from phasegate.stack.database import redact, with_database, with_port
from phasegate.stack.pgbouncer_install import PREPARED_FROM
from phasegate.stack.processes import without_libpq_variables

ADMIN_DATABASE = "pgbouncer"
ANSWER_TIMEOUT_S = 10.0
# Of a question asked every second: other looks must not wait for it.
CONSOLE_TIMEOUT_S = 2.0
END_OF_ANSWER = "end-of-answer"
START_AGAIN = "See that it runs, then start again"


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
    try:
        done = subprocess.run(
            [programs() / "psql", "--no-psqlrc", "--csv", "--command", command],
            check=False,
            capture_output=True,
            text=True,
            timeout=ANSWER_TIMEOUT_S,
            env=_environment(dsn),
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(
            f"PgBouncer at {redact(dsn)} does not answer", then=START_AGAIN
        ) from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise CannotMeasure(
            f"PgBouncer at {redact(dsn)} does not answer: {said[-1] if said else done.returncode}",
            then=START_AGAIN,
        )
    return _rows(done.stdout.splitlines())


def _environment(dsn: str) -> dict[str, str]:
    """Where psql connects to; by environment, which keeps the password off argv."""
    address = urlsplit(dsn)
    return {
        **without_libpq_variables(),
        "PGHOST": address.hostname or "",
        "PGPORT": str(address.port),
        "PGUSER": unquote(address.username or ""),
        "PGPASSWORD": unquote(address.password or ""),
        "PGDATABASE": ADMIN_DATABASE,
        "PGCONNECT_TIMEOUT": "2",
    }


def _rows(lines: list[str]) -> list[dict[str, str]]:
    """What psql printed under --csv; no value of the console has a comma in it."""
    cells = [line.split(",") for line in lines]
    return [dict(zip(cells[0], row, strict=False)) for row in cells[1:]]


class Console:
    """A session on the admin console that stays open: a question then takes a millisecond.

    Args:
        dsn: of the pooler, with any database in it.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = with_database(dsn, ADMIN_DATABASE)
        self._psql: asyncio.subprocess.Process | None = None

    async def ask(self, command: str) -> list[dict[str, str]]:
        """As `admin`; after a failure the next call opens a new session.

        Raises:
            CannotMeasure: it does not answer.
        """
        try:
            lines = await asyncio.wait_for(self._ask(command), CONSOLE_TIMEOUT_S)
        except (OSError, TimeoutError):
            lines = []
        if not lines:
            await self.close()
            raise CannotMeasure(
                f"PgBouncer at {redact(self._dsn)} does not answer", then=START_AGAIN
            )
        return _rows(lines)

    async def close(self) -> None:
        """End the session."""
        if self._psql is not None:
            if self._psql.returncode is None:
                self._psql.kill()
            await self._psql.wait()
            self._psql = None

    async def _ask(self, command: str) -> list[str]:
        """The lines of the answer; none where the session is over or the command failed."""
        if self._psql is None:
            self._psql = await asyncio.create_subprocess_exec(
                str(programs() / "psql"),
                *("--no-psqlrc", "--csv", "--quiet"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=_environment(self._dsn),
            )
        stdin, stdout = self._psql.stdin, self._psql.stdout
        assert stdin is not None  # noqa: S101 - piped above; tells the type checker
        assert stdout is not None  # noqa: S101 - the same
        stdin.write(f"{command};\n\\echo {END_OF_ANSWER}\n".encode())
        await stdin.drain()
        lines: list[str] = []
        while line := (await stdout.readline()).decode().rstrip("\n"):
            if line == END_OF_ANSWER:
                return lines
            lines.append(line)
        return []


def pools(pooler: PgBouncer) -> tuple[PoolStats, ...]:
    """SHOW POOLS without the console's own.

    Raises:
        CannotMeasure: the console does not answer.
    """
    return pools_of(admin(pooler, "SHOW POOLS"))


def pools_of(rows: list[dict[str, str]]) -> tuple[PoolStats, ...]:
    """The rows of SHOW POOLS without the console's own."""
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
        for row in rows
        if row["database"] != ADMIN_DATABASE
    )
