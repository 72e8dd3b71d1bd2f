"""A load generator for measuring the API's own speed: as thin as Python allows.

Closed loop over keep-alive connections; counts answers and times each. It is no load test: those
are in `loadtests`, with arrivals and think time. Locust costs more a request than the API itself,
which would measure Locust.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop

from phasegate.model.errors import CannotMeasure

_LENGTH = b"content-length: "
_OK = b"HTTP/1.1 200"


@dataclass(frozen=True, slots=True)
class Volley:
    """What a stretch saw."""

    rate_per_s: float
    latency_ms_p50: float
    answers: int


class _Client(asyncio.Protocol):
    """Sends a request, waits for the whole answer, sends the next."""

    def __init__(self, sent: Iterator[bytes], until: float) -> None:
        self._sent = sent
        self._until = until
        self._received = b""
        self._began = 0.0
        self.latencies_s: list[float] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._next()

    def _next(self) -> None:
        self._began = time.perf_counter()
        if self._transport is not None:
            self._transport.write(next(self._sent))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        if not head.startswith(_OK):
            self._fail(head + b" " + body)
            return
        start = head.index(_LENGTH) + len(_LENGTH)
        if len(body) < int(head[start:].split(b"\r\n", 1)[0]):
            return
        now = time.perf_counter()
        self.latencies_s.append(now - self._began)
        self._received = b""
        if now < self._until:
            self._next()
        elif not self.finished.done():
            self.finished.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(b"the connection was closed")

    def _fail(self, said: bytes) -> None:
        if not self.finished.done():
            self.finished.set_exception(CannotMeasure(f"The API answered {said[:200]!r}"))


async def _fire(url: str, requests: Sequence[bytes], clients: int, stretch_s: float) -> Volley:
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    began = time.perf_counter()
    started: list[_Client] = []
    for number in range(clients):
        # Each client begins elsewhere, so that no two ask for one user at a time.
        offset = number * len(requests) // clients
        sent = itertools.cycle((*requests[offset:], *requests[:offset]))
        _, client = await loop.create_connection(
            lambda sent=sent: _Client(sent, began + stretch_s),  # type: ignore[misc]
            address.hostname or "",
            address.port or 80,
        )
        started.append(client)
    await asyncio.gather(*(client.finished for client in started))
    lasted_s = time.perf_counter() - began
    latencies_s = [latency for client in started for latency in client.latencies_s]
    return Volley(
        len(latencies_s) / lasted_s, statistics.median(latencies_s) * 1000, len(latencies_s)
    )


def fire(url: str, requests: Sequence[bytes], *, clients: int, stretch_s: float) -> Volley:
    """Send `requests` round and round for `stretch_s` seconds, `clients` at a time.

    Raises:
        CannotMeasure: an answer was not 200, or the connection broke.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_fire(url, requests, clients, stretch_s))
