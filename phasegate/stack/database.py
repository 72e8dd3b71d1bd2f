"""Talking to a database behind a DSN: connecting and running our SQL files.

Reads `stack/sql/*.sql`; writes what those files say, each in one transaction. Every asyncpg
connection of this room outside the API is opened here, so that a failure always reads the same and
never shows a password.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from phasegate.model.dsn import SYSTEM_CERTIFICATES, Dsn, advice
from phasegate.model.dsn import redact as redact
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.model.read_file import read_text

SQL_FOLDER = Path(__file__).with_name("sql")

# A local or pooled server answers within milliseconds; a cold cloud database within seconds.
CONNECT_TIMEOUT_S = 10.0

# What a connection attempt raises when the server is not there, not ready or not willing.
CONNECTION_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)

T = TypeVar("T")


def with_database(dsn: str, database: str) -> str:
    """`dsn` with another database's name in it."""
    return Dsn.of(dsn).at(database=database).url


def with_port(dsn: str, port: int) -> str:
    """`dsn` with another port of the same host: the pooler in front of it, or its replica."""
    return Dsn.of(dsn).at(port=port).url


def driver_arguments(dsn: str, timeout_s: float = CONNECT_TIMEOUT_S) -> dict[str, Any]:
    """What asyncpg's `connect` takes for `dsn`: for all who do not use `connected`.

    `timeout_s` holds where the address has no connect_timeout of its own.

    Raises:
        ConfigurationError: `dsn` is no DSN.
    """
    read = Dsn.of(dsn)
    parameters = dict(read.parameters)
    parameters.pop("gssencmode", None)  # asyncpg has no other encryption than TLS
    arguments: dict[str, Any] = {
        "timeout": float(parameters.pop("connect_timeout", timeout_s)),
    }
    if parameters.get("sslrootcert") == SYSTEM_CERTIFICATES:
        arguments["ssl"] = ssl.create_default_context()
        parameters = {name: said for name, said in parameters.items() if "ssl" not in name}
    arguments["dsn"] = replace(read, parameters=parameters).url
    return arguments


def read_sql(name: str | Path) -> str:
    """The text of `stack/sql/<name>.sql`, or of a project's own file.

    Raises:
        ConfigurationError: the project's file cannot be read.
    """
    path = name if isinstance(name, Path) else SQL_FOLDER / f"{name}.sql"
    return read_text(path, f"{path.parent.name}/{path.name}", untouched="Nothing was changed")


def sql_fault(name: str, text: str, error: asyncpg.PostgresError) -> str:
    """What the server says of a file's `text`: with its line, where the server tells it."""
    position = getattr(error, "position", None)
    if position is None:
        return f"{name}: {error}"
    line = text.count("\n", 0, int(position) - 1) + 1
    return f"{name}, line {line}: {error}"


def literal(text: str) -> str:
    """`text` as a literal of SQL: for scripts that are shown, which can have no parameters.

    Raises:
        ValueError: it holds a NUL, which no text of PostgreSQL's can.
    """
    if "\0" in text:
        raise ValueError("a text of SQL cannot hold a NUL")
    quoted = text.replace("'", "''")
    if "\\" in quoted:
        return "E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


@asynccontextmanager
async def connected(
    dsn: str, *, statement_cache_size: int | None = None, timeout_s: float = CONNECT_TIMEOUT_S
) -> AsyncIterator[asyncpg.Connection]:
    """A connection to `dsn`, closed at the end.

    Args:
        dsn: `postgresql://` address.
        statement_cache_size: of asyncpg; 0 behind a pooler that cannot follow prepared
            statements (PgBouncer below 1.21), asyncpg's own default where None.
        timeout_s: seconds until the server counts as unreachable.

    Raises:
        ConfigurationError: `dsn` is no DSN.
        CannotMeasure: the server cannot be reached or refuses; the password is not quoted.
    """
    options = driver_arguments(dsn, timeout_s)
    if statement_cache_size is not None:
        options["statement_cache_size"] = statement_cache_size
    try:
        connection = await asyncpg.connect(**options)
    except ValueError:  # asyncpg.ClientConfigurationError is one too, and quotes what it read
        raise ConfigurationError(
            "The database URL cannot be used: a parameter of it, or a variable of libpq's (PG…) "
            "beside it, has a value that the driver does not know",
            then="Correct it; sslmode=require and no other parameter is enough for most",
        ) from None
    except CONNECTION_ERRORS as error:
        reason = str(error) or type(error).__name__
        read = Dsn.of(dsn)
        raise CannotMeasure(
            f"Cannot connect to {read.shown}: {reason}", then=advice(read, reason)
        ) from error
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: asyncpg.Connection) -> None:
    """Close in order where the server still answers, and at once where it does not."""
    try:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    except CONNECTION_ERRORS:
        connection.terminate()


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, also for callers that already live inside an event loop.

    The synchronous face of this room (`apply_level`, `apply_sql`, …) is called from the CLI, from
    threads and from tests; a loop cannot be entered twice, so a second one gets its own thread.
    """
    if not _inside_a_loop():
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


def _inside_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def execute(dsn: str, *statements: str) -> None:
    """Run each statement by itself, outside any transaction.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: a statement failed; those before it stay.
    """

    async def work() -> None:
        async with connected(dsn, statement_cache_size=0) as connection:
            for statement in statements:
                await connection.execute(statement)

    run(work())


def fetch(dsn: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """The rows of one query; errors as `execute`."""

    async def work() -> list[asyncpg.Record]:
        async with connected(dsn, statement_cache_size=0) as connection:
            return list(await connection.fetch(query, *arguments))

    return run(work())


async def execute_sql(connection: asyncpg.Connection, *names: str | Path) -> None:
    """Run each file of `read_sql`, in order, all in one transaction.

    What the role has set for itself (search_path, limits of time) does not hold meanwhile.
    """
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        for name in names:
            await connection.execute(read_sql(name))


def apply_sql(dsn: str, *names: str | Path) -> None:
    """Run each file of `read_sql` on `dsn`: all of it, or nothing.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError: a statement failed; nothing was changed.
    """

    async def work() -> None:
        async with connected(dsn) as connection:
            await execute_sql(connection, *names)

    run(work())
