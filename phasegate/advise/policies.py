"""Candidates that change policies: functions asked per row, and policies that overlap.

Pure. What a policy says before and after means the same; the migration alters it in place.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from phasegate.advise.candidate import LOCK_TIMEOUT, RESET, WAITS, Candidate, named
from phasegate.advise.draws import rows_of
from phasegate.advise.schema import Function, Policy, Schema, Table, quoted
from phasegate.advise.statements import parsed, written
from phasegate.advise.world import World
from phasegate.stack.database import literal

COMMANDS = ("select", "insert", "update", "delete")
CONSTANT = re.compile(r"^(auth\.(uid|jwt|role|email)|current_setting)$", re.IGNORECASE)


@dataclass(frozen=True)
class Altered:
    """A policy that says the same in another way."""

    policy: Policy
    using: str | None
    check: str | None
    needs: tuple[str, ...] = ()
    """Functions that it calls and that there are not yet: `create function` statements."""
    drops: tuple[str, ...] = ()
    """What drops those."""


def policy_candidates(world: World) -> Iterator[Candidate]:
    """Of each guarded table: policies that ask per row, then those that overlap."""
    for table in world.schema.tables.values():
        if not table.guarded:
            continue
        altered = [each for p in table.policies if (each := asked_once(p, table, world.schema))]
        if altered:
            yield _per_row(world, table, altered)
        merged = overlapping(table)
        if merged:
            yield _overlap(world, table, merged)


def asked_once(policy: Policy, table: Table, schema: Schema) -> Altered | None:
    """The policy with every call that does not depend on the row in a sub-select; None if none."""
    needs: dict[str, tuple[str, str]] = {}
    using, check = (
        _once(expression, table, schema, needs) for expression in (policy.using, policy.check)
    )
    if (using, check) == (policy.using, policy.check):
        return None
    made = tuple(text for text, _ in needs.values())
    return Altered(policy, using, check, made, tuple(drop for _, drop in needs.values()))


def _once(
    expression: str | None, table: Table, schema: Schema, needs: dict[str, tuple[str, str]]
) -> str | None:
    if expression is None:
        return None
    tree = parsed(f"select 1 where {expression}")
    if tree is None or tree.args.get("where") is None:
        return expression
    changed = False
    where: exp.Expr = tree.args["where"]
    for call, name in list(_calls(where)):
        around = call.find_ancestor(exp.Select)
        if around is not None and around is not tree and around.args.get("from_") is None:
            continue  # `(select auth.uid())` already
        if CONSTANT.match(name) or _without_row(call, name, schema):
            call.replace(parsed_expression(f"(select {written(call)})"))
            changed = True
            continue
        listed = _listed(call, name, table, schema) if around is tree else None
        if listed is not None:
            replacement, made = listed
            call.replace(parsed_expression(replacement))
            needs[name] = made
            changed = True
    return written(where.this) if changed else expression


def parsed_expression(text: str) -> exp.Expr:
    """An expression as a tree."""
    tree = parsed(f"select {text}")
    if tree is None:
        raise ValueError(text)
    found: exp.Expr = tree.expressions[0]
    return found


def _calls(tree: exp.Expr) -> Iterator[tuple[exp.Expr, str]]:
    """Calls of functions with their names, the outermost first."""
    for node in tree.walk():
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
            yield node, f"{node.this.name}.{node.expression.name}"
        elif isinstance(node, exp.Anonymous) and not isinstance(node.parent, exp.Dot):
            yield node, node.name
        elif isinstance(node, exp.Func) and written(node).lower().startswith("current_sett"):
            yield node, "current_setting"


def _without_row(call: exp.Expr, name: str, schema: Schema) -> bool:
    """Whether a stable function of the app is called without anything of the row."""
    function = schema.functions.get(name.rpartition(".")[2])
    if function is None or not function.stable:
        return False
    return not any(True for _ in call.find_all(exp.Column))


def _listed(
    call: exp.Expr, name: str, table: Table, schema: Schema
) -> tuple[str, tuple[str, str]] | None:
    """`f(column)` as `column in (select f_all())`, where the function says whether a row exists."""
    function = schema.functions.get(name.rpartition(".")[2])
    inner = call.expression if isinstance(call, exp.Dot) else call
    if function is None or function.argument_count != 1 or len(inner.expressions) != 1:
        return None
    argument = inner.expressions[0].unnest()
    if not isinstance(argument, exp.Column) or argument.name not in table.columns:
        return None
    body = parsed(function.body)
    found = _membership(body, function, schema)
    if found is None:
        return None
    column, query, kind = found
    new = f"{quoted(function.schema)}.{quoted(named(function.name, 'all'))}"
    definer = " security definer" if function.security_definer else ""
    create = (
        f"create or replace function {new}() returns setof {kind}\n"
        f"language sql stable{definer} set search_path = '' as $$\n    {query}\n$$;"
    )
    drop = f"drop function if exists {new}();"
    del column
    return f"{written(argument)} in (select {new}())", (create, drop)


def _membership(
    body: exp.Expr | None, function: Function, schema: Schema
) -> tuple[str, str, str] | None:
    """Of `select exists (select from t where column = argument and …)`: column, query, type."""
    if not isinstance(body, exp.Select) or len(body.expressions) != 1:
        return None
    exists = body.expressions[0].unalias()
    if not isinstance(exists, exp.Exists) or not isinstance(exists.this, exp.Select):
        return None
    inner = exists.this.copy()
    source = inner.args.get("from_")
    where = inner.args.get("where")
    if source is None or where is None or not isinstance(source.this, exp.Table):
        return None
    table = schema.find(source.this.name, source.this.db)
    argument = function.argument_names[0] if function.argument_names else ""
    if table is None:
        return None
    rest, column = [], ""
    for each in _conjuncts(where.this):
        sides = [each.left, each.right] if isinstance(each, exp.EQ) else []
        names = [side.name for side in sides if isinstance(side, exp.Column)]
        takes = argument in names or any(isinstance(s, exp.Parameter) for s in sides)
        if takes and not column:
            column = next((name for name in names if name in table.columns), "")
        else:
            rest.append(written(each))
    if not column:
        return None
    conditions = f" where {' and '.join(rest)}" if rest else ""
    query = f"select {quoted(column)} from {written(source.this)}{conditions}"
    return column, query, table.columns[column].type


def _conjuncts(tree: exp.Expr) -> Iterator[exp.Expr]:
    tree = tree.unnest()
    if isinstance(tree, exp.And):
        yield from _conjuncts(tree.left)
        yield from _conjuncts(tree.right)
    else:
        yield tree


Group = tuple[str, tuple[str, ...], tuple[Policy, ...]]
"""Command, roles, and the permissive policies that all speak of them."""


def overlapping(table: Table) -> list[Group]:
    """Permissive policies of the same roles that speak of one command: each row asks them all."""
    groups: list[Group] = []
    for roles in dict.fromkeys(policy.roles for policy in table.policies):
        same = [p for p in table.policies if p.permissive and p.roles == roles]
        for command in COMMANDS:
            speaking = tuple(p for p in same if p.command in (command, "all"))
            if len(speaking) > 1:
                groups.append((command, roles, speaking))
    return groups


def merged(table: Table, groups: list[Group]) -> tuple[list[str], list[str]]:
    """Statements that make one policy of each group, and those that go back."""
    gone = {policy.name: policy for _, _, speaking in groups for policy in speaking}
    made: dict[tuple[str, tuple[str, ...]], list[Policy]] = {}
    for policy in gone.values():
        for command in COMMANDS if policy.command == "all" else (policy.command,):
            made.setdefault((command, policy.roles), []).append(policy)
    forward = [f"drop policy if exists {quoted(name)} on {table.qualified};" for name in gone]
    back = []
    for (command, roles), policies in made.items():
        name = named("merged", command, *roles)
        using = "" if command == "insert" else _any_of([p.using for p in policies])
        check = ""
        if command in ("insert", "update"):
            check = _any_of([p.check or p.using for p in policies])
        forward += [
            f"drop policy if exists {quoted(name)} on {table.qualified};",
            created(table.qualified, Policy(name, command, roles, using or None, check or None)),
        ]
        back.append(f"drop policy if exists {quoted(name)} on {table.qualified};")
    for n, policy in gone.items():
        back.append(f"drop policy if exists {quoted(n)} on {table.qualified};")
        back.append(created(table.qualified, policy))
    return forward, back


def _any_of(expressions: list[str | None]) -> str:
    said = [each for each in dict.fromkeys(expressions) if each]
    return " or ".join(f"({each})" for each in said)


def created(table: str, policy: Policy) -> str:
    """The statement that makes `policy` on `table`, named as SQL has it."""
    using = f"\n    using ({policy.using})" if policy.using else ""
    check = f"\n    with check ({policy.check})" if policy.check else ""
    return (
        f"create policy {quoted(policy.name)} on {table} for {policy.command} to "
        f"{', '.join(policy.roles)}{using}{check};"
    )


def _alter(table: Table, policy: Policy, using: str | None, check: str | None) -> str:
    return (
        f"alter policy {quoted(policy.name)} on {table.qualified}"
        + (f"\n    using ({using})" if using else "")
        + (f"\n    with check ({check})" if check else "")
        + ";"
    )


def _per_row(world: World, table: Table, altered: list[Altered]) -> Candidate:
    needs = list(dict.fromkeys(text for each in altered for text in each.needs))
    drops = list(dict.fromkeys(text for each in altered for text in each.drops))
    forward = [*needs, *(_alter(table, e.policy, e.using, e.check) for e in altered)]
    back = [*(_alter(table, e.policy, e.policy.using, e.policy.check) for e in altered), *drops]
    listed = ", ".join(each.policy.name for each in altered)
    present = " and ".join(_says(table, each.policy.name) for each in altered)
    new = drops[0].split()[-1].rstrip("();").rpartition(".")[2] if drops else ""
    present = _present(table, altered, new)
    return _made(
        world, table, named("policy_once", table.name), "policy per row",
        f"Policies of {table.name} asked once a statement",
        f"{listed}: calls a function for every row", forward, back, present,
        ("asked for every row", "asked once"),
    )  # fmt: skip


def _says(table: Table, policy: str) -> str:
    return f"polrelid = to_regclass({literal(table.qualified)}) and polname = {literal(policy)}"


def _present(table: Table, altered: list[Altered], new: str) -> str:
    """Whether each altered policy says something else than it said before."""
    tests = []
    for each in altered:
        for column, said in (("polqual", each.policy.using), ("polwithcheck", each.policy.check)):
            changed = each.using if column == "polqual" else each.check
            if said and changed != said:
                tests.append(
                    f"    exists (\n        select from pg_catalog.pg_policy\n"
                    f"        where {_says(table, each.policy.name)}\n"
                    f"            and pg_get_expr({column}, polrelid) <> {literal(said)}\n    )"
                )
    del new
    return "select\n" + "\n    and\n".join(tests)


def _overlap(world: World, table: Table, groups: list[Group]) -> Candidate:
    forward, back = merged(table, groups)
    names = list(dict.fromkeys(policy.name for _, _, speaking in groups for policy in speaking))
    present = (
        "select not exists (\n    select from pg_catalog.pg_policy\n    where polrelid = "
        f"to_regclass({literal(table.qualified)}) and polname in ({', '.join(map(literal, names))})"
        "\n)"
    )
    commands = ", ".join(dict.fromkeys(command for command, _, _ in groups))
    return _made(
        world, table, named("policies_merged", table.name), "policies overlap",
        f"One policy for each command on {table.name}",
        f"{', '.join(names)} all speak of {commands}", forward, back, present,
        ("several policies", "one policy"),
    )  # fmt: skip


def _made(
    world: World,
    table: Table,
    id_: str,
    kind: str,
    title: str,
    why: str,
    forward: list[str],
    back: list[str],
    present: str,
    arms: tuple[str, str],
) -> Candidate:
    seen = world.asking(table.key, reads=True)
    if seen is not None:
        drawn = world.drawn(seen)
        query, names, draw = f"-- As the app asks.\n{seen.text}", drawn.names, drawn.sql
    else:
        query = (
            f"-- The newest rows that the policies show.\nselect * from {table.qualified} limit 100"
        )
        names, draw = (), rows_of(world.schema, table, world.users, {})
    script = "\n".join(forward)
    return Candidate(
        id=id_,
        kind=kind,  # type: ignore[arg-type]
        table=table.key,
        title=title,
        why=why,
        technique={
            "title": title,
            "cost": "none: a change of the catalogue alone",
            "parameters": list(names),
            "same_rows": False,
            "before": {"title": arms[0]},
            "after": {"title": arms[1]},
        },
        files={
            "query.sql": query,
            "draw.sql": f"-- Rows of {table.name}, and who may see them.\n{draw}",
            "migration.sql": f"-- {title}. The policies mean the same.\n-- {WAITS}\n"
            f"{LOCK_TIMEOUT}\n{script}\n{RESET}",
            "undo.sql": "-- Undo: the policies say again what they said before.\n"
            f"{LOCK_TIMEOUT}\n" + "\n".join(back) + f"\n{RESET}",
            "present.sql": f"-- Whether it is in place.\n{present}",
        },
        seen=seen,
        calls=world.calls(table.key),
        covered_by=world.altering(table) if kind == "policy per row" else "",
    )
