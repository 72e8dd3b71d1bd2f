"""An API of one statement: every GET runs it, on its client's own connection. Prints its port."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg


class Reader(BaseHTTPRequestHandler):
    """One client's connection, and with it one to the database."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)

    def finish(self) -> None:
        self.database.close()
        super().finish()

    def do_GET(self) -> None:
        rows = self.database.execute(sys.argv[1]).fetchall()
        body = json.dumps([list(row) for row in rows]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
