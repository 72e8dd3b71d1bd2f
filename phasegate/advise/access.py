"""What a statement does with each table: what it compares, sorts by, joins, counts. Pure.

Takes sqlglot's tree of a statement; PostgREST's shape (a CTE, LATERAL joins, json_agg) is one like
any other, since every SELECT in it is looked at by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlglot import exp

from phasegate.advise.schema import Schema, Table
from phasegate.advise.statements import Seen, parsed, written

Operator = Literal["=", "any", "<", ">", "null", "not null", "like", "@>", "&&", "?", "@@", "near"]

_OPERATORS: dict[type, Operator] = {
    exp.EQ: "=",
    exp.GT: ">",
    exp.GTE: ">",
    exp.LT: "<",
    exp.LTE: "<",
    exp.Like: "like",
    exp.ILike: "like",
    exp.ArrayContainsAll: "@>",
    exp.ArrayOverlaps: "&&",
    exp.JSONBContainsTopKey: "?",
    exp.JSONBContainsAnyTopKeys: "?",
    exp.MatchAgainst: "@@",
}
_FLIPPED: dict[Operator, Operator] = {"<": ">", ">": "<"}
NEAR: dict[type, str] = {exp.Distance: "l2", exp.NullSafeEQ: "cosine"}
"""`<->` and `<=>` of pgvector, as sqlglot reads them, and their operator classes."""

UID = re.compile(r"auth\s*\.\s*uid\s*\(|current_setting", re.IGNORECASE)


@dataclass(frozen=True)
class Compared:
    """A condition on a column."""

    column: str
    operator: Operator
    value: str = ""
    """The other side as SQL; a join has `table.column`."""
    parameter: int | None = None
    """Its number, where the other side is one."""
    joined: bool = False
    by_policy: bool = False


@dataclass(frozen=True)
class Access:
    """One table in one SELECT, UPDATE or DELETE."""

    table: Table
    alias: str
    node: exp.Expr = field(repr=False, compare=False)
    compared: tuple[Compared, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    """Columns and whether descending; empty where it sorts by anything else too."""
    near: tuple[str, str] | None = None
    """The vector column whose distance it sorts by, and by which distance."""
    starred: bool = False
    selected: tuple[str, ...] = ()
    aggregated: bool = False

    @property
    def asked(self) -> frozenset[str]:
        """Columns that rows are chosen or sorted by."""
        return frozenset((*(each.column for each in self.compared), *dict(self.order)))

    def columns(self, *operators: Operator, policy: bool = True) -> tuple[str, ...]:
        """Those compared in one of these ways, each once; by its policies too, unless not asked."""
        found = (
            each.column
            for each in self.compared
            if each.operator in operators and (policy or not each.by_policy)
        )
        return tuple(dict.fromkeys(found))


def accesses(seen: Seen, schema: Schema) -> tuple[Access, ...]:
    """Every table that the statement reads or changes, once for each place; policies included."""
    tree = seen.tree
    if tree is None:
        return ()
    found: list[Access] = []
    for node in tree.find_all(exp.Select, exp.Update, exp.Delete):
        found.extend(_of(node, schema))
    return tuple(found)


def _sources(node: exp.Expr) -> Iterator[exp.Table]:
    if isinstance(node, exp.Select):
        from_ = node.args.get("from_")
        if from_ is not None and isinstance(from_.this, exp.Table):
            yield from_.this
    elif isinstance(node.this, exp.Table):
        yield node.this
    for join in node.args.get("joins") or ():
        if isinstance(join.this, exp.Table):
            yield join.this


def _of(node: exp.Expr, schema: Schema) -> Iterator[Access]:
    tables = {
        source.alias_or_name: table
        for source in _sources(node)
        if (table := schema.find(source.name, source.db)) is not None
    }
    conditions = list(_conditions(node))
    for alias, table in tables.items():
        compared = [
            found for each in conditions if (found := _compared(each, alias, table, tables))
        ]
        # A join leads to this table where something else already chose rows of the other one.
        own = [each for each in compared if not each.joined]
        joined = [each for each in compared if each.joined]
        order, near = _order(node, alias, table, tables)
        star, selected = _selected(node, alias, table, tables)
        access = Access(
            table, alias, node, (*own, *joined), order, near, star, selected,
            _aggregates(node),
        )  # fmt: skip
        yield replace(access, compared=(*access.compared, *_by_policy(table, access)))


def _conditions(node: exp.Expr) -> Iterator[exp.Expr]:
    where = node.args.get("where")
    trees = [where.this] if where is not None else []
    trees += [join.args["on"] for join in node.args.get("joins") or () if join.args.get("on")]
    for tree in trees:
        yield from conjuncts(tree)


def conjuncts(tree: exp.Expr) -> Iterator[exp.Expr]:
    """What must hold all together."""
    tree = tree.unnest()
    if isinstance(tree, exp.And):
        yield from conjuncts(tree.left)
        yield from conjuncts(tree.right)
    else:
        yield tree


def _column(
    tree: exp.Expr | None, alias: str, table: Table, tables: dict[str, Table]
) -> str | None:
    """The column of `table` that an expression is, without casts; None where it is another's."""
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if not isinstance(tree, exp.Column) or tree.name not in table.columns:
        return None
    if tree.table:
        return tree.name if tree.table == alias else None
    others = [name for name, other in tables.items() if tree.name in other.columns]
    return tree.name if others == [alias] else None


def _parameter(tree: exp.Expr) -> int | None:
    found = list(tree.find_all(exp.Parameter))
    if len(found) == 1 and not any(True for _ in tree.find_all(exp.Column)):
        return int(found[0].name)
    return None


def _compared(
    tree: exp.Expr, alias: str, table: Table, tables: dict[str, Table]
) -> Compared | None:
    negated = isinstance(tree, exp.Not)
    inner = tree.this.unnest() if isinstance(tree, exp.Not) else tree

    def column(side: exp.Expr | None) -> str | None:
        return _column(side, alias, table, tables)

    if isinstance(inner, exp.Is):
        name = column(inner.this)
        if name and isinstance(inner.expression, exp.Null):
            return Compared(name, "not null" if negated else "null")
        return None
    if negated:
        return None
    if isinstance(inner, exp.In):
        name = column(inner.this)
        listed = inner.expressions
        number = _parameter(listed[0]) if len(listed) == 1 else None
        return Compared(name, "any", parameter=number) if name else None
    if isinstance(inner, exp.Between):
        name = column(inner.this)
        return Compared(name, ">", written(inner.args["low"])) if name else None
    if isinstance(inner, exp.Operator):
        kind = {"=": exp.EQ, ">": exp.GT, "<": exp.LT}.get(str(inner.args["operator"])[-1:])
        if kind is None:
            return None
        inner = kind(this=inner.this, expression=inner.expression)
    operator = _OPERATORS.get(type(inner))
    return None if operator is None else _sided(inner, operator, column, tables)


def _sided(
    tree: exp.Expr,
    operator: Operator,
    column: Callable[[exp.Expr | None], str | None],
    tables: dict[str, Table],
) -> Compared | None:
    left, right = tree.args.get("this"), tree.args.get("expression")
    if isinstance(tree, exp.MatchAgainst):
        right, left = tree.this, (tree.expressions or [None])[0]
        if column(left) is None:
            left, right = right, left
    name, other = column(left), right
    if name is None and column(right) is not None:
        name, other, operator = column(right), left, _FLIPPED.get(operator, operator)
    if name is None or other is None:
        return None
    other = other.unnest()
    if isinstance(other, exp.Any):
        return Compared(name, "any", written(other), _parameter(other))
    joined = isinstance(other, exp.Column) and (
        other.table in tables or any(other.name in each.columns for each in tables.values())
    )
    if isinstance(other, exp.Column) and column(other) is not None:
        return None  # of the same row
    return Compared(name, operator, written(other), _parameter(other), joined=joined)


def _order(
    node: exp.Expr, alias: str, table: Table, tables: dict[str, Table]
) -> tuple[tuple[tuple[str, bool], ...], tuple[str, str] | None]:
    order = node.args.get("order")
    if order is None or not isinstance(node, exp.Select):
        return (), None
    names: list[tuple[str, bool]] = []
    for term in order.expressions:
        kind = NEAR.get(type(term.this))
        if kind is not None:
            near = _column(term.this.this, alias, table, tables)
            return (), (near, kind) if near else None
        name = _column(term.this, alias, table, tables)
        if name is None:
            return (), None
        names.append((name, bool(term.args.get("desc"))))
    return tuple(names), None


def _selected(
    node: exp.Expr, alias: str, table: Table, tables: dict[str, Table]
) -> tuple[bool, tuple[str, ...]]:
    if not isinstance(node, exp.Select):
        return False, ()
    starred, names = False, []
    for each in node.expressions:
        inner = each.unalias()
        if isinstance(inner, exp.Star):
            starred = True
        elif isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star):
            starred = starred or inner.table == alias
        names += [
            name
            for column in each.find_all(exp.Column)
            if (name := _column(column, alias, table, tables))
        ]
    return starred, tuple(dict.fromkeys(names))


def _aggregates(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Select):
        return False
    return node.args.get("group") is not None or any(
        each.find(exp.AggFunc) is not None
        and not isinstance(each.find(exp.AggFunc), exp.JSONArrayAgg)
        for each in node.expressions
    )


def _by_policy(table: Table, made: Access) -> Iterator[Compared]:
    """What row-level security adds, where one policy alone speaks of such reads."""
    if not table.guarded:
        return
    commands: dict[type, str] = {exp.Update: "update", exp.Delete: "delete"}
    command = commands.get(type(made.node), "select")
    asked = [
        policy
        for policy in table.policies
        if policy.permissive and policy.command in ("all", command)
    ]
    if len(asked) != 1 or not asked[0].using:
        return
    tree = parsed(f"select 1 where {asked[0].using}")
    where = tree.args.get("where") if tree is not None else None
    known = {each.column for each in made.compared if each.operator == "="}
    for each in conjuncts(where.this) if where is not None else ():
        found = _compared(each, table.name, table, {table.name: table})
        if found and found.operator == "=" and not found.joined and found.column not in known:
            yield replace(found, by_policy=True)
