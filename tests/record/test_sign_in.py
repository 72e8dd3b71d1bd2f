"""An API with a log-in of its own: each user signs in, as the recorded one did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phasegate.project import VARIABLE
from phasegate.record import record, write_locustfile

if TYPE_CHECKING:
    from tests.record.conftest import Har

ROOT = Path(__file__).parents[2]
PASSWORD = "Numbers1843!"  # noqa: S105 - of nobody
TOKEN = "opaque-9f8e7d6c5b4a"  # noqa: S105 - of nobody
USERS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(40)]


def visit(har: type[Har], *, cookie: bool) -> Har:
    """Log in, then list orders; by token or by cookie."""
    recording = har(token="" if cookie else TOKEN)
    sent = {"username": "ada", "password": PASSWORD}
    recording.add("POST", "/api/login", {"data": {"token": TOKEN}}, at=0, sent=sent)
    sets = {"name": "Set-Cookie", "value": f"sid={TOKEN}; HttpOnly; Path=/"}
    if cookie:
        recording.entries[-1]["response"]["headers"].append(sets)
    kept = {"Cookie": f"theme=dark; sid={TOKEN}"} if cookie else {}
    recording.add("GET", "/api/orders", [{"id": 7}], at=2, headers=kept)
    return recording


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        (False, "self.client.always({\"Authorization\": f\"Bearer {signed['data']['token']}\"})"),
        (True, "self.client.always({})"),
    ],
)
def test_each_user_signs_in(har: type[Har], tmp_path: Path, cookie: bool, sent: str) -> None:
    found = record([visit(har, cookie=cookie).write(tmp_path)])
    compile(found.text, "locustfile.py", "exec")
    assert sent in found.text
    assert '"username": f"{self.user.id}@phasegate.local", "password": PASSWORD' in found.text
    assert not [secret for secret in (PASSWORD, TOKEN, '"ada"') if secret in found.text]
    assert found.requests == 1


def test_a_recording_without_tokens_tells_the_user_by_the_key_that_stands_alone(
    har: type[Har], tmp_path: Path
) -> None:
    recording = har(token="")  # as Chrome exports it unless told otherwise
    recording.add("GET", f"/rest/v1/notes?user_id=eq.{har.me}", har.notes, at=0)
    recording.add("GET", f"/rest/v1/plans?user_id=eq.{har.me}", [], at=5)
    found = record([recording.write(tmp_path)])
    assert har.me not in found.text
    assert found.text.count("user_id=eq.{self.user.id}") == 2
    assert "user_id is taken for the user's own key" in found.remarks[0]


def test_answers_without_content_are_told(har: type[Har], tmp_path: Path) -> None:
    recording = har()
    recording.add("GET", "/notes", at=0)
    assert "answers without their content: 1" in record([recording.write(tmp_path)]).remarks[0]


class Shop(ThreadingHTTPServer):
    """Gives each user a token by a log-in, and answers nobody without one."""

    def __init__(self) -> None:
        self.asked: Counter[tuple[str, bool]] = Counter()
        super().__init__(("127.0.0.1", 0), Orders)


class Orders(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shop

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = sent["password"] == PASSWORD
        self._answer(200 if right else 401, {"data": {"token": f"of-{sent['username']}"}})

    def do_GET(self) -> None:
        bearer = self.headers.get_all("Authorization") or []
        right = len(bearer) == 1 and bearer[0].startswith("Bearer of-00000000")
        self._answer(200 if right else 401, [{"id": 7, "of": bearer[0][10:]}] if right else [])

    def _answer(self, status: int, value: Any) -> None:
        self.server.asked[f"{self.command} {self.path}", status == 200] += 1
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.integration
def test_the_written_log_in_opens_the_api(har: type[Har], shop: Shop, tmp_path: Path) -> None:
    target = tmp_path / "locustfile.py"
    write_locustfile([visit(har, cookie=False).write(tmp_path)], target)
    (tmp_path / "users.txt").write_text("\n".join(USERS), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(target), "--headless"),
            *("--host", f"http://127.0.0.1:{shop.server_port}", "--arrival-rate", "20"),
            *("--stage-duration", "1.5", "--users-file", str(tmp_path / "users.txt")),
        ],
        env={
            **os.environ, VARIABLE: str(ROOT), "PASSWORD": PASSWORD,
            "SUPABASE_ANON_KEY": "none", "SUPABASE_JWT_SECRET": "x" * 32,
        },
        check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr  # 3 on a machine that is busy otherwise
    asked = dict(shop.asked)
    assert asked["GET /api/orders", True] > 10, done.stderr
    assert not [what for (what, right), _ in asked.items() if what.endswith("orders") and not right]
