"""A stack of parts: PostgreSQL, pooler, replica, worker and API, started and stopped as one.

Reads the catalogue's compute sizes; writes a folder for its parts' files. What this machine cannot
have is left out, and named with the reason and the command that would change that.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import asyncpg

from phasegate.api.launch import Started, start_api
from phasegate.api.own_command import clear_left_behind, start_command
from phasegate.api.settings import STATEMENT_CACHE_SIZE, ApiSettings
from phasegate.levels.kept import Kept
from phasegate.levels.stack import Noted, Processes, RunningLevel, Wanted
from phasegate.model.errors import CannotMeasure, PhasegateError
from phasegate.model.prices import Compute
from phasegate.project import ENGINE_PARTS, ApiFile, Project, load_project
from phasegate.project.contract import WORKER_PARTS
from phasegate.records.run import StackPart
from phasegate.stack import compute as computes
from phasegate.stack.binaries import give_to_service_user, server_version
from phasegate.stack.cache import cache_dir
from phasegate.stack.control_groups import clear_leftovers
from phasegate.stack.database import apply_sql
from phasegate.stack.emulation import OTHERS, OWN_API_OUTSIDE, Emulation, Mode, confine
from phasegate.stack.levels import apply_parts, in_database
from phasegate.stack.partitions import maintain
from phasegate.stack.pgbouncer import CLIENTS_MAX, POOL_SIZE, start_pgbouncer, stop_pgbouncer
from phasegate.stack.pgbouncer_install import (
    find_pgbouncer,
    install_command,
    install_pgbouncer,
    pgbouncer_version,
)
from phasegate.stack.postgres import PostgresServer, start_postgres, stop_postgres
from phasegate.stack.replica import (
    PRIMARY_SETTINGS,
    await_catch_up,
    discard_replica,
    start_replica,
    stop_replica,
)
from phasegate.stack.worker import start_worker, stop_worker


@contextmanager
def running_level(
    server: PostgresServer,
    dsn: str,
    level: int | Iterable[str],
    *,
    folder: Path | None = None,
    compute: Compute | None = None,
    mode: Mode = "sustained",
    cold: bool = False,
    replica: bool = True,
    project: Project | None = None,
    settings: Mapping[str, str] | None = None,
    kept: Kept | None = None,
) -> Iterator[RunningLevel]:
    """All that a level or a set of parts consists of, stopped at the end, also after an error.

    `server` is restarted where a part or the compute size needs other settings, and again at
    the end with those it had; its port and password stay, so its DSNs stay good.

    Args:
        server: a running server of ours.
        dsn: of the application's database on it.
        level: of the project, counted from 1; or the parts themselves.
        folder: for the parts' files; one in the cache folder if None. As root it must lie where
            the service user can go.
        compute: the size to emulate; this machine as it is if None.
        mode: what of that size is in force: what it may use for ever, or from full credits on.
        cold: whether it begins without a page of the data in memory.
        replica: whether the part `replica` is started.
        project: whose level it is; the one here if None.
        settings: of the server meanwhile, besides those that parts and size need.
        kept: where the stack before left its server's settings and its replica, and this one may.

    Raises:
        UsageError: there is no such level.
        ConfigurationError: there is no such part.
        CannotMeasure: a part that cannot be left out does not start.
    """
    here = project or load_project()
    wanted = Wanted(
        project=here,
        names=here.parts_of(level) if isinstance(level, int) else frozenset(level),
        folder=folder or cache_dir() / "parts",
        jwt_secret=secrets.token_urlsafe(32),
        compute=compute,
        mode=mode,
        cold=cold,
        replica=replica,
        settings=settings or {},
    )
    with ExitStack() as undo:
        between = kept or undo.enter_context(Kept())
        yield build(undo, between, server, dsn, wanted, lambda _: None)


def settings_for(wanted: Wanted) -> dict[str, str]:
    """What the server's settings must have in them for those parts and that size."""
    size = wanted.compute
    settings = {**wanted.settings, **(computes.server_settings(size) if size else {})}
    return settings | dict(PRIMARY_SETTINGS if "replica" in wanted.names else {})


def build(
    undo: ExitStack, kept: Kept, server: PostgresServer, dsn: str, wanted: Wanted, noted: Noted
) -> RunningLevel:
    """Start the parts one after the other; `undo` gets what stops them, `noted` each step.

    What stops the replica and gives the server its settings back is in `kept`.
    """
    _clear_folder(kept, server, wanted.folder)
    processes = Processes(server=_reconfigured(kept, server, dsn, wanted))
    noted(processes)
    try:
        apply_parts(dsn, wanted.names, wanted.project)
    except asyncpg.PostgresError as error:
        raise CannotMeasure(
            f"The database cannot be brought to the parts of the stack: {error}",
            untouched="Nothing was changed in it",
            then="Correct the migration, or seed the data set again with --fresh",
        ) from error
    if "partition_upkeep" in wanted.names:
        maintain(dsn)
    if wanted.compute is not None and processes.server is not None:
        _restart(processes.server)  # what it took of memory so far was charged to nobody
        _confine(undo, processes, processes.server, wanted)
        if not wanted.cold:
            apply_sql(dsn, "warm")
        noted(processes)
    parts = _database_parts(wanted)
    if "pooler" in wanted.names:
        parts.append(_add_pooler(undo, processes, dsn, wanted))
        if processes.pooler is not None and processes.emulations:
            processes.emulations[0].group.enter(processes.pooler.pid)
        noted(processes)
    if "replica" in wanted.names:
        parts.append(_add_replica(undo, kept, processes, wanted))
        noted(processes)
    if WORKER_PARTS & wanted.names:
        parts += _add_worker(undo, processes, dsn, wanted)
        noted(processes)
    processes.api, part = _add_api(undo, processes, dsn, wanted)
    _enforce(processes.emulations, processes.api, wanted.project.api)
    noted(processes)
    assert processes.server is not None  # noqa: S101 - set above; tells the type checker
    return RunningLevel(
        level=wanted.level,
        api=processes.api.api,
        jwt_secret=wanted.jwt_secret,
        dsn=dsn,
        replica_dsn=_replica_dsn(processes, dsn),
        pooler_dsn=processes.pooler.dsn if processes.pooler is not None else None,
        server=processes.server,
        parts=(_postgres_part(wanted, processes), *parts, part),
        pids=processes.pids(),
        emulation=processes.emulations[0] if processes.emulations else None,
    )


def _clear_folder(kept: Kept, server: PostgresServer, folder: Path) -> None:
    """Away with what a killed run left behind: it would hold on to a server that is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    give_to_service_user(folder)
    clear_left_behind(folder)
    stop_pgbouncer(folder / "pgbouncer")
    if kept.replica is None:
        discard_replica(folder / "replica", server.dsn())
    clear_leftovers()


def _reconfigured(kept: Kept, server: PostgresServer, dsn: str, wanted: Wanted) -> PostgresServer:
    """`server` with the settings that are wanted, restarted only if they differ."""
    asked = replace(server, settings={**server.settings, **settings_for(wanted)})
    if asked != kept.server or wanted.compute is not None:
        kept.release()
        if asked == server:
            return server
        kept.callback(_restart, server)
        _restart(asked)
        kept.server = asked
    apply_sql(dsn, "warm")
    return asked


def _restart(server: PostgresServer) -> None:
    stop_postgres(server.data_dir)
    start_postgres(server.data_dir, port=server.port, settings=server.settings)


def _confine(undo: ExitStack, processes: Processes, server: PostgresServer, wanted: Wanted) -> None:
    """Put the memory of the compute size in force for `server`; the rest follows in the end."""
    assert wanted.compute is not None  # noqa: S101 - asked by the callers; tells the type checker
    disk = wanted.project.catalogue.disk
    found = confine(server.data_dir, wanted.compute, disk, wanted.mode)
    processes.emulations.append(found)
    undo.callback(found.close)


def _enforce(emulations: Sequence[Emulation], api: Started, own: ApiFile) -> None:
    """Put sizes in force; the API shares the server's where the project has it on that machine."""
    for emulation in emulations[:1]:
        if own.on_database_machine:
            emulation.group.enter(api.process.pid)
            emulation.left_out = (OTHERS,)
        elif own.command:
            emulation.left_out = (OWN_API_OUTSIDE, OTHERS)
    for emulation in emulations:
        emulation.enforce()


def _postgres_part(wanted: Wanted, processes: Processes) -> StackPart:
    note = f"PostgreSQL {server_version()[1]}"
    if wanted.compute is not None:
        note += f", settings of {wanted.compute.name}; {processes.emulations[0].sentence()}"
    return StackPart(name="postgres", outcome="running", note=note)


def _database_parts(wanted: Wanted) -> list[StackPart]:
    techniques = wanted.project.techniques
    return [
        StackPart(name=name, outcome="in place", note=techniques[name].file.title)
        for name in sorted(in_database(wanted.project, wanted.names) - WORKER_PARTS)
    ]


def _add_worker(undo: ExitStack, processes: Processes, dsn: str, wanted: Wanted) -> list[StackPart]:
    processes.worker = start_worker(
        dsn, wanted.folder / "worker.log", outlives_caller=wanted.outlives_caller
    )
    undo.callback(stop_worker, processes.worker)
    return [
        StackPart(name=name, outcome="running", note=f"{ENGINE_PARTS[name]}, by the worker")
        for name in ENGINE_PARTS
        if name in WORKER_PARTS & wanted.names
    ]


def _add_pooler(undo: ExitStack, processes: Processes, dsn: str, wanted: Wanted) -> StackPart:
    program = find_pgbouncer() or _installed()
    if program is None:
        note = f"there is no PgBouncer on this machine; try: {install_command()}"
        return StackPart(name="pooler", outcome="skipped", note=note)
    folder = wanted.folder / "pgbouncer"
    size, clients, compute = POOL_SIZE, CLIENTS_MAX, wanted.compute
    if compute is not None:
        size, clients = computes.pooler_pool_size(compute), compute.pooler_clients_max
    try:
        processes.pooler = start_pgbouncer(folder, dsn, pool_size=size, clients_max=clients)
    except PhasegateError as error:
        return StackPart(name="pooler", outcome="skipped", note=error.sentence())
    undo.callback(stop_pgbouncer, folder)
    version = ".".join(map(str, pgbouncer_version(program)))
    note = f"PgBouncer {version}, transaction mode, pool of {size}, up to {clients} clients"
    return StackPart(name="pooler", outcome="running", note=note)


@cache
def _installed() -> Path | None:
    """PgBouncer, fetched: tried once, since without a network every attempt takes its time."""
    return install_pgbouncer()


def _add_replica(undo: ExitStack, kept: Kept, processes: Processes, wanted: Wanted) -> StackPart:
    if not wanted.replica:
        return StackPart(name="replica", outcome="skipped", note="not asked for")
    assert processes.server is not None  # noqa: S101 - set by build; tells the type checker
    try:
        if kept.replica is None:
            kept.replica = start_replica(processes.server, wanted.folder / "replica")
            kept.callback(stop_replica, kept.replica)
        else:
            await_catch_up(kept.replica)
    except PhasegateError as error:
        return StackPart(name="replica", outcome="skipped", note=error.sentence())
    processes.replica = kept.replica
    note = "streaming, for marked reads"
    if wanted.compute is not None:
        _confine(undo, processes, processes.replica.server, wanted)
        note += f"; a {wanted.compute.name} of its own"
    return StackPart(name="replica", outcome="running", note=note)


def _replica_dsn(processes: Processes, dsn: str) -> str | None:
    if processes.replica is None:
        return None
    return processes.replica.dsn(dsn.rpartition("/")[2])


def _add_api(
    undo: ExitStack, processes: Processes, dsn: str, wanted: Wanted
) -> tuple[Started, StackPart]:
    pooler = processes.pooler
    through = "straight to PostgreSQL" if pooler is None else "through PgBouncer"
    own = wanted.project.api
    if own.command:
        command = start_command(
            own,
            root=wanted.project.root,
            folder=wanted.folder,
            dsn=dsn if pooler is None else pooler.dsn,
            jwt_secret=wanted.jwt_secret,
            port=wanted.port,
            outlives_caller=wanted.outlives_caller,
        )
        undo.callback(command.stop)
        note = f"the project's own ({shlex.split(own.command)[0]}), {through}"
        return command, StackPart(name="api", outcome="running", note=note)
    # Without a pooler, a connection for each request: the scaling guide adds pooling in phase 3
    # (docs/method.md#the-scaling-guide).
    own_size = computes.API_POOL_SIZE if "pooler" in wanted.names else 0
    pool_size = own_size if wanted.pool_size is None else wanted.pool_size
    cache_size = STATEMENT_CACHE_SIZE
    if pooler is not None and pooler.statement_cache_size is not None:
        cache_size = pooler.statement_cache_size
    settings = ApiSettings(
        dsn=dsn if pooler is None else pooler.dsn,
        jwt_secret=wanted.jwt_secret,
        pool_size=pool_size,
        level=wanted.level,
        replica_dsn=_replica_dsn(processes, dsn),
        statement_cache_size=cache_size,
    )
    started = start_api(
        settings,
        port=wanted.port,
        outlives_caller=wanted.outlives_caller,
        # One that outlives the command must not hold on to its terminal or its pipe.
        log=wanted.folder / "api.log" if wanted.outlives_caller else None,
    )
    undo.callback(started.stop)
    how = f"a pool of {pool_size}" if pool_size else "a connection for each request"
    return started, StackPart(name="api", outcome="running", note=f"{how}, {through}")
