"""What a project's files may say: one struct a table, a misspelt key is an error. Pure.

`docs/project.md` documents every key. Tables of the catalogue (`[slo]`, `[workload]`, `[run]`, …)
may stand in `phasegate.toml` too and replace single entries of the catalogue (`model.catalogue`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from phasegate.model.catalogue import Entry

ENGINE_PARTS = {
    "pooler": "PgBouncer in transaction mode",
    "replica": "a streaming replica for reads that ask for it",
    "jobs": "a job queue and its worker",
    "refresh": "scheduled refreshes of materialised views",
    "partition_upkeep": "partitions made ahead and dropped by age",
}
"""Parts that the engine brings, by name: what each is, in words."""


class About(Entry, frozen=True):
    """`[project]`: what is measured."""

    name: str
    """Short and without blanks: part of file names."""
    title: str
    """As the page's heading has it."""
    users_table: str
    """Schema-qualified table of registered users: one row a user."""
    users_key: str = "id"
    """Its column that tokens carry as `sub`."""
    schemas: tuple[str, ...] = ("public",)
    """That the API serves, the default one first."""


class Level(Entry, frozen=True):
    """One of `[[levels]]`, in ascending order: a named set of parts."""

    title: str
    parts: tuple[str, ...] = ()
    """Techniques of the project, parts of the engine, or parts of the client."""


class ClientPart(Entry, frozen=True):
    """`[parts.NAME]`: a way of the client to read, which the locustfile carries out."""

    title: str


class ProjectFile(Entry, frozen=True):
    """The project's own tables of `phasegate.toml`."""

    project: About
    levels: tuple[Level, ...]
    parts: dict[str, ClientPart] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a project without levels, and a client's part that hides one of the engine's."""
        if not self.levels:
            raise ValueError("`levels` must name at least one level")
        hidden = sorted(set(self.parts) & set(ENGINE_PARTS))
        if hidden:
            raise ValueError(f"`parts` must not redefine the engine's {', '.join(hidden)}")


class ArmFile(Entry, frozen=True):
    """`[before]` or `[after]` of a technique."""

    title: str
    """As shown: `N+1`, `JOIN`."""
    query: str = ""
    """File of its statement; `query.sql` for both arms, else `before.sql` and `after.sql`."""
    parameters: tuple[str, ...] | None = None
    """Names of drawn columns, in the order of $1, $2, …; the technique's where left out."""
    arrange: str = ""
    """File of SQL that is run before each block and rolled back after it. Where the technique has a
    migration and both arms ask the same, the undo arranges `before` by itself."""


class CostFile(Entry, frozen=True):
    """One of `[[costs]]`: what is measured beside the arms."""

    probe: Literal["relation_size", "write_slow_down", "refresh", "estimate_off"]
    title: str
    relation: str = ""
    """Whose size is taken, or which is refreshed."""
    of: str = ""
    """What the size is compared with."""
    query: str = ""
    """File of the statement that writes."""
    parameters: tuple[str, ...] = ()


class TechniqueFile(Entry, frozen=True):
    """`benchmarks/<id>/technique.toml`."""

    title: str
    cost: str
    """What it costs, in words."""
    phase: int = 0
    """In which the project's guide recommends it; 0 where none does."""
    clicks: tuple[str, ...] = ()
    """Clicks of the sessions that make its call; with their rate it has a price."""
    clicks_per_call: float = 1.0
    saves_nothing: str = ""
    """Why its time is nothing that a compute size saves."""
    part: str = ""
    """The part that it adds: its own id where left out and it has a migration."""
    superseded_by: str = ""
    """A part beside which it has nothing to do."""
    same_migration_as: str = ""
    """The technique whose migration applies it, where it is measured more than once."""
    present: str = ""
    """A query that says whether it is in place: one boolean."""
    role: Literal["user", "owner"] = "user"
    """Whose rights the statements run with: row-level security in force, or an operator's."""
    parameters: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Tables that the arms write to; each call is then rolled back by itself."""
    same_rows: bool = True
    """False where the arms differ by design, as a count and an estimate of it."""
    server_major_min: int = 0
    before: ArmFile | None = None
    """None where the arms are Python, in a `bench_*.py`."""
    after: ArmFile | None = None
    costs: tuple[CostFile, ...] = ()
    refresh_every_s: float = msgspec.field(default=0.0)
    """How often the part `refresh` runs `refresh.sql`; 0: never."""
