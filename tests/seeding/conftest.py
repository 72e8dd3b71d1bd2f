"""Fixtures of the seeder's tests: rows of a loaded database, read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

Query = Callable[..., list[asyncpg.Record]]


@pytest.fixture(scope="session")
def query() -> Query:
    """`query(dsn, statement, *arguments)` → rows."""

    async def fetch(dsn: str, statement: str, arguments: tuple[Any, ...]) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(dsn)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    def run(dsn: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        return asyncio.run(fetch(dsn, statement, arguments))

    return run
