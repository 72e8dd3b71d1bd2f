"""`phasegate up` and `down`: a stack level that outlives the command that started it.

Reads and writes the cache folder: the cluster that data sets are seeded into, `up/` with the files
of the parts, and `up/state.json` (mode 600: it holds the password and the JWT secret), which is
written after each part that starts, so that whatever interrupts `up`, `down` finds what is there.
`running_level`, the same for the length of a `with` block, is in levels.runner.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import msgspec
import psutil

from phasegate.levels.kept import Kept
from phasegate.levels.runner import build
from phasegate.levels.runner import running_level as running_level
from phasegate.levels.stack import Processes, RunningLevel, Wanted
from phasegate.model.errors import Refused
from phasegate.model.prices import Compute
from phasegate.project import Project, load_project
from phasegate.records import store
from phasegate.records.run import StackPart
from phasegate.records.store import Part, Record
from phasegate.stack.cache import cache_dir, locked, occupy, vacate
from phasegate.stack.control_groups import clear_leftovers
from phasegate.stack.emulation import Mode
from phasegate.stack.pgbouncer import stop_pgbouncer
from phasegate.stack.postgres import PostgresServer, cluster_dir, start_postgres, stop_postgres
from phasegate.stack.processes import end_group, lives
from phasegate.stack.replica import discard_replica

STOP = "Stop it with `phasegate down`"
SECRET_BYTES = 32


class Process(Part, frozen=True, kw_only=True):
    """A process of the level."""

    name: str
    """`api`, `worker`, `pgbouncer`, `replica`, `postgres`."""
    pid: int
    created: float
    """When it began, seconds since 1970: its number may be given away again."""

    def lives(self) -> bool:
        """Whether that very process still runs."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            return process.create_time() == self.created and lives(process)
        return False


class State(Record, frozen=True, kw_only=True):
    """`up/state.json`: what `up` started. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    level: int
    """The project's level, or the highest that it has all parts of."""
    compute: str | None
    """Size that is emulated; null for this machine as it is."""
    started_at: str
    """ISO 8601, UTC."""
    complete: bool
    """False while parts are still being started, or where that was interrupted."""
    dsn: str
    """Of the application's database; the password is in it."""
    url: str | None
    """Of the API; null while it has not started."""
    anon_key: str | None
    jwt_secret: str
    """For minting users' tokens (`SUPABASE_JWT_SECRET`)."""
    data_dir: str
    processes: tuple[Process, ...]
    parts: tuple[StackPart, ...]

    def __repr__(self) -> str:
        return f"State(level={self.level}, url={self.url!r}, complete={self.complete})"

    def dead(self) -> tuple[str, ...]:
        """Names of the processes that no longer run."""
        return tuple(process.name for process in self.processes if not process.lives())


def home() -> Path:
    """The folder of the level that is up, or would be."""
    return cache_dir() / "up"


def up(
    *,
    level: int | Iterable[str],
    prepare: Callable[[PostgresServer], str],
    compute: Compute | None = None,
    mode: Mode = "sustained",
    port: int | None = None,
    data_dir: Path | None = None,
    project: Project | None = None,
) -> State:
    """Start a stack that outlives this process; `down` ends it.

    Args:
        level: of the project, counted from 1; or the parts themselves.
        prepare: makes the application's database on the running server, as by seeding it, and
            returns its DSN.
        compute: the size to put in force; this machine as it is if None.
        mode: what of that size is in force.
        port: of the API; any free one if None.
        data_dir: of the server; our own cluster if None.
        project: whose level it is; the one here if None.

    Raises:
        UsageError: there is no such level.
        ConfigurationError: there is no such part.
        Refused: a level is up already, another phasegate is at work, or the port is taken.
        CannotMeasure: a part that cannot be left out does not start; what had started is stopped.
    """
    data_dir = data_dir or cluster_dir()
    here = project or load_project()
    names = here.parts_of(level) if isinstance(level, int) else frozenset(level)
    here.check_parts(tuple(sorted(names)), "The stack")
    with locked(cache_dir(), "phasegate up"), ExitStack() as undo:
        _clear_stale()
        home().mkdir(mode=0o755, exist_ok=True)
        wanted = Wanted(
            project=here,
            names=names,
            folder=home(),
            jwt_secret=secrets.token_urlsafe(SECRET_BYTES),
            port=port,
            compute=compute,
            mode=mode,
            outlives_caller=True,
        )
        undo.callback(_forget)
        # With plain settings first: what a replica needs of them would make seeding slower.
        undo.callback(stop_postgres, data_dir)
        server = start_postgres(data_dir)
        draft = _draft(wanted, server, prepare(server))
        _write(draft, Processes(server=server))

        kept = undo.enter_context(Kept())
        running = build(undo, kept, server, draft.dsn, wanted, lambda made: _write(draft, made))
        state = _complete(draft, running)
        undo.pop_all()
        return state


def down() -> tuple[Process, ...]:
    """Stop the level that is up, in order; what was stopped, empty where nothing was up.

    Raises:
        Refused: another phasegate is at work.
        ConfigurationError: the state file cannot be read.
    """
    with locked(cache_dir(), "phasegate down", beside_occupant=True):
        state = _read()
        if state is None:
            return ()
        running = tuple(process for process in state.processes if process.lives())
        _stop(state)
        _forget()
        return running


def state() -> State | None:
    """The level that is up; None where there is none, or nothing of it runs any more.

    Raises:
        ConfigurationError: the state file cannot be read.
    """
    found = _read()
    if found is None or len(found.dead()) == len(found.processes):
        return None
    return found


def _draft(wanted: Wanted, server: PostgresServer, dsn: str) -> State:
    return State(
        format_version=State.FORMAT_VERSION,
        level=wanted.level,
        compute=None if wanted.compute is None else wanted.compute.name,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        complete=False,
        dsn=dsn,
        url=None,
        anon_key=None,
        jwt_secret=wanted.jwt_secret,
        data_dir=str(server.data_dir),
        processes=(),
        parts=(),
    )


def _complete(draft: State, running: RunningLevel) -> State:
    """The last word on a level that is up; from now on its server occupies the cache folder."""
    written = _read()
    assert written is not None  # noqa: S101 - `build` has just written it
    state = msgspec.structs.replace(
        written,
        complete=True,
        url=running.api.url,
        anon_key=running.api.anon_key,
        parts=running.parts,
    )
    _save(state)
    (postmaster,) = (one.pid for one in state.processes if one.name == "postgres")
    occupy(cache_dir(), postmaster, what="the stack that `phasegate up` started", then=STOP)
    return state


def _write(draft: State, made: Processes) -> None:
    """Note which processes there are so far."""
    _save(
        msgspec.structs.replace(
            draft,
            processes=tuple(
                Process(name=name, pid=pid, created=psutil.Process(pid).create_time())
                for name, pid in made.pids().items()
            ),
        )
    )


def _save(state: State) -> None:
    path = home() / "state.json"
    path.unlink(missing_ok=True)
    before = os.umask(0o077)
    try:
        store.write(path, state)
    finally:
        os.umask(before)


def _read() -> State | None:
    path = home() / "state.json"
    return store.read(path, State) if path.exists() else None


def _forget() -> None:
    (home() / "state.json").unlink(missing_ok=True)
    vacate(cache_dir())


def _clear_stale() -> None:
    """Make way for a new level: after a reboot, say, or after an `up` that was killed.

    Raises:
        Refused: a level is up.
    """
    found = _read()
    if found is None:
        return
    if found.complete and not found.dead():
        raise Refused(
            f"Level {found.level} is up already, at {found.url}",
            untouched="Nothing was started or stopped",
            then=STOP,
        )
    _stop(found)
    _forget()


def _stop(state: State) -> None:
    """Stop what lives of `state`: whoever asks first, and what answers last."""
    processes = {process.name: process for process in state.processes if process.lives()}
    for name in ("api", "worker"):
        if name in processes:
            end_group(processes[name].pid)
    stop_pgbouncer(home() / "pgbouncer")
    discard_replica(home() / "replica", state.dsn)
    stop_postgres(Path(state.data_dir))
    clear_leftovers()
