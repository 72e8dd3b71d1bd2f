"""Candidates that fill an aggregate ahead: a materialised view that users reach through a filter.

Pure. Looked for where a statement, or a function, counts or sums the caller's own rows.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from phasegate.advise.access import UID, Access
from phasegate.advise.candidate import LOCK_TIMEOUT, RESET, WAITS, Candidate, named
from phasegate.advise.draws import drawn
from phasegate.advise.schema import Table, quoted
from phasegate.advise.statements import Seen, written
from phasegate.advise.world import World
from phasegate.stack.database import literal


def aggregates(world: World) -> Iterator[Candidate]:
    """Aggregates over rows of each user, in a statement or a function: a view filled ahead."""
    for seen in world.statements:
        tree = seen.tree
        if seen.text not in world.found or not isinstance(tree, exp.Select) or seen.writes:
            continue
        found = world.found[seen.text]
        if len(found) != 1 or not found[0].aggregated or found[0].node is not tree:
            continue
        made = _view(world, seen, found[0], tree)
        if made is not None:
            yield made


def _view(world: World, seen: Seen, access: Access, tree: exp.Select) -> Candidate | None:
    """The view of an aggregate over one table, by the caller's own key."""
    table = access.table
    own = next(
        (e.column for e in access.compared if e.operator == "=" and UID.search(e.value)), None
    )
    others = [e for e in access.compared if not e.by_policy and e.column != own]
    if own is None or others or tree.args.get("group") is not None:
        return None
    listed = [e for e in tree.expressions if e.find(exp.AggFunc) is not None]
    if not listed or any(True for e in listed for _ in e.find_all(exp.Parameter)):
        return None
    names = [named(e.alias or f"value_{n}") for n, e in enumerate(listed, 1)]
    view = named(table.name, "by", own)
    columns = ",\n    ".join(
        f"{written(e.unalias())} as {quoted(name)}" for e, name in zip(listed, names, strict=True)
    )
    alias = quoted(access.alias)
    full = f"{quoted(table.schema)}.{quoted(view)}"
    kept = f"private.{quoted(view)}"
    before = (
        f"select {', '.join(written(e) for e in listed)}\n"
        f"from {table.qualified} as {alias}\nwhere {alias}.{quoted(own)} = (select auth.uid())"
    )
    after = f"select {', '.join(map(quoted, names))} from {full}"
    title = f"Aggregates of {table.name} kept in a materialised view"
    draw = drawn(seen, [access], world.schema, world.users, ()).sql  # fmt: skip
    asked = world.callers_of(seen)
    return Candidate(
        id=named("matview", view), kind="live aggregate", table=table.key, title=title,
        why=f"counted anew at each of {seen.calls:,} calls, {seen.mean_ms:.1f} ms each",
        technique={
            "title": title, "cost": "answers as old as the last refresh, which reads everything",
            "same_rows": False, "parameters": [],
            "needs": [named("matview", view)],
            "before": {"title": "counted live"}, "after": {"title": "materialised view"},
            "refresh": {"view": kept, "every_s": 3600.0},
        },
        files={
            "before.sql": f"-- Counted anew.\n{before}",
            "after.sql": f"-- As of the last refresh.\n{after}",
            "draw.sql": f"-- Users with rows of {table.name}.\n{draw}",
            **_view_files(table, access, own, columns, full, kept),
        },
        seen=asked, calls=seen.calls,
        covered_by=_refreshing(world, table),
    )  # fmt: skip


def _view_files(
    table: Table, access: Access, own: str, columns: str, full: str, kept: str
) -> dict[str, str]:
    """A view has no row-level security: it lies where the API does not reach, behind a filter."""
    alias = quoted(access.alias)
    index = f"{kept.rpartition('.')[2]}_key"
    return {
        "migration.sql": (
            f"-- Aggregates of {table.name}, filled ahead: a materialised view has no row-level\n"
            f"-- security, so users reach their own row of it through a view.\n-- {WAITS}\n"
            f"{LOCK_TIMEOUT}\ncreate schema if not exists private;\n"
            f"grant usage on schema private to authenticated, service_role;\n"
            f"create materialized view {kept} as\nselect {alias}.{quoted(own)},\n    {columns}\n"
            f"from {table.qualified} as {alias}\ngroup by {alias}.{quoted(own)};\n"
            f"create unique index {quoted(index)} on {kept} ({quoted(own)});\n"
            f"revoke all on {kept} from public, anon, authenticated;\n"
            f"create view {full} with (security_barrier) as\n"
            f"select * from {kept} where {quoted(own)} = (select auth.uid());\n"
            f"revoke all on {full} from public, anon;\n"
            f"grant select on {full} to authenticated, service_role;\n{RESET}"
        ),
        "undo.sql": (
            f"-- Undo: the views go.\n{LOCK_TIMEOUT}\ndrop view if exists {full};\n"
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
