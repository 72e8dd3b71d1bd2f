"""A small application for the tests of the stack's parts: tables, keys, and two users' rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import asyncpg
import pytest

from phasegate.project import SeedFolder
from phasegate.stack.database import apply_sql, connected, run
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer

PROJECT = SeedFolder()
ALICE = uuid.UUID("00000000-0000-4000-8000-00000000000a")  # two tasks, one of them done
BOB = uuid.UUID("00000000-0000-4000-8000-00000000000b")  # five open tasks
CAROL = uuid.UUID("00000000-0000-4000-8000-00000000000c")  # no task

ROWS = """
insert into profiles (id, name, locale, created_at)
select ('00000000-0000-4000-8000-00000000000' || letter)::uuid, letter, 'en_US', now()
from unnest(array['a', 'b', 'c']) as letter;
insert into tasks (user_id, title, created_at, completed_at)
values ('00000000-0000-4000-8000-00000000000a', 'one', '2025-01-01+00', '2025-01-03+00'),
       ('00000000-0000-4000-8000-00000000000a', 'two', '2025-01-02+00', null);
insert into tasks (user_id, title, created_at)
select '00000000-0000-4000-8000-00000000000b', 'task ' || n, '2025-02-01+00'
from generate_series(1, 5) as n;
"""

Work = Callable[[asyncpg.Connection], Coroutine[Any, Any, Any]]


def on(dsn: str, work: Work) -> Any:
    """The result of `work(connection)` on a connection of its own."""

    async def opened() -> Any:
        async with connected(dsn) as connection:
            return await work(connection)

    return run(opened())


async def become(connection: asyncpg.Connection, user: uuid.UUID | None) -> None:
    """Until the end of the transaction, be what the API makes of a request: of `user`, or anon."""
    await connection.execute(f"set local role {'anon' if user is None else 'authenticated'}")
    claims = "" if user is None else f'{{"sub": "{user}", "role": "authenticated"}}'
    await connection.execute("select set_config('request.jwt.claims', $1, true)", claims)


@pytest.fixture(scope="session")
def sql_on() -> Callable[[str, Work], Any]:
    return on


@pytest.fixture(scope="session")
def as_user() -> Callable[[asyncpg.Connection, uuid.UUID | None], Coroutine[Any, Any, None]]:
    return become


@pytest.fixture(scope="session")
def alice() -> uuid.UUID:
    return ALICE


@pytest.fixture(scope="session")
def bob() -> uuid.UUID:
    return BOB


@pytest.fixture(scope="session")
def carol() -> uuid.UUID:
    return CAROL


def make_app(dsn: str) -> None:
    """Fill an empty database with an application at level 1 and three users."""
    apply_sql(dsn, PROJECT.schema, PROJECT.keys)
    on(dsn, lambda connection: connection.execute(ROWS))
    apply_level(dsn, 1)


@pytest.fixture(scope="session")
def fill_app() -> Callable[[str], None]:
    return make_app


@pytest.fixture
def app(database: str) -> str:
    """DSN of an application at level 1 with three users."""
    make_app(database)
    return database


@pytest.fixture(scope="module")
def shared_app(postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """As `app`, but one for all tests of a file that leave each other's rows alone."""
    name = f"shared_{request.node.name.removesuffix('.py').rpartition('/')[2]}"
    on(postgres.dsn(), lambda connection: connection.execute(f"create database {name}"))
    make_app(postgres.dsn(name))
    yield postgres.dsn(name)
    on(postgres.dsn(), lambda connection: connection.execute(f"drop database {name} with (force)"))
