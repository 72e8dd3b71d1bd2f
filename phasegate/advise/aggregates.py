"""Candidates that fill an aggregate ahead: a materialised view that users reach through a filter.

Pure. Looked for where a statement, or a function, counts or sums the caller's own rows. The body of
a function is put in terms of the view, so that no client need know of it; a client that counts for
itself must ask the view instead.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from phasegate.advise.access import UID, Access
from phasegate.advise.candidate import LOCK_TIMEOUT, RESET, WAITS, Candidate, named
from phasegate.advise.draws import drawn
from phasegate.advise.schema import Function, Table, quoted
from phasegate.advise.statements import Seen, parsed, written
from phasegate.advise.world import World
from phasegate.stack.database import literal

Names = dict[str, str]
"""Of the view's columns, by the aggregate that each keeps, as SQL."""


def aggregates(world: World) -> Iterator[Candidate]:
    """Aggregates over rows of each user, in a statement or a function: a view filled ahead."""
    for seen in world.statements:
        tree = seen.tree
        if seen.text not in world.found or not isinstance(tree, exp.Select) or seen.writes:
            continue
        found = world.found[seen.text]
        if len(found) != 1 or not found[0].aggregated or found[0].node is not tree:
            continue
        view = _view(world, seen, found[0], tree)
        if view is not None:
            yield _candidate(world, seen, found[0], view)


@dataclass(frozen=True)
class View:
    """What is filled ahead."""

    table: Table
    alias: str
    own: str
    """Column of the caller's key."""
    names: Names
    function: Function | None
    """Whose body counts now; None where a client does."""

    @property
    def name(self) -> str:
        """Of the view, without its schema."""
        return named(self.table.name, "by", self.own)

    @property
    def full(self) -> str:
        """The view in front that shows each user their own row, as SQL has it."""
        return f"{quoted(self.table.schema)}.{quoted(self.name)}"

    @property
    def kept(self) -> str:
        """The materialised view, as SQL has it."""
        return f"private.{quoted(self.name)}"


def _view(world: World, seen: Seen, access: Access, tree: exp.Select) -> View | None:
    """The view of an aggregate over one table, by the caller's own key."""
    own = next(
        (e.column for e in access.compared if e.operator == "=" and UID.search(e.value)), None
    )
    others = [e for e in access.compared if not e.by_policy and e.column != own]
    if own is None or others or tree.args.get("group") is not None:
        return None
    found = _aggregates_of(tree)
    if not found or any(True for e in found for _ in e.find_all(exp.Parameter)):
        return None
    function = None if seen.top else _sending(world, tree)
    named_by = function.argument_names if function and not function.argument_count else ()
    if len(named_by) != len(tree.expressions):
        named_by = tuple(e.alias for e in tree.expressions)
    said = {id(e.unalias()): name for e, name in zip(tree.expressions, named_by, strict=True)}
    names: Names = {}
    for number, each in enumerate(found, 1):
        names.setdefault(written(each), named(said.get(id(each)) or f"value_{number}"))
    if len({*names.values(), own}) <= len(names):
        names = {text: f"value_{number}" for number, text in enumerate(names, 1)}
    return View(access.table, access.alias, own, names, function)


def _aggregates_of(tree: exp.Expr) -> list[exp.Expr]:
    """Each with its FILTER; none where one stands in a window or in a query of its own."""
    found: list[exp.Expr] = []
    for each in tree.find_all(exp.AggFunc):
        if each.find_ancestor(exp.Select) is not tree or each.find_ancestor(exp.Window):
            return []
        if each.find_ancestor(exp.AggFunc) is None:
            outer = each.parent
            found.append(outer if isinstance(outer, exp.Filter | exp.WithinGroup) else each)
    return found


def _sending(world: World, tree: exp.Expr) -> Function | None:
    """The function whose body is this statement, constants apart."""
    wanted = _without_constants(tree)
    for function in world.schema.functions.values():
        body = parsed(function.body)
        known = isinstance(body, exp.Select) and function.body in function.definition
        if known and body is not None and _without_constants(body) == wanted:
            return function
    return None


def _without_constants(tree: exp.Expr) -> str:
    """What `pg_stat_statements` has in common with the text that it was made of."""
    plain = tree.copy()
    for each in list(plain.find_all(exp.Literal, exp.Parameter)):
        each.replace(exp.Placeholder())
    return written(plain)


def _answered(body: str, view: View) -> str:
    """A function's body that reads the view: one row also for a user whom that does not have."""
    tree = parsed(body)
    assert isinstance(tree, exp.Select)  # noqa: S101 - it was read when it was chosen
    for each in _aggregates_of(tree):
        column: exp.Expr = exp.column(quoted(view.names[written(each)]), table="kept")
        if each.find(exp.Count) is not None:
            column = exp.func("coalesce", column, exp.Literal.number(0))
        each.replace(column)
    having = tree.args.get("having")
    tree.set("having", None)
    tree.set("where", exp.Where(this=having.this) if having is not None else None)
    rows = f"select 1 from (select 1) as one left join {view.full} as kept on true"
    one = parsed(rows)
    assert one is not None  # noqa: S101 - it is written here
    tree.set("from_", one.args["from_"])
    tree.set("joins", one.args["joins"])
    return f"\n{written(tree)}\n"


def _candidate(world: World, seen: Seen, access: Access, view: View) -> Candidate:
    table, names = view.table, view.names
    alias, own = quoted(view.alias), quoted(view.own)
    before = (
        f"select {', '.join(names)}\n"
        f"from {table.qualified} as {alias}\nwhere {alias}.{own} = (select auth.uid())"
    )
    after = f"select {', '.join(map(quoted, names.values()))} from {view.full}"
    title = f"Aggregates of {table.name} kept in a materialised view"
    draw = drawn(seen, [access], world.schema, world.users, ()).sql  # fmt: skip
    id_ = named("matview", view.name)
    return Candidate(
        id=id_, kind="live aggregate", table=table.key, title=title,
        why=f"counted anew at each of {seen.calls:,} calls, {seen.mean_ms:.1f} ms each",
        technique={
            "title": title, "cost": "answers as old as the last refresh, which reads everything",
            "same_rows": False, "parameters": [], "needs": [id_],
            "before": {"title": "counted live"}, "after": {"title": "materialised view"},
            "refresh": {"view": view.kept, "every_s": 3600.0},
            "costs": [{"probe": "relation_size", "title": "view size", "relation": view.kept,
                       "of": table.qualified}],
        },
        files={
            "before.sql": f"-- Counted anew.\n{before}",
            "after.sql": f"-- As of the last refresh.\n{after}",
            "draw.sql": f"-- Users with rows of {table.name}.\n{draw}",
            **_view_files(view), **({} if view.function else {"client.sql": _asked_instead(view)}),
        },
        seen=world.callers_of(seen), calls=seen.calls,
        covered_by=_refreshing(world, table),
    )  # fmt: skip


def _asked_instead(view: View) -> str:
    return (
        "-- The migration makes the view; whoever counts must ask it instead. Over the REST API:\n"
        f"--     GET /rest/v1/{view.name}?select={','.join(view.names.values())}\n"
        "-- No row is one of nothing, for a user whom the last refresh did not see."
    )


def _view_files(view: View) -> dict[str, str]:
    """A view has no row-level security: it lies where the API does not reach, behind a filter."""
    table, kept, full, own = view.table, view.kept, view.full, quoted(view.own)
    alias, index = quoted(view.alias), quoted(f"{view.name}_key")
    columns = ",\n    ".join(f"{text} as {quoted(name)}" for text, name in view.names.items())
    readers = "authenticated, service_role"
    forward = back = ""
    if view.function is not None:
        # Whoever may call it may read what it reads: without a user the filter leaves no row.
        readers = f"anon, {readers}"
        definition = view.function.definition.strip()
        again = definition.replace(view.function.body, _answered(view.function.body, view), 1)
        forward, back = f"{again};\n", f"{definition};\n"
    return {
        "migration.sql": (
            f"-- Aggregates of {table.name}, filled ahead: a materialised view has no row-level\n"
            f"-- security, so users reach their own row of it through a view.\n-- {WAITS}\n"
            f"{LOCK_TIMEOUT}\ncreate schema if not exists private;\n"
            f"grant usage on schema private to authenticated, service_role;\n"
            f"create materialized view if not exists {kept} as\n"
            f"select {alias}.{own},\n    {columns}\n"
            f"from {table.qualified} as {alias}\ngroup by {alias}.{own};\n"
            f"create unique index if not exists {index} on {kept} ({own});\n"
            f"revoke all on {kept} from public, anon, authenticated;\n"
            f"create or replace view {full} with (security_barrier) as\n"
            f"select * from {kept} where {own} = (select auth.uid());\n"
            f"revoke all on {full} from public, anon;\n"
            f"grant select on {full} to {readers};\n{forward}analyze {kept};\n{RESET}"
        ),
        "undo.sql": (
            f"-- Undo: the views go.\n{LOCK_TIMEOUT}\n{back}drop view if exists {full};\n"
            f"drop materialized view if exists {kept};\n{RESET}"
        ),
        "present.sql": (
            f"-- Whether the view is there.\nselect to_regclass({literal(kept)}) is not null"
        ),
    }


def _refreshing(world: World, table: Table) -> str:
    for id_, folder in world.techniques.items():
        if folder.file.refresh is not None and table.name in folder.migration:
            return id_
    return ""
