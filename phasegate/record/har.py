"""Reads HAR files, as browsers, Playwright and proxies write them.

http://www.softwareishard.com/blog/har-12-spec/ is the format; the keys that begin with `_` are
Chrome's, Safari's and Playwright's own. What is broken in an entry costs that entry, what is cut
off costs the rest, and both are told.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from phasegate.model.errors import ConfigurationError

NOTHING = "Nothing was written"
EXPORT = "Export one: a browser's network panel, Save all as HAR with content"

# Decompressed; a recording of an hour has 50 MB. Beyond it, a small archive fills the memory.
HAR_BYTES_MAX = 1 << 30

Headers = tuple[tuple[str, str], ...]


class _Pair(msgspec.Struct):
    name: str | None = None
    value: str | None = None


class _Content(msgspec.Struct):
    mime: str | None = msgspec.field(name="mimeType", default=None)
    text: str | None = None
    encoding: str | None = None
    params: list[_Pair] | None = None
    file: str | None = msgspec.field(name="_file", default=None)


class _Request(msgspec.Struct):
    method: str
    url: str
    headers: list[_Pair] | None = None
    sent: _Content | None = msgspec.field(name="postData", default=None)


class _Response(msgspec.Struct):
    status: int | None = None
    headers: list[_Pair] | None = None
    content: _Content | None = None


class _Entry(msgspec.Struct):
    started: str = msgspec.field(name="startedDateTime")
    request: _Request
    response: _Response | None = None
    time: float | None = None
    page: str | None = msgspec.field(name="pageref", default=None)
    kind: str | None = msgspec.field(name="_resourceType", default=None)
    from_cache: Any = msgspec.field(name="_fromCache", default=None)
    messages: Any = msgspec.field(name="_webSocketMessages", default=None)


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]


class _File(msgspec.Struct):
    log: _Log


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, as they were recorded.

    Header names are in lower case; texts are decoded. What it holds is somebody's: nothing of it
    is written but by `record.values`.
    """

    started_s: float
    """Since 1970."""
    ended_s: float
    method: str
    origin: str = field(repr=False)
    """`https://host:port`."""
    path: str = field(repr=False)
    query: str = field(repr=False)
    headers: Headers = field(repr=False)
    sent_mime: str
    sent: str | None = field(repr=False)
    """The body; None where there was none."""
    status: int
    """0: no answer came."""
    answer_headers: Headers = field(repr=False)
    answer_mime: str
    answered: str | None = field(repr=False)
    """The body of an answer in JSON; of others None."""
    kind: str
    """Chrome's word for what asked, as `fetch`; empty where nobody said."""
    page: str
    """Which page it belongs to; empty where nobody said."""
    from_cache: bool

    def header(self, name: str) -> str:
        """Of the request; empty where it was not sent."""
        return next((value for key, value in self.headers if key == name), "")

    @cached_property
    def answer(self) -> Any:
        """The decoded answer; None where it is none in JSON."""
        return decoded(self.answered)

    @property
    def is_json(self) -> bool:
        """Whether the answer says that it is JSON."""
        return is_json(self.answer_mime)


@dataclass(frozen=True)
class Recording:
    """What a HAR file holds, in the order of time."""

    exchanges: tuple[Exchange, ...]
    remarks: tuple[str, ...] = ()
    """What of the file could not be read."""


def is_json(mime: str) -> bool:
    """Whether a body of that type is JSON."""
    kind = mime.partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json", "/x-json"))


def decoded(text: str | None) -> Any:
    """The value of a JSON text; None where it is none."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def read_har(path: Path) -> Recording:
    """The recording in `path`: a HAR file, one compressed by gzip, or Playwright's archive.

    Raises:
        ConfigurationError: it cannot be read, or it is no HAR.
    """
    data, attached = _content_of(path)
    raws, cut = _entries(data, path)
    found: list[Exchange] = []
    broken = 0
    for raw in raws:
        exchange = _exchange(raw, attached)
        if exchange is None:
            broken += 1
        else:
            found.append(exchange)
    remarks = []
    if cut:
        remarks.append(f"{path.name} ends in the middle: its first {len(raws)} entries were read")
    if broken:
        remarks.append(f"{broken} of {len(raws)} entries of {path.name} cannot be read: left out")
    found.sort(key=lambda exchange: exchange.started_s)
    return Recording(tuple(found), tuple(remarks))


def _content_of(path: Path) -> tuple[bytes, Callable[[str], bytes]]:
    """The HAR's bytes, and what reads a body that lies beside it."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(b"PK\x03\x04"):
            return _archive(path)
        if start.startswith(b"\x1f\x8b"):
            with gzip.open(path) as unpacked:
                return _bounded(unpacked.read(HAR_BYTES_MAX + 1), path), _no_file
        if path.stat().st_size > HAR_BYTES_MAX:
            raise _unreadable(path, f"it has more than {HAR_BYTES_MAX >> 20} MB")
        return path.read_bytes(), lambda name: _beside(path, name)
    except OSError as error:
        raise _unreadable(path, error.strerror or "not gzip") from error
    except (EOFError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _unreadable(path, "its compression is damaged, or of another kind") from error


def _archive(path: Path) -> tuple[bytes, Callable[[str], bytes]]:
    archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    names = [name for name in archive.namelist() if name.endswith(".har")]
    if not names:
        raise _unreadable(path, "no .har is in the archive")

    def read(name: str) -> bytes:
        with archive.open(name) as member:
            return member.read(HAR_BYTES_MAX)

    with archive.open(names[0]) as member:
        return _bounded(member.read(HAR_BYTES_MAX + 1), path), read


def _bounded(data: bytes, path: Path) -> bytes:
    if len(data) > HAR_BYTES_MAX:
        raise _unreadable(path, f"it unpacks to more than {HAR_BYTES_MAX >> 20} MB")
    return data


def _beside(path: Path, name: str) -> bytes:
    file = (path.parent / name).resolve()
    if not file.is_relative_to(path.parent.resolve()):
        raise KeyError(name)  # a recording names no file elsewhere
    return file.read_bytes()


def _no_file(name: str) -> bytes:
    raise KeyError(name)


def _entries(data: bytes, path: Path) -> tuple[Sequence[bytes | msgspec.Raw], bool]:
    """Each entry's JSON, and whether the file ends before its last one does."""
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-8-sig" if data.startswith(b"\xef") else "utf-16"
        data = data.decode(encoding, "replace").encode("utf-8", "replace")
    try:
        return msgspec.json.decode(data, type=_File).log.entries, False
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = list(_salvaged(data.decode("utf-8", "replace")))
    if not found:
        raise _unreadable(path, "it is no HAR, or it has no whole entry")
    return found, True


def _salvaged(text: str) -> Iterator[bytes]:
    """The entries in front of the place where a file is cut off or broken."""
    at = text.find('"entries"')
    if at < 0 or not text.lstrip().startswith("{"):
        return
    at = text.find("[", at) + 1
    decoder = json.JSONDecoder(strict=False)
    while at > 0:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            entry, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield json.dumps(entry).encode("utf-8", "replace")


def _exchange(raw: bytes | msgspec.Raw, attached: Callable[[str], bytes]) -> Exchange | None:
    """An entry; None where it is broken."""
    try:
        entry = msgspec.json.decode(raw, type=_Entry, strict=False)
        started_s = _moment(entry.started)
        url = urlsplit(entry.request.url)
        origin = f"{url.scheme}://{url.netloc.rpartition('@')[2]}".lower()
        if not url.netloc or not entry.request.method:
            return None
    except (ValueError, RecursionError, OverflowError):  # msgspec's own errors are ValueErrors
        return None
    response = entry.response or _Response()
    content = response.content or _Content()
    answer_headers = _headers(response.headers)
    mime = content.mime or dict(answer_headers).get("content-type", "")
    sent = entry.request.sent
    headers = _headers(entry.request.headers)
    websocket = url.scheme in ("ws", "wss") or entry.messages is not None
    time_ms = entry.time if entry.time is not None and 0 < entry.time < 1e9 else 0.0
    return Exchange(
        started_s=started_s,
        ended_s=started_s + time_ms / 1000,
        method=entry.request.method.upper(),
        origin=origin,
        path=url.path or "/",
        query=url.query,
        headers=headers,
        sent_mime=(sent and sent.mime) or dict(headers).get("content-type", ""),
        sent=_sent(sent, attached),
        status=max(response.status or 0, 0),
        answer_headers=answer_headers,
        answer_mime=mime,
        answered=_text(content, attached) if is_json(mime) else None,
        kind="websocket" if websocket else (entry.kind or "").lower(),
        page=entry.page or "",
        from_cache=bool(entry.from_cache),
    )


def _headers(pairs: list[_Pair] | None) -> Headers:
    return tuple(
        (pair.name.lower(), pair.value or "")
        for pair in pairs or ()
        if pair.name and not pair.name.startswith(":")  # HTTP/2's own
    )


def _moment(text: str) -> float:
    """Seconds since 1970; without a zone it is UTC."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _sent(content: _Content | None, attached: Callable[[str], bytes]) -> str | None:
    if content is None:
        return None
    text = _text(content, attached)
    if not text and content.params:
        return urlencode([(pair.name or "", pair.value or "") for pair in content.params])
    return text or None


def _text(content: _Content, attached: Callable[[str], bytes]) -> str | None:
    """A body as text; None where there is none, or it is damaged."""
    try:
        if content.file:
            return attached(content.file).decode("utf-8", "replace")
        if content.text and (content.encoding or "").lower() == "base64":
            return base64.b64decode(content.text).decode("utf-8", "replace")
    except (OSError, KeyError, ValueError, binascii.Error, zipfile.BadZipFile):
        return None
    return content.text


def _unreadable(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(f"Cannot read {path}: {why}", untouched=NOTHING, then=EXPORT)
