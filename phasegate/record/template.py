"""A request taken apart: what is fixed in it, and each place where a value stands. Pure.

`Request.pieces` is the path with its query; `fields` the leaves of the body. Names for statistics
and the shape by which requests are the same come from here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus

from phasegate.record.har import Exchange, decoded, is_json
from phasegate.record.personal import CREDENTIAL_HEADERS

Scalar = str | int | float | bool | None
JsonPath = tuple[str | int, ...]

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
# Numbers, UUIDs, ULIDs, MongoDB's, hashes, prefixed and random ids: no word of a route.
_ID_SEGMENT = re.compile(
    r"\d+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{16,}"
    r"|c[a-z0-9]{24}|[a-z]{1,8}_(?=\w*\d)\w{8,}|(?=[\w-]*\d)(?=[\w-]*[a-zA-Z])[\w-]{16,}"
    r"|[^/]*(?:@|%40)[^/]*|eyJ[\w-]{8,}(?:\.[\w-]*)*",
    re.IGNORECASE,
)
_VERSION = re.compile(r"v\d+(\.\d+)?", re.IGNORECASE)

LITERAL = "(),.:*!-"
"""Characters that stay as they are in a query."""

POSTGREST = re.compile(r"(?P<base>.*/rest/v\d+|)/(?P<resource>[\w-]+)")
_RESERVED = frozenset(
    {"select", "order", "limit", "offset", "on_conflict", "columns", "apikey", "and", "or"}
)  # fmt: skip
_OPERATOR = re.compile(
    r"(?P<operator>(?:not\.)?(?:eq|neq|gte?|lte?|i?like|i?match|is|in|isdistinct|cs|cd|ov|sl|sr|nxl"
    r"|nxr|adj|(?:pl|ph|w)?fts)(?:\([^)]*\))?\.)(?P<value>.*)",
    re.DOTALL,
)
_INNER_FILTER = re.compile(
    r"(?P<operator>\.(?:eq|neq|gte?|lte?|i?like|is)\.)(?P<value>\"[^\"]*\"|[^,()]+)"
)


# Words of a route's name that promise to read only; a function's name may be a noun as well.
_READING = re.compile(
    r"(^|[_-])(get|list|search|find|count|fetch|query|filter|match|lookup|suggest|autocomplete|aggregate)"
    r"(?=$|[_A-Z-])"
)
_READING_CALL = re.compile(
    r"(^|[_-])(stats?|statistics|read|load|top|recent|summary|report|dashboard|is|has|can|my|feed|totals?)"
    r"(?=$|[_A-Z-])"
)


@dataclass(frozen=True)
class Place:
    """Where a value stands in a request."""

    where: str
    """`path`, `query`, `header`, `json` or `form`."""
    key: str
    """What it is called: a parameter, a field; in a path the segment before it."""
    value: Scalar
    operator: str = ""
    """PostgREST's, as `eq.`."""
    column: str = ""
    """PostgREST's column, else the key."""

    @property
    def is_page(self) -> bool:
        """Whether it says which page of a list, and how long."""
        return self.key in (
            "limit",
            "offset",
            "page",
            "per_page",
            "pageSize",
            "first",
            "last",
            "size",
        )


@dataclass(frozen=True)
class Many:
    """A list of values in one parameter: `in.(1,2,3)`."""

    places: tuple[Place, ...]


Piece = str | Place | Many


@dataclass(frozen=True)
class Request:
    """One request of the recording, taken apart."""

    exchange: Exchange = field(repr=False)
    pieces: tuple[Piece, ...]
    """Path and query: literal text, encoded as it was sent, and values."""
    headers: tuple[Place, ...]
    """Those worth sending again."""
    body: Any = field(repr=False)
    """The decoded body with a `Place` for each leaf: JSON, or a form's pairs; None without one."""
    is_form: bool
    resource: str
    """What it is about: a table, the last word of the route, a function, an operation."""
    is_postgrest: bool

    @property
    def method(self) -> str:
        """As in HTTP."""
        return self.exchange.method

    @property
    def is_call(self) -> bool:
        """Whether it calls a function of the database."""
        return self.is_postgrest and "/rpc/" in self.exchange.path

    @property
    def is_graphql(self) -> bool:
        """Whether it is an operation of GraphQL."""
        return self.exchange.path.rstrip("/").endswith("graphql")

    @property
    def writes(self) -> bool:
        """Whether it changes something, as far as one can see; in doubt it does."""
        if self.method in ("GET", "HEAD"):
            return False
        if self.is_graphql and isinstance(self.body, dict):
            query = self.body.get("query")
            text = query.value if isinstance(query, Place) else self.resource
            return bool(re.search(r"\bmutation\b", str(text)))
        if self.method != "POST" or (self.is_postgrest and not self.is_call):
            return True
        called = self.is_call and _READING_CALL.search(self.resource)
        return not (called or _READING.search(self.resource))

    def places(self) -> Iterator[Place]:
        """Every value in it."""
        for piece in self.pieces:
            if isinstance(piece, Place):
                yield piece
            elif isinstance(piece, Many):
                yield from piece.places
        yield from self.headers
        yield from _leaves(self.body)

    @property
    def shape(self) -> tuple[Any, ...]:
        """What is equal of two requests that differ in their values alone."""
        url = tuple(
            piece if isinstance(piece, str) else _kept(piece) if isinstance(piece, Place) else "{…}"
            for piece in self.pieces
        )
        return (self.method, url, _skeleton(self.body), self.resource)


def taken_apart(exchange: Exchange, slugs: Collection[str] = ()) -> Request:
    """An exchange as a request that could be written.

    Args:
        exchange: as recorded.
        slugs: words that are values, though they look like a part of the route.
    """
    postgrest = POSTGREST.fullmatch(exchange.path.replace("/rpc/", "/"))
    is_postgrest = bool(postgrest) and (
        "/rest/v" in exchange.path
        or "pgrst" in exchange.header("accept")
        or bool(_filters(exchange))
    )
    pieces = (*_path(exchange.path, slugs), *_query(exchange.query, is_postgrest))
    body, is_form = _body(exchange)
    return Request(
        exchange=exchange,
        pieces=_joined(pieces),
        headers=tuple(_worth_sending(exchange)),
        body=body,
        is_form=is_form,
        resource=_resource(exchange, body, is_form),
        is_postgrest=is_postgrest,
    )


def path_template(path: str, slugs: Collection[str] = ()) -> str:
    """A path without its ids: `/notes/{id}`."""
    pieces = _path(path, slugs)
    return "".join(piece if isinstance(piece, str) else "{id}" for piece in pieces)


def is_id_segment(segment: str) -> bool:
    """Whether a segment of a path is an id, and no word of the route."""
    return bool(_ID_SEGMENT.fullmatch(segment)) and not _VERSION.fullmatch(segment)


def _path(path: str, slugs: Collection[str]) -> Iterator[Piece]:
    before = ""
    for number, segment in enumerate(path.split("/")):
        if number:
            yield "/"
        if is_id_segment(segment) or unquote(segment) in slugs:
            yield Place("path", before, unquote(segment))
        else:
            yield segment
            before = segment or before


def _query(query: str, is_postgrest: bool) -> Iterator[Piece]:
    for number, pair in enumerate(query.split("&") if query else ()):
        name, equals, raw = pair.partition("=")
        yield ("&" if number else "?") + name + equals
        if not equals:
            continue
        key, value = unquote_plus(name), unquote_plus(raw)
        if not is_postgrest:
            yield Place("query", key, value)
        elif key.rpartition(".")[2] in ("or", "and"):
            yield from _inner_filters(value, raw)
        elif key.rpartition(".")[2] in ("select", "order", "columns", "on_conflict"):
            yield quote(value, safe=LITERAL)
        elif key.rpartition(".")[2] in ("limit", "offset") or key in _RESERVED:
            yield Place("query", key, value)
        else:
            yield from _filter(key, value, raw)


def _filter(key: str, value: str, raw: str) -> Iterator[Piece]:
    found = _OPERATOR.fullmatch(value)
    if found is None:
        yield Place("query", key, value)  # an argument of a function
        return
    operator, operand = found["operator"], found["value"]
    if operator.split("(")[0].rstrip(".").endswith("is"):
        yield raw
    elif re.search(r"\bin\.$", operator) and operand.startswith("(") and operand.endswith(")"):
        yield operator + "("
        inner = [part.strip().strip('"') for part in operand[1:-1].split(",")]
        yield Many(tuple(Place("query", key, part, operator, key) for part in inner))
        yield ")"
    else:
        yield operator
        yield Place("query", key, operand, operator, key)


def _inner_filters(value: str, raw: str) -> Iterator[Piece]:
    """Of `or=(a.eq.1,b.lt.2)`."""
    at = 0
    found = list(_INNER_FILTER.finditer(value))
    if not found:
        yield raw
        return
    for each in found:
        yield quote(value[at : each.start("value")], safe=LITERAL)
        column = re.split(r"[(,]", value[: each.start("operator")])[-1]
        yield Place("query", column, each["value"].strip('"'), each["operator"][1:], column)
        at = each.end("value")
    yield quote(value[at:], safe=LITERAL)


def _filters(exchange: Exchange) -> bool:
    pairs = parse_qsl(exchange.query)
    return any(key not in _RESERVED and _OPERATOR.fullmatch(value) for key, value in pairs)


def _joined(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)


# What changes the answer, or the work behind it; all else a browser, a proxy or a library adds.
_SENT_AGAIN = frozenset(
    {
        "prefer",
        "range",
        "range-unit",
        "accept-profile",
        "content-profile",
        "if-match",
        "idempotency-key",
    }
)
_NOT_SENT_AGAIN = re.compile(
    r"x-(client-info|request-id|correlation-id|trace|b3|amzn|forwarded|real-ip|supabase-api-version"
    r"|datadog|sentry|requested-with|nextjs|vercel|cloud|envoy|playwright|devtools|middleware"
    r"|csrf|xsrf|retry-count).*"
)
_PLAIN_ACCEPT = re.compile(r"(application/json|\*/\*|text/plain)([,;].*)?", re.IGNORECASE)


def _worth_sending(exchange: Exchange) -> Iterator[Place]:
    for name, value in exchange.headers:
        plain = name in _SENT_AGAIN
        own = name.startswith("x-") and not _NOT_SENT_AGAIN.fullmatch(name)
        accepts = name == "accept" and not _PLAIN_ACCEPT.fullmatch(value)
        if name.endswith("-profile") and value == "public":
            continue  # the schema that is meant without it
        if (plain or own or accepts) and value and name not in CREDENTIAL_HEADERS:
            yield Place("header", name, value)


def _body(exchange: Exchange) -> tuple[Any, bool]:
    """The body with a `Place` for each value, and whether it is a form."""
    text = exchange.sent
    if not text:
        return None, False
    if "x-www-form-urlencoded" in exchange.sent_mime.lower():
        pairs = parse_qsl(text, keep_blank_values=True)
        return {name: Place("form", name, value, column=name) for name, value in pairs}, True
    value = decoded(text)
    if value is not None and (is_json(exchange.sent_mime) or isinstance(value, dict | list)):
        return _placed(value, ""), False
    return None, False


def _placed(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _placed(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_placed(inner, key) for inner in value]
    return Place("json", key, value, column=key)


def _leaves(body: Any) -> Iterator[Place]:
    if isinstance(body, Place):
        yield body
    elif isinstance(body, dict | list):
        for inner in body.values() if isinstance(body, dict) else body:
            yield from _leaves(inner)


def _skeleton(body: Any) -> Any:
    if isinstance(body, dict):
        kept = body.get("query") if "variables" in body or "operationName" in body else None
        text = kept.value if isinstance(kept, Place) else None
        return (text, *((name, _skeleton(inner)) for name, inner in sorted(body.items())))
    if isinstance(body, list):
        return tuple(dict.fromkeys(_skeleton(inner) for inner in body))
    return None


def _kept(place: Place) -> str:
    """A value as the shape has it: which page is a part of it, all else is not."""
    return str(place.value) if place.is_page and place.key in ("limit", "per_page") else "{}"


def _resource(exchange: Exchange, body: Any, is_form: bool) -> str:
    if exchange.path.rstrip("/").endswith("graphql") and isinstance(body, dict) and not is_form:
        operation = body.get("operationName")
        if isinstance(operation, Place) and operation.value:
            return str(operation.value)
        query = body.get("query")
        text = str(query.value) if isinstance(query, Place) else ""
        named = re.search(r"\b(?:query|mutation)\s+(\w+)|\{\s*(\w+)", text)
        return (named[1] or named[2]) if named else "graphql"
    words = [
        segment
        for segment in exchange.path.split("/")
        if re.search("[A-Za-z]", segment)
        and not is_id_segment(segment)
        and not _VERSION.fullmatch(segment)
    ]
    return unquote(words[-1]).rpartition(".")[0] or unquote(words[-1]) if words else "root"
