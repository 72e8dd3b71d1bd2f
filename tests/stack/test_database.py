from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import SeedFolder
from phasegate.stack.database import apply_sql, connected, redact, run, with_database, with_port


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://me:hush@127.0.0.1:5432/db", "postgresql://me@127.0.0.1:5432/db"),
        ("postgresql://me:a%40b%3Ahush@h/db", "postgresql://me@h/db"),
        ("postgresql://h/db?password=hush&sslmode=require", "postgresql://h/db"),
        ("host=h password=hush", "a database URL that cannot be read"),
        ("postgresql://me:hush@h:port/db", "a database URL that cannot be read"),
    ],
)
def test_a_redacted_dsn_keeps_the_place_and_loses_the_password(dsn: str, shown: str) -> None:
    assert redact(dsn) == shown
    assert "hush" not in redact(dsn)


def test_a_dsn_can_name_another_database_or_port_and_keeps_the_rest() -> None:
    dsn = "postgresql://me:p%40ss@[::1]:5432/db?sslmode=disable"
    assert with_database(dsn, "other") == dsn.replace("/db?", "/other?")
    assert with_port(dsn, 6543) == dsn.replace("5432", "6543")
    assert with_port("postgresql://localhost/db", 1) == "postgresql://localhost:1/db"


@pytest.mark.integration
def test_an_unreachable_server_is_named_without_its_password() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        dsn = f"postgresql://me:hush@127.0.0.1:{held.getsockname()[1]}/db"
        with pytest.raises(CannotMeasure, match="Cannot connect to postgresql://me@127") as caught:
            apply_sql(dsn, SeedFolder().schema)
    assert "hush" not in str(caught.value)


@pytest.mark.integration
def test_a_server_that_accepts_and_says_nothing_does_not_hang_us() -> None:
    async def connect(port: int) -> None:
        async with connected(f"postgresql://me@127.0.0.1:{port}/db", timeout_s=0.3):
            pass

    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(CannotMeasure, match="Cannot connect"):
            run(connect(mute.getsockname()[1]))


def test_what_is_no_dsn_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="database URL"):
        apply_sql("mysql://me:hush@h/db", SeedFolder().schema)


def test_a_file_that_fails_half_way_leaves_nothing_behind(
    database: str,
    sql_on: Callable[..., Any],
    tmp_path: Any,
) -> None:
    (tmp_path / "broken.sql").write_text("create table half (id int); select 1/0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        apply_sql(database, tmp_path / "broken.sql")
    assert sql_on(database, lambda c: c.fetchval("select to_regclass('half')")) is None


def test_the_synchronous_face_works_inside_a_running_loop(database: str) -> None:
    async def inside() -> None:
        apply_sql(database, SeedFolder().schema)

    asyncio.run(inside())
