"""Which kinds of work a statement's time went into, from its plan. Pure: text in, shares out.

Reads EXPLAIN (ANALYZE)'s text as it is recorded. The kinds are the yardstick's (`model.yardstick`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from phasegate.model.yardstick import EXPRESSION, LOOK_UP, OTHER, SCAN, SORT

NODE = re.compile(
    r"^(?P<indent> *)(?:->  )?(?P<name>[A-Z][A-Za-z ]*?)(?: using | on |  \().*"
    r"\(actual time=[\d.]+\.\.(?P<ms>[\d.]+) rows=[\d.]+ loops=(?P<loops>\d+)\)"
)
WORKERS = re.compile(r"^ *Workers Launched: (\d+)")
TRIGGER = re.compile(r"^Trigger .*: time=([\d.]+)")
# A function called for each row, as a policy does, takes longer than reading the row.
CALLS_A_FUNCTION = re.compile(r"^ *Filter: .*\w\(")

KIND = (
    (re.compile(r"Seq Scan|Bitmap Heap Scan"), SCAN),
    (re.compile(r"Index|TID"), LOOK_UP),
    (re.compile(r"Sort"), SORT),
)


@dataclass
class _Node:
    indent: int
    kind: str
    ms: float
    """All its loops together, what is below it included."""
    workers: int = 0
    below: list[_Node] = field(default_factory=list)


def work_of(plan: str) -> dict[str, float]:
    """Milliseconds by kind of work, of a plan with times; empty where it has none."""
    root: _Node | None = None
    path: list[_Node] = []
    found: dict[str, float] = {}
    for line in plan.splitlines():
        if node := NODE.match(line):
            indent = len(node["indent"])
            while path and path[-1].indent >= indent:
                path.pop()
            # Loops of a parallel node are its processes', which work at the same time.
            processes = next((each.workers + 1 for each in reversed(path) if each.workers), 1)
            ms = float(node["ms"]) * max(1, round(int(node["loops"]) / processes))
            kind = next((kind for names, kind in KIND if names.search(node["name"])), OTHER)
            path.append(_Node(indent, kind, ms))
            if len(path) > 1:
                path[-2].below.append(path[-1])
            root = root or path[-1]
        elif path and (launched := WORKERS.match(line)):
            path[-1].workers = int(launched[1])
        elif path and path[-1].kind == SCAN and CALLS_A_FUNCTION.match(line):
            path[-1].kind = EXPRESSION
        elif trigger := TRIGGER.match(line):
            found[OTHER] = found.get(OTHER, 0.0) + float(trigger[1])
    if root is not None:
        _add(root, found)
    return {kind: ms for kind, ms in found.items() if ms > 0}


def _add(node: _Node, found: dict[str, float]) -> None:
    """What each node took itself."""
    own = max(0.0, node.ms - sum(each.ms for each in node.below))
    found[node.kind] = found.get(node.kind, 0.0) + own
    for each in node.below:
        _add(each, found)
