"""A request as read from ASGI, and an answer as sent to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from phasegate.api import errors

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON_TYPE = (b"content-type", b"application/json; charset=utf-8")


class HungUp(Exception):
    """The client is gone; there is nobody to answer."""


class Request(msgspec.Struct, frozen=True):
    """`path` is decoded; names in `headers` are lower case, and the last of several counts."""

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes = b""

    def header(self, name: bytes) -> str:
        """A header's text; empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def json(self) -> Any:
        """The body.

        Raises:
            ApiError: PGRST102.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.invalid_body("Empty or invalid json") from error


class Answer(msgspec.Struct, frozen=True):
    """Status, headers and body."""

    status: int
    body: bytes = b""
    headers: Headers = msgspec.field(default_factory=list)


def json_answer(status: int, value: object) -> Answer:
    """`value` as JSON."""
    return Answer(status, msgspec.json.encode(value), [JSON_TYPE])


def error_answer(error: errors.ApiError) -> Answer:
    """PostgREST's form of an error."""
    named = (b"proxy-status", f"PostgREST; error={error.code}".encode())
    return Answer(error.status, error.body(), [JSON_TYPE, named, *error.headers()])


async def read_request(scope: Scope, receive: Receive, *, body_bytes_max: int) -> Request:
    """The whole request.

    Raises:
        ApiError: 413, as soon as it is known.
        HungUp: the client left before its body was complete.
    """
    headers = dict(scope["headers"])
    method: str = scope["method"]
    body = b""
    if method not in ("GET", "HEAD"):
        body = await _read_body(headers, receive, body_bytes_max)
    return Request(method, scope["path"], scope["query_string"], headers, body)


async def _read_body(headers: Mapping[bytes, bytes], receive: Receive, bytes_max: int) -> bytes:
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > bytes_max:
        raise errors.too_large(bytes_max)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise HungUp
    if not message.get("more_body"):
        return bytes(message.get("body", b""))
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HungUp
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > bytes_max:
            raise errors.too_large(bytes_max)
    return b"".join(parts)


async def send_answer(send: Send, answer: Answer, *, head: bool) -> None:
    """Send it; to HEAD without its body."""
    headers = answer.headers
    if answer.status != 204:
        headers = [*headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
