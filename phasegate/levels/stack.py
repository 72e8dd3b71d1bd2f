"""What a stack of parts is asked to be, what it consists of while it starts, and as it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phasegate.api import Api
from phasegate.api.launch import Started
from phasegate.model.prices import Compute
from phasegate.project import Project
from phasegate.records.run import StackPart
from phasegate.stack.emulation import Emulation, Mode
from phasegate.stack.pgbouncer_console import PgBouncer
from phasegate.stack.postgres import PostgresServer
from phasegate.stack.processes import postmaster_of
from phasegate.stack.replica import Replica
from phasegate.stack.worker import Worker


@dataclass(frozen=True)
class RunningLevel:
    """A stack that runs."""

    level: int
    """The project's level, or the highest that it has all parts of."""
    api: Api
    jwt_secret: str = field(repr=False)
    dsn: str = field(repr=False)
    """Straight to the primary."""
    replica_dsn: str | None = field(repr=False)
    """None where the level has no replica, or it was skipped."""
    pooler_dsn: str | None = field(repr=False)
    """Through PgBouncer; None where the level has none, or it was skipped."""
    server: PostgresServer
    """With the level's settings."""
    parts: tuple[StackPart, ...]
    pids: Mapping[str, int]
    """The first process of each part that runs: `api`, `postgres`, `pgbouncer`, …"""

    emulation: Emulation | None = None
    """Of the compute size; None where none was asked for."""

    @property
    def skipped(self) -> tuple[StackPart, ...]:
        """What the stack should have, and has not."""
        return tuple(part for part in self.parts if part.outcome == "skipped")


@dataclass(frozen=True)
class Wanted:
    """What kind of stack is wanted."""

    project: Project
    names: frozenset[str]
    """Its parts: techniques, the engine's, the client's."""
    folder: Path
    """For the files of pooler, replica and worker."""
    jwt_secret: str = field(repr=False)
    port: int | None = None
    """Of the API; any free one if None."""
    compute: Compute | None = None
    mode: Mode = "sustained"
    """Of the compute size."""
    cold: bool = False
    """Whether the server begins without a page of the data in memory."""
    pool_size: int | None = None
    """Of the API; the engine's own if None."""
    replica: bool = True
    """Whether the part `replica` is started: a second copy of the whole cluster."""
    outlives_caller: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Of the server, besides those that parts and size need."""

    @property
    def level(self) -> int:
        """The highest level all of whose parts are wanted; 1 if none is."""
        levels = self.project.levels
        whole = [n for n, level in enumerate(levels, 1) if set(level.parts) <= self.names]
        return max(whole, default=1)


@dataclass
class Processes:
    """The processes of a stack so far, for whoever has to find them again."""

    api: Started | None = None
    worker: Worker | None = None
    pooler: PgBouncer | None = None
    replica: Replica | None = None
    server: PostgresServer | None = None
    emulations: list[Emulation] = field(default_factory=list)
    """The server's, then the replica's, which has a machine of its own."""

    def pids(self) -> dict[str, int]:
        """The first process of each part, in the order in which they are started."""
        found: dict[str, int] = {}
        if self.server is not None:
            found["postgres"] = postmaster_of(self.server.data_dir)
        if self.pooler is not None:
            found["pgbouncer"] = self.pooler.pid
        if self.replica is not None:
            found["replica"] = postmaster_of(self.replica.server.data_dir)
        if self.worker is not None:
            found["worker"] = self.worker.pid
        if self.api is not None:
            found["api"] = self.api.process.pid
        return found


Noted = Callable[[Processes], None]
