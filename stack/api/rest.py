"""`/rest/v1`: from a request to a transaction, and from its row to an answer.

Statements are compiled once a shape and kept; see `stack.api.parameters`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

import msgspec

from stack.api import change as changes
from stack.api import compile as compiler
from stack.api import errors
from stack.api.catalogue import Catalogue, Relation, Routine
from stack.api.change import Change
from stack.api.compile import Compiled, Format, Wanted
from stack.api.database import Asked, Database, Row
from stack.api.http import Answer, Headers, Request
from stack.api.identity import Identity
from stack.api.parameters import Pairs, Shape, parse, root_limits, shape, split
from stack.api.preferences import (
    Media,
    Preferences,
    content_range,
    media,
    preferences,
    range_status,
    window,
)
from stack.api.query import ROOT, Query
from stack.api.statement import Statement, Values

COMPILED_MAX = 2000
"""Shapes kept; an application has dozens, somebody who tries out names has any number."""

STALE = frozenset({"42703", "PGRST200", "PGRST202", "PGRST204", "PGRST205"})
"""Errors that a table, column or function made a moment ago would explain."""

_VERBS = {"PATCH": "UPDATE", "DELETE": "DELETE"}


class Context(msgspec.Struct, frozen=True):
    """A request with all that it is answered from."""

    request: Request
    identity: Identity
    database: Database
    catalogue: Catalogue
    pairs: Pairs
    shape: Shape
    preferences: Preferences
    media: Media


class Rest:
    """The routes under `/rest/v1`."""

    def __init__(self, *, rows_max: int) -> None:
        self._rows_max = rows_max
        self._compiled: dict[Hashable, Compiled] = {}
        self._compiled_for: Catalogue | None = None

    async def answer(
        self, request: Request, identity: Identity, database: Database, path: str
    ) -> Answer:
        """Answer `request` for what follows `/rest/v1/`.

        Raises:
            ApiError: PostgREST's.
        """
        catalogue = await database.catalogue()
        try:
            return await self._route(request, identity, database, catalogue, path)
        except errors.ApiError as error:
            if error.code not in STALE:
                raise
            fresh = await database.catalogue(fresh=True)
            if fresh is catalogue:
                raise
        return await self._route(request, identity, database, fresh, path)

    async def _route(
        self,
        request: Request,
        identity: Identity,
        database: Database,
        catalogue: Catalogue,
        path: str,
    ) -> Answer:
        _check_profile(request)
        context = Context(
            request,
            identity,
            database,
            catalogue,
            pairs := split(request.query),
            shape(pairs),
            preferences(request.header(b"prefer")),
            media(request.header(b"accept")),
        )
        if path.startswith("rpc/"):
            return await self._call(context, path[4:])
        if "/" in path:
            raise errors.unknown_path()
        if not path:
            raise errors.no_openapi()
        relation = catalogue.relations.get(path)
        if relation is None:
            raise errors.unknown_relation(path, catalogue.similar_relation(path))
        if request.method in ("GET", "HEAD"):
            return await self._read(context, relation)
        if request.method in ("POST", "PATCH", "DELETE"):
            return await self._change(context, relation)
        if request.method == "PUT":
            raise errors.not_implemented("PUT; use POST with Prefer: resolution=merge-duplicates")
        if request.method == "OPTIONS":
            return Answer(200, headers=[(b"allow", b"OPTIONS,GET,HEAD,POST,PATCH,DELETE")])
        raise errors.unsupported_method(request.method)

    def _statement(
        self, context: Context, key: tuple[Hashable, ...], build: Callable[[], Compiled]
    ) -> Compiled:
        """The statement for `key` and the query's shape, compiled the first time."""
        if self._compiled_for is not context.catalogue or len(self._compiled) >= COMPILED_MAX:
            self._compiled.clear()
            self._compiled_for = context.catalogue
        whole = (key, context.shape.key)
        found = self._compiled.get(whole)
        if found is None:
            found = self._compiled[whole] = build()
        return found

    async def _read(self, context: Context, relation: Relation) -> Answer:
        request, wants = context.request, context.media
        head = request.method == "HEAD"
        wanted = Wanted(
            "none" if head else wants.format,
            wants.strip_nulls,
            context.preferences.count,
            self._rows_max,
        )
        limit, offset = root_limits(context.pairs)
        # By the standard, Range says nothing to any other method than GET.
        ranged = "" if head else request.header(b"range")
        shown = window(ranged, limit, offset, self._rows_max)
        compiled = self._statement(
            context,
            ("read", relation.name, wanted),
            lambda: compiler.read(parse(context.pairs), relation, context.catalogue, wanted),
        )
        values = Values(context.shape.values, shown.limit, shown.offset)
        check = _singular if wants.format == "object" and not head else None
        rows = await self._run(context, compiled, values, read_only=True, check=check)
        total = self._total(rows, wanted)
        status = range_status(shown.offset, _count(rows[0]), total)
        if status == 416:
            raise errors.invalid_range(
                f"An offset of {shown.offset} was requested, but there are only {total} rows."
            )
        counted = content_range(shown.offset, _count(rows[0]), total)
        applied = context.preferences.applied("count", "handling")
        return _finished(rows[0], status, counted, applied, wants.content_type)

    def _total(self, rows: list[Row], wanted: Wanted) -> int | None:
        """The count that was asked for."""
        total = _number(rows[0][0])
        if wanted.count == "planned" or (total is not None and total > self._rows_max):
            if wanted.count == "exact":
                return total
            guess = _planned_rows(rows[1])
            return guess if total is None else max(total, guess)
        return total

    async def _run(
        self,
        context: Context,
        compiled: Compiled,
        values: Values,
        *,
        read_only: bool,
        check: Callable[[Row], None] | None,
    ) -> list[Row]:
        request = context.request
        asked = Asked(request.method, request.path, _headers_json(request), read_only)
        statements: tuple[Statement, ...] = (compiled.main,)
        if compiled.explain is not None:
            statements = (compiled.main, compiled.explain)
        return await context.database.run(context.identity, asked, statements, values, check)

    async def _change(self, context: Context, relation: Relation) -> Answer:
        method, wishes = context.request.method, context.preferences
        query = parse(context.pairs)
        if method in _VERBS and not any(path == ROOT for path, _ in query.where):
            raise errors.no_where_clause(_VERBS[method])
        change, body = _change_of(context, query, relation)
        shown: Format = context.media.format if change.returning else "none"
        wanted = Wanted(shown, context.media.strip_nulls, wishes.count, self._rows_max)
        build = {
            "POST": changes.insert,
            "PATCH": changes.update,
            "DELETE": changes.delete,
        }[method]
        compiled = self._statement(
            context,
            (method, relation.name, wanted, change),
            lambda: build(query, relation, context.catalogue, wanted, change),
        )
        rows = await self._run(
            context,
            compiled,
            Values(context.shape.values, body=body),
            read_only=False,
            check=_checked(context),
        )
        return _changed_answer(context, rows[0], relation, change)

    async def _call(self, context: Context, name: str) -> Answer:
        request = context.request
        if "/" in name:
            raise errors.unknown_path()
        if request.method not in ("GET", "HEAD", "POST"):
            raise errors.wrong_rpc_method(request.method)
        posted = request.method == "POST"
        query = parse(context.pairs, calls_function=not posted)
        given, body = _arguments(request, query, posted=posted)
        routine = _routine(context.catalogue, name, given)
        head = request.method == "HEAD"
        wanted = Wanted(
            "none" if head else context.media.format,
            context.media.strip_nulls,
            context.preferences.count,
            self._rows_max,
        )
        limit, offset = root_limits(context.pairs)
        most = self._rows_max if routine.returns_set else None
        shown = window(request.header(b"range") if not posted else "", limit, offset, most)
        compiled = self._statement(
            context,
            ("call", name, given, wanted, posted),
            lambda: compiler.call(
                routine, query, sorted(given), context.catalogue, wanted, from_query=not posted
            ),
        )
        check = _checked(context) if wanted.format == "object" else None
        values = Values(context.shape.values, shown.limit, shown.offset, body)
        read_only = routine.reads_only or not posted
        rows = await self._run(context, compiled, values, read_only=read_only, check=check)
        if routine.returns_void:
            return Answer(204)
        total = _number(rows[0][0])
        status = range_status(shown.offset, _count(rows[0]), total)
        counted_range = content_range(shown.offset, _count(rows[0]), total)
        applied = context.preferences.applied("count", "handling")
        return _finished(rows[0], status, counted_range, applied, context.media.content_type)


def _check_profile(request: Request) -> None:
    name = b"accept-profile" if request.method in ("GET", "HEAD") else b"content-profile"
    schema = request.header(name)
    if schema and schema != "public":
        raise errors.unknown_schema(schema, "public")


def _headers_json(request: Request) -> str:
    shown = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in request.headers.items()
        if name != b"cookie"
    }
    return msgspec.json.encode(shown).decode()


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)


def _count(row: Row) -> int:
    return int(row[1] or 0)


def _planned_rows(row: Row) -> int:
    plan = msgspec.json.decode(row[0] or b"")
    return int(plan[0]["Plan"]["Plan Rows"])


def _singular(row: Row) -> None:
    if _count(row) != 1:
        raise errors.not_singular(_count(row))


def _checked(context: Context) -> Callable[[Row], None] | None:
    """What may undo a change after it was made, before it is kept."""
    most = context.preferences.max_affected if context.preferences.strict else None
    singular = context.media.format == "object"
    if most is None and not singular:
        return None

    def check(row: Row) -> None:
        if singular:
            _singular(row)
        if most is not None and _count(row) > most:
            raise errors.too_many_affected(_count(row))

    return check


def _change_of(context: Context, query: Query, relation: Relation) -> tuple[Change, bytes | None]:
    """What the body changes, and the body as text."""
    wishes = context.preferences
    returning = wishes.representation == "representation"
    if context.request.method == "DELETE":
        return Change((), is_array=False, returning=returning), None
    payload = _payload(context.request)
    is_array = isinstance(payload, list)
    columns = query.columns if query.columns is not None else _keys(payload)
    posted = context.request.method == "POST"
    resolution = wishes.resolution
    conflicts = posted and (query.on_conflict is not None or relation.primary_key)
    change = Change(
        tuple(dict.fromkeys(columns)),
        is_array,
        resolution="merge"
        if resolution == "merge-duplicates"
        else "ignore"
        if resolution
        else None,
        use_defaults=wishes.missing == "default",
        returning=returning,
        location=posted and wishes.representation == "headers-only",
    )
    if not conflicts:
        change = replace(change, resolution=None)
    if isinstance(payload, dict | list):
        return change, context.request.body
    return replace(change, is_array=True), b"[]"  # PostgREST takes any other value as no rows


def _payload(request: Request) -> object:
    kind = request.header(b"content-type").partition(";")[0].strip().lower()
    if kind not in ("", "application/json"):
        raise errors.invalid_body(f"Content-Type not acceptable: {kind}")
    return request.json()


def _keys(payload: object) -> list[str]:
    if isinstance(payload, dict):
        return sorted(payload)
    if not isinstance(payload, list) or not payload:
        return []
    first = payload[0]
    if not isinstance(first, dict) or not all(
        isinstance(element, dict) and element.keys() == first.keys() for element in payload
    ):
        raise errors.invalid_body("All object keys must match")
    return sorted(first)


def _arguments(request: Request, query: Query, *, posted: bool) -> tuple[frozenset[str], bytes]:
    """The names of a call's arguments, and the arguments as a JSON object."""
    if not posted:
        given = dict(reversed(query.arguments))
        return frozenset(given), msgspec.json.encode(given)
    if not request.body:
        return frozenset(), b"{}"
    payload = _payload(request)
    if not isinstance(payload, dict):
        return frozenset(), b"{}"
    chosen = payload if query.columns is None else query.columns
    return frozenset(chosen), request.body


def _routine(catalogue: Catalogue, name: str, given: frozenset[str]) -> Routine:
    candidates = [routine for routine in catalogue.routines.get(name, ()) if routine.accepts(given)]
    if not candidates:
        raise errors.unknown_function(name, sorted(given), catalogue.similar_routine(name))
    if len(candidates) > 1:
        shown = [
            f"public.{routine.name}("
            + ", ".join(f"{a.name} => {a.shown_type}" for a in routine.arguments)
            + ")"
            for routine in candidates
        ]
        raise errors.ambiguous_function(shown)
    return candidates[0]


def _changed_answer(context: Context, row: Row, relation: Relation, change: Change) -> Answer:
    method, wishes = context.request.method, context.preferences
    total = None if wishes.count is None else _count(row)
    if method == "PATCH":
        counted = content_range(0, _count(row), total)
    else:
        counted = f"*/{'*' if total is None else total}"
    if method == "POST":
        updated_only = change.resolution == "merge" and not _number(row[5])
        status = 200 if updated_only else 201
        resolution = ("resolution",) if change.resolution else ()
        applied = wishes.applied(*resolution, "missing", "return", "count", "handling")
    else:
        status = 200 if change.returning else 204
        missing = ("missing",) if method == "PATCH" else ()
        applied = wishes.applied(*missing, "return", "count", "handling", "max-affected")
    content_type = context.media.content_type if change.returning else None
    answer = _finished(row, status, counted, applied, content_type)
    if change.location and row[6] is not None:
        location = b"/%b?%b" % (relation.name.encode(), row[6])
        return msgspec.structs.replace(answer, headers=[*answer.headers, (b"location", location)])
    return answer


def _finished(
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
