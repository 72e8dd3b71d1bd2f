"""A real HTTP server of an app that knows nothing of Supabase: cookies, forms, JSON, GraphQL.

    python shop_server.py

Prints its port. GET /mode/NAME has it misbehave from then on (`html`, `empty`, `same`, `cut`,
`page`, `moved`; `fine` again), GET /counts tells requests by `METHOD path` and forgets them.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

counts: Counter[str] = Counter()
mode = ["fine"]
ITEMS = 50


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/mode/"):
            mode[0] = path.rpartition("/")[2]
            self.answer({})
        elif path == "/counts":
            told = dict(counts)
            counts.clear()
            self.answer(told)
        else:
            self.count(path)
            self.items(path)

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.count(path)
        if path == "/api/login":
            form = self.headers.get("Content-Type", "").startswith("application/x-www-form")
            who = parse_qs(body.decode())["who"][0] if form else json.loads(body)["who"]
            self.answer({"ok": True}, "Set-Cookie", f"sid={who}; Path=/")
        elif path == "/api/graphql":
            asked = json.loads(body)
            if "Broken" in asked["query"]:
                self.answer({"data": None, "errors": [{"message": "no such field"}]})
            else:
                self.answer({"data": {"items": [{"of": self.who}]}})
        else:
            self.answer({"ok": True})

    def count(self, path: str) -> None:
        counts[f"{self.command} {path}"] += 1

    @property
    def who(self) -> str:
        cookies = SimpleCookie(self.headers.get("Cookie", ""))
        return cookies["sid"].value if "sid" in cookies else "nobody"

    def items(self, path: str) -> None:
        if not path.startswith("/api/"):
            self.answer({"error": "not here"}, status=404)
            return
        rows = [{"id": n, "owner": self.who, "name": str(uuid.uuid4())} for n in range(5)]
        wrong = mode[0]
        if wrong == "html":
            self.send(200, b"<!doctype html><p>Sign in", "text/html")
        elif wrong == "empty":
            self.answer({"items": [], "total": 0})
        elif wrong == "same":
            self.answer([{"id": 1, "owner": "somebody", "name": "the same for every user"}])
        elif wrong == "cut":
            self.send(200, json.dumps(rows).encode()[:-20], "application/json")
        elif wrong == "page":
            self.answer(rows, "Content-Range", f"0-4/{ITEMS}")
        else:
            self.answer(rows)

    def answer(self, what: Any, name: str = "", value: str = "", status: int = 200) -> None:
        self.send(status, json.dumps(what).encode(), "application/json", name, value)

    def send(self, status: int, body: bytes, kind: str, name: str = "", value: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if name:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)  # noqa: T201 - read by who started it
    server.serve_forever()
