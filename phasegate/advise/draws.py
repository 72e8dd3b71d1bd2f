"""Parameters of a statement, drawn from the population by the column that each is compared with.

Writes the text of a technique's `draw.sql`. A column's value comes from a row of the statement's
own table, and so does the user who may see that row: along the foreign keys to the table of
registered users. What is compared with no column (a limit, words to search for, a body) takes the
values that the project's own sessions sent to our copy; of a foreign database, plain defaults.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from phasegate.advise.access import Access, Compared
from phasegate.advise.schema import Schema, Table, quoted
from phasegate.advise.statements import Seen, is_json
from phasegate.stack.database import literal

DRAWS = 512
# A page of a list: what a limit is where nobody saw one.
PAGE_ROWS = 20
AROUND = {"timestamp": "interval '7 days'", "date": "7"}

# What stands for a value that nobody saw, by type as the driver names it; text is empty.
DEFAULTS = {
    "bool": "true", "json": "[]", "jsonb": "[]", "int8": "1", "int4": "1", "int2": "1",
    "numeric": "1", "float8": "1", "float4": "1", "regconfig": "simple", "date": "today",
    "timestamptz": "now", "uuid": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip


@dataclass(frozen=True)
class Users:
    """Where registered users are."""

    table: str
    """As `Schema.tables` names it."""
    key: str


@dataclass(frozen=True)
class Step:
    """From one table to the next on the way to the users."""

    table: str
    columns: tuple[tuple[str, str], ...]
    """Here and there."""
    many: bool
    """Whether there may be several rows there for one here."""


def path_to_users(schema: Schema, table: str, users: Users) -> list[Step] | None:
    """The shortest way along foreign keys, up or down; None where there is none."""
    if table == users.table:
        return []
    came: dict[str, tuple[str, Step]] = {}
    queue = deque([table])
    while queue:
        here = queue.popleft()
        for step in _steps(schema, here):
            if step.table in came or step.table == table:
                continue
            came[step.table] = (here, step)
            if step.table == users.table:
                way: list[Step] = []
                at = users.table
                while at != table:
                    before, taken = came[at]
                    way.append(taken)
                    at = before
                return way[::-1]
            queue.append(step.table)
    return None


def _steps(schema: Schema, here: str) -> list[Step]:
    """First the rows that a row belongs to, then those that belong to it."""
    up = [
        Step(key.target, tuple(zip(key.columns, key.target_columns, strict=True)), False)
        for key in schema.tables[here].foreign
        if key.target in schema.tables
    ]
    down = [
        Step(other.key, tuple(zip(key.target_columns, key.columns, strict=True)), True)
        for other in schema.tables.values()
        for key in other.foreign
        if key.target == here and other.key != here
    ]
    return [*up, *down]


def rows_of(schema: Schema, table: Table, users: Users, columns: Mapping[str, str]) -> str:
    """A query of drawn rows: `sub` and the named expressions over the row `r`."""
    way = path_to_users(schema, table.key, users)
    listed = "".join(f",\n    {sql} as {quoted(name)}" for name, sql in columns.items())
    sample = (
        f"(\n    select * from {table.qualified} tablesample bernoulli ((\n"
        f"        select least(100, 400.0 * {DRAWS} / greatest(reltuples, 1))\n"
        f"        from pg_class where oid = {literal(table.qualified)}::regclass\n"
        f"    )) repeatable (1)\n) as r"
    )
    if table.partitioned:  # whose own entry knows of no rows
        sample = sample.replace("from pg_class where oid = ", "from pg_class where 0 < ")
        sample = f"(select * from {table.qualified} limit {100 * DRAWS}) as r"
    who = schema.tables[users.table]
    own = _own_column(table, who.columns[users.key].type)
    if way is None and own:
        return _query(f"r.{quoted(own)}", listed, sample, f"where r.{quoted(own)} is not null")
    if way is None:
        # Anybody may see them, or nobody: rows and users are paired as they come.
        sample = (
            "(select s.*, row_number() over (order by md5(s::text)) as nth_row"
            f" from {sample[:-5]} as s) as r"
        )
        joins = (
            f"join (\n    select {quoted(users.key)}, row_number() over () as nth_user from (\n"
            f"        select {quoted(users.key)} from {who.qualified}"
            f" order by md5({quoted(users.key)}::text) limit {DRAWS}\n    ) as a\n"
            ") as u on u.nth_user = r.nth_row"
        )
        return _query(f"u.{quoted(users.key)}", listed, sample, joins)
    joins, at = "", "r"
    for number, step in enumerate(way):
        name = f"s{number}"
        where = " and ".join(f"o.{quoted(there)} = {at}.{quoted(h)}" for h, there in step.columns)
        joins += (
            f"join lateral (select * from {schema.tables[step.table].qualified} as o"
            f" where {where} limit 1) as {name} on true\n"
        )
        at = name
    return _query(f"{at}.{quoted(users.key)}", listed, sample, joins.rstrip())


def _own_column(table: Table, kind: str) -> str:
    """The column that a policy compares with the caller's key; empty where none does."""
    for policy in table.policies:
        for column in table.columns.values():
            said = rf"\b{re.escape(column.name)} = \(*\s*(select )?auth\.uid\(\)"
            if column.type == kind and re.search(said, policy.using or "", re.IGNORECASE):
                return column.name
    return ""


def _query(sub: str, listed: str, sample: str, joins: str) -> str:
    return (
        f"select {sub}::text as sub{listed}\nfrom {sample}\n{joins}\n"
        f"order by md5(r::text)\nlimit {DRAWS}"
    )  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """How a statement's parameters come about."""

    sql: str
    """The text of `draw.sql`."""
    names: tuple[str, ...]
    """Its columns, in the order of $1, $2, …"""


def drawn(
    seen: Seen,
    found: Sequence[Access],
    schema: Schema,
    users: Users,
    types: Sequence[str],
    *,
    prefix: str = "p",
    extra: Mapping[str, str] | None = None,
) -> Drawn:
    """The draw of `seen`.

    Args:
        seen: the statement.
        found: its accesses.
        schema: what there is.
        users: where registered users are.
        types: of its parameters, as the server prepared it.
        prefix: of the columns' names.
        extra: more columns, as expressions over the row `r`.
    """
    main = _main(found, seen, schema) or schema.tables[users.table]
    names = tuple(f"{prefix}{number}" for number in range(1, len(types) + 1))
    columns = {
        name: _expression(number, seen, found, main, types, schema)
        for number, name in enumerate(names, 1)
    }
    return Drawn(rows_of(schema, main, users, {**columns, **(extra or {})}), names)


def _main(found: Sequence[Access], seen: Seen, schema: Schema) -> Table | None:
    """The table whose columns most parameters are compared with; else the first."""
    counted = {
        access.table.key: sum(each.parameter is not None for each in access.compared)
        for access in reversed(found)
    }
    most = max(counted, key=lambda key: counted[key], default=None)
    if most is not None:
        return schema.tables[most]
    insert = seen.tree.find(exp.Insert) if seen.tree is not None else None
    table = insert.find(exp.Table) if insert is not None else None
    return schema.find(table.name, table.db) if table is not None else None


def _expression(
    number: int,
    seen: Seen,
    found: Sequence[Access],
    main: Table,
    types: Sequence[str],
    schema: Schema,
) -> str:
    known = tuple(dict.fromkeys(v[number - 1] for v in seen.values if len(v) >= number))
    for access in found:
        for each in access.compared:
            if each.parameter == number and each.operator in ("=", "any", "<", ">"):
                if each.operator == "=" or not known:
                    return _of_column(each, access, main)
                break
    if known:
        return _inserted(number, seen, known, schema) or _one_of(known)
    for access in found:
        for each in access.compared:
            if each.parameter == number:
                return _of_column(each, access, main)
    return _default(number, seen, types)


def _of_column(each: Compared, access: Access, main: Table) -> str:
    column = access.table.columns[each.column]
    value = f"r.{quoted(each.column)}"
    if access.table.key != main.key:
        value = (
            f"(select o.{quoted(each.column)} from {access.table.qualified} as o"
            f" where o.{quoted(each.column)} is not null limit 1)"
        )
    around = next((by for kind, by in AROUND.items() if column.type.startswith(kind)), "")
    if each.operator == "any":
        return f"array[{value}]::text"
    if each.operator in ("<", ">") and around:
        return f"({value} {'+' if each.operator == '<' else '-'} {around})::text"
    if each.operator == "@@":
        return f"coalesce((tsvector_to_array({value}))[1], 'a')"
    if each.operator == "@>":
        if column.is_array:
            return f"(({value})[1:1])::text"
        return (
            f"coalesce((select jsonb_build_object(key, value) from jsonb_each({value})"
            " limit 1), '{}')::text"
        )
    if each.operator == "&&":
        return f"(({value})[1:1])::text"
    if each.operator == "like":
        return f"left({value}::text, 4) || '%'"
    return f"{value}::text"


def _one_of(values: Sequence[str | None]) -> str:
    shown = ["null" if value is None else literal(value) for value in values]
    if len(set(shown)) == 1:
        return f"{shown[0]}::text"
    listed = ", ".join(shown)
    return f"(array[{listed}]::text[])[1 + mod(row_number() over (), {len(shown)})]"


def _inserted(number: int, seen: Seen, known: Sequence[str | None], schema: Schema) -> str | None:
    """A body for an INSERT: as it was sent, but its references those of the drawn row."""
    insert = seen.tree.find(exp.Insert) if seen.tree is not None else None
    into = insert.find(exp.Table) if insert is not None else None
    table = schema.find(into.name, into.db) if into is not None else None
    template = next((value for value in known if is_json(value)), None)
    if table is None or template is None:
        return None
    body = json.loads(template)
    keys = {column for key in table.foreign for column in key.columns}
    parts = []
    for name, value in body.items():
        sent = f"{literal(json.dumps(value))}::jsonb"
        parts.append(literal(name))
        parts.append(f"to_jsonb(r.{quoted(name)})" if name in keys else sent)
    return f"jsonb_build_object({', '.join(parts)})::text" if parts else "'{}'"


def _default(number: int, seen: Seen, types: Sequence[str]) -> str:
    if seen.tree is not None:
        for limit in seen.tree.find_all(exp.Limit):
            if any(int(p.name) == number for p in limit.find_all(exp.Parameter)):
                return f"'{PAGE_ROWS}'::text"
        for offset in seen.tree.find_all(exp.Offset):
            if any(int(p.name) == number for p in offset.find_all(exp.Parameter)):
                return "'0'::text"
    return f"{literal(DEFAULTS.get(types[number - 1], ''))}::text"
