"""The record of a staging run's target: what its database holds, and how it was driven."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.host_metrics import HostMetrics
from phasegate.records.planner_settings import PlannerSetting
from phasegate.records.seed import Relation
from phasegate.records.store import Part, Record


class FoundDatabase(Part, frozen=True, kw_only=True):
    """A database as it was found, read only."""

    version: str
    connections_max: int
    size_bytes: int
    """Of the whole database, catalogues too."""
    relations: tuple[Relation, ...]
    """Tables outside the system's schemas; `rows` are the planner's estimate, partitions and
    TOAST are summed under their table."""
    users_table: str | None
    """Where registered users were looked for: `auth.users`, else the project's own; null where
    neither is there or may be read."""
    registered_users: int | None
    counted: Literal["counted", "estimated"] | None
    """Estimated where counting took too long: the planner's figure."""
    unguarded: tuple[str, ...] | None = None
    """Why row-level security does not hold for the sessions' role, a sentence each; empty where it
    holds, null in records older than this field."""
    lookups: tuple[str, ...] = ()
    """A warning about tables without row-level security whose rows are nobody's."""
    planner_settings: tuple[PlannerSetting, ...] | None = None
    """Of the database and of the API's roles; null in records older than this field."""
    parts: dict[str, str] | None = None
    """Techniques of the project that are there, by id: what does the same where it has another
    name, else empty; null in records older than this field."""


class TargetRecord(Record, frozen=True, kw_only=True):
    """`target.json`, in staging runs alone. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    host: str
    """That was driven, without credentials."""
    compute: str | None
    """Compute size that it runs on, as whoever ran it said; null where nobody did."""
    reads_only: bool
    """Whether sessions that write were left out."""
    request_budget: int
    """Requests that the load was allowed."""
    acting_users: int | None
    """Of the users that sessions act as, how many were looked up in the database; null where that
    was not possible."""
    acting_users_found: int | None
    """Of those, the ones that are there."""
    database: FoundDatabase | None
    """Null where no database URL was given."""
    host_metrics: HostMetrics | None = None
    """Null where the target's host was not asked."""
