"""supabase.sql and policies.sql: what they leave behind, also run again or at once."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from phasegate.stack.postgres import PostgresServer, running_postgres

Apply = Callable[..., Awaitable[None]]


async def _fetch(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


def test_a_second_run_takes_no_lock_that_a_reader_would_wait_for(
    prepared: str, apply_files: Apply
) -> None:
    async def beside_a_reader() -> None:
        reader = await asyncpg.connect(prepared)
        try:
            async with reader.transaction():
                await reader.execute("select from tasks")
                async with asyncio.timeout(10):
                    await apply_files(prepared, "supabase", "policies")
        finally:
            await reader.close()

    asyncio.run(beside_a_reader())


@pytest.mark.integration
def test_several_databases_of_a_new_cluster_can_be_prepared_at_once(
    apply_files: Apply,
) -> None:
    async def together(server: PostgresServer) -> None:
        dsns = [server.dsn(f"at_once_{number}") for number in range(3)]
        for number in range(3):
            await _fetch(server.dsn(), f"create database at_once_{number}")
        await asyncio.gather(*(apply_files(dsn, "schema", "keys") for dsn in dsns))
        await asyncio.gather(*(apply_files(dsn, "supabase", "policies") for dsn in dsns * 2))

    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as another user
        with running_postgres(Path(folder) / "data", settings={"shared_buffers": "32MB"}) as server:
            asyncio.run(together(server))


def test_every_table_has_row_level_security_and_partitions_are_not_granted(
    database: str, apply_files: Apply
) -> None:
    async def with_a_partition() -> None:
        await apply_files(database, "schema", "keys")
        await _fetch(
            database, "create table logs_rest partition of activity_logs_partitioned default"
        )
        await apply_files(database, "supabase", "policies")

    asyncio.run(with_a_partition())
    bare = _fetch(
        database,
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'p') and not relrowsecurity",
    )
    granted = _fetch(database, "select has_table_privilege('authenticated', 'logs_rest', 'select')")
    assert asyncio.run(bare) == []
    assert asyncio.run(granted)[0][0] is False


@pytest.mark.parametrize(
    ("role", "timeout"), [("anon", "3s"), ("authenticated", "8s"), ("authenticator", "8s")]
)
def test_roles_carry_supabases_statement_timeouts(prepared: str, role: str, timeout: str) -> None:
    found = asyncio.run(
        _fetch(
            prepared,
            "select setconfig from pg_db_role_setting s join pg_roles r on r.oid = s.setrole"
            f" where rolname = '{role}'",
        )
    )
    assert found[0][0] == [f"statement_timeout={timeout}"]


def test_policies_ask_for_the_user_once_a_statement_not_once_a_row(prepared: str) -> None:
    policies = asyncio.run(
        _fetch(prepared, "select coalesce(qual, '') || coalesce(with_check, '') from pg_policies")
    )
    assert len(policies) == 7
    assert all("SELECT auth.uid() AS uid" in row[0] for row in policies)
