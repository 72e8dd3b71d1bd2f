"""From a POST, PATCH or DELETE to the one statement that makes the change and answers.

Pure; the counterpart of `api.compiler` for what changes rows.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are the catalogue's, values are bound.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from phasegate.api import errors
from phasegate.api.catalogue import Catalogue, Relation, quoted
from phasegate.api.compiler import NO_LOCATION, ROWS, SETTINGS, Compiled, Wanted, body_sql, finished
from phasegate.api.query import Query
from phasegate.api.resolve import Node, only_root, plan
from phasegate.api.sql_select import select_sql, term_sql, where_sql
from phasegate.api.statement import Parameters

INSERTED = "nullif(current_setting('pgrst.inserted', true), '')::int"
_TARGET = "pgrst_target"
_SOURCE = "pgrst_source"


@dataclass(frozen=True, slots=True)
class Change:
    """What a POST, PATCH or PUT brings, beside its query."""

    columns: tuple[str, ...]
    """Keys of the payload, or `columns=`."""
    is_array: bool
    resolution: Literal["merge", "ignore"] | None = None
    use_defaults: bool = False
    """`Prefer: missing=default`: a column that an element lacks takes its default, not null."""
    returning: bool = False
    location: bool = False
    """`Prefer: return=headers-only`: a Location header for one new row."""
    only_named: bool = False
    """PUT: the payload is the row that the filters name, or nothing is done."""


def insert(
    query: Query, relation: Relation, catalogue: Catalogue, wanted: Wanted, change: Change
) -> Compiled:
    """POST: new rows, or, with a resolution, rows that may be there already.

    PUT, with `Change.only_named`: the one row that the filters name by its key.
    """
    parameters = Parameters()
    columns = _known(relation, change.columns)
    listed = ", ".join(quoted(column) for column in columns)
    rows = _rows_of_body(relation, columns, change, parameters)
    conflict = _on_conflict(query, relation, columns, change)
    conditions = []
    if conflict and change.resolution == "merge":
        conditions.append(_count_inserted("+"))
    if change.only_named:
        named = plan(query, relation, catalogue, "body", rows_max=wanted.rows_max)
        conditions.extend(term_sql(named, term, parameters) for term in named.where)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    target = f"{relation.sql} as {quoted(_TARGET)}{f' ({listed})' if listed else ''}"
    chosen = ", ".join(f"body.{quoted(column)}" for column in columns)
    sql = f"insert into {target} select {chosen} from {rows}{where}{conflict}"
    return _changed(sql, query, relation, catalogue, wanted, change, parameters)


def update(
    query: Query, relation: Relation, catalogue: Catalogue, wanted: Wanted, change: Change
) -> Compiled:
    """PATCH: the rows that the filters let through."""
    parameters = Parameters()
    columns = _known(relation, change.columns)
    target = _target(query, relation, catalogue, wanted)
    if not columns:  # an empty object changes nothing, and `update … set` wants something
        sql = f"select {quoted(_TARGET)}.* from {relation.sql} as {quoted(_TARGET)} where false"
        unchanged = "" if change.returning else "select 1 where false"
        return _answered(unchanged or sql, query, relation, catalogue, wanted, change, parameters)
    rows = _rows_of_body(relation, columns, change, parameters)
    assigned = ", ".join(f"{quoted(column)} = body.{quoted(column)}" for column in columns)
    where = where_sql(target, None, parameters)
    sql = f"update {relation.sql} as {quoted(_TARGET)} set {assigned} from {rows}{where}"
    return _changed(sql, query, relation, catalogue, wanted, change, parameters)


def delete(
    query: Query, relation: Relation, catalogue: Catalogue, wanted: Wanted, change: Change
) -> Compiled:
    """DELETE: the rows that the filters let through."""
    parameters = Parameters()
    where = where_sql(_target(query, relation, catalogue, wanted), None, parameters)
    sql = f"delete from {relation.sql} as {quoted(_TARGET)}{where}"
    return _changed(sql, query, relation, catalogue, wanted, change, parameters)


def _target(query: Query, relation: Relation, catalogue: Catalogue, wanted: Wanted) -> Node:
    return plan(query, relation, catalogue, _TARGET, rows_max=wanted.rows_max)


def _known(relation: Relation, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in relation.columns:
            raise errors.unknown_payload_column(relation.name, name)
    return tuple(names)


def _rows_of_body(
    relation: Relation, columns: Sequence[str], change: Change, parameters: Parameters
) -> str:
    """The payload as rows named `body`, taken apart by PostgreSQL."""
    payload = parameters.body()
    if not columns:  # `{}` or `[{}, {}]`: rows of defaults
        each = f"json_array_elements({payload})" if change.is_array else f"(select {payload})"
        return f"{each} as body"
    types = ", ".join(f"{quoted(name)} {relation.columns[name].sql_type}" for name in columns)
    one_or_many = "recordset" if change.is_array else "record"
    if not change.use_defaults:
        return f"json_to_{one_or_many}({payload}) as body ({types})"
    defaults = ", ".join(
        f"{parameters.constant(name)}, {relation.columns[name].default}"
        for name in columns
        if relation.columns[name].default is not None
    )
    filled = f"jsonb_build_object({defaults})"
    if change.is_array:
        each = f"select jsonb_agg({filled} || element) from jsonb_array_elements({payload}::jsonb)"
        return f"jsonb_to_recordset(({each} as element)) as body ({types})"
    return f"jsonb_to_record({filled} || {payload}::jsonb) as body ({types})"


def _count_inserted(sign: Literal["+", "-"]) -> str:
    """A condition that always holds, and counts: what is inserted plus, what is updated minus."""
    never = "0" if sign == "+" else "-1"
    counter = f"(coalesce({INSERTED}, 0) {sign} 1)::text"
    return f"set_config('pgrst.inserted', {counter}, true) <> '{never}'"


def _on_conflict(query: Query, relation: Relation, columns: Sequence[str], change: Change) -> str:
    if change.resolution is None:
        return ""
    keys = query.on_conflict or relation.primary_key
    if not keys:
        return ""
    for key in keys:
        if key not in relation.columns:
            raise errors.unknown_column(relation.name, key)
    listed = ", ".join(quoted(key) for key in keys)
    if change.resolution == "ignore" or not columns:
        return f" on conflict ({listed}) do nothing"
    assigned = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in columns)
    return f" on conflict ({listed}) do update set {assigned} where {_count_inserted('-')}"


def _changed(
    sql: str,
    query: Query,
    relation: Relation,
    catalogue: Catalogue,
    wanted: Wanted,
    change: Change,
    parameters: Parameters,
) -> Compiled:
    everything = change.returning or change.location
    returning = f"{quoted(_TARGET)}.*" if everything else "1"
    source = f"{sql} returning {returning}"
    return _answered(source, query, relation, catalogue, wanted, change, parameters)


def _answered(
    source: str,
    query: Query,
    relation: Relation,
    catalogue: Catalogue,
    wanted: Wanted,
    change: Change,
    parameters: Parameters,
) -> Compiled:
    """The changed rows, with embeds where they are asked for."""
    selected, body = f"select * from {_SOURCE}", "''"
    if change.returning:
        root = plan(only_root(query), relation, catalogue, _SOURCE, rows_max=wanted.rows_max)
        selected = select_sql(root, parameters, source=_SOURCE)
        body = body_sql(wanted)
    inserted = INSERTED if change.resolution == "merge" else "null::int"
    location = _location(relation) if change.location else NO_LOCATION
    sql = (
        f"with {_SOURCE} as ({source})"
        f" select null::bigint, count({ROWS}), {body}, {SETTINGS}, {inserted}, {location}"
        f" from ({selected}) as {ROWS}"
    )
    return Compiled(finished(sql, parameters))


def _location(relation: Relation) -> str:
    """`id=eq.1&…` of the one new row."""
    if not relation.primary_key:
        return NO_LOCATION
    columns = " || '&' || ".join(
        f"'{name.replace(chr(39), chr(39) * 2)}=eq.' || s.{quoted(name)}::text"
        for name in relation.primary_key
    )
    return f"case when count({ROWS}) = 1 then (select {columns} from {_SOURCE} as s limit 1) end"
