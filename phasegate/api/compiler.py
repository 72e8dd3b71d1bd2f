"""From a query to the one statement that answers it, built as JSON by PostgreSQL.

Pure. The shape of the statements is PostgREST's (Query/Statements.hs, QueryBuilder.hs): what a
benchmark of this service measures is what users' databases do. Every statement returns one row of
`RESULT`'s columns. Changes are compiled in `api.sql_change`.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are the catalogue's, values are bound.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from phasegate.api.catalogue import Catalogue, Relation, Routine, quoted
from phasegate.api.query import Query
from phasegate.api.resolve import Node, plan
from phasegate.api.sql_select import count_sql, select_sql, where_sql
from phasegate.api.statement import Parameters, Statement

Count = Literal["exact", "planned", "estimated"]
Format = Literal["array", "object", "none"]

RESULT = ("total", "rows", "body", "headers", "status", "inserted", "location")

SETTINGS = (
    "nullif(current_setting('response.headers', true), ''),"
    " nullif(current_setting('response.status', true), '')"
)
NO_LOCATION = "null::text"
ROWS = "_postgrest_t"
"""The rows of an answer; PostgREST's name, which no column has."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """`main` answers; `explain` has the planner's guess of the count, where it is wanted."""

    main: Statement
    explain: Statement | None = None


class Wanted(msgspec.Struct, frozen=True):
    """What decides, beside the query, how an answer is built."""

    format: Format = "array"
    strip_nulls: bool = False
    count: Count | None = None
    rows_max: int = 1000
    """Supabase's default for the rows of one answer."""


def body_sql(wanted: Wanted, row: str = ROWS, *, single: bool = False) -> str:
    """The answer as JSON text."""
    if wanted.format == "none":
        return "''"
    collected = f"json_agg({row})"
    one = single or wanted.format == "object"
    if wanted.strip_nulls:
        collected = f"json_strip_nulls({collected})"
    if one:
        return f"coalesce({collected} -> 0, 'null')::text"
    return f"coalesce({collected}, '[]')::text"


def read(query: Query, relation: Relation, catalogue: Catalogue, wanted: Wanted) -> Compiled:
    """GET and HEAD of a relation."""
    root = plan(query, relation, catalogue, relation.name, rows_max=wanted.rows_max)
    parameters = Parameters()
    limits = f" limit {parameters.limit()} offset {parameters.offset()}"
    rows = select_sql(root, parameters, limits=limits)
    counted, total = _counted(root, parameters, wanted)
    sql = (
        f"with pgrst_source as ({rows}){counted}"
        f" select {total}, count({ROWS}), {body_sql(wanted)}, {SETTINGS}, null::int, {NO_LOCATION}"
        f" from (select * from pgrst_source) as {ROWS}"
    )
    explain = None
    if wanted.count in ("planned", "estimated"):
        guessed = Parameters()
        explain = finished(f"explain (format json) {count_sql(root, guessed)}", guessed)
    return Compiled(finished(sql, parameters), explain)


def _counted(root: Node, parameters: Parameters, wanted: Wanted) -> tuple[str, str]:
    if wanted.count not in ("exact", "estimated"):
        return "", "null::bigint"
    # An estimate is only asked of the planner where there are more rows than one answer may hold.
    most = f" limit {wanted.rows_max + 1:d}" if wanted.count == "estimated" else ""
    counted = f", pgrst_source_count as ({count_sql(root, parameters)}{most})"
    return counted, "(select count(*) from pgrst_source_count)"


def finished(sql: str, parameters: Parameters) -> Statement:
    """A statement with the parameters that it collected."""
    return Statement(sql, tuple(parameters.sources))


def call(
    routine: Routine,
    query: Query,
    given: Sequence[str],
    catalogue: Catalogue,
    wanted: Wanted,
    *,
    from_query: bool = False,
) -> Compiled:
    """A function, its arguments `given` taken by name from the JSON object that is the body.

    With `from_query` they came from a query string, and each is the text form of its type.
    """
    parameters = Parameters()
    named = [argument for argument in routine.arguments if argument.name in given]
    passed = ", ".join(f"{quoted(a.name)} := (args.{quoted(a.name)})::{a.sql_type}" for a in named)
    called = f"{routine.sql}({passed})"
    arguments = ""
    if named:
        types = ", ".join(f"{quoted(a.name)} {'text' if from_query else a.sql_type}" for a in named)
        arguments = f"json_to_record({parameters.body()}) as args ({types})"
    if routine.returns_row:
        return _call_rows(routine, query, catalogue, wanted, parameters, (arguments, called))
    source = f"select {called} as value{f' from {arguments}' if arguments else ''}"
    body = body_sql(wanted, f"{ROWS}.value", single=not routine.returns_set)
    total = "null::bigint" if wanted.count is None else "count(*)"
    sql = (
        f"with pgrst_source as ({source})"
        f" select {total}, count(*), {body}, {SETTINGS}, null::int, {NO_LOCATION}"
        f" from pgrst_source as {ROWS}"
    )
    return Compiled(finished(sql, parameters))


def _call_rows(
    routine: Routine,
    query: Query,
    catalogue: Catalogue,
    wanted: Wanted,
    parameters: Parameters,
    parts: tuple[str, str],
) -> Compiled:
    arguments, called = parts
    lateral = f"{arguments}, lateral " if arguments else ""
    root = plan(query, routine.rows, catalogue, "pgrst_source", rows_max=wanted.rows_max)
    limits = f" limit {parameters.limit()} offset {parameters.offset()}"
    selected = select_sql(root, parameters, source="pgrst_source", limits=limits)
    total = "null::bigint"
    if wanted.count is not None:
        total = f"(select count(*) from pgrst_source{where_sql(root, None, parameters)})"
    sql = (
        f"with pgrst_source as (select called.* from {lateral}{called} as called)"
        f" select {total}, count({ROWS}), {body_sql(wanted, single=not routine.returns_set)},"
        f" {SETTINGS}, null::int, {NO_LOCATION}"
        f" from ({selected}) as {ROWS}"
    )
    return Compiled(finished(sql, parameters))
