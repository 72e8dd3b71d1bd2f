"""Candidates that ask in another way: N+1, OFFSET, exact counts, wide rows.

Pure. The client changes: `client.sql` says how.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from phasegate.advise.access import Access
from phasegate.advise.candidate import Candidate, named
from phasegate.advise.schema import quoted
from phasegate.advise.statements import PARAMETER, Seen, parsed, written
from phasegate.advise.world import UNFORESEEN, World

# From so many look-ups for each list on, they are made for its rows and not for their own sake.
CHILDREN_MIN = 1.0
# A column that takes more than this on average is worth leaving out of a list.
WIDE_BYTES = 200
# What an OFFSET is measured at where nobody saw one.
OFFSET_ROWS = 1000


@dataclass(frozen=True)
class Rows:
    """The SELECT that finds a statement's rows, by itself."""

    node: exp.Select
    sql: str
    """With its parameters numbered from 1."""
    numbers: tuple[int, ...]
    """Which parameter of the whole statement each of them is."""


def rows_of(node: exp.Expr) -> Rows | None:
    """`node` as a statement of its own; None where it is no SELECT."""
    if not isinstance(node, exp.Select):
        return None
    sql = written(node)
    numbers = tuple(dict.fromkeys(int(n) for n in PARAMETER.findall(sql)))
    again = {number: place for place, number in enumerate(numbers, 1)}
    return Rows(node, PARAMETER.sub(lambda m: f"${again[int(m[1])]}", sql), numbers)


def rewrites(world: World) -> Iterator[Candidate]:
    """Of every statement of a client."""
    made: dict[str, Candidate] = {}
    for seen in world.asked:
        if seen.writes:
            continue
        for look in (_one_by_one, _deep, _counted, _wide):
            try:
                for each in look(world, seen):
                    made.setdefault(each.id, each)
            except UNFORESEEN:
                continue  # of this statement; the others have their answers
    yield from made.values()


def _arms(world: World, seen: Seen, rows: Rows) -> tuple[list[str], str]:
    """Names of the drawn columns for the parameters of `rows`, and the draw."""
    drawn = world.drawn(seen)
    return [drawn.names[number - 1] for number in rows.numbers], drawn.sql


def _one_by_one(world: World, seen: Seen) -> Iterator[Candidate]:
    """N+1: a look-up by key, many times as often as a list of rows that refer to it."""
    found = world.found[seen.text]
    if len(found) != 1 or len(found[0].table.primary) != 1 or not _by_key(found[0]):
        return
    child = found[0]
    for parent in world.asked:
        if parent.writes or seen.calls < CHILDREN_MIN * parent.calls or parent is seen:
            continue
        for access in world.found[parent.text]:
            key = next((k for k in access.table.foreign if k.target == child.table.key), None)
            if key is None or _by_key(access):
                continue
            if not (access.starred or key.columns[0] in access.selected):
                continue
            made = _joined(world, parent, access, seen, child, key.columns[0])
            if made is not None:
                yield made
                return


def _by_key(access: Access) -> bool:
    """Whether it looks up one row by its primary key, and nothing else."""
    return access.columns("=", policy=False) == access.table.primary


def _joined(
    world: World, parent: Seen, access: Access, seen: Seen, child: Access, column: str
) -> Candidate | None:
    rows, each = rows_of(access.node), rows_of(child.node)
    if rows is None or each is None:
        return None
    names, draw = _arms(world, parent, rows)
    key = child.table.primary[0]
    selected = ", ".join(f"c.{quoted(name)}" for name in child.selected if name != key)
    if child.starred or not selected:
        selected = "c.*"
    by_key = (
        f"select {selected} from {child.table.qualified} as c where c.{quoted(key)} = "
        f"$1::{child.table.columns[key].type}"
    )
    times = seen.calls / max(parent.calls, 1)
    id_ = named("embed", child.table.name, "in", access.table.name)
    after = (
        f"with listed as (\n{rows.sql}\n)\n"
        f"select listed.*, to_jsonb(e) as {quoted(child.table.name)}\nfrom listed\n"
        f"left join lateral (select {selected} from {child.table.qualified} as c"
        f" where c.{quoted(key)} = listed.{quoted(column)}) as e on true"
    )
    title = f"{child.table.name} with {access.table.name} in one statement"
    return Candidate(
        id=id_, kind="N+1", table=child.table.key, title=title,
        why=f"{child.table.name} is asked for by key {times:.1f} times for each list of "
        f"{access.table.name}",
        technique={
            "title": title, "cost": "none", "parameters": names, "same_rows": False,
        },
        files={
            "before.sql": f"-- The list alone.\n{rows.sql}",
            "each.sql": f"-- Then one for each {column} in it.\n{by_key}",
            "after.sql": f"-- Both at once.\n{after}",
            "draw.sql": f"-- Parameters, drawn by the columns that they are compared with.\n{draw}",
            "client.sql": (
                "-- A change of the client, so there is no migration. Over the REST API:\n"
                f"--     GET /rest/v1/{access.table.name}?select=*,{child.table.name}(*)\n"
                "-- in place of one request for each row."
            ),
            f"bench_{id_}.py": _bench(id_, column),
        },
        seen=parent, calls=parent.calls, one_by_one=column,
    )  # fmt: skip


def _bench(id_: str, column: str) -> str:
    """Arms in Python, as a person would write them."""
    return f'''"""{id_}: a list and then a statement for each row, against one statement."""

from phasegate.compare import Answer, Arm, Compare, Connection, Parameters, Route, Via
from phasegate.compare import arms_of, declared, sql_of
from phasegate.compare.technique_folders import body_of, project_here

LIST, EACH = sql_of("{id_}", "before"), sql_of("{id_}", "each")
AFTER = sql_of("{id_}", "after")
AWAY = Route(Via.PROXY, 1.0)  # a millisecond to the server: one statement is one round trip
NAMES = project_here().technique("{id_}").file.parameters


def one_by_one(caller: Connection, drawn: Parameters) -> Answer:
    """The list, then each."""
    listed = caller.fetch(LIST, *(drawn[name] for name in NAMES))
    column = listed.column(listed.names.index("{column}"))
    for value in dict.fromkeys(value for value in column if value is not None):
        caller.fetch(EACH, value)
    return listed


TECHNIQUE = declared(
    "{id_}",
    before=Arm("one by one", LIST, one_by_one, route=AWAY),
    after=Arm("one statement", AFTER, body_of(AFTER, NAMES), route=AWAY),
)


@arms_of(TECHNIQUE)
def test_{id_}(compare: Compare, arm: str) -> None:
    """One by one against one statement."""
    compare(TECHNIQUE, arm)
'''


def _deep(world: World, seen: Seen) -> Iterator[Candidate]:
    """OFFSET: rows that are read and thrown away, against going on after the last one seen."""
    for access in world.found[seen.text]:
        offset = access.node.args.get("offset")
        if offset is None or not access.order or len({d for _, d in access.order}) > 1:
            continue
        skipped = _offset_of(seen, offset)
        rows = rows_of(access.node)
        if not skipped or rows is None or not access.table.primary:
            continue
        yield _keyset(world, seen, access, rows, skipped)


def _offset_of(seen: Seen, offset: exp.Expr) -> int:
    """The deepest that was seen; a guess where only a parameter's place is known, and 0 if none."""
    numbers = [int(p.name) for p in offset.find_all(exp.Parameter)]
    if not numbers:
        constant = offset.find(exp.Literal)
        return int(constant.name) if constant is not None and constant.is_int else 0
    sent = [v[numbers[0] - 1] for v in seen.values if len(v) >= numbers[0]]
    if sent:
        return max((int(value) for value in sent if value and value.isdigit()), default=0)
    # PostgREST always sends one, mostly 0.
    return 0 if "pgrst_source" in seen.text else OFFSET_ROWS


def _keyset(world: World, seen: Seen, access: Access, rows: Rows, skipped: int) -> Candidate:
    table, alias = access.table, quoted(access.alias)
    descending = access.order[0][1]
    keys = [name for name, _ in access.order]
    keys += [name for name in table.primary if name not in keys]
    way = "<" if descending else ">"
    n = len(rows.numbers)
    left = ", ".join(f"{alias}.{quoted(name)}" for name in keys)
    right = ", ".join(
        f"${n + place}::text::{table.columns[name].type}" for place, name in enumerate(keys, 1)
    )
    text = rows.sql
    node = parsed(text)
    assert isinstance(node, exp.Select)  # noqa: S101 - it was one before it was written out
    condition = parsed(f"select 1 where ({left}) {way} ({right})")
    if condition is not None:
        node = node.where(condition.args["where"].this)
    order = [f"{alias}.{quoted(k)}{' desc' if descending else ''}" for k in keys]
    node = node.order_by(*order, append=False, dialect="postgres")
    node.set("offset", None)
    names, draw = _arms(world, seen, rows)
    # The last row of the page before, for this user: where the next one goes on.
    own = [
        f"o.{quoted(e.column)} = r.{quoted(e.column)}" for e in access.compared
        if e.operator == "=" and not e.joined
    ]  # fmt: skip
    where = f" where {' and '.join(own)}" if own else ""
    by = ", ".join(f"o.{quoted(k)}{' desc' if descending else ''}" for k in keys)
    extra = {
        f"k{place}": f"(select o.{quoted(name)} from {table.qualified} as o{where} order by {by}"
        f" offset {max(skipped - 1, 0)} limit 1)::text"
        for place, name in enumerate(keys, 1)
    }
    draw = world.drawn(seen, extra).sql
    id_ = named("page_after", table.name, *[name for name, _ in access.order])
    title = f"Go on after the last row of {table.name}, not OFFSET {skipped:,}"
    after_sql = PARAMETER.sub(lambda m: f"${m[1]}", written(node))
    used = sorted({int(number) for number in PARAMETER.findall(after_sql)})
    again = {number: place for place, number in enumerate(used, 1)}
    after_sql = PARAMETER.sub(lambda m: f"${again[int(m[1])]}", after_sql)
    every = [*names, *extra]
    return Candidate(
        id=id_, kind="offset", table=table.key, title=title,
        why=f"a page is asked for behind {skipped:,} others' rows",
        technique={
            "title": title, "cost": "no jump to a page by its number", "same_rows": False,
            "before": {"title": f"OFFSET {skipped:,}", "parameters": names},
            "after": {"title": "after a row", "parameters": [every[number - 1] for number in used]},
        },
        files={
            "before.sql": f"-- The page by its number.\n{_fixed(rows, access, skipped, seen)}",
            "after.sql": f"-- The page after a row.\n{after_sql}",
            "draw.sql": f"-- A page's parameters, and the last row of the page before.\n{draw}",
            "client.sql": (
                "-- A change of the client, so there is no migration: send the last row's keys.\n"
                f"--     GET /rest/v1/{table.name}?{keys[0]}={'lt' if descending else 'gt'}."
                f"LAST&order={keys[0]}{'.desc' if descending else ''}"
            ),
        },
        seen=seen, calls=seen.calls,
    )  # fmt: skip


def _fixed(rows: Rows, access: Access, skipped: int, seen: Seen) -> str:
    """The statement at the depth that is spoken of."""
    del access, seen
    node = parsed(rows.sql)
    offset = node.args.get("offset") if node is not None else None
    numbers = list(offset.find_all(exp.Parameter)) if offset is not None else []
    if node is None or not numbers:
        return rows.sql
    # Added to nothing: the parameter keeps its place, and its type.
    fixed = parsed(f"select 1 offset {skipped} + 0 * coalesce(${numbers[0].name}::bigint, 0)")
    if fixed is not None:
        node.set("offset", fixed.args["offset"])
    return written(node)


def _counted(world: World, seen: Seen) -> Iterator[Candidate]:
    """An exact count beside a page, or alone: the planner's estimate instead."""
    node = _counting(seen)
    if node is None:
        return
    found = [access for access in world.found[seen.text] if access.node is node]
    rows = rows_of(node)
    if not found or rows is None:
        return
    table = found[0].table
    names, draw = _arms(world, seen, rows)
    each = rows.sql if _is_one(node) else f"select count(*) from (\n{rows.sql}\n) as counted"
    bare = node.copy()
    bare.set("expressions", [exp.Literal.number(1)])
    planned = rows_of(bare)
    title = f"Planned count of {table.name}"
    id_ = named("count", table.name, *[e.column for e in found[0].compared if not e.by_policy])
    explained = planned.sql if planned is not None else rows.sql
    yield Candidate(
        id=id_, kind="exact count", table=table.key, title=title,
        why=f"every row is visited to be counted, {seen.calls:,} times",
        technique={
            "title": title, "cost": "an estimate, as good as the last ANALYZE",
            "same_rows": False, "parameters": names,
            "before": {"title": "exact"}, "after": {"title": "planned"},
        },
        files={
            "before.sql": f"-- Every row is visited.\n{each}",
            "after.sql": f"-- As PostgREST asks the planner.\nexplain (format json) {explained}",
            "draw.sql": f"-- Parameters, drawn by the columns that they are compared with.\n{draw}",
            "client.sql": (
                "-- A change of the client, so there is no migration. Send the header\n"
                "--     Prefer: count=planned\n-- instead of count=exact, or count=estimated."
            ),
        },
        seen=seen, calls=seen.calls,
    )  # fmt: skip


def _is_one(node: exp.Select) -> bool:
    return len(node.expressions) == 1 and isinstance(node.expressions[0].unalias(), exp.Count)


def _counting(seen: Seen) -> exp.Select | None:
    tree = seen.tree
    if tree is None:
        return None
    for cte in tree.find_all(exp.CTE):
        if cte.alias == "pgrst_source_count" and isinstance(cte.this, exp.Select):
            limited: exp.Select = cte.this
            return limited if limited.args.get("limit") is None else None
    if isinstance(tree, exp.Select) and _is_one(tree) and not tree.args.get("group"):
        counted = tree.expressions[0].unalias()
        return tree if isinstance(counted.this, exp.Star) and "pgrst" not in seen.text else None
    return None


def _wide(world: World, seen: Seen) -> Iterator[Candidate]:
    """`select *` of a list whose rows have a wide column."""
    for access in world.found[seen.text]:
        columns = access.table.columns
        wide = [name for name, each in columns.items() if each.width_bytes >= WIDE_BYTES]
        one = set(access.table.primary) and set(access.table.primary) <= set(access.columns("="))
        rows = rows_of(access.node)
        if not access.starred or not wide or rows is None or one or len(wide) == len(columns):
            continue
        names, draw = _arms(world, seen, rows)
        narrow = rows.node.copy()
        kept = [name for name in columns if name not in wide]
        listed: list[exp.Expr] = [
            exp.column(name, table=access.alias, quoted=True) for name in kept
        ]
        rest = [e for e in narrow.expressions if not _star(e)]
        narrow.set("expressions", [*listed, *rest])
        again = rows_of(narrow)
        if again is None:
            continue
        width = sum(columns[name].width_bytes for name in wide)
        title = f"Lists of {access.table.name} without {', '.join(wide)}"
        yield Candidate(
            id=named("narrow", access.table.name), kind="wide rows", table=access.table.key,
            title=title, why=f"select * brings {width:,} bytes a row that a list may not show",
            technique={
                "title": title, "cost": "one more request where a row is opened",
                "same_rows": False,
                "before": {"title": "select *", "parameters": names},
                "after": {"title": "columns named",
                          "parameters": _arms(world, seen, again)[0]},
            },
            files={
                "before.sql": f"-- Every column.\n{_as_json(rows.sql)}",
                "after.sql": f"-- Those that a list shows.\n{_as_json(again.sql)}",
                "draw.sql": f"-- Parameters, drawn by the columns they are compared with.\n{draw}",
                "client.sql": (
                    "-- A change of the client, so there is no migration:\n"
                    f"--     GET /rest/v1/{access.table.name}?select={','.join(kept)}"
                ),
            },
            seen=seen, calls=seen.calls,
        )  # fmt: skip


def _as_json(sql: str) -> str:
    """As the API answers: one text, whose making is part of the time."""
    return f"select coalesce(json_agg(q), '[]')::text from (\n{sql}\n) as q"


def _star(tree: exp.Expr) -> bool:
    inner = tree.unalias()
    return isinstance(inner, exp.Star) or (
        isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)
    )
