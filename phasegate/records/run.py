"""The record of a run: its circumstances, its stages, and what was left out."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.planner_settings import PlannerSetting
from phasegate.records.project import ProjectNote
from phasegate.records.store import Part, Record


class Machine(Part, frozen=True, kw_only=True):
    """The computer that everything ran on."""

    cpu: str
    """Model name as the kernel gives it."""
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    load_1m: float
    """1-minute load average when the run began."""


class Server(Part, frozen=True, kw_only=True):
    """The PostgreSQL that was measured."""

    version: str
    settings: dict[str, str]
    """That differ from PostgreSQL's defaults by our own choice."""
    planner_settings: tuple[PlannerSetting, ...] | None = None
    """As the server and the databases measured on it had them, whoever set them; null in records
    older than this field."""


RENAMED = {
    "pgbouncer": "pooler",
    "worker": "jobs",
    "partitions": "partition_upkeep",
}
"""Parts that earlier versions recorded under other names."""


class StackPart(Part, frozen=True, kw_only=True):
    """One part of a stack level."""

    name: str
    outcome: Literal["running", "in place", "skipped"]
    """A process that runs, something in the database, or something that is not there."""
    note: str
    """What exactly; for what was skipped the reason, and the command that would enable it."""


class Stage(Part, frozen=True, kw_only=True):
    """One step of the run."""

    name: str
    outcome: Literal["done", "failed", "interrupted", "skipped"]
    wall_s: float
    memory_bytes_max: int | None
    """Largest sum of resident memory of the step's own processes; null where not sampled."""
    note: str = ""
    """Why it was skipped or failed, with the command that would enable it."""


class RunRecord(Record, frozen=True, kw_only=True):
    """`run.json`. Version 1: first. Version 2: with the project."""

    FORMAT_VERSION: ClassVar[int] = 2
    OLDER_READ: ClassVar[frozenset[int]] = frozenset({1})

    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    outcome: Literal["complete", "interrupted", "failed"]
    users: int
    """Registered users of the largest data set."""
    sizes: tuple[int, ...]
    """Registered users of every data set measured, ascending."""
    seed: int
    quick: bool
    phasegate_version: str
    commit: str | None
    """Git commit of the code; null outside a checkout."""
    dirty: bool | None
    """Whether the checkout differed from that commit; null outside a checkout."""
    machine: Machine
    server: Server | None
    """Null where the run stopped before the server answered."""
    levels: dict[int, tuple[StackPart, ...]]
    """What each stack level under load consisted of; empty where none was driven."""
    stages: tuple[Stage, ...]
    project: ProjectNote | None = None
    """Null in records of version 1, and of load that Locust alone drove."""
