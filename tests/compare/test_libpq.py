"""Our use of libpq: values, nulls, errors, refused connections, and nothing of a password."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from phasegate.compare.libpq import Session, StatementError, array_literal
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.stack.postgres import PostgresServer


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    opened = Session(database)
    yield opened
    opened.close()


def test_values_come_as_text_and_nulls_as_none(session: Session) -> None:
    rows = session.prepared("select n, nullif(n, 2), $1 from generate_series(1, 2) as n", "é")
    assert len(rows) == 2
    assert rows() == [("1", "1", "é"), ("2", None, "é")]
    assert rows.column(1) == ["1", None]


def test_a_null_parameter_is_null(session: Session) -> None:
    assert session.once("select $1::text is null", None).column(0) == ["t"]
    assert session.prepared("select $1::text is null", None).column(0) == ["t"]


def test_a_statement_is_prepared_once_and_forgotten_on_demand(session: Session) -> None:
    prepared = "select count(*) from pg_prepared_statements"
    for _ in range(3):
        session.prepared("select 1")
    assert session.once(prepared).column(0) == ["1"]
    session.forget()
    assert session.once(prepared).column(0) == ["0"]
    assert session.prepared("select 1").column(0) == ["1"]


def test_a_failing_statement_says_why_with_its_sqlstate(session: Session) -> None:
    with pytest.raises(StatementError, match="division by zero") as caught:
        session.prepared("select 1 / 0")
    assert caught.value.sqlstate == "22012"
    assert session.once("select 1").column(0) == ["1"]


def test_an_open_transaction_is_known_also_after_it_failed(session: Session) -> None:
    assert not session.in_transaction
    session.execute("begin")
    assert session.in_transaction
    with pytest.raises(StatementError):
        session.execute("select 1 / 0")
    assert session.in_transaction
    session.execute("rollback")
    assert not session.in_transaction


def test_a_server_that_hangs_up_is_an_error_not_a_crash(session: Session, database: str) -> None:
    other = Session(database)
    other.once("select pg_terminate_backend($1)", str(session.backend_pid))
    with pytest.raises(StatementError, match=r"terminat|closed"):
        session.execute("select pg_sleep(5)")
    for again in (session.execute, session.once, session.prepared):
        with pytest.raises(StatementError, match=r"hung up|no connection|closed"):
            again("select 1")
    session.cancel()
    other.close()


def test_a_refused_connection_does_not_quote_the_password(postgres: PostgresServer) -> None:
    with pytest.raises(CannotMeasure, match=r"Cannot connect to .*nowhere.*does not exist") as told:
        Session(postgres.dsn("nowhere"))
    assert postgres.password not in str(told.value)


@pytest.mark.parametrize("dsn", ["nonsense", "", "mysql://u@h/x"])
def test_what_is_no_address_is_refused_before_connecting(dsn: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read.*postgresql://"):
        Session(dsn)


def test_an_unreachable_server_is_named_in_one_line() -> None:
    with pytest.raises(CannotMeasure, match="refused") as told:
        Session("postgresql://u:secret@127.0.0.1:1/x")
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)


def test_array_literals_survive_any_character(session: Session) -> None:
    values = ["plain", 'quo"te', "back\\slash", "com,ma", "{brace}", "", "null"]
    asked = session.once("select unnest($1::text[])", array_literal(values))
    assert asked.column(0) == values


def test_closing_twice_is_harmless(session: Session) -> None:
    session.close()
    session.close()


def test_the_time_inside_libpq_counts_the_servers_and_not_ours(session: Session) -> None:
    session.prepared("select 1")
    start_ns = session.busy_ns
    time.sleep(0.05)
    session.prepared("select pg_sleep(0.02)")
    took_s = (session.busy_ns - start_ns) / 1e9
    assert 0.02 <= took_s < 0.05


def test_notices_of_the_server_are_not_printed(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    session.execute("drop table if exists nowhere")
    assert capfd.readouterr().err == ""
