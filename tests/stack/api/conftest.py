"""What the API's tests share: running SQL files, and a small application with three users."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

SQL = Path(__file__).parents[3] / "stack" / "sql"


async def _apply(dsn: str, *names: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for name in names:
            async with connection.transaction():
                await connection.execute((SQL / f"{name}.sql").read_text("utf-8"))
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def apply_files() -> Callable[..., Awaitable[None]]:
    """Coroutine (dsn, *names): runs stack/sql/<name>.sql, each in a transaction of its own."""
    return _apply


@pytest.fixture
def prepared(database: str) -> str:
    """DSN of a database with tables, keys, roles and policies, and no rows."""
    asyncio.run(_apply(database, "schema", "keys", "supabase", "rls"))
    return database
