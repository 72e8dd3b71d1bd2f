"""Functions of the database: `/rest/v1/rpc`."""

from __future__ import annotations

import msgspec

from phasegate.api import errors
from phasegate.api.catalogue import Catalogue, Routine
from phasegate.api.compiler import Wanted, call
from phasegate.api.context import Context, finished, number, payload, require_one, row_count
from phasegate.api.http import Answer, Request
from phasegate.api.mutate_handler import check_of
from phasegate.api.parameters import parse, root_limits
from phasegate.api.preferences import content_range, range_status, window
from phasegate.api.query import Query
from phasegate.api.statement import Values


async def answer(context: Context, name: str) -> Answer:
    """Call `name` and show what it returns.

    Raises:
        ApiError: PostgREST's.
    """
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
        context.rows_max,
    )
    limit, offset = root_limits(context.pairs)
    most = context.rows_max if routine.returns_set else None
    shown = window(request.header(b"range") if not posted else "", limit, offset, most)
    compiled = context.statements.get(
        context,
        ("call", name, given, wanted, posted),
        lambda: call(
            routine, query, sorted(given), context.catalogue, wanted, from_query=not posted
        ),
    )
    values = Values(context.shape.values, shown.limit, shown.offset, body)
    read_only = routine.reads_only or not posted
    check = None if read_only else check_of(context)
    rows = await context.run(compiled, values, read_only=read_only, check=check)
    if wanted.format == "object":
        require_one(rows[0])
    if routine.returns_void:
        return Answer(204)
    total = number(rows[0][0])
    status = range_status(shown.offset, row_count(rows[0]), total)
    counted_range = content_range(shown.offset, row_count(rows[0]), total)
    applied = context.preferences.applied("count", "handling")
    return finished(rows[0], status, counted_range, applied, context.media.content_type)


def _arguments(request: Request, query: Query, *, posted: bool) -> tuple[frozenset[str], bytes]:
    """The names of a call's arguments, and the arguments as a JSON object."""
    if not posted:
        given = dict(reversed(query.arguments))
        return frozenset(given), msgspec.json.encode(given)
    if not request.body:
        return frozenset(), b"{}"
    sent = payload(request)
    if not isinstance(sent, dict):
        return frozenset(), b"{}"
    chosen = sent if query.columns is None else query.columns
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
