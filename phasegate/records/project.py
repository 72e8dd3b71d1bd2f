"""What a run keeps of the project that it measured, so that its page can be drawn anywhere."""

from __future__ import annotations

from typing import Any

import msgspec

from phasegate.project import Project
from phasegate.records.store import Part

JUDGED_BY = (
    "phases",
    "slo",
    "workload",
    "compute",
    "disk",
    "prices",
    "sources",
    "usage",
    "alerts",
    "gate",
)
"""Tables of the catalogue that a page rests on; overrides of the others only steer a run."""


class LevelNote(Part, frozen=True, kw_only=True):
    """A stack level as it was declared."""

    title: str
    parts: tuple[str, ...]


class TechniqueNote(Part, frozen=True, kw_only=True):
    """A technique as its folder declared it."""

    title: str
    cost: str
    """In words."""
    parts: tuple[str, ...]
    """Any of which gives a stack the technique; empty where none does."""
    clicks: tuple[str, ...] = ()
    """That make its call."""
    clicks_per_call: float = 1.0
    saves_nothing: str = ""
    """Why its time is nothing that a compute size saves."""
    superseded_by: str = ""
    """A part beside which it has nothing to do."""
    sizes: dict[str, str] = msgspec.field(default_factory=dict)
    """What of it lies on disk: the relation of each of its costs that is a size, by its title."""
    replaces: dict[str, str] = msgspec.field(default_factory=dict)
    """Tables that stand twice in the data: the one before the technique → the one with it."""


class ProjectNote(Part, frozen=True, kw_only=True):
    """The project of a run."""

    name: str
    title: str
    levels: tuple[LevelNote, ...]
    """Ascending; level 1 is the first."""
    client_parts: tuple[str, ...]
    """Ways of the client to read."""
    techniques: dict[str, TechniqueNote]
    """By id."""
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    """Of the catalogue, as `phasegate.toml` had them, where a page rests on them."""

    def parts_of(self, level: int) -> frozenset[str]:
        """The parts of level `level`, counted from 1; none where there is no such level."""
        known = 1 <= level <= len(self.levels)
        return frozenset(self.levels[level - 1].parts if known else ())

    def level_with(self, technique: str) -> int | None:
        """The first level that has the technique; None where none has."""
        parts = set(self.techniques[technique].parts)
        having = (n for n, level in enumerate(self.levels, 1) if parts & set(level.parts))
        return next(having, None)


def noted(project: Project) -> ProjectNote:
    """What a run of `project` keeps of it."""
    return ProjectNote(
        name=project.about.name,
        title=project.about.title,
        levels=tuple(LevelNote(title=each.title, parts=each.parts) for each in project.levels),
        client_parts=tuple(project.client_parts),
        techniques={id_: _technique(project, id_) for id_ in project.techniques},
        overrides={key: project.overrides[key] for key in JUDGED_BY if key in project.overrides},
    )


def _technique(project: Project, id_: str) -> TechniqueNote:
    file = project.techniques[id_].file
    return TechniqueNote(
        title=file.title,
        cost=file.cost,
        parts=project.parts_with(id_),
        clicks=file.clicks,
        clicks_per_call=file.clicks_per_call,
        saves_nothing=file.saves_nothing,
        superseded_by=file.superseded_by,
        sizes={c.title: c.relation for c in file.costs if c.probe == "relation_size"},
        replaces=file.replaces,
    )
