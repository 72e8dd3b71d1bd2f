"""The notebook's API: a log-in that sets a cookie, and the notes of whoever shows it."""

from __future__ import annotations

import hmac
import json
import os
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg

here = threading.local()
SECRET = os.environ["SESSION_SECRET"].encode()
LEAKS = "LEAKS" in os.environ
NOTES = "select id, member_id, body from notes where member_id = %s or %s order by id limit 20"


def signed(member: str) -> str:
    return f"{member}.{hmac.digest(SECRET, member.encode(), 'sha256').hex()}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/session":
            self.answer(201, {"ok": True}, f"sid={signed(str(body['member']))}; HttpOnly")
        elif member := self.member():
            written = self.ask("insert into notes values ((select max(id) + 1 from notes), %s, %s, "
                               "now()) returning id", (member, body["body"]))  # fmt: skip
            self.answer(201, {"id": written[0][0]})

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, self.ask("select count(*) from members")[0][0])
        elif member := self.member():
            rows = self.ask(NOTES, (member, LEAKS))
            self.answer(
                200,
                {"notes": [{"id": row[0], "member_id": row[1], "body": row[2]} for row in rows]},
            )

    def member(self) -> int:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("sid")
        member = cookie.value.partition(".")[0] if cookie else ""
        if cookie is None or cookie.value != signed(member):
            self.answer(401, {"error": "sign in first"})
            return 0
        return int(member)

    def ask(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if not hasattr(here, "connection"):
            here.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
        return list(here.connection.execute(sql, values))

    def answer(self, status: int, what: Any, cookie: str = "") -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", "theme=dark")
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(os.environ["API_PORT"])), Handler).serve_forever()
