"""From a planned tree to the SELECT that answers it, in the shape that PostgREST gives it.

Pure: identifiers come quoted from the catalogue, values become parameters.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are the catalogue's, values are bound.

from __future__ import annotations

from phasegate.api import errors
from phasegate.api.catalogue import quoted
from phasegate.api.query import Column, Compare, Condition, Field, In, Is, Order, Term, TextSearch
from phasegate.api.resolve import Node
from phasegate.api.statement import Parameters

_OPERATORS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "like",
    "ilike": "ilike",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
    "isdistinct": "is distinct from",
}
_TRUTHS = {
    "null": "is null",
    "not_null": "is not null",
    "true": "is true",
    "false": "is false",
    "unknown": "is unknown",
}
_SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_PATTERNS = frozenset({"like", "ilike", "match", "imatch"})

# What `::cast` may name: PostgreSQL's types and their everyday spellings. A name from a request is
# never put into a statement, so this is a list and not a quotation.
CASTS = {
    name: name
    for name in (
        *("bigint", "boolean", "bool", "bytea", "char", "date", "decimal", "float4", "float8"),
        *("int", "int2", "int4", "int8", "integer", "interval", "json", "jsonb", "numeric"),
        *("real", "smallint", "text", "time", "timestamp", "timestamptz", "uuid", "varchar"),
        *("double precision", "timestamp with time zone", "timestamp without time zone"),
    )
}


def field_sql(node: Node, field: Field, parameters: Parameters) -> str:
    """A column of `node`, or a place inside it."""
    column = node.relation.columns[node.column(field.name)]
    sql = f"{quoted(node.alias)}.{quoted(column.name)}"
    if not field.path:
        return sql
    if not column.is_json:
        sql = f"to_jsonb({sql})"
    for step in field.path:
        arrow = "->>" if step.as_text else "->"
        key = parameters.constant(step.key)
        sql += f"{arrow}{key}::int" if step.is_index else f"{arrow}{key}"
    return f"({sql})"


def _operand_type(node: Node, field: Field) -> str:
    """What a value is compared as."""
    if not field.path:
        return node.relation.columns[field.name].sql_type
    return "text" if field.path[-1].as_text else "jsonb"


def condition_sql(node: Node, condition: Condition, parameters: Parameters) -> str:
    """A filter."""
    test = condition.test
    if condition.field.name not in node.relation.columns and isinstance(test, Is):
        return _embed_is_null(node, condition, parameters)
    sql = field_sql(node, condition.field, parameters)
    kind = _operand_type(node, condition.field)
    if isinstance(test, Is):
        sql = f"{sql} {_TRUTHS[test.truth]}"
    elif isinstance(test, In):
        sql = f"{sql} = any ({parameters.elements(test.value)}::{kind}[])"
    elif isinstance(test, TextSearch):
        language = ""
        if test.language is not None:
            language = f"{parameters.text(test.language)}::regconfig, "
        search = f"{_SEARCHES[test.function]}({language}{parameters.text(test.value)})"
        left = sql if kind.endswith(('."tsvector"', ".tsvector")) else ""
        sql = f"{left or f'to_tsvector({language}{sql})'} @@ {search}"
    else:
        sql = f"{sql} {_comparison(test, kind, parameters)}"
    return f"not ({sql})" if condition.negated else sql


def _comparison(test: Compare, kind: str, parameters: Parameters) -> str:
    operator = _OPERATORS[test.operator]
    if test.operator in _PATTERNS:
        starred = test.operator in ("like", "ilike")
        operand = parameters.pattern(test.value) if starred else parameters.text(test.value)
        kind = "text"
    else:
        operand = parameters.text(test.value)
    if test.quantifier is None:
        return f"{operator} ({operand})::{kind}"
    return f"{operator} {test.quantifier} (({operand})::{kind}[])"


def _embed_is_null(node: Node, condition: Condition, parameters: Parameters) -> str:
    """`projects=is.null`: rows without such an embed; `not.is.null`: rows with one."""
    child = node.child(condition.field.name)
    if child is None or not isinstance(condition.test, Is):
        raise errors.unknown_column(node.relation.name, condition.field.name)
    wants_null = (condition.test.truth == "null") != condition.negated
    found = f"exists ({_exists(child, node, parameters)})"
    return f"not {found}" if wants_null else found


def term_sql(node: Node, term: Term, parameters: Parameters) -> str:
    """A filter, or several joined by and/or."""
    if isinstance(term, Condition):
        return condition_sql(node, term, parameters)
    joined = f" {term.operator} ".join(term_sql(node, inner, parameters) for inner in term.terms)
    return f"not ({joined})" if term.negated else f"({joined})"


def _join(child: Node, parent: Node) -> list[str]:
    if child.relationship is None:
        return []
    return [
        f"{quoted(child.alias)}.{quoted(there)} = {quoted(parent.alias)}.{quoted(here)}"
        for here, there in child.relationship.pairs
    ]


def where_sql(node: Node, parent: Node | None, parameters: Parameters, *more: str) -> str:
    """` where …`, or nothing."""
    terms = [term_sql(node, term, parameters) for term in node.where]
    joins = [] if parent is None else _join(node, parent)
    listed = [*terms, *joins, *more]
    return f" where {' and '.join(listed)}" if listed else ""


def _exists(child: Node, parent: Node, parameters: Parameters) -> str:
    inner = _inner_exists(child, parameters)
    where = where_sql(child, parent, parameters, *inner)
    return f"select from {child.relation.sql} as {quoted(child.alias)}{where}"


def _inner_exists(node: Node, parameters: Parameters) -> list[str]:
    """For each embed that rows must have: that they have one."""
    return [
        f"exists ({_exists(child, node, parameters)})"
        for child in node.children
        if child.embed is not None and child.embed.inner
    ]


def count_sql(node: Node, parameters: Parameters) -> str:
    """Every row that the filters let through, whatever the limit."""
    where = where_sql(node, None, parameters, *_inner_exists(node, parameters))
    return f"select 1 from {node.relation.sql} as {quoted(node.alias)}{where}"


def select_sql(
    node: Node,
    parameters: Parameters,
    *,
    parent: Node | None = None,
    source: str | None = None,
    limits: str = "",
) -> str:
    """The rows of `node`, each with its embeds.

    Args:
        node: the root or an embed.
        parameters: grows by what the statement binds.
        parent: of an embed.
        source: what to select from, where it is not the relation itself (quoted).
        limits: ` limit … offset …`, ready.
    """
    columns = [_column_sql(node, column, parameters) for column in node.columns]
    joins = []
    for child in node.children:
        join, selected = _embed_sql(child, node, parameters)
        joins.append(join)
        columns.extend(selected)
    order = ", ".join(_order_sql(node, term, parameters) for term in node.order)
    return (
        f"select {', '.join(columns) or 'null'}"
        f" from {source or node.relation.sql} as {quoted(node.alias)}{''.join(joins)}"
        f"{where_sql(node, parent, parameters)}"
        f"{f' order by {order}' if order else ''}{limits}"
    )


def _column_sql(node: Node, column: Column, parameters: Parameters) -> str:
    if column.field.name == "*":
        return f"{quoted(node.alias)}.*"
    sql = field_sql(node, column.field, parameters)
    if column.cast is not None:
        cast = CASTS.get(column.cast.lower())
        if cast is None:
            raise errors.unknown_type(column.cast)
        sql = f"cast({sql} as {cast})"
    name = column.alias or _last_key(column.field)
    return f"{sql} as {_output(name)}"


def _last_key(field: Field) -> str:
    keys = [step.key for step in field.path if not step.is_index]
    return keys[-1] if keys else field.name


def _output(name: str) -> str:
    """A name that the request chose for the answer, as PostgreSQL takes it.

    PostgreSQL has no parameters for names; quoting is what there is. A zero byte has no quoted
    form, so nothing from there on is kept, as in PostgREST.
    """
    return quoted(name.partition("\0")[0] or "?column?")


def _embed_sql(child: Node, parent: Node, parameters: Parameters) -> tuple[str, list[str]]:
    """The join that brings an embed, and what the parent selects of it."""
    embed, relationship = child.embed, child.relationship
    if embed is None or relationship is None:
        raise AssertionError("only the root is not an embed")
    rows = quoted(f"{child.alias}_rows")
    limits = _embed_limits(child)
    inner = select_sql(child, parameters, parent=parent, limits=limits)
    join = "inner" if embed.inner else "left"
    empty = not embed.items and not embed.spread
    if relationship.to_one:
        if embed.spread:
            selected = [f"{rows}.{_output(name)}" for name in _outputs(child)]
        else:
            selected = [f"row_to_json({rows}.*)::jsonb as {_output(embed.name)}"]
        return f" {join} join lateral ({inner}) as {rows} on true", [] if empty else selected
    collected = f"select json_agg({rows})::jsonb as {rows} from ({inner}) as {rows}"
    condition = f"{rows} is not null" if embed.inner else "true"
    selected = [f"coalesce({rows}.{rows}, '[]') as {_output(embed.name)}"]
    join_sql = f" {join} join lateral ({collected}) as {rows} on {condition}"
    return join_sql, [] if empty else selected


def _outputs(node: Node) -> list[str]:
    """The names under which a spread embed's columns appear."""
    names: list[str] = []
    for column in node.columns:
        if column.field.name == "*":
            names.extend(node.relation.columns)
        else:
            names.append(column.alias or _last_key(column.field))
    names.extend(child.embed.name for child in node.children if child.embed and child.embed.items)
    return names


def _embed_limits(node: Node) -> str:
    """Numbers that were parsed as such; they belong to the shape."""
    limit = "" if node.limit is None else f" limit {node.limit:d}"
    return f"{limit} offset {node.offset:d}" if node.offset else limit


def _order_sql(node: Node, term: Order, parameters: Parameters) -> str:
    if term.relation is None:
        sql = field_sql(node, term.field, parameters)
    else:
        child = node.child(term.relation)
        if child is None or term.field.name not in _outputs(child):
            raise errors.unknown_column(term.relation, term.field.name)
        sql = f"{quoted(f'{child.alias}_rows')}.{quoted(term.field.name)}"
    direction = f" {term.direction}" if term.direction else ""
    nulls = f" nulls {term.nulls}" if term.nulls else ""
    return f"{sql}{direction}{nulls}"
