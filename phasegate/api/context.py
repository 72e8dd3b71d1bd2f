"""What the routes under `/rest/v1` have in common: a request's context, transaction and answer.

Statements are compiled once a shape and kept; see `api.parameters`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import msgspec

from phasegate.api import errors
from phasegate.api.catalogue import Catalogue
from phasegate.api.compiler import Compiled
from phasegate.api.database import Asked, Database, Row
from phasegate.api.http import Answer, Headers, Request
from phasegate.api.identity import Identity
from phasegate.api.parameters import Pairs, Shape
from phasegate.api.pipeline import PREPARED_CHARACTERS_MAX
from phasegate.api.preferences import Media, Preferences
from phasegate.api.statement import Statement, Values

COMPILED_MAX = 2000
"""Shapes kept; an application has dozens, somebody who tries out names has any number."""


class Statements:
    """Compiled statements, by route and shape, for one reading of the catalogue."""

    def __init__(self) -> None:
        self._compiled: dict[Hashable, Compiled] = {}
        self._catalogue: Catalogue | None = None

    def get(
        self, context: Context, key: tuple[Hashable, ...], build: Callable[[], Compiled]
    ) -> Compiled:
        """The statement for `key` and the query's shape, compiled the first time."""
        if self._catalogue is not context.catalogue or len(self._compiled) >= COMPILED_MAX:
            self._compiled.clear()
            self._catalogue = context.catalogue
        whole = (key, context.shape.key)
        found = self._compiled.get(whole)
        if found is None:
            found = build()
            if len(found.main.sql) <= PREPARED_CHARACTERS_MAX:
                self._compiled[whole] = found
        return found


class Context(msgspec.Struct, frozen=True):
    """A request with all that it is answered from."""

    request: Request
    identity: Identity
    database: Database
    catalogue: Catalogue
    statements: Statements
    rows_max: int
    pairs: Pairs
    shape: Shape
    preferences: Preferences
    media: Media

    async def run(
        self,
        compiled: Compiled,
        values: Values,
        *,
        read_only: bool,
        check: Callable[[Row], None] | None = None,
    ) -> list[Row]:
        """Run a statement as the asker; see `Database.run`."""
        request = self.request
        asked = Asked(request.method, request.path, _headers_json(request), read_only)
        statements: tuple[Statement, ...] = (compiled.main,)
        if compiled.explain is not None:
            statements = (compiled.main, compiled.explain)
        return await self.database.run(self.identity, asked, statements, values, check)


def _headers_json(request: Request) -> str:
    shown = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in request.headers.items()
        if name != b"cookie"
    }
    return msgspec.json.encode(shown).decode()


def payload(request: Request) -> object:
    """The body as JSON.

    Raises:
        ApiError: PGRST102.
    """
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if kind not in ("", "application/json"):
        raise errors.invalid_body(f"Content-Type not acceptable: {kind}")
    return request.json()


def number(value: bytes | None) -> int | None:
    """A number of a row."""
    return None if value is None else int(value)


def row_count(row: Row) -> int:
    """How many rows an answer has."""
    return int(row[1] or 0)


def require_one(row: Row) -> None:
    """Refuse an answer of any other number of rows than one.

    Raises:
        ApiError: PGRST116.
    """
    if row_count(row) != 1:
        raise errors.not_singular(row_count(row))


def finished(
    row: Row, status: int, counted: str, applied: str, content_type: bytes | None
) -> Answer:
    """The answer, with what the database itself has to say on status and headers."""
    headers: Headers = [(b"content-range", counted.encode())]
    if content_type is not None:
        headers.append((b"content-type", content_type))
    if applied:
        headers.append((b"preference-applied", applied.encode()))
    if row[3] is not None:
        headers = _with_own_headers(headers, row[3])
    if row[4] is not None:
        status = _own_status(row[4].decode())
    return Answer(status, b"" if content_type is None else row[2] or b"", headers)


def _with_own_headers(headers: Headers, text: bytes) -> Headers:
    try:
        listed = msgspec.json.decode(text, type=list[dict[str, str]])
    except msgspec.DecodeError as error:
        raise errors.wrong_own_headers() from error
    own = [(name.lower().encode(), value.encode()) for one in listed for name, value in one.items()]
    replaced = {name for name, _ in own}
    return [header for header in headers if header[0] not in replaced] + own


def _own_status(text: str) -> int:
    if not (text.isdigit() and 200 <= int(text) <= 599):
        raise errors.wrong_own_status()
    return int(text)
