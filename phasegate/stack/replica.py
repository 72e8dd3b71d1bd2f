"""A streaming read replica of a server of ours: copied, started, watched and stopped.

Reads the primary by pg_basebackup; writes a data folder of its own, and one replication slot on the
primary. The slot keeps the WAL that the replica still needs, up to a bound: a replica that stays
away is given up rather than allowed to fill the primary's disk.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from phasegate.model.errors import CannotMeasure, PhasegateError
from phasegate.stack.binaries import give_to_service_user
from phasegate.stack.database import CONNECTION_ERRORS, connected, run
from phasegate.stack.postgres import (
    REPLICA_SLOT,
    SUPERUSER,
    PostgresServer,
    run_program,
    start_postgres,
    stop_postgres,
)

# What the primary must be started with, over and above stack.postgres.SETTINGS.
PRIMARY_SETTINGS: Mapping[str, str] = {
    "wal_level": "replica",
    "max_wal_senders": "4",  # the replica, its base backup (two), one to spare
    "max_replication_slots": "2",
    # The seeder's bulk loads write a few gigabytes; a replica further behind is copied anew.
    "max_slot_wal_keep_size": "4GB",
}

# What the replica differs in from its primary.
REPLICA_SETTINGS: Mapping[str, str] = {
    "hot_standby": "on",
    # A long analytic read is what this replica is for: it may hold replay up for so long, and the
    # lag then shows. By default it would be cancelled after 30 s.
    "max_standby_streaming_delay": "60s",
    # A real one has a disk of its own; here its flushes would take the primary's. It is thrown away
    # at the end, and the primary's durability is untouched.
    "fsync": "off",
    "wal_receiver_status_interval": "1s",  # so that the primary's view of the lag is fresh
}

CATCH_UP_TIMEOUT_S = 60.0
POLL_S = 0.02
# pg_basebackup copies the cluster; this much more is needed while it streams WAL beside it.
DISK_HEADROOM = 1.2


@dataclass(frozen=True)
class Lag:
    """How far a replica is behind at one moment."""

    lag_bytes: int
    """WAL written by the primary and not yet replayed."""
    lag_s: float
    """Age of the last transaction replayed, where something is still to be replayed; else 0."""
    streaming: bool
    """Whether the primary sends WAL to it. A replica that is not streaming only looks idle."""


@dataclass(frozen=True)
class Replica:
    """A running replica; `server` answers reads."""

    primary: PostgresServer
    server: PostgresServer

    def dsn(self, database: str = "postgres") -> str:
        """DSN of a database on the replica; the password is in it."""
        return self.server.dsn(database)


def feeding(server: PostgresServer) -> PostgresServer:
    """`server`, restarted with what feeding a replica takes; its port and its password stay."""
    settings = {**server.settings, **PRIMARY_SETTINGS}
    stop_postgres(server.data_dir)
    return start_postgres(server.data_dir, port=server.port, settings=settings)


def require_replication(primary: PostgresServer) -> None:
    """See that `primary` can feed a replica.

    Raises:
        CannotMeasure: its settings do not allow it, or the disk cannot hold a second copy.
    """

    async def work() -> tuple[str, int, int]:
        async with connected(primary.dsn()) as connection:
            row = await connection.fetchrow(
                """
                select current_setting('wal_level') as wal_level,
                       current_setting('max_wal_senders')::int as senders,
                       (select sum(pg_database_size(oid))::bigint from pg_database) as bytes
                """
            )
            return row["wal_level"], row["senders"], row["bytes"]

    wal_level, senders, size_bytes = run(work())
    if wal_level == "minimal" or senders == 0:
        raise CannotMeasure(
            f"The primary cannot feed a replica: wal_level={wal_level}, max_wal_senders={senders}",
            untouched="Nothing was copied",
            then="Start it with stack.replica.PRIMARY_SETTINGS",
        )
    free_bytes = shutil.disk_usage(primary.data_dir).free
    if free_bytes < size_bytes * DISK_HEADROOM:
        raise CannotMeasure(
            f"A replica needs {size_bytes * DISK_HEADROOM / 1e9:.1f} GB of disk,"
            f" and {free_bytes / 1e9:.1f} GB are free",
            untouched="Nothing was copied",
            then="Make room, or measure a smaller data set",
        )


def start_replica(primary: PostgresServer, data_dir: Path, *, port: int | None = None) -> Replica:
    """Copy `primary` into `data_dir` and start streaming; `stop_replica` ends it.

    Args:
        primary: a server of ours, started with `PRIMARY_SETTINGS`.
        data_dir: the replica's folder; what a former replica left there is removed.
        port: of 127.0.0.1; any free one if None.

    Raises:
        Refused: the port is taken.
        CannotMeasure: the primary cannot feed it, or it does not start or catch up.
    """
    require_replication(primary)
    _remove(data_dir)
    _drop_slot(primary.dsn())
    try:
        return _copy_and_start(primary, data_dir, port)
    except BaseException:  # Ctrl-C as well: nobody else knows of what has been started by then
        discard_replica(data_dir, primary.dsn())
        raise


def _copy_and_start(primary: PostgresServer, data_dir: Path, port: int | None) -> Replica:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(mode=0o700)
    give_to_service_user(data_dir)
    pgpass = data_dir.with_name(f"{data_dir.name}.pgpass")
    _write_secret(pgpass, f"127.0.0.1:{primary.port}:*:{SUPERUSER}:{primary.password}\n")
    # The copied cluster has the primary's roles, so its password too.
    _write_secret(data_dir.with_name(f"{data_dir.name}.password"), primary.password)
    run_program(
        "pg_basebackup",
        *("--pgdata", data_dir, "--host", "127.0.0.1", "--port", str(primary.port)),
        *("--username", SUPERUSER, "--no-password", "--checkpoint", "fast"),
        *("--wal-method", "stream", "--create-slot", "--slot", REPLICA_SLOT, "--no-sync"),
        # Nobody verifies this copy, and its pages are checked as they are read.
        *("--no-manifest", "--no-verify-checksums"),
        env={**primary.libpq_environment(), "PGPASSFILE": str(pgpass)},
    )
    return _start(primary, data_dir, port, pgpass)


def _start(primary: PostgresServer, data_dir: Path, port: int | None, pgpass: Path) -> Replica:
    signal_file = data_dir / "standby.signal"
    signal_file.touch()
    give_to_service_user(signal_file)
    quoted = str(pgpass).replace("'", r"\'")  # a backslash is refused with the folder
    settings = {
        **primary.settings,
        **REPLICA_SETTINGS,
        # A file for the password: settings end up in records, and this is one of them.
        "primary_conninfo": f"host=127.0.0.1 port={primary.port} user={SUPERUSER}"
        f" passfile='{quoted}' application_name={REPLICA_SLOT}",
        "primary_slot_name": REPLICA_SLOT,
    }
    replica = Replica(primary, start_postgres(data_dir, port=port, settings=settings))
    try:
        await_catch_up(replica)
    except PhasegateError:
        stop_postgres(data_dir)
        raise
    return replica


def restart_replica(replica: Replica) -> Replica:
    """Start a replica again that was stopped or killed, on its port, from where it was.

    Raises:
        CannotMeasure: it cannot catch up, as when the primary no longer has the WAL it needs.
    """
    data_dir = replica.server.data_dir
    pgpass = data_dir.with_name(f"{data_dir.name}.pgpass")
    stop_postgres(data_dir)
    return _start(replica.primary, data_dir, replica.server.port, pgpass)


def stop_replica(replica: Replica) -> None:
    """Stop the replica, remove its copy, and take its slot off the primary if that still runs."""
    discard_replica(replica.server.data_dir, replica.primary.dsn())


def discard_replica(data_dir: Path, primary_dsn: str) -> None:
    """As `stop_replica`, for a replica that another process started; none is fine too."""
    stop_postgres(data_dir)
    with suppress(PhasegateError):  # without its primary there is nothing that could pile up
        _drop_slot(primary_dsn)
    _remove(data_dir)


@contextmanager
def running_replica(primary: PostgresServer, data_dir: Path) -> Iterator[Replica]:
    """As `start_replica`, stopped and removed at the end, also after an error."""
    replica = start_replica(primary, data_dir)
    try:
        yield replica
    finally:
        stop_replica(replica)


def measure_lag(primary_dsn: str, replica_dsn: str) -> Lag:
    """How far the replica behind `replica_dsn` is behind its primary, by LSN and by time.

    Raises:
        CannotMeasure: one of the two cannot be reached, or the second is no replica.
    """
    return run(lag_between(primary_dsn, replica_dsn))


async def lag_between(primary_dsn: str, replica_dsn: str) -> Lag:
    """As `measure_lag`."""
    async with connected(primary_dsn) as primary, connected(replica_dsn) as replica:
        # The primary first: what it writes between the two questions must not count as lag < 0.
        written = await primary.fetchval("select pg_current_wal_lsn()::text")
        row = await replica.fetchrow(
            """
            select pg_is_in_recovery() as replica,
                   greatest(pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn()), 0)::bigint
                       as behind,
                   extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8
                       as age_s,
                   exists (select from pg_stat_wal_receiver where status = 'streaming') as streaming
            """,
            written,
        )
    if not row["replica"]:
        raise CannotMeasure(
            "The server named as the replica is not in recovery: it is a primary",
            then="Name a replica of the same data",
        )
    behind = int(row["behind"])
    # With nothing to replay, an idle primary would look like a growing lag.
    age_s = max(0.0, row["age_s"] or 0.0) if behind else 0.0
    return Lag(behind, age_s, row["streaming"])


def await_catch_up(replica: Replica, timeout_s: float = CATCH_UP_TIMEOUT_S) -> Lag:
    """Wait until the replica streams and has replayed everything.

    Raises:
        CannotMeasure: it has not within `timeout_s`.
    """

    async def work() -> Lag:
        deadline = time.monotonic() + timeout_s
        while True:
            lag = await lag_between(replica.primary.dsn(), replica.dsn())
            if lag.streaming and lag.lag_bytes == 0:
                return lag
            if time.monotonic() > deadline:
                raise CannotMeasure(
                    f"The replica is {lag.lag_bytes} bytes behind after {timeout_s:.0f} s"
                    + ("" if lag.streaming else ", and the primary sends it nothing"),
                    then="Start again while the machine and its disk are less busy",
                )
            await asyncio.sleep(POLL_S)

    return run(work())


def _drop_slot(primary_dsn: str) -> None:
    """Drop our slot; while its walsender is still going away the server refuses, so ask again."""

    async def work() -> None:
        deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
        async with connected(primary_dsn) as connection:
            while True:
                try:
                    await connection.execute(
                        "select pg_drop_replication_slot(slot_name)"
                        " from pg_replication_slots where slot_name = $1",
                        REPLICA_SLOT,
                    )
                except asyncpg.ObjectInUseError:
                    if time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(POLL_S)
                else:
                    return

    try:
        run(work())
    except CONNECTION_ERRORS as error:
        raise CannotMeasure(
            f"The replication slot {REPLICA_SLOT} cannot be dropped: {error}",
            then=f"Run on the primary: select pg_drop_replication_slot('{REPLICA_SLOT}')",
        ) from error


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    give_to_service_user(path)


def _remove(data_dir: Path) -> None:
    """Remove a former replica's files; only a folder that is one is touched."""
    if data_dir.exists() and any(data_dir.iterdir()):
        # The file with its password is made first, so a copy that was interrupted has one too.
        if not data_dir.with_name(f"{data_dir.name}.pgpass").exists():
            raise CannotMeasure(
                f"{data_dir} is not empty and does not hold a replica",
                untouched="Nothing was removed",
                then="Name another folder",
            )
        stop_postgres(data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)
    for suffix in ("pgpass", "password", "log"):
        data_dir.with_name(f"{data_dir.name}.{suffix}").unlink(missing_ok=True)
