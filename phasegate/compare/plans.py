"""What the planner chose: the plan's text, a hash of its shape, and the blocks it touched.

Asks the server with EXPLAIN; reads and writes nothing else. Taken outside the timing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from phasegate.compare.block import Side, Statement, arranged
from phasegate.compare.dataset import SQL
from phasegate.compare.libpq import Session
from phasegate.compare.technique import Technique

# What makes a plan another plan. Costs, row counts, times and filters' constants do not.
SHAPE_KEYS = (
    *("Node Type", "Strategy", "Partial Mode", "Join Type", "Parent Relationship"),
    *("Relation Name", "Index Name", "Scan Direction", "CTE Name", "Function Name"),
)
# Which months a window touches depends on the drawn window, not on the plan.
PARTITION_SUFFIX = re.compile(r"_p?\d{4}_?\d{2}(?=_|$)")

# EXPLAIN (GENERIC_PLAN) exists from PostgreSQL 16 on.
GENERIC_PLAN_FROM = 16

# The first line of a statement that is not a comment must begin with one of these.
PLANNED = re.compile(r"(\s|--[^\n]*\n)*(select|insert|update|delete|with)\b", re.IGNORECASE)

BUFFERS_LINE = re.compile(r"Buffers: shared [^,\n]*")
BUFFERS_COUNT = re.compile(r"(?:hit|read)=(\d+)")


@dataclass(frozen=True)
class Plan:
    """One EXPLAIN (ANALYZE, BUFFERS) of a statement."""

    text: str
    hash: str
    shared_buffers: int
    """Blocks of shared buffers hit and read."""


def _shape(node: dict[str, Any]) -> Any:
    own = {key: PARTITION_SUFFIX.sub("", str(node[key])) for key in SHAPE_KEYS if key in node}
    children: list[Any] = []
    for child in node.get("Plans", ()):
        shape = _shape(child)
        if shape not in children:  # twelve partitions scanned alike are one shape
            children.append(shape)
    return [own, children]


def plan_hash(plan: dict[str, Any]) -> str:
    """Twelve hex digits over the shape of a plan, as EXPLAIN (FORMAT JSON) gives it."""
    shape = json.dumps(_shape(plan), sort_keys=True)
    return hashlib.sha256(shape.encode()).hexdigest()[:12]


def buffers(text: str) -> int:
    """Shared blocks hit and read, from the root's `Buffers:` line of EXPLAIN's text."""
    executed = text.partition("Planning:")[0]
    line = BUFFERS_LINE.search(executed)
    return sum(map(int, BUFFERS_COUNT.findall(line[0]))) if line else 0


def shape(caller: Session, sql: str, arguments: tuple[str | None, ...]) -> str:
    """The hash of the plan for these arguments, without executing it; empty where it has none."""
    if not PLANNED.match(sql):
        return ""
    told = caller.once(f"explain (format json) {sql}", *arguments).column(0)[0] or ""
    return plan_hash(json.loads(told)[0]["Plan"])


def explain(caller: Session, sql: str, arguments: tuple[str | None, ...]) -> Plan | None:
    """The plan of `sql` for these arguments; None where a statement has none, as DROP. Executes it.

    Raises:
        StatementError: the statement fails.
    """
    if not PLANNED.match(sql):
        return None
    lines = caller.once(f"explain (analyze, buffers) {sql}", *arguments).column(0)
    text = "\n".join(line or "" for line in lines)
    return Plan(text=text, hash=shape(caller, sql, arguments), shared_buffers=buffers(text))


def generic_shape(caller: Session, sql: str) -> str:
    """The hash of the plan that is made without knowing the parameters; empty where unknown."""
    if caller.server_major < GENERIC_PLAN_FROM:
        return ""
    told = caller.execute(f"explain (generic_plan, format json) {sql}").column(0)[0] or ""
    return plan_hash(json.loads(told)[0]["Plan"])


def generic_share(caller: Session, sql: str) -> float:
    """Share of a prepared statement's runs that used its generic plan; 0 where it never ran."""
    uses = caller.once((SQL / "plan_uses.sql").read_text(encoding="utf-8"), sql)()
    generic, custom = map(int, (value or "0" for value in uses[0])) if uses else (0, 0)
    return generic / (generic + custom) if generic + custom else 0.0


@contextmanager
def _as_last_called(technique: Technique, side: Side) -> Iterator[Statement | None]:
    """The first statement of the last call, in the state of affairs that its block saw."""
    if side.first is None or side.drawn is None:
        yield None
        return
    with arranged(technique, side, side.drawn):
        if technique.requests:  # whose bodies open a transaction of their own
            side.caller.execute("begin")
            side.caller.become(side.drawn.sub)
        yield side.first


def plan_of(technique: Technique, side: Side) -> Plan | None:
    """The plan of the first statement of an arm's last call; None where it has none."""
    with _as_last_called(technique, side) as called:
        return explain(side.caller, *called) if called else None


def plan_note(technique: Technique, side: Side, plan: Plan | None) -> str:
    """What a reader must know of the plan beyond the one recorded; empty if nothing."""
    if plan is None:
        return ""
    with _as_last_called(technique, side) as called:
        if called is None:
            return ""
        later = shape(side.caller, *called)
        share = generic_share(side.caller, called[0])
        generic = generic_shape(side.caller, called[0]) if share > 0 else plan.hash
    if later != plan.hash:
        return (
            f"the plan of {side.arm.name!r} changed from {plan.hash} to {later}: with the "
            "parameters, or while it was measured"
        )
    if generic not in ("", plan.hash):
        return (
            f"{share:.0%} of the runs of {side.arm.name!r} used the server's generic plan "
            f"{generic}, which is another than the one shown"
        )
    return ""
