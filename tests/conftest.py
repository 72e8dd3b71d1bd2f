"""Fixtures that every room's tests share: a real server of the session's own, empty databases."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from stack.postgres import PostgresServer, running_postgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server in a temporary folder, with the settings that users get."""
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, the server runs as another user
        with running_postgres(home / "data", settings={"shared_buffers": "256MB"}) as server:
            yield server


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """DSN of an empty database, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    asyncio.run(_execute(postgres.dsn(), f"create database {name}"))
    yield postgres.dsn(name)
    asyncio.run(_execute(postgres.dsn(), f"drop database {name} with (force)"))
