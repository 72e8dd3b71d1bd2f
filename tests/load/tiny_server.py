"""A real HTTP server that answers like the API, counts every request, and does as it is told.

    python tiny_server.py [--status CODE] [--delay-ms N] [--remembers] [--trusts SECRET] [--port N]
                          [--body TEXT] [--html] [--location URL] [--knows-key KEY]
                          [--after N] [--only TEXT] [--answers-per-connection N] [--same]

Rows carry who asked for them, unless --same is given. --status, --body, --html and --location say
what it answers instead of what it should, from the request after the first N on, and only where a
path holds TEXT.

Prints its port. GET /counts answers what it counted: requests by `METHOD table`, and bytes sent in
bodies; those of the session before the load are counted apart. `hung_up` are the
requests, by method, that came after --answers-per-connection: each finds its connection closed. It
is a program of its own, so that a test can freeze it with SIGSTOP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from typing import Any

import httptools
import jwt

# The user whose rows they are: in the answers it is whoever asks.
OWNER = b"00000000-0000-7000-8000-000000000000"
PROJECT = str(uuid.uuid4())
ROWS = [
    {
        "id": str(uuid.uuid4()),
        "project_id": PROJECT if n % 2 else None,
        "title": f"task {n}",
        "projects": {"name": "home", "color": "#112233"} if n % 2 else None,
        "of": OWNER.decode(),
    }
    for n in range(20)
]
TASKS = json.dumps(ROWS).encode()

# PostgREST 14's words to a token that none of its keys has signed.
NO_KEY = b'{"code":"PGRST301","message":"No suitable key or wrong key type"}'

LOG = b'[{"action":"task.viewed","created_at":"2026-01-01T00:00:00Z","of":"%b"}]' % OWNER
STATS = b'[{"user_id":null,"task_count":20,"completed_count":3,"last_activity":null}]'

counts: Counter[str] = Counter()
preflight: Counter[str] = Counter()
clients: Counter[str] = Counter()
body_bytes: Counter[str] = Counter()
last_at = [0.0]  # of a request that is no removal, by the system's clock
tasks_left: set[str] = set()
asked_for: Counter[str] = Counter()
written: Counter[str] = Counter()
hung_up: Counter[str] = Counter()


class Connection(asyncio.Protocol):
    status: int
    level: int
    delay_s: float
    remembers: bool
    trusts: str
    told: argparse.Namespace
    answers_max: int
    """After so many, the next request finds the connection closed; 0: never."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        counts["connections"] += 1
        self.answers = 0
        self.client = transport.get_extra_info("peername")[0]
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.url = b""
        self.authorization = self.key = self.client_info = ""
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self.authorization = value.decode()
        elif name.lower() == b"apikey":
            self.key = value.decode()
        elif name.lower() == b"x-client-info":
            self.client_info = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        method, path = self.parser.get_method().decode(), self.url.decode()
        if path == "/counts":
            self.answer(200, self.counted())
            return
        if path == "/ready":  # a question that no user asks, and PostgREST has no word for
            level = Connection.level
            self.answer(200 if level else 404, json.dumps({"level": level}).encode())
            return
        name = f"{method} {path.partition('?')[0].removeprefix('/rest/v1/')}"
        if "preflight" in self.client_info:
            preflight[name] += 1
            self.finish(*self.answer_to(method, path))
            return
        if self.answers_max and self.answers == self.answers_max:
            hung_up[method] += 1
            self.transport.abort()
            return
        self.answers += 1
        counts[name] += 1
        if method != "DELETE":
            last_at[0] = time.time()
        clients[self.client] += 1
        status, body = self.answer_to(method, path)
        body_bytes[name] += len(body)
        self.finish(status, body)

    def answer_to(self, method: str, path: str) -> tuple[int, bytes]:
        status, body = self.respond(method, path)
        told = self.told
        if not told.same:
            body = body.replace(OWNER, self.asks().encode())
        asked = sum(counts.values()) - counts["connections"]
        if asked >= told.after and told.only in path:
            if self.status:
                status, body = self.status, b'{"message":"as told"}'
            if told.body is not None:
                body = told.body.encode()
        if told.knows_key and self.key != told.knows_key:
            status, body = 401, b'{"message":"Invalid API key","hint":"Double check it"}'
        elif self.trusts and not self.is_trusted():
            status, body = 401, NO_KEY
        return status, body

    def finish(self, status: int, body: bytes) -> None:
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self.answer, status, body)
        else:
            self.answer(status, body)

    def asks(self) -> str:
        try:
            token = self.authorization.removeprefix("Bearer ")
            return str(jwt.decode(token, options={"verify_signature": False})["sub"])
        except jwt.InvalidTokenError:
            return "nobody"

    def respond(self, method: str, path: str) -> tuple[int, bytes]:
        if method == "POST" and path.startswith("/rest/v1/tasks"):
            task = {**json.loads(self.body), "id": str(uuid.uuid4())}
            tasks_left.add(task["id"])
            written[task["user_id"]] += 1
            return 201, json.dumps([task]).encode()
        if method == "DELETE":
            tasks_left.discard(path.partition("id=eq.")[2])
            return 204, b""
        if method == "PATCH":
            return 204, b""
        if path.startswith("/functions/v1/process-heavy-task-sync"):
            return 200, b'{"status":"done"}'
        if path.startswith("/functions/v1/process-heavy-task"):
            return self.heavy(method, path)
        if path.startswith("/rest/v1/tasks"):
            return 200, self.tasks(path)
        if path.startswith("/rest/v1/projects"):
            return 200, b'[{"name":"home","color":"#112233","of":"%b"}]' % OWNER
        if path.startswith("/rest/v1/activity_logs"):
            return 200, LOG
        if path.startswith("/rest/v1/rpc/user_stats"):
            return 200, STATS
        return 200, b"[]"

    def is_trusted(self) -> bool:
        try:
            token = self.authorization.removeprefix("Bearer ")
            jwt.decode(token, self.trusts, ["HS256"], audience="authenticated")
        except jwt.InvalidTokenError:
            return False
        return True

    def tasks(self, path: str) -> bytes:
        if not self.remembers:
            return TASKS
        user = path.partition("user_id=eq.")[2].partition("&")[0]
        return json.dumps([*ROWS, {**ROWS[0], "id": user, "n": written[user]}]).encode()

    def heavy(self, method: str, path: str) -> tuple[int, bytes]:
        if method == "POST":
            task = str(uuid.uuid4())
            asked_for[task] = 0
            return 202, json.dumps({"status": "processing", "taskId": task}).encode()
        task = path.partition("taskId=")[2]
        asked_for[task] += 1
        return 200, json.dumps({"status": "done" if asked_for[task] > 1 else "queued"}).encode()

    def counted(self) -> bytes:
        told: dict[str, Any] = {
            "requests": {name: n for name, n in counts.items() if name != "connections"},
            "preflight": preflight,
            "clients": clients,
            "connections": counts["connections"],
            "bytes": body_bytes,
            "last_at": last_at[0],
            "tasks_left": len(tasks_left),
            "hung_up": hung_up,
        }
        return json.dumps(told).encode()

    def answer(self, status: int, body: bytes) -> None:
        length = b"" if status in (204, 304) else b"content-length: %d\r\n" % len(body)
        kind = b"text/html" if self.told.html else b"application/json"
        head = length + b"content-type: %b\r\n" % kind
        if self.told.location:
            head += b"location: %b\r\n" % self.told.location.encode()
        self.transport.write(b"HTTP/1.1 %d OK\r\n%b\r\n%b" % (status, head, body))


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--remembers", action="store_true")
    parser.add_argument("--trusts", default="")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--level", type=int, default=0)
    parser.add_argument("--body")
    parser.add_argument("--html", action="store_true")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--location", default="")
    parser.add_argument("--knows-key", default="")
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--answers-per-connection", type=int, default=0)
    options = parser.parse_args()
    Connection.told, Connection.level = options, options.level
    Connection.answers_max = options.answers_per_connection
    Connection.remembers, Connection.trusts = options.remembers, options.trusts
    Connection.status, Connection.delay_s = options.status, options.delay_ms / 1000
    server = await asyncio.get_running_loop().create_server(Connection, options.host, options.port)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - read by who started it
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
