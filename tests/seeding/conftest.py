"""Fixtures of the seeder's tests: rows of a loaded database, read back."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

from phasegate.stack.database import fetch

Query = Callable[..., list[asyncpg.Record]]


@pytest.fixture(scope="session")
def query() -> Query:
    """`query(dsn, statement, *arguments)` → rows."""

    return fetch
