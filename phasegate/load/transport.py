"""HTTP/1.1 over gevent sockets: one parser a connection, nothing in between.

Connections are kept and used again, as a browser does, or opened for each request, as a function
does that starts, asks and ends: the TCP handshake, and TLS's, are then part of every answer's time.
Reads and writes sockets. It exists because the generator must not be what is measured: a request
through it costs a fraction of one through FastHttpUser (`instruments.load_perf` compares them). It
follows no redirect. One call is one request and one answer or none, with one exception: a server
may close an idle connection just as a request leaves for it, and that request is sent again, once
and on a new connection, if sending it twice does what sending it once does (RFC 9110, 9.2.2;
browsers do the same). Its latency still counts from when it was first sent.
"""

from __future__ import annotations

import errno
import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

import gevent
import httptools
from gevent import socket, ssl

from phasegate.load.connection import Connection, Patience
from phasegate.model.address import Address
from phasegate.model.errors import ConfigurationError

# Above PostgREST's longest: pool time-out 10 s, role time-out 8 s. Who waits longer has left.
REQUEST_TIMEOUT_S = 30.0

# Idle connections kept for the next request; a browser's tab closes sooner or later too.
IDLE_MAX = 1_000

# What may be sent twice (RFC 9110, 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

# How a connection ends that the other side has closed; a time-out is none of them.
CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


@dataclass(slots=True)  # frozen, one would cost as much as a twentieth of its request
class Answer:
    """What came back. Times are `time.perf_counter()` seconds."""

    status: int
    """0: no answer."""
    body: bytes
    headers: dict[bytes, bytes]
    """Names in lower case; several `Set-Cookie` are lines of one value."""
    sent_s: float
    done_s: float
    error: str = ""
    """Why there was no answer."""
    opened: bool = False
    """Whether a connection was opened for it."""
    resent: bool = False
    """Whether the server had closed the kept connection that it was first sent on."""

    @property
    def wire_bytes(self) -> int:
        """Size of the body as it was sent."""
        return len(self.body)

    def content(self) -> bytes:
        """The body, decompressed.

        Raises:
            ValueError: it is not what its header says.
        """
        if self.headers.get(b"content-encoding") != b"gzip":
            return self.body
        try:
            return zlib.decompress(self.body, wbits=31)
        except zlib.error as error:
            raise ValueError(f"not gzip: {error}") from error

    def json(self) -> Any:
        """The decoded body.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.content())


@dataclass
class Transport:
    """Connections to one host, shared by all sessions of the process.

    Args:
        url: `http://host:port` or `https://host`, with or without a path before `/rest`.
        keeps: whether connections are used again.
    """

    url: str
    timeout_s: float = REQUEST_TIMEOUT_S
    keeps: bool = True
    _idle: list[Connection] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        address = Address.of(self.url)
        self._address = (address.host, address.port)
        self._prefix = address.prefix
        self._host = address.header
        self._patience = Patience(self.timeout_s)
        self._tls = _tls_context() if address.is_tls else None

    def head(self, headers: dict[str, str]) -> bytes:
        """The header lines that every request of a user has, encoded once.

        Raises:
            ConfigurationError: as `header_lines`.
        """
        lines = {"Host": self._host, "Accept-Encoding": "gzip", **headers}
        if not self.keeps:
            lines["Connection"] = "close"
        return header_lines(lines)

    def request(
        self, method: str, path: str, head: bytes, body: bytes | None = None, extra: bytes = b""
    ) -> Answer:
        """One request; never raises for what the network or the server does.

        `head` comes from `self.head`; `extra` holds further header lines, each with its CRLF.

        Raises:
            OSError: this machine has no port left to connect from, which is no failure of the
                server's.
            ConfigurationError: a character in `path` would end the line that it stands in.
        """
        # Anything but visible ASCII could end the line.
        if not (path.isascii() and path.isprintable()) or " " in path:
            raise _unfit("The path of a request")
        length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
        request = b"%b %b HTTP/1.1\r\n%b%b%b\r\n%b" % (
            method.encode(),
            (self._prefix + path).encode(),
            head,
            extra,
            length,
            body or b"",
        )
        sent_s = time.perf_counter()
        may_end = method in IDEMPOTENT
        connection = self._idle_one(may_end=may_end)
        if connection is None:
            return self._exchange(None, request, sent_s)
        answer = self._exchange(connection, request, sent_s, may_end=may_end)
        if answer is not None:
            return answer
        return replace(self._exchange(None, request, sent_s), resent=True)

    @overload
    def _exchange(self, connection: None, request: bytes, sent_s: float) -> Answer: ...

    @overload
    def _exchange(
        self, connection: Connection, request: bytes, sent_s: float, *, may_end: bool
    ) -> Answer | None: ...

    def _exchange(
        self,
        connection: Connection | None,
        request: bytes,
        sent_s: float,
        *,
        may_end: bool = False,
    ) -> Answer | None:
        """The answer over `connection`, or a new one; None if it `may_end` unanswered, and did."""
        opened = connection is None
        try:
            if connection is None:
                connection = self._open()
            status = connection.exchange(request, self._patience)
        except (OSError, httptools.HttpParserError) as error:
            # Time-outs, resets, TLS and name errors are all OSError.
            if connection is not None:
                connection.close()
                if may_end and isinstance(error, CLOSED) and not connection.answered:
                    return None
            if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
                raise
            said = str(error) or type(error).__name__
            connected = opened and connection is not None
            return Answer(0, b"", {}, sent_s, time.perf_counter(), said, connected)
        except gevent.GreenletExit:
            if connection is not None:
                connection.close()
            raise
        done_s = time.perf_counter()
        message = connection.message
        if self.keeps and message.keeps_alive and len(self._idle) < IDLE_MAX:
            self._idle.append(connection)
        else:
            connection.close()
        return Answer(status, message.body, message.headers, sent_s, done_s, opened=opened)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _idle_one(self, *, may_end: bool) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()  # the one used last is the least likely to be closed
            if connection.is_usable(may_end=may_end):
                return connection
            connection.close()
        return None

    def _open(self) -> Connection:
        plain = socket.create_connection(self._address, timeout=self.timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return Connection(plain)
        return Connection(self._tls.wrap_socket(plain, server_hostname=self._address[0]))


def header_lines(headers: Mapping[str, str]) -> bytes:
    """`headers` as they are sent, each line with its CRLF.

    Raises:
        ConfigurationError: a value holds a line break, another control character, or one that is
            not ASCII; it is not quoted.
    """
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise _unfit(f"The header {name}")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def _unfit(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what} contains a line break, a control character or one that is not ASCII",
        untouched="The request was not sent, and the value is not shown",
        then="Correct the key, token or user's id that it is made of",
    )


def _tls_context() -> ssl.SSLContext:
    """Verifies name and certificate; gevent's own, whether or not the process is patched."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
