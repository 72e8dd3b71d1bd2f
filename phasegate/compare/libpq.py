"""PostgreSQL's own client library, called as `psql` and `pgbench` call it. Opens connections.

The benchmarks time what a statement takes, and the client is in every time. Beside `pgbench -M
prepared` on the same statement asyncpg took 1.1 to 2.5 times as long below 1 ms, since it builds
objects of every value; libpq takes as long as pgbench, which is built on it
(`instruments.compare_perf` measures it). Values go and come as text, and rows are read only when
asked for. What is timed is the time inside libpq: neither Python's glue nor preparing is in it.

The library is found beside PostgreSQL's programs (`stack.binaries`); where that one has no TLS and
the server wants it, the system's own is used.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Sequence
from functools import cache
from time import perf_counter_ns

from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.stack.binaries import programs
from phasegate.stack.database import CONNECT_TIMEOUT_S, redact

Row = tuple[str | None, ...]

SCHEMES = ("postgresql://", "postgres://")
CONNECTION_OK = 0
COMMAND_OK, TUPLES_OK = 1, 2
IDLE = 0
SQLSTATE = ord("C")  # PG_DIAG_SQLSTATE
# "does not exist, skipping" and its like are expected here, and would go to standard error.
NOTICE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)
SILENT = NOTICE(lambda _context, _message: None)
UNICODE_DAMAGE = "replace"  # in the server's messages, whose encoding may be another's


class StatementError(CannotMeasure):
    """A statement failed; `sqlstate` is the server's five characters, empty if it hung up."""

    def __init__(self, message: str, sqlstate: str) -> None:
        self.sqlstate = sqlstate
        super().__init__(message)


def _candidates() -> list[str]:
    folder = programs().parent / "lib"
    beside = sorted(str(path) for path in folder.glob("libpq.*") if ".a" not in path.suffixes)
    system = ctypes.util.find_library("pq")
    return [*beside, *([system] if system else [])]


@cache
def library(number: int = 0) -> ctypes.CDLL:
    """The first libpq that loads, or the one after it.

    Raises:
        ConfigurationError: there is none, or no further one.
    """
    found = []
    for path in _candidates():
        try:
            found.append(ctypes.CDLL(path))
        except OSError:
            continue
    if number >= len(found):
        raise ConfigurationError(
            "There is no libpq on this machine" + (" that speaks TLS" if number else ""),
            untouched="Nothing was measured",
            then="Install PostgreSQL's client library (on Debian: apt-get install libpq5)",
        )
    _declare(found[number])
    return found[number]


def _declare(lib: ctypes.CDLL) -> None:
    pointer, text, number, array = (
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_char_p),
    )
    for name, result, arguments in (
        ("PQconnectdbParams", pointer, (array, array, number)),
        ("PQfinish", None, (pointer,)),
        ("PQsetNoticeProcessor", pointer, (pointer, NOTICE, pointer)),
        ("PQstatus", number, (pointer,)),
        ("PQerrorMessage", text, (pointer,)),
        ("PQtransactionStatus", number, (pointer,)),
        ("PQgetCancel", pointer, (pointer,)),
        ("PQcancel", number, (pointer, text, number)),
        ("PQfreeCancel", None, (pointer,)),
        ("PQbackendPID", number, (pointer,)),
        ("PQserverVersion", number, (pointer,)),
        ("PQexec", pointer, (pointer, text)),
        ("PQprepare", pointer, (pointer, text, text, number, pointer)),
        ("PQexecPrepared", pointer, (pointer, text, number, array, pointer, pointer, number)),
        (
            "PQexecParams",
            pointer,
            (pointer, text, number, pointer, array, pointer, pointer, number),
        ),
        ("PQresultStatus", number, (pointer,)),
        ("PQresultErrorMessage", text, (pointer,)),
        ("PQresultErrorField", text, (pointer, number)),
        ("PQntuples", number, (pointer,)),
        ("PQnfields", number, (pointer,)),
        ("PQgetvalue", text, (pointer, number, number)),
        ("PQgetisnull", number, (pointer, number, number)),
        ("PQclear", None, (pointer,)),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments


def _strings(values: Sequence[str | bytes | None]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    return (ctypes.c_char_p * len(encoded))(*encoded)


class Result:
    """The rows of one statement, kept by libpq until they are read."""

    def __init__(self, lib: ctypes.CDLL, handle: int) -> None:
        self._lib = lib
        self._handle = handle

    def __del__(self) -> None:
        self._lib.PQclear(self._handle)

    def __len__(self) -> int:
        """How many rows."""
        return int(self._lib.PQntuples(self._handle))

    def __call__(self) -> list[Row]:
        """All rows, as text; None for null."""
        columns = range(self._lib.PQnfields(self._handle))
        return [tuple(self._value(row, column) for column in columns) for row in range(len(self))]

    def column(self, number: int) -> list[str | None]:
        """One column of all rows."""
        return [self._value(row, number) for row in range(len(self))]

    def _value(self, row: int, column: int) -> str | None:
        if self._lib.PQgetisnull(self._handle, row, column):
            return None
        value: bytes = self._lib.PQgetvalue(self._handle, row, column)
        return value.decode()


class Session:
    """One connection. Not for two threads at once.

    Raises:
        ConfigurationError: `dsn` is no address.
        CannotMeasure: the server cannot be reached or refuses; the password is not quoted.
    """

    def __init__(self, dsn: str) -> None:
        self._lib = library()
        self.busy_ns = 0
        """Time spent inside libpq, waiting for the server included: what a call is judged by."""
        self._handle = self._connect(dsn)
        self._names: dict[str, bytes] = {}

    def _connect(self, dsn: str) -> int:
        if not dsn.startswith(SCHEMES):  # libpq would take it for the name of a local database
            raise ConfigurationError(
                "The database URL cannot be read",
                then="Give it as postgresql://user@host:port/name",
            )
        options = {
            "dbname": dsn,
            "connect_timeout": f"{CONNECT_TIMEOUT_S:.0f}",
            "client_encoding": "UTF8",
            "fallback_application_name": "phasegate",
        }
        keys, values = (_strings([*part, None]) for part in (options, options.values()))
        start = perf_counter_ns()
        handle: int = self._lib.PQconnectdbParams(keys, values, 1)
        self.busy_ns += perf_counter_ns() - start
        if self._lib.PQstatus(handle) == CONNECTION_OK:
            self._lib.PQsetNoticeProcessor(handle, SILENT, None)
            return handle
        told = self._lib.PQerrorMessage(handle).decode(errors=UNICODE_DAMAGE)
        reason = " ".join(told.split())
        self._lib.PQfinish(handle)
        if "SSL support is not compiled in" in reason and self._lib is library():
            self._lib = library(1)
            return self._connect(dsn)
        raise CannotMeasure(f"Cannot connect to {redact(dsn)}: {reason.rstrip('?')}")

    def close(self) -> None:
        """End the connection; calling it again does nothing."""
        handle, self._handle = self._handle, 0
        if handle:
            self._lib.PQfinish(handle)

    def cancel(self) -> None:
        """Ask the server to give up what another thread runs here; nothing if it is idle."""
        ticket = self._lib.PQgetCancel(self._handle)
        reason = ctypes.create_string_buffer(256)
        self._lib.PQcancel(ticket, reason, len(reason))
        self._lib.PQfreeCancel(ticket)

    @property
    def backend_pid(self) -> int:
        """Process id of the server's side, on the server's machine."""
        return int(self._lib.PQbackendPID(self._handle))

    @property
    def server_major(self) -> int:
        """As 18."""
        return int(self._lib.PQserverVersion(self._handle)) // 10_000

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, failed ones included."""
        return int(self._lib.PQtransactionStatus(self._handle)) != IDLE

    def execute(self, script: str) -> Result:
        """Run statements without parameters; the rows of the last one."""
        text = script.encode()
        start = perf_counter_ns()
        handle = self._lib.PQexec(self._handle, text)
        self.busy_ns += perf_counter_ns() - start
        return self._result(handle)

    def once(self, sql: str, *arguments: str | None) -> Result:
        """Run one statement that is not kept prepared, as behind a pooler."""
        text, values = sql.encode(), _strings(arguments)
        start = perf_counter_ns()
        handle = self._lib.PQexecParams(
            self._handle, text, len(values), None, values, None, None, 0
        )
        self.busy_ns += perf_counter_ns() - start
        return self._result(handle)

    def prepared(self, sql: str, *arguments: str | None) -> Result:
        """Run one statement, prepared when it is first seen."""
        name, values = self._names.get(sql) or self._prepare(sql), _strings(arguments)
        start = perf_counter_ns()
        handle = self._lib.PQexecPrepared(self._handle, name, len(values), values, None, None, 0)
        self.busy_ns += perf_counter_ns() - start
        return self._result(handle)

    def _prepare(self, sql: str) -> bytes:
        name = b"s%d" % len(self._names)
        self._result(self._lib.PQprepare(self._handle, name, sql.encode(), 0, None))
        self._names[sql] = name
        return name

    def forget(self) -> None:
        """Drop all prepared statements."""
        self._names.clear()
        self.execute("deallocate all")

    def _result(self, handle: int | None) -> Result:
        if handle is None:
            raise StatementError("libpq is out of memory", "")
        status = self._lib.PQresultStatus(handle)
        result = Result(self._lib, handle)
        if status not in (COMMAND_OK, TUPLES_OK):
            message = self._lib.PQresultErrorMessage(handle).decode(errors=UNICODE_DAMAGE)
            state = self._lib.PQresultErrorField(handle, SQLSTATE) or b""
            words = message.strip().splitlines() or ["the server hung up"]
            raise StatementError(words[0].removeprefix("ERROR:  "), state.decode())
        return result


def array_literal(values: Sequence[str]) -> str:
    """A `text[]` value as PostgreSQL reads it, whatever characters the strings hold."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"
