"""PostgreSQL's own client library (libpq), as the benchmarks use it. Opens connections.

The benchmarks time what a statement takes, and the client is in every time: libpq takes as long as
pgbench, which is built on it (`instruments.compare_perf` measures it), where asyncpg took 1.1 to
2.5 times as long below 1 ms. `psycopg.pq` calls libpq and nothing else, and brings one that speaks
TLS (docs/decisions/0001-libpq-through-psycopg.md). Values go and come as text, and rows are read
only when asked for. What is timed is the call into libpq: preparing is not in it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter_ns

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from phasegate.model.dsn import SYSTEM_CERTIFICATES, Dsn, advice
from phasegate.model.errors import CannotMeasure
from phasegate.stack.database import CONNECT_TIMEOUT_S

Row = tuple[str | None, ...]

HUNG_UP = "the server hung up"
UNICODE_DAMAGE = "replace"  # in the server's messages, whose encoding may be another's


class StatementError(CannotMeasure):
    """A statement failed; `sqlstate` is the server's five characters, empty if it hung up."""

    def __init__(self, message: str, sqlstate: str) -> None:
        self.sqlstate = sqlstate
        super().__init__(message)


class Result:
    """The rows of one statement, kept by libpq until they are read."""

    def __init__(self, found: pq.abc.PGresult) -> None:
        self._found = found

    def __len__(self) -> int:
        """How many rows."""
        return self._found.ntuples

    def __call__(self) -> list[Row]:
        """All rows, as text; None for null."""
        columns = range(self._found.nfields)
        return [tuple(self._value(row, column) for column in columns) for row in range(len(self))]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        columns = (self._found.fname(place) for place in range(self._found.nfields))
        return tuple(name.decode() if name else "" for name in columns)

    def column(self, number: int) -> list[str | None]:
        """One column of all rows."""
        return [self._value(row, number) for row in range(len(self))]

    def _value(self, row: int, column: int) -> str | None:
        value = self._found.get_value(row, column)
        return None if value is None else value.decode()


class Session:
    """One connection. Not for two threads at once.

    Args:
        dsn: `postgresql://` address, read as every verb reads it: a server on another machine is
            asked for TLS unless it says otherwise.
        near_port: port of this machine that passes on to that server, whose certificate is still
            held against the host in `dsn`.

    Raises:
        ConfigurationError: `dsn` is no address.
        CannotMeasure: the server cannot be reached or refuses; the password is not quoted.
    """

    def __init__(self, dsn: str, *, near_port: int | None = None) -> None:
        self.busy_ns = 0
        """Time spent inside libpq, waiting for the server included: what a call is judged by."""
        self._connection = self._connect(Dsn.of(dsn), near_port)
        self._names: dict[str, bytes] = {}

    def _connect(self, dsn: Dsn, near_port: int | None) -> pq.abc.PGconn:
        parameters = _parameters(dsn, near_port)
        start = perf_counter_ns()
        connection = pq.PGconn.connect(parameters)
        self.busy_ns += perf_counter_ns() - start
        if connection.status == pq.ConnStatus.OK:
            return connection
        reason = " ".join(connection.error_message.decode(errors=UNICODE_DAMAGE).split())
        connection.finish()
        raise CannotMeasure(
            f"Cannot connect to {dsn.shown}: {reason.rstrip('?')}", then=advice(dsn, reason)
        )

    def close(self) -> None:
        """End the connection; calling it again does nothing."""
        self._connection.finish()

    def cancel(self) -> None:
        """Ask the server to give up what another thread runs here; nothing if it is idle."""
        with suppress(psycopg.Error):  # whose next statement says that the connection has ended
            self._connection.get_cancel().cancel()

    @property
    def backend_pid(self) -> int:
        """Process id of the server's side, on the server's machine."""
        return self._connection.backend_pid

    @property
    def server_major(self) -> int:
        """As 18."""
        return self._connection.server_version // 10_000

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed ones included."""
        return self._connection.transaction_status != pq.TransactionStatus.IDLE

    def execute(self, script: str) -> Result:
        """Run statements without parameters; the rows of the last one."""
        return self._timed(self._connection.exec_, script.encode())

    def once(self, sql: str, *arguments: str | None) -> Result:
        """Run one statement that is not kept prepared, as behind a pooler."""
        return self._timed(self._connection.exec_params, sql.encode(), _encoded(arguments))

    def prepared(self, sql: str, *arguments: str | None) -> Result:
        """Run one statement, prepared when it is first seen."""
        name = self._names.get(sql) or self._prepare(sql)
        return self._timed(self._connection.exec_prepared, name, _encoded(arguments))

    def _prepare(self, sql: str) -> bytes:
        name, before_ns = b"s%d" % len(self._names), self.busy_ns
        self._timed(self._connection.prepare, name, sql.encode())
        self.busy_ns = before_ns
        self._names[sql] = name
        return name

    def _timed(self, call: Callable[..., pq.abc.PGresult], *arguments: object) -> Result:
        start = perf_counter_ns()
        try:
            found = call(*arguments)
        except psycopg.Error:  # no result at all: the connection had ended before
            raise StatementError(HUNG_UP, "") from None
        finally:
            self.busy_ns += perf_counter_ns() - start
        return _result(found, self._connection)

    def forget(self) -> None:
        """Drop all prepared statements."""
        self._names.clear()
        self.execute("deallocate all")


def _parameters(dsn: Dsn, near_port: int | None) -> bytes:
    """`dsn` and what holds for every connection here, as libpq's own key-and-value text."""
    parameters = {
        "connect_timeout": f"{CONNECT_TIMEOUT_S:.0f}",
        "fallback_application_name": "phasegate",
        "gssencmode": "disable",  # encryption is TLS's here, in every verb
        **dsn.keywords(),
        "client_encoding": "UTF8",
    }
    if near_port is not None:
        parameters |= {"hostaddr": "127.0.0.1", "port": str(near_port)}
    if parameters.get("sslrootcert") == SYSTEM_CERTIFICATES:
        _name_system_certificates()
    return make_conninfo(**parameters).encode()


def _name_system_certificates() -> None:
    """Tell the OpenSSL in psycopg's wheel where this machine keeps them; it looks elsewhere."""
    paths = ssl.get_default_verify_paths()
    for variable, found in (
        (paths.openssl_cafile_env, paths.cafile),
        (paths.openssl_capath_env, paths.capath),
    ):
        if found is not None:
            os.environ.setdefault(variable, found)


def _encoded(values: Sequence[str | None]) -> list[bytes | None]:
    return [None if value is None else value.encode() for value in values]


def _result(found: pq.abc.PGresult, connection: pq.abc.PGconn) -> Result:
    if found.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        state = found.error_field(pq.DiagnosticField.SQLSTATE) or b""
        # Without a state it is libpq that speaks, of a connection that was closed; what the other
        # side said before it closed it (`FATAL:  query_wait_timeout`) is the connection's alone.
        said = found.error_message if state else connection.error_message or found.error_message
        words = said.decode(errors=UNICODE_DAMAGE).strip().splitlines() or [HUNG_UP]
        raise StatementError(words[0].removeprefix("ERROR:  "), state.decode())
    return Result(found)


def array_literal(values: Sequence[str]) -> str:
    """A `text[]` value as PostgreSQL reads it, whatever characters the strings hold."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"
