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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files anew instead of comparing"
    )


class Golden:
    """Compares text with a file beside the test, or writes that file under --update-golden."""

    def __init__(self, folder: Path, update: bool) -> None:
        self.folder = folder
        self.update = update

    def check(self, name: str, text: str) -> None:
        path = self.folder / name
        if self.update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is not there: run pytest --update-golden, and read it"
        assert text == path.read_text(encoding="utf-8")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Golden files of the folder that the test is in."""
    return Golden(request.path.parent / "golden", bool(request.config.getoption("--update-golden")))


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
