"""Recordings made by hand, in the dialects that browsers and proxies write."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jwt
import pytest

START = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
ME = "6f0f3a52-4b0e-4d0b-9f5e-5d3a7f0c1e11"
MAIL = "ada.lovelace@analytical.example"
API = "https://api.shop.example"

# A browser's user writes these every day; nothing of it may be written down.
ACCESS_TOKEN = jwt.encode(
    {
        "sub": ME,
        "role": "authenticated",
        "email": MAIL,
        "user_metadata": {"full_name": "Ada Byron"},
    },
    "a-secret-that-is-long-enough-for-hs256",
)

NOTES = [
    {"id": f"{n:08x}-0000-4000-8000-00000000000{n}", "title": f"note {n}", "author_id": 40 + n % 2,
     "created_at": f"2026-11-2{n}T08:00:00.000Z"}
    for n in range(1, 6)
]  # fmt: skip

ANON_KEY = "anon-key-1234567890"

DIALECTS = ("chrome", "firefox", "safari", "playwright", "mitmproxy", "charles")


class Har:
    """A recording; times are seconds from its beginning."""

    api, me, mail, access_token, notes = API, ME, MAIL, ACCESS_TOKEN, NOTES
    dialects = DIALECTS

    def __init__(self, dialect: str = "chrome", *, token: str = ACCESS_TOKEN) -> None:
        self.dialect, self.token = dialect, token
        self.entries: list[dict[str, Any]] = []

    def add(
        self,
        method: str,
        url: str,
        answer: Any = None,
        *,
        at: float,
        sent: Any = None,
        status: int = 200,
        mime: str = "application/json; charset=utf-8",
        headers: dict[str, str] | None = None,
        kind: str = "fetch",
        page: str = "page_1",
        took_ms: float = 20,
        form: bool = False,
        **own: Any,
    ) -> None:
        """An exchange; `url` below the API where it begins with a slash."""
        url = API + url if url.startswith("/") else url
        sent_headers = {"Content-Type": "application/json"} if sent is not None else {}
        if form:
            sent_headers["Content-Type"] = "application/x-www-form-urlencoded"
        if url.startswith(API) and self.token:
            sent_headers |= {
                "Authorization": f"Bearer {self.token}",
                "apikey": "anon-key-1234567890",
            }
        text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer)
        entry: dict[str, Any] = {
            "startedDateTime": self._moment(at),
            "time": took_ms,
            "request": {
                "method": method,
                "url": url,
                "httpVersion": "HTTP/2",
                "headers": self._headers({**sent_headers, **(headers or {})}),
                "cookies": [],
                "queryString": [],
            },
            "response": {
                "status": status,
                "headers": self._headers({"Content-Type": mime}),
                "content": self._content(text, mime),
            },
            "cache": {},
            "timings": {"send": 0, "wait": took_ms, "receive": 0},
        }
        if sent is not None:
            body = sent if form or isinstance(sent, str) else json.dumps(sent)
            entry["request"]["postData"] = {
                "mimeType": sent_headers["Content-Type"],
                "text": body,
                "params": [],
            }
        self._dialect(entry, kind, page)
        entry.update(own)
        self.entries.append(entry)

    def _moment(self, at: float) -> str:
        moment = START + timedelta(seconds=at)
        if self.dialect in ("firefox", "charles"):
            return moment.astimezone(timezone(timedelta(hours=2))).isoformat(
                timespec="milliseconds"
            )
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _headers(self, headers: dict[str, str]) -> list[dict[str, str]]:
        lower = self.dialect in ("chrome", "playwright")
        found = [
            {"name": name.lower() if lower else name, "value": value}
            for name, value in headers.items()
        ]
        return [{"name": ":authority", "value": "x"}, *found] if self.dialect == "chrome" else found

    def _content(self, text: str, mime: str) -> dict[str, Any]:
        content: dict[str, Any] = {"size": len(text), "mimeType": mime}
        if text and self.dialect in ("mitmproxy", "charles"):
            return {
                **content,
                "text": base64.b64encode(text.encode()).decode(),
                "encoding": "base64",
            }
        return {**content, "text": text} if text else content

    def _dialect(self, entry: dict[str, Any], kind: str, page: str) -> None:
        if self.dialect == "chrome":
            entry |= {"_resourceType": kind, "_initiator": {"type": "script"}, "pageref": page}
        elif self.dialect in ("firefox", "safari"):
            entry |= {"pageref": page, "_securityState": "secure"}
        elif self.dialect == "playwright":
            entry |= {"pageref": page, "_frameref": "frame@1", "_monotonicTime": 1.5}
        elif self.dialect == "mitmproxy":
            entry["request"]["postData"] = entry["request"].get("postData")

    def text(self) -> str:
        """As the file has it."""
        log = {"version": "1.2", "creator": {"name": self.dialect}, "entries": self.entries}
        return json.dumps({"log": log})

    def write(self, folder: Path, name: str = "visit.har") -> Path:
        """The file, in `folder`."""
        path = folder / name
        text = self.text()
        path.write_bytes(text.encode("utf-8-sig" if self.dialect == "charles" else "utf-8"))
        return path


def _shop_visit(dialect: str = "chrome") -> Har:
    """Sign in, list notes with an N+1, open one, write one; and what a browser loads besides."""
    har = Har(dialect)
    page = "https://shop.example"
    har.add("GET", f"{page}/", "<!doctype html>", at=0, mime="text/html", kind="document")
    har.add("GET", f"{page}/app.js", "x()", at=0.05, mime="text/javascript", kind="script")
    har.add("OPTIONS", "/rest/v1/notes", at=0.1, status=204, kind="preflight", mime="text/plain")
    har.add("POST", "https://o1.ingest.sentry.io/api/1/envelope/", {"id": 1}, at=0.1, sent={"a": 1})
    har.add(
        "POST", "/auth/v1/token?grant_type=password",
        {"access_token": ACCESS_TOKEN, "refresh_token": "r3fresh-t0ken-of-ada",
         "user": {"id": ME, "email": MAIL}},
        at=0.2, sent={"email": MAIL, "password": "Enchantress-of-Number-1843"},
    )  # fmt: skip
    har.add(
        "GET", f"/rest/v1/notes?select=id%2Ctitle&user_id=eq.{ME}&order=created_at.desc&limit=5",
        NOTES, at=1.0, headers={"Accept-Profile": "public", "X-Client-Info": "supabase-js-web/2"},
    )  # fmt: skip
    for number, note in enumerate(NOTES):
        har.add(
            "GET", f"/rest/v1/comments?select=body&note_id=eq.{note['id']}", [{"body": "x"}],
            at=1.05 + number / 1000,
        )  # fmt: skip
    har.add("GET", f"/rest/v1/notes?id=eq.{NOTES[2]['id']}", [NOTES[2]], at=4.0)
    har.add("GET", f"{page}/logo.png", "png", at=4.0, mime="image/png", kind="image")
    har.add(
        "POST", "/rest/v1/notes?select=id", [{"id": "99999999-0000-4000-8000-000000000001"}],
        at=10.5, status=201, headers={"Prefer": "return=representation"},
        sent={"user_id": ME, "title": "Dinner with Mrs Somerville", "status": "open"},
    )  # fmt: skip
    return har


@pytest.fixture(scope="session")
def har() -> type[Har]:
    """Makes recordings by hand."""
    return Har


@pytest.fixture(scope="session")
def shop_visit() -> Callable[..., Har]:
    """Makes the recording of one visit in a dialect."""
    return _shop_visit
