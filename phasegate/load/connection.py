"""One connection to the host under test: a socket, its parser, and waits that end in time.

Reads and writes the socket. `load.transport` opens connections and keeps them.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass, field
from typing import Any

import gevent
import httptools
from gevent import socket, ssl
from gevent.monkey import get_original

READ_BYTES = 65_536

READ = 1  # libev's EV_READ

# The system's own: a look without waiting needs no detour through the event loop.
poll, POLLIN = get_original("select", "poll"), select.POLLIN


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


class Connection:
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

    def exchange(self, request: bytes, patience: Patience) -> int:
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

    def _receive(self, patience: Patience) -> bytes:
        """What comes next; empty at the end."""
        if self._watcher is None:
            part: bytes = self.socket.recv(READ_BYTES)
            return part
        waits = not self.answered  # an answer is never there as soon as its request is sent
        while True:
            if waits:
                self._await_readable(patience)
            try:
                part = self._raw.recv(READ_BYTES)
            except BlockingIOError:
                waits = True
            else:
                return part

    def _await_readable(self, patience: Patience) -> None:
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
class Patience:
    """Ends waits that took too long, all of them by one timer.

    A timer of gevent's for each wait costs a tenth of a request. This one looks ten times in the
    time that a wait may take, so it ends one up to a tenth later.
    """

    timeout_s: float
    _since_s: dict[Connection, float] = field(default_factory=dict)
    _watcher: gevent.Greenlet | None = None

    def begin(self, connection: Connection) -> None:
        """`connection` waits from now on."""
        self._since_s[connection] = time.perf_counter()
        if self._watcher is None or self._watcher.dead:
            self._watcher = gevent.spawn(self._watch)

    def end(self, connection: Connection) -> None:
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
