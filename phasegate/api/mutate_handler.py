"""POST, PATCH, PUT and DELETE of a table or view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec

from phasegate.api import errors
from phasegate.api import sql_change as changes
from phasegate.api.catalogue import Relation
from phasegate.api.compiler import Format, Wanted
from phasegate.api.context import Context, finished, number, payload, require_one, row_count
from phasegate.api.database import Row
from phasegate.api.http import Answer
from phasegate.api.parameters import parse, root_limits
from phasegate.api.preferences import content_range
from phasegate.api.query import ROOT, Compare, Condition, Query
from phasegate.api.sql_change import Change
from phasegate.api.statement import Values

_BUILD = {
    "POST": changes.insert,
    "PUT": changes.insert,
    "PATCH": changes.update,
    "DELETE": changes.delete,
}
_RESOLUTIONS: dict[str, Literal["merge", "ignore"]] = {
    "merge-duplicates": "merge",
    "ignore-duplicates": "ignore",
}
_VERBS = {"PATCH": "UPDATE", "DELETE": "DELETE"}


async def answer(context: Context, relation: Relation) -> Answer:
    """Make the change, and show what was changed where that is asked for.

    Raises:
        ApiError: PostgREST's; then nothing was changed.
    """
    method, wishes = context.request.method, context.preferences
    query = parse(context.pairs)
    if method in _VERBS and not any(path == ROOT for path, _ in query.where):
        raise errors.no_where_clause(_VERBS[method])
    change, body = _change_of(context, query, relation)
    if method == "PUT":
        change = _named(context, query, relation, change)
    shown: Format = context.media.format if change.returning else "none"
    wanted = Wanted(shown, context.media.strip_nulls, wishes.count, context.rows_max)
    compiled = context.statements.get(
        context,
        (method, relation.name, wanted, change),
        lambda: _BUILD[method](query, relation, context.catalogue, wanted, change),
    )
    values = Values(context.shape.values, body=body)
    rows = await context.run(compiled, values, read_only=False, check=check_of(context))
    return _answer(context, rows[0], relation, change)


def check_of(context: Context) -> Callable[[Row], None] | None:
    """What may undo a change after it was made, before it is kept."""
    most = context.preferences.max_affected if context.preferences.strict else None
    singular = context.media.format == "object"
    put = context.request.method == "PUT"
    if most is None and not singular and not put:
        return None

    def check(row: Row) -> None:
        if put and row_count(row) != 1:
            raise errors.put_key_differs()
        if singular:
            require_one(row)
        if most is not None and row_count(row) > most:
            raise errors.too_many_affected(row_count(row))

    return check


def _named(context: Context, query: Query, relation: Relation, change: Change) -> Change:
    """The change of a PUT: its filters name one row by the whole primary key, and by that alone."""
    if any(value is not None for value in root_limits(context.pairs)):
        raise errors.put_with_limit()
    named = [
        term.field.name
        for path, term in query.where
        if path == ROOT
        and isinstance(term, Condition)
        and not (term.negated or term.field.path)
        and isinstance(term.test, Compare)
        and (term.test.operator, term.test.quantifier) == ("eq", None)
    ]
    root_terms = [term for path, term in query.where if path == ROOT]
    if not relation.primary_key or sorted(named) != sorted(relation.primary_key):
        raise errors.wrong_put_filters()
    if len(named) != len(root_terms):
        raise errors.wrong_put_filters()
    if not set(relation.primary_key) <= set(change.columns):
        raise errors.put_key_differs()
    return replace(change, resolution="merge", only_named=True)


def _change_of(context: Context, query: Query, relation: Relation) -> tuple[Change, bytes | None]:
    """What the body changes, and the body as text."""
    wishes = context.preferences
    returning = wishes.representation == "representation"
    if context.request.method == "DELETE":
        return Change((), is_array=False, returning=returning), None
    sent = payload(context.request)
    is_array = isinstance(sent, list)
    columns = query.columns if query.columns is not None else _keys(sent)
    posted = context.request.method == "POST"
    resolution = None
    if posted and wishes.resolution and (query.on_conflict is not None or relation.primary_key):
        resolution = _RESOLUTIONS[wishes.resolution]
    change = Change(
        tuple(dict.fromkeys(columns)),
        is_array,
        resolution=resolution,
        use_defaults=wishes.missing == "default",
        returning=returning,
        location=posted and wishes.representation == "headers-only",
    )
    if isinstance(sent, dict | list):
        return change, context.request.body
    return replace(change, is_array=True), b"[]"  # PostgREST takes any other value as no rows


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


def _answer(context: Context, row: Row, relation: Relation, change: Change) -> Answer:
    method, wishes = context.request.method, context.preferences
    total = None if wishes.count is None else row_count(row)
    if method == "PATCH":
        counted = content_range(0, row_count(row), total)
    else:
        counted = f"*/{'*' if total is None else total}"
    if method == "POST":
        updated_only = change.resolution == "merge" and not number(row[5])
        status = 200 if updated_only else 201
        resolution = ("resolution",) if change.resolution else ()
        applied = wishes.applied(*resolution, "missing", "return", "count", "handling")
    elif method == "PUT":
        created = 201 if number(row[5]) else 200
        status = created if change.returning else 204
        applied = wishes.applied("return", "handling")
    else:
        status = 200 if change.returning else 204
        missing = ("missing",) if method == "PATCH" else ()
        applied = wishes.applied(*missing, "return", "count", "handling", "max-affected")
    content_type = context.media.content_type if change.returning else None
    answer = finished(row, status, counted, applied, content_type)
    if change.location and row[6] is not None:
        location = b"/%b?%b" % (relation.name.encode(), row[6])
        return msgspec.structs.replace(answer, headers=[*answer.headers, (b"location", location)])
    return answer
