"""The project's own sessions on our copy for some seconds, and what its database was asked.

Starts a stack of the project's level on a server of ours and drives it through the API. While that
lasts the server logs every statement with its values, which are the seeder's and nobody's; that
part of the log is removed when it has been read, because requests carry tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from phasegate.advise.schema import Schema, quoted, read_schema
from phasegate.advise.statements import LOG_LINE_PREFIX, Seen, read_log, read_statements
from phasegate.levels.runner import running_level
from phasegate.load.run import Target, run_stage
from phasegate.project import Project
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer

# Enough for each kind of session to come up several times, on the smallest data set.
WATCH_S = 5.0
WARM_UP_S = 0.5
RATE_PER_S = 15.0

STAGE = "advise"

# Of the database, for sessions that begin from now on.
SETTINGS = {
    "pg_stat_statements.track": "all",
    "log_min_duration_statement": "0",
    "log_parameter_max_length": "-1",
}


@dataclass(frozen=True)
class Watched:
    """What was seen of a database."""

    statements: tuple[Seen, ...]
    schema: Schema
    sessions: int
    """That finished; 0 where nobody counted, as on a foreign database."""


def watch(
    server: PostgresServer,
    dsn: str,
    *,
    project: Project,
    level: int,
    users: int,
    seed: int,
    folder: Path,
    duration_s: float = WATCH_S,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Watched:
    """Drive the project's sessions for `duration_s` and read what the database was asked.

    Args:
        server: of ours, running.
        dsn: of the data set on it.
        project: whose sessions are driven.
        level: of the stack.
        users: registered users of the data set.
        seed: of the data set, and of the arrivals.
        folder: for the stack's files and the load's record.
        duration_s: of the load.
        on_progress: told what is being done.

    Raises:
        CannotMeasure: the load could not be driven.
    """
    on_progress(f"drive {users:,} users")
    with _logging(server, dsn) as mark, running_level(
        server, dsn, level, folder=folder / "level", replica=False
    ) as running:  # fmt: skip
        _reset(dsn)
        load = run_stage(
            Target(running.api.url, running.api.anon_key, running.jwt_secret),
            stage=STAGE,
            project=project,
            level=level,
            users=users,
            seed=seed,
            duration_s=duration_s,
            warm_up_s=WARM_UP_S,
            arrival_rate_per_s=max(
                RATE_PER_S, project.catalogue.workload.arrival_rate_per_s(users)
            ),
            enough_sessions=False,
            out=folder / "load",
        )
        logged = read_log(_said_since(server.log, mark))
        statements = read_statements(dsn, logged)
    sessions = load.sessions.finished if load.sessions else 0
    return Watched(statements, read_schema(dsn), sessions)


@contextmanager
def _logging(server: PostgresServer, dsn: str) -> Iterator[int]:
    """Statements are logged until the block ends; yields where the log stands."""
    name = quoted(dsn.rpartition("/")[2])
    mark = server.log.stat().st_size
    execute(dsn, "create extension if not exists pg_stat_statements")
    execute(dsn, *(f"alter database {name} set {k} = '{v}'" for k, v in SETTINGS.items()))
    try:
        yield mark
    finally:
        execute(dsn, *(f"alter database {name} reset {k}" for k in SETTINGS))
        execute(dsn, "alter system reset log_line_prefix", "select pg_reload_conf()")
        os.truncate(server.log, mark)


def _reset(dsn: str) -> None:
    """Count anew; the prefix of the log is the server's, and a restart forgets it."""
    execute(
        dsn,
        f"alter system set log_line_prefix = '{LOG_LINE_PREFIX}'",
        "select pg_reload_conf()",
        "select pg_stat_statements_reset()",
        "select pg_stat_reset()",
    )


def _said_since(log: Path, mark: int) -> str:
    with log.open("rb") as file:
        file.seek(mark)
        return file.read().decode("utf-8", errors="replace")
