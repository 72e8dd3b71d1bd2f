"""A gateway that adds what the conditional client needs: ETags, and 304 where nothing changed.

    python etag_gateway.py http://host:port

Prints its port and passes every request on. GET /counts answers what it counted itself: answers of
304 (`unchanged`), the bytes that they left out (`saved_bytes`), and pages that were asked for with
an ETag and had changed (`changed`). PostgREST sends no ETags; a proxy in front of it can.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

UPSTREAM = urlsplit(sys.argv[1]).netloc
counts: Counter[str] = Counter()


class Gateway(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.upstream = http.client.HTTPConnection(UPSTREAM)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def pass_on(self) -> None:
        if self.path == "/counts":
            self.answer(200, json.dumps(counts).encode(), "")
            return
        length = int(self.headers.get("content-length") or 0)
        client = self.headers.get("x-client-info", "")
        counted = 0 if "preflight" in client else 1  # the session before the load
        body_sent = self.rfile.read(length) if length else None
        self.upstream.request(self.command, self.path, body_sent, {"x-client-info": client})
        response = self.upstream.getresponse()
        status, body, tag = response.status, response.read(), ""
        if self.command == "GET" and status == 200:
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            known = self.headers.get("if-none-match")
            if known == tag:
                counts["unchanged"] += counted
                counts["saved_bytes"] += counted * len(body)
                status, body = 304, b""
            elif known is not None:
                counts["changed"] += counted
        self.answer(status, body, tag)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # every method
            return self.pass_on
        raise AttributeError(name)

    def answer(self, status: int, body: bytes, tag: str) -> None:
        self.send_response(status)
        if tag:
            self.send_header("ETag", tag)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    print(server.server_port, flush=True)  # noqa: T201 - read by who started it
    server.serve_forever()
