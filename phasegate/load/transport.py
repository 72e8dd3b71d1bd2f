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
import select
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

import gevent
import httptools
from gevent import socket, ssl
from gevent.monkey import get_original

from phasegate.model.address import Address
from phasegate.model.errors import ConfigurationError

# Above PostgREST's longest: pool time-out 10 s, role time-out 8 s. Who waits longer has left.
REQUEST_TIMEOUT_S = 30.0

# Idle connections kept for the next request; a browser's tab closes sooner or later too.
IDLE_MAX = 1_000

READ_BYTES = 65_536

# What may be sent twice (RFC 9110, 9.2.2).
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

# How a connection ends that the other side has closed; a time-out is none of them.
CLOSED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)

# The system's own: a look without waiting needs no detour through the event loop.
READ = 1  # libev's EV_READ
poll, POLLIN = get_original("select", "poll"), select.POLLIN


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


class _Message:
    """Collects one response for httptools' parser."""

    __slots__ = ("body", "complete", "headers", "headers_complete", "keeps_alive", "parser")

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.reset()

    def reset(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keeps_alive = False
        self.headers_complete = False
        self.complete = False

    def on_headers_complete(self) -> None:
        self.headers_complete = True

    @property
    def ends_with_the_connection(self) -> bool:
        """Whether its length was not told, so that only the connection's end tells it."""
        told = b"content-length" in self.headers or b"transfer-encoding" in self.headers
        return self.headers_complete and not told

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"set-cookie" and name in self.headers:  # the one that may come twice
            value = self.headers[name] + b"\n" + value
        self.headers[name] = value

    def on_body(self, part: bytes) -> None:
        self.body = self.body + part if self.body else part

    def on_message_complete(self) -> None:
        self.complete = True
        # The parser knows it only now: afterwards it answers for the next message.
        self.keeps_alive = self.parser.should_keep_alive()


class _Connection:
    """One socket with its parser.

    Without TLS, one watcher of gevent's lives as long as the socket: to start and stop one for each
    wait, as gevent does, costs a tenth of a request.
    """

    __slots__ = (
        "_hub",
        "_idle_look",
        "_raw",
        "_waiting",
        "_watcher",
        "answered",
        "message",
        "socket",
    )

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.message = _Message()
        self.answered = False
        """Whether a byte of the answer under way has come."""
        self._idle_look = poll()
        self._idle_look.register(connected.fileno(), POLLIN)
        self._waiting: Any = None
        self._watcher: Any = None
        if not isinstance(connected, ssl.SSLSocket):
            self._hub = gevent.get_hub()
            self._raw = connected._sock  # noqa: SLF001 - gevent's own
            self._watcher = self._hub.loop.io(connected.fileno(), READ)
            self._watcher.start(self._on_readable)

    def exchange(self, request: bytes, patience: _Patience) -> int:
        """Send `request`, read its response into `message`, and return the status."""
        self.message.reset()
        self.answered = False
        self._send(request)
        message, parser = self.message, self.message.parser
        while not message.complete:
            part = self._receive(patience)
            if not part:
                if message.ends_with_the_connection:
                    message.keeps_alive = False
                    break
                where = "in the middle of" if self.answered else "before"
                raise ConnectionResetError(f"closed {where} an answer")
            self.answered = True
            parser.feed_data(part)
            if message.headers_complete and request.startswith(b"HEAD "):
                message.keeps_alive = False  # the parser waits for the body that was told of
                break
        status: int = parser.get_status_code()
        return status

    def _send(self, request: bytes) -> None:
        # A request that fits into the socket's buffer, as nearly all do, is one call; sendall asks
        # for the buffer's size first.
        sent = self.socket.send(request)
        if sent < len(request):
            self.socket.sendall(request[sent:])

    def _receive(self, patience: _Patience) -> bytes:
        """What comes next; empty at the end."""
        part: bytes | None = None
        if self._watcher is None:
            part = self.socket.recv(READ_BYTES)
        while part is None:
            # Waiting comes first: an answer is never there as soon as its request is sent.
            self._await_readable(patience)
            try:
                part = self._raw.recv(READ_BYTES)
            except BlockingIOError:
                continue
        return part

    def _await_readable(self, patience: _Patience) -> None:
        if not self._watcher.active:  # the answer began while a long request was still being sent
            self._watcher.start(self._on_readable)
        self._waiting = gevent.getcurrent()
        patience.begin(self)
        try:
            self._hub.switch()
        finally:
            self._waiting = None
            patience.end(self)

    def _on_readable(self) -> None:
        """In the hub: the answer, or the end of an idle connection, which its next use will see."""
        if self._waiting is None:
            self._watcher.stop()
        else:
            self._waiting.switch()

    def give_up(self) -> None:
        """In the hub: end the wait under way."""
        if self._waiting is not None:
            self._waiting.throw(TimeoutError("timed out"))

    def is_usable(self, *, may_end: bool) -> bool:
        """Whether the server left this idle connection open, and has said nothing unasked.

        Where it `may_end`, since the request would be sent again, what the watcher saw is enough: a
        look at the socket costs a twentieth of a request. A TLS record cannot be peeked at, and
        whatever comes unasked is the end, or its herald.
        """
        if may_end and self._watcher is not None:
            return bool(self._watcher.active)
        return not self._idle_look.poll(0)

    def close(self) -> None:
        """Close the socket."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self.socket.close()


@dataclass
class _Patience:
    """Ends waits that took too long, all of them by one timer.

    A timer of gevent's for each wait costs a tenth of a request. This one looks ten times in the
    time that a wait may take, so it ends one up to a tenth later.
    """

    timeout_s: float
    _since_s: dict[_Connection, float] = field(default_factory=dict)
    _watcher: gevent.Greenlet | None = None

    def begin(self, connection: _Connection) -> None:
        """`connection` waits from now on."""
        self._since_s[connection] = time.perf_counter()
        if self._watcher is None or self._watcher.dead:
            self._watcher = gevent.spawn(self._watch)

    def end(self, connection: _Connection) -> None:
        """It waits no more."""
        del self._since_s[connection]

    def _watch(self) -> None:
        while self._since_s:
            gevent.sleep(self.timeout_s / 10, ref=False)
            limit_s = time.perf_counter() - self.timeout_s
            for connection, since_s in list(self._since_s.items()):
                if since_s > limit_s:
                    break  # those behind it began later
                gevent.get_hub().loop.run_callback(connection.give_up)


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
    _idle: list[_Connection] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        address = Address.of(self.url)
        self._address = (address.host, address.port)
        self._prefix = address.prefix
        self._host = address.header
        self._patience = _Patience(self.timeout_s)
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
        self, connection: _Connection, request: bytes, sent_s: float, *, may_end: bool
    ) -> Answer | None: ...

    def _exchange(
        self,
        connection: _Connection | None,
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

    def _idle_one(self, *, may_end: bool) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()  # the one used last is the least likely to be closed
            if connection.is_usable(may_end=may_end):
                return connection
            connection.close()
        return None

    def _open(self) -> _Connection:
        plain = socket.create_connection(self._address, timeout=self.timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return _Connection(plain)
        return _Connection(self._tls.wrap_socket(plain, server_hostname=self._address[0]))


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
