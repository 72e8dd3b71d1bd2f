"""All candidates of a project: what other rooms call.

Takes the statements, the schema and the project; returns values, writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from phasegate.advise.aggregates import aggregates
from phasegate.advise.candidate import Candidate
from phasegate.advise.indexes import missing_indexes
from phasegate.advise.partitions import partitions
from phasegate.advise.policies import policy_candidates
from phasegate.advise.rewrites import rewrites
from phasegate.advise.schema import Schema
from phasegate.advise.statements import Seen
from phasegate.advise.unused import droppable
from phasegate.advise.world import Types, world_of
from phasegate.project import Project


def candidates(
    project: Project, schema: Schema, statements: Iterable[Seen], types: Types
) -> list[Candidate]:
    """What might help, the statements that take most time first; each a folder to be.

    Args:
        project: whose techniques are held against them (`Candidate.covered_by`).
        schema: tables, indexes, policies, functions (`advise.schema.read_schema`).
        statements: seen under load (`advise.statements`).
        types: of their parameters (`advise.world.prepare`).
    """
    world = world_of(project, schema, statements, types)
    found = [
        *missing_indexes(world),
        *policy_candidates(world),
        *rewrites(world),
        *aggregates(world),
        *partitions(world),
        *droppable(world),
    ]
    unique: dict[str, Candidate] = {}
    for each in found:
        unique.setdefault(each.id, each)
    return sorted(unique.values(), key=lambda each: (each.drops, -_cost_ms(each)))


def _cost_ms(candidate: Candidate) -> float:
    return candidate.seen.total_ms if candidate.seen is not None else 0.0
