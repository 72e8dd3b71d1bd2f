from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import asyncpg
import pytest

from phasegate.model.errors import Refused
from phasegate.stack.database import fetch
from phasegate.stack.postgres import PostgresServer, free_port, running_postgres


def test_the_server_answers_and_has_pg_stat_statements(postgres: PostgresServer) -> None:
    libraries = fetch(postgres.dsn(), "show shared_preload_libraries")[0][0]
    assert libraries == "pg_stat_statements"


def test_the_password_is_not_in_the_servers_printed_form(postgres: PostgresServer) -> None:
    assert postgres.password
    assert postgres.password not in repr(postgres)


def test_a_wrong_password_is_refused(postgres: PostgresServer) -> None:
    wrong = postgres.dsn().replace(postgres.password, "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(wrong))


def test_a_taken_port_is_named_and_nothing_is_started() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"Port {port} .* Nothing was started"):
            free_port(port)


@pytest.mark.integration
def test_a_cluster_of_another_major_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("9\n")
    with (
        pytest.raises(Refused, match="belongs to PostgreSQL 9"),
        running_postgres(tmp_path / "data"),
    ):
        pass
