"""GET and HEAD of a table or view."""

from __future__ import annotations

import msgspec

from phasegate.api import errors
from phasegate.api.catalogue import Relation
from phasegate.api.compiler import Wanted, read
from phasegate.api.context import Context, finished, number, require_one, row_count
from phasegate.api.database import Row
from phasegate.api.http import Answer
from phasegate.api.parameters import parse, root_limits
from phasegate.api.preferences import content_range, range_status, window
from phasegate.api.statement import Values


async def answer(context: Context, relation: Relation) -> Answer:
    """The rows that the query asks for.

    Raises:
        ApiError: PostgREST's.
    """
    request, media = context.request, context.media
    head = request.method == "HEAD"
    wanted = Wanted(
        "none" if head else media.format,
        media.strip_nulls,
        context.preferences.count,
        context.rows_max,
    )
    limit, offset = root_limits(context.pairs)
    # By the standard, Range says nothing to any other method than GET.
    shown = window("" if head else request.header(b"range"), limit, offset, context.rows_max)
    compiled = context.statements.get(
        context,
        ("read", relation.name, wanted),
        lambda: read(parse(context.pairs), relation, context.catalogue, wanted),
    )
    values = Values(context.shape.values, shown.limit, shown.offset)
    rows = await context.run(compiled, values, read_only=True)
    if wanted.format == "object":
        require_one(rows[0])
    total = _total(rows, wanted)
    status = range_status(shown.offset, row_count(rows[0]), total)
    if status == 416:
        raise errors.invalid_range(
            f"An offset of {shown.offset} was requested, but there are only {total} rows."
        )
    counted = content_range(shown.offset, row_count(rows[0]), total)
    applied = context.preferences.applied("count", "handling")
    return finished(rows[0], status, counted, applied, media.content_type)


def _total(rows: list[Row], wanted: Wanted) -> int | None:
    """The count that was asked for."""
    total = number(rows[0][0])
    if wanted.count == "planned":
        return _planned_rows(rows[1])
    if wanted.count == "estimated" and total is not None and total > wanted.rows_max:
        return max(total, _planned_rows(rows[1]))
    return total


def _planned_rows(row: Row) -> int:
    plan = msgspec.json.decode(row[0] or b"")
    return int(plan[0]["Plan"]["Plan Rows"])
