"""A PostgreSQL server of our own: created, started and stopped, on a free port of 127.0.0.1.

Reads the programs found by `stack.binaries`; writes only into its data folder. Works as root too:
the server then runs as an ordinary account.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasegate.model.errors import CannotMeasure, Refused
from phasegate.stack import stand_ins
from phasegate.stack.binaries import (
    as_service_user,
    give_to_service_user,
    programs,
    require_reachable,
    server_version,
    service_user,
)
from phasegate.stack.cache import cache_dir, make_open
from phasegate.stack.processes import is_running, without_libpq_variables

SUPERUSER = "postgres"
REPLICA_SLOT = "phasegate_replica"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60

# What differs from PostgreSQL's defaults, and why. Durability stays on: it is what users run.
SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_preload_libraries": "pg_stat_statements",
    "compute_query_id": "on",
    "track_io_timing": "on",
    "max_wal_size": "8GB",  # no checkpoint in the middle of a load
    "checkpoint_timeout": "30min",  # nor in the middle of a measurement
    "random_page_cost": "1.1",  # as Supabase sets it for its SSDs
    "autovacuum_naptime": "1h",  # the seeder vacuums; a surprise vacuum is noise
    "jit": "off",  # as Supabase sets it; its compile time is noise for short statements
    "logging_collector": "off",
    "log_min_messages": "warning",
    # A load into a table made in the same transaction then writes no WAL. A level with a replica
    # overrides both.
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

# Shared buffers: a quarter of the memory (PostgreSQL manual, 19.4.1), within these bounds.
SHARED_BUFFERS_SHARE = 0.25
SHARED_BUFFERS_MB_MAX = 2048


def cluster_dir() -> Path:
    """The data folder of our own server, one per major version."""
    return cache_dir() / f"cluster-{server_version()[0]}" / "data"


def free_port(wanted: int | None = None) -> int:
    """`wanted` if nothing listens there, or any free port of 127.0.0.1.

    Raises:
        Refused: `wanted` is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError as error:
            raise Refused(
                f"Port {wanted} of 127.0.0.1 cannot be used: {error.strerror}",
                untouched="Nothing was started",
                then="Stop what listens there, or name another port",
            ) from error
        return int(probe.getsockname()[1])


def shared_buffers_mb() -> int:
    """Shared buffers for this machine, in MB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(SHARED_BUFFERS_MB_MAX, int(total * SHARED_BUFFERS_SHARE) >> 20)


@dataclass(frozen=True)
class PostgresServer:
    """A server of ours. `settings` are all that differ from PostgreSQL's defaults."""

    data_dir: Path
    port: int
    password: str = field(repr=False)
    settings: Mapping[str, str]

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    def dsn(self, database: str = "postgres") -> str:
        """`postgresql://` address with the password in it; never print it."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def libpq_environment(self, database: str = "postgres") -> dict[str, str]:
        """Environment for `psql`, `pgbench` and their like, which keeps the password off argv."""
        return {
            **without_libpq_variables(),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }


def run_program(name: str, *arguments: str | Path, **options: Any) -> str:
    """Run one of PostgreSQL's programs as the service user and return its standard output.

    Raises:
        CannotMeasure: it failed; the end of what it said is quoted.
    """
    done = subprocess.run(
        [programs() / name, *arguments],
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # it quotes names of files, whatever bytes they have
        cwd="/",
        **as_service_user(),
        **{"env": without_libpq_variables(), **options},
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CannotMeasure(
            f"{name} failed: {said[-1] if said else done.returncode}",
            then="Mend what it names, then start again",
        )
    return str(done.stdout)


def create_cluster(data_dir: Path) -> None:
    """Initialise `data_dir` unless it already holds a cluster of this major version.

    The folder appears whole or not at all: initdb works beside it. What an initdb that failed or
    was killed left behind is removed.

    Raises:
        Refused: it holds one of another major version or account, or something else.
        CannotMeasure: initdb failed; nothing of it was kept.
    """
    if _holds_cluster(data_dir):
        return
    make_open(data_dir.parent)
    require_reachable(data_dir.parent)
    secret = _password_file(data_dir)
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_urlsafe(24), encoding="ascii")
    give_to_service_user(secret)
    beside = data_dir.with_name(f".{data_dir.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    give_to_service_user(beside)
    try:
        run_program(
            "initdb",
            *("--pgdata", beside, "--username", SUPERUSER, "--pwfile", secret),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
        beside.rename(data_dir)  # an empty folder of that name gives way
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        secret.unlink(missing_ok=True)
        raise


def _password_file(data_dir: Path) -> Path:
    """Made before the cluster, so a folder beside it that is no cluster is half of one of ours."""
    return data_dir.with_name(f"{data_dir.name}.password")


def _holds_cluster(data_dir: Path) -> bool:
    """Whether a whole cluster that may be used is there; half of one of ours is removed.

    Raises:
        Refused: it must not be used, or the folder holds something else.
    """
    if not data_dir.exists():
        return False
    expected = os.geteuid() if (user := service_user()) is None else user.uid
    foreign = Refused(
        f"{data_dir} belongs to another account than the one that servers run as here "
        f"(user ids {data_dir.stat().st_uid} and {expected})",
        untouched="Nothing was changed",
        then="Use it from that account, or name another folder",
    )
    is_foreign = data_dir.stat().st_uid != expected
    if is_foreign and os.geteuid() != 0:  # who may not look inside
        raise foreign
    ours = _password_file(data_dir).exists()
    marker = data_dir / "PG_VERSION"
    if marker.exists():
        found = marker.read_text(encoding="ascii").strip()
        if found != str(server_version()[0]):
            raise Refused(
                f"{data_dir} belongs to PostgreSQL {found}, the programs to {server_version()[1]}",
                untouched="Nothing was changed",
                then="Name another folder, or remove that one",
            )
    if not (marker.exists() and (data_dir / "global" / "pg_control").exists()):
        if ours:
            shutil.rmtree(data_dir)
        elif any(data_dir.iterdir()):
            raise Refused(
                f"{data_dir} is not empty, and no cluster",
                untouched="Nothing was changed",
                then="Name another folder",
            )
        return False
    if is_foreign:
        raise foreign
    return True


@contextmanager
def running_postgres(
    data_dir: Path, *, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """A running server on `data_dir`, created if need be, stopped at the end and after an error.

    Args:
        data_dir: the cluster's folder; as root it must lie where the service user can go.
        settings: over and above `SETTINGS`.

    Raises:
        Refused: another server runs on `data_dir`.
        CannotMeasure: the server does not start; the end of its log is quoted.
    """
    server = start_postgres(data_dir, settings=settings)
    try:
        yield server
    finally:
        stop_postgres(data_dir)


def start_postgres(
    data_dir: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None
) -> PostgresServer:
    """As `running_postgres`, but the server outlives this process; `stop_postgres` ends it."""
    create_cluster(data_dir)
    if is_running(data_dir):
        stop_postgres(data_dir)  # left behind by a run that was killed; the cache lock is ours
    chosen = free_port(port)
    in_force = {**SETTINGS, "shared_buffers": f"{shared_buffers_mb()}MB", **(settings or {})}
    options = {
        **stand_ins.settings(server_version()[0]),
        **in_force,
        "port": str(chosen),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
    }
    secret = _password_file(data_dir).read_text(encoding="ascii")
    server = PostgresServer(data_dir, chosen, secret, in_force)
    server.log.touch()
    give_to_service_user(server.log)
    _write_settings(data_dir, options)
    if options["wal_level"] == "minimal":
        # Left behind by a replica's run that was killed; PostgreSQL would refuse to start with it.
        shutil.rmtree(data_dir / "pg_replslot" / REPLICA_SLOT, ignore_errors=True)
    try:
        run_program(
            "pg_ctl",
            *("start", "--pgdata", data_dir, "--log", server.log, "--wait", "--silent"),
            *("--timeout", str(START_TIMEOUT_S)),
            start_new_session=True,  # Ctrl-C is for us: we stop the server in order
            stdin=subprocess.DEVNULL,
        )
    except BaseException as error:  # Ctrl-C included: nobody else knows of it yet
        stop_postgres(data_dir)
        if not isinstance(error, CannotMeasure):
            raise
        tail = " / ".join(server.log.read_text("utf-8", "replace").splitlines()[-3:])
        raise CannotMeasure(
            f"PostgreSQL does not start: {tail or error.what}",
            then="Mend what it names, then start again",
        ) from error
    return server


def stop_postgres(data_dir: Path) -> None:
    """Stop the server on `data_dir`, if one runs: clients are cut off, nothing is lost."""
    if is_running(data_dir):
        run_program(
            "pg_ctl",
            *("stop", "--pgdata", data_dir, "--mode", "fast", "--wait", "--silent"),
            *("--timeout", str(STOP_TIMEOUT_S)),
        )


def _write_settings(data_dir: Path, options: Mapping[str, str]) -> None:
    """Replace `postgresql.auto.conf`, which overrides `postgresql.conf`."""
    path = data_dir / "postgresql.auto.conf"
    quoted = (
        (name, value.replace("\\", "\\\\").replace("'", "''")) for name, value in options.items()
    )
    path.write_text("".join(f"{name} = '{value}'\n" for name, value in quoted), encoding="utf-8")
    give_to_service_user(path)
