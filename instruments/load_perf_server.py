"""A server that answers one small JSON document, as fast as it can or after a drawn delay.

    python -m instruments.load_perf_server [--delay-ms MEDIAN]

Prints its port. It is the common opponent of the generators that `instruments.load_perf` compares,
so it must be faster than any of them and do the same for all.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections import Counter
from statistics import NormalDist
from typing import ClassVar

import httptools

BODY = b'[{"id":"0198c0de-0000-7000-8000-000000000000","title":"water the plants","status":"open"}]'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)

# Of log delay: p99 is then about three times the median, as with a healthy API.
DELAY_SIGMA = 0.5

# Delays go through the quantiles of their distribution in bit-reversed order (van der Corput), for
# each path anew: any few hundred requests of a client then see the whole distribution. By chance,
# the p99 of 400 draws alone would differ by 13% from that of 400 others.
BITS = 10


def delays_s(median_ms: float) -> tuple[float, ...]:
    """2^`BITS` log-normal delays in seconds, in the order that they are given out."""
    normal = NormalDist()
    size = 1 << BITS
    reversed_ = (int(f"{n:0{BITS}b}"[::-1], 2) for n in range(size))
    quantiles = ((n + 0.5) / size for n in reversed_)
    return tuple(
        median_ms / 1000 * math.exp(DELAY_SIGMA * normal.inv_cdf(quantile))
        for quantile in quantiles
    )


class Connection(asyncio.Protocol):
    """Answers whatever it is asked."""

    delays: tuple[float, ...] = ()
    given: ClassVar[Counter[bytes]] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._write = transport.write  # type: ignore[attr-defined]
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """A request, or a part of it."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Each path has delays of its own."""
        self._url = url

    def on_message_complete(self) -> None:
        """The request is whole."""
        if not self.delays:
            self._write(ANSWER)
            return
        delay_s = self.delays[self.given[self._url] % len(self.delays)]
        self.given[self._url] += 1
        asyncio.get_running_loop().call_later(delay_s, self._write, ANSWER)


async def serve(delay_ms: float) -> None:
    """Listen on a free port of 127.0.0.1 until killed."""
    Connection.delays = delays_s(delay_ms) if delay_ms else ()
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - read by who started it
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=0.0)
    try:
        import uvloop
    except ImportError:  # Windows
        start = asyncio.run
    else:
        start = uvloop.run
    start(serve(parser.parse_args().delay_ms))
