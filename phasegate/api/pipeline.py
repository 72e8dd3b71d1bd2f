"""Several statements in one round trip, on a connection that asyncpg opened and keeps.

asyncpg waits for each answer before it sends the next statement. A request here is four of them
(BEGIN, the settings, the query, COMMIT), and four waits cost more than the query. So for the time
of one exchange this module takes over the connection's transport, sends all of it, reads all the
answers, and hands the transport back. asyncpg does the rest: addresses, passwords, TLS, closing,
the catalogue. What is used of its inside is `_transport`, `_protocol` and `_cancel`.

The protocol: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING.
What is sent up to one Sync is one transaction, so BEGIN and COMMIT are the exchange itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct
from typing import Any

import asyncpg

Parameter = str | int | bytes | None
Row = tuple[bytes | None, ...]
"""Values in PostgreSQL's text form."""

_INT16, _INT32, _HEAD = Struct("!h"), Struct("!i"), Struct("!ci")
_EXECUTE = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"
_SYNC = b"S\x00\x00\x00\x04"
_NULL = _INT32.pack(-1)
_HEAD_BYTES = 5

PREPARED_CHARACTERS_MAX = 8_000
"""A longer statement is a list of hundreds of terms, hardly ever sent again, and would take
megabytes of every server process that kept it prepared."""

_IDLE = b"I"
_OF_NO_INTEREST = frozenset({b"2", b"3", b"S", b"N", b"n", b"T", b"t"})
"""Bound, closed, a setting's new value, a notice, no data, descriptions."""


class ServerError(Exception):
    """What PostgreSQL reported. `fields` by their one-letter codes."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields.get("M", ""))
        self.sqlstate = fields.get("C", "XX000")
        self.message = fields.get("M", "")
        self.detail = fields.get("D")
        self.hint = fields.get("H")


class ConnectionBroken(ConnectionError):
    """The server went away in the middle of an exchange."""


class PipelinedConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """asyncpg's connection, which can also run several statements in one round trip."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._exchange = _Exchange(self._transport, self._protocol)

    async def exchange(
        self, statements: Sequence[tuple[str, Sequence[Parameter]]], *, cache_size: int
    ) -> list[Row]:
        """Run `statements` in one round trip; the first row of each, empty where it has none.

        Outside a transaction they are one: an error in any undoes all.

        Args:
            statements: SQL and parameters.
            cache_size: statements kept prepared; 0 to prepare anew each time.

        Raises:
            ServerError: what PostgreSQL reported.
            ConnectionBroken: it went away.
        """
        if self.is_closed():
            raise ConnectionBroken("the connection is closed")
        return await self._exchange.run(statements, cache_size)

    @property
    def settled(self) -> bool:
        """Whether no answer is due and no transaction open, as far as exchanges know."""
        return self._exchange.done is None and self._exchange.status == _IDLE

    async def settle(self) -> None:
        """Stop an exchange that was given up, and roll back whatever is open."""
        if self._exchange.done is not None:
            await self._cancel(asyncio.get_running_loop().create_future())
            if self._exchange.done is not None:
                with suppress(ServerError):
                    await self._exchange.done
        await self.execute("rollback")
        self._exchange.status = _IDLE


class _Exchange(asyncio.Protocol):
    """What has the transport during an exchange. One at a time.

    Args:
        transport: of the connection.
        keeper: asyncpg's protocol, which has it the rest of the time.
    """

    def __init__(self, transport: Any, keeper: Any) -> None:
        self.done: asyncio.Future[None] | None = None
        """While answers are due."""
        self.status = _IDLE
        self._transport = transport
        self._keeper = keeper
        self._prepared: dict[str, bytes] = {}
        self._numbered = 0
        self._received = bytearray()
        self._rows: list[Row] = []
        self._current: bytes | None = None
        self._error: dict[str, str] | None = None
        self._parsing: list[str] = []

    async def run(
        self, statements: Sequence[tuple[str, Sequence[Parameter]]], cache_size: int
    ) -> list[Row]:
        messages: list[bytes] = []
        for sql, parameters in statements:
            name = self._name(sql, messages, cache_size)
            messages.append(_bind(name, parameters))
            messages.append(_EXECUTE)
        messages.append(_SYNC)
        self._rows, self._error, self._current = [], None, None
        loop = asyncio.get_running_loop()
        done = self.done = loop.create_future()
        self._transport.set_protocol(self)
        self._transport.write(b"".join(messages))
        try:
            await done
        except asyncio.CancelledError:
            if self.done is not None:  # answers are still due: `settle` waits for them
                self.done = loop.create_future()
            raise
        if self._error is not None:
            raise ServerError(self._error)
        return self._rows

    def _name(self, sql: str, messages: list[bytes], cache_size: int) -> bytes:
        """The prepared statement's name; a Parse message goes first where there is none yet."""
        known = self._prepared.get(sql)
        if known is not None:
            return known
        name = b""
        if cache_size > 0 and len(sql) <= PREPARED_CHARACTERS_MAX:
            if len(self._prepared) >= cache_size:
                oldest = next(iter(self._prepared))
                messages.append(_message(b"C", b"S" + self._prepared.pop(oldest) + b"\0"))
            self._numbered += 1
            name = b"phasegate_%d" % self._numbered
            self._prepared[sql] = name
            self._parsing.append(sql)
        messages.append(_message(b"P", name + b"\0" + sql.encode() + b"\0\0\0"))
        return name

    def data_received(self, data: bytes) -> None:
        """Read what the server sent; called by the transport."""
        if self._received:
            self._received += data
            data = bytes(self._received) if self._is_whole() else b""
            if not data:
                return
            self._received.clear()
        place, end = 0, len(data)
        unpack = _HEAD.unpack_from
        while end - place >= _HEAD_BYTES:
            kind, size = unpack(data, place)
            after = place + 1 + size
            if after > end:
                break
            if kind == b"D":  # a row
                if self._current is None:
                    self._current = data[place + _HEAD_BYTES : after]
            elif kind == b"C":  # a statement's end
                self._rows.append(() if self._current is None else _row(self._current))
                self._current = None
            elif kind not in _OF_NO_INTEREST:
                self._read(kind, data[place + _HEAD_BYTES : after])
            place = after
        if place < end:
            self._received += data[place:]

    def _is_whole(self) -> bool:
        """Whether a message has arrived whole: a long one comes in many pieces."""
        received = self._received
        if len(received) < _HEAD_BYTES:
            return False
        return len(received) > int.from_bytes(received[1:_HEAD_BYTES])

    def _read(self, kind: bytes, body: bytes) -> None:
        """A message that comes once an exchange, or less often."""
        if kind == b"Z":  # ready for more
            self.status = body
            self._end(None)
        elif kind == b"1":  # a statement was parsed
            if self._parsing:
                self._parsing.pop(0)
        elif kind == b"E":
            self._error = self._error or _fields(body)
        elif kind == b"I":  # the end of an empty statement
            self._rows.append(())

    def _end(self, broken: Exception | None) -> None:
        for sql in self._parsing:  # what was not parsed before the error has no name
            self._prepared.pop(sql, None)
        self._parsing.clear()
        done, self.done = self.done, None
        if broken is None:
            self._transport.set_protocol(self._keeper)
        if done is None or done.done():
            return
        if broken is not None:
            done.set_exception(broken)
        else:
            done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """The server is gone; called by the transport."""
        self._keeper.connection_lost(error)
        if self._error is not None:  # it said why
            self._end(ServerError(self._error))
        else:
            self._end(ConnectionBroken(str(error or "the server closed the connection")))


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEAD.pack(kind, len(body) + 4) + body


def _bind(name: bytes, parameters: Sequence[Parameter]) -> bytes:
    """To the unnamed portal; all values as text, all results as text."""
    parts = [b"\0", name, b"\0\0\0", _INT16.pack(len(parameters))]
    for parameter in parameters:
        if parameter is None:
            parts.append(_NULL)
            continue
        text = parameter if isinstance(parameter, bytes) else str(parameter).encode()
        parts.append(_INT32.pack(len(text)))
        parts.append(text)
    parts.append(b"\0\0")
    return _message(b"B", b"".join(parts))


def _row(body: bytes) -> Row:
    values: list[bytes | None] = []
    place = 2
    end = len(body)
    while place < end:
        size = int.from_bytes(body[place : place + 4], signed=True)
        place += 4
        if size < 0:
            values.append(None)
        else:
            values.append(body[place : place + size])
            place += size
    return tuple(values)


def _fields(body: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in body.split(b"\0"):
        if part:
            fields[chr(part[0])] = part[1:].decode("utf-8", "replace")
    return fields
