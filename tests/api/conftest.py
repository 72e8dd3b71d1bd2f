"""What the API's tests share: a small application with three users, and the service before it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from phasegate.api import Api, running_api
from phasegate.api.database import CATALOGUE_AGE_MIN_S
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.tokens import mint, mint_key

ROOT = Path(__file__).parents[2]
SQL = ROOT / "phasegate" / "stack" / "sql"
SEED = ROOT / "seed"
SECRET = "a secret of forty-eight bytes, so that HS384 fits"  # noqa: S105 - of this test run alone

ALICE = "00000000-0000-4000-8000-00000000000a"
BOB = "00000000-0000-4000-8000-00000000000b"
CAROL = "00000000-0000-4000-8000-00000000000c"  # signed up, and has nothing yet

# Alice: projects 1 and 2, thirty tasks, of which ten belong to no project and six are done.
# Bob: project 3 and five tasks.
ROWS = f"""
    insert into profiles
    select id, name, 'en_GB', '2026-01-01T00:00:00Z'
    from (values
        ('{ALICE}'::uuid, 'Alice'), ('{BOB}'::uuid, 'Bob'), ('{CAROL}'::uuid, 'Carol')
    ) as p (id, name);
    insert into projects (id, user_id, name, color, created_at) values
        ('00000000-0000-4000-8000-000000000101', '{ALICE}', 'Home', '#00ff00', '2026-01-02Z'),
        ('00000000-0000-4000-8000-000000000102', '{ALICE}', 'Work', '#0000ff', '2026-01-03Z'),
        ('00000000-0000-4000-8000-000000000103', '{BOB}', 'Secret', '#ff0000', '2026-01-04Z');
    insert into tasks (id, user_id, project_id, title, status, created_at, completed_at)
    select
        ('00000000-0000-4000-8000-' || lpad(to_hex(4096 + n), 12, '0'))::uuid,
        '{ALICE}',
        case n % 3
            when 0 then '00000000-0000-4000-8000-000000000101'::uuid
            when 1 then '00000000-0000-4000-8000-000000000102'::uuid
        end,
        'alice ' || lpad(n::text, 2, '0'),
        case when n % 5 = 0 then 'done' else 'open' end,
        '2026-02-01Z'::timestamptz + n * interval '1 hour',
        case when n % 5 = 0 then '2026-03-01Z'::timestamptz end
    from generate_series(1, 30) as n;
    insert into tasks (id, user_id, project_id, title, created_at)
    select
        ('00000000-0000-4000-8000-' || lpad(to_hex(8192 + n), 12, '0'))::uuid,
        '{BOB}', '00000000-0000-4000-8000-000000000103', 'bob ' || n,
        '2026-02-01Z'::timestamptz + n * interval '1 hour'
    from generate_series(1, 5) as n;
    insert into activity_logs values
        (1, '{ALICE}', 'sign_in', '2026-02-01Z'), (2, '{BOB}', 'sign_in', '2026-02-01Z');
    create table activity_logs_rest partition of activity_logs_partitioned default;
    insert into activity_logs_partitioned select * from activity_logs;
    analyze;
"""


def _path(name: str) -> Path:
    own = SEED / f"{name}.sql"
    return own if own.exists() else SQL / f"{name}.sql"


async def _apply(dsn: str, *names: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for name in names:
            async with connection.transaction():
                await connection.execute(_path(name).read_text("utf-8"))
    finally:
        await connection.close()


class Owner:
    """The owner's own way to a database: one connection, kept open from call to call."""

    def __init__(self, dsn: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(dsn))

    def value(self, query: str) -> Any:
        return self._runner.run(self._connection.fetchval(query))

    def execute(self, statement: str) -> None:
        self._runner.run(self._connection.execute(statement))

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()


@pytest.fixture(scope="session")
def apply_files() -> Callable[..., Awaitable[None]]:
    """Coroutine (dsn, *names): runs seed/<name>.sql or stack/sql/<name>.sql."""
    return _apply


@pytest.fixture
def prepared(database: str) -> str:
    """DSN of a database with tables, keys, roles and policies, and no rows."""
    asyncio.run(_apply(database, "schema", "keys", "supabase", "policies"))
    return database


@dataclass(frozen=True)
class Service:
    """A running API, and the owner's own way to the database behind it."""

    api: Api
    owner: Owner

    secret = SECRET
    alice, bob, carol = ALICE, BOB, CAROL

    def client(self, user: str | None = None, **headers: str) -> httpx.Client:
        """An HTTP client of `user`; of nobody who signed in where None."""
        bearer = self.api.anon_key if user is None else mint(SECRET, user)
        sent = {"apikey": self.api.anon_key, "authorization": f"Bearer {bearer}", **headers}
        return httpx.Client(
            base_url=f"{self.api.url}/rest/v1",
            headers=sent,
            timeout=20,
            verify=False,  # noqa: S501 - loading certificates takes longer than most tests
        )

    def service_key(self) -> str:
        return mint_key(SECRET, "service_role")

    def value(self, query: str) -> Any:
        """One value, seen by the owner."""
        return self.owner.value(query)

    def execute(self, statement: str) -> None:
        """Do something as the owner."""
        self.owner.execute(statement)

    def execute_and_notice(self, statement: str) -> None:
        """Change the schema, and wait until the API would read it again for a new name."""
        self.execute(statement)
        time.sleep(CATALOGUE_AGE_MIN_S)

    def restore(self) -> None:
        """The rows as they were at the beginning."""
        self.execute(f"drop table if exists activity_logs_rest; truncate profiles cascade; {ROWS}")

    def fingerprint(self) -> str:
        """Of every row of every table: equal as long as nothing has changed."""
        tables = ("profiles", "projects", "tasks", "activity_logs", "activity_logs_partitioned")
        parts = (
            f"(select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {name} t)"
            for name in tables
        )
        return str(self.value(f"select {' || '.join(parts)}"))


@pytest.fixture(scope="session")
def shared_service(postgres: PostgresServer) -> Iterator[Service]:
    """One API on one database for all tests that leave the rows as they were."""
    execute(postgres.dsn(), "create database api_shared")
    dsn = postgres.dsn("api_shared")
    asyncio.run(_apply(dsn, "schema", "keys", "supabase", "policies", "functions"))
    execute(dsn, ROWS)
    owner = Owner(dsn)
    with running_api(dsn, jwt_secret=SECRET, pool_size=4) as api:
        yield Service(api, owner)
    owner.close()
    execute(postgres.dsn(), "drop database api_shared with (force)")


@pytest.fixture
def service(shared_service: Service) -> Iterator[Service]:
    """The shared API; whatever a test changes is put back."""
    before = shared_service.fingerprint()
    yield shared_service
    if shared_service.fingerprint() != before:
        shared_service.restore()


@pytest.fixture
def new_id() -> str:
    return str(uuid.uuid4())
