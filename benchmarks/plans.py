"""What the planner chose: the plan's text, a hash of its shape, and the blocks it touched.

Asks the server with EXPLAIN; reads and writes nothing else. Taken outside the timing.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import asyncpg

# What makes a plan another plan. Costs, row counts, times and filters' constants do not.
SHAPE_KEYS = (
    *("Node Type", "Strategy", "Partial Mode", "Join Type", "Parent Relationship"),
    *("Relation Name", "Index Name", "Scan Direction", "CTE Name", "Function Name"),
)
# Which months a window touches depends on the drawn window, not on the plan.
PARTITION_SUFFIX = re.compile(r"_p?\d{4}_?\d{2}(?=_|$)")


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


async def explain(connection: asyncpg.Connection, sql: str, arguments: tuple[object, ...]) -> Plan:
    """The plan of `sql` for these arguments. Executes the statement twice."""
    told = await connection.fetchval(f"explain (analyze, buffers, format json) {sql}", *arguments)
    root = json.loads(told)[0]["Plan"]
    lines = await connection.fetch(f"explain (analyze, buffers, settings) {sql}", *arguments)
    return Plan(
        text="\n".join(line[0] for line in lines),
        hash=plan_hash(root),
        shared_buffers=root.get("Shared Hit Blocks", 0) + root.get("Shared Read Blocks", 0),
    )
