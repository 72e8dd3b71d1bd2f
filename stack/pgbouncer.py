"""PgBouncer in transaction mode, in front of a server of ours or any other.

Reads the program found on this machine; writes one folder with its configuration, its list of users
(mode 600: it holds the password), its log and its process id. Works as root too: it then runs as
the service user, since it refuses root as PostgreSQL does.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil

from phases.errors import CannotMeasure, ConfigurationError
from stack.binaries import give_to_service_user, programs, service_user
from stack.database import redact, with_database, with_port
from stack.install import install_command, library_path, unpacked_pgbouncer
from stack.postgres import free_port

PROGRAM_VARIABLE = "PHASEGATE_PGBOUNCER"
# Where distributions put it; /usr/sbin is not on an ordinary user's PATH.
USUAL_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")

# Debian 12's. Older ones lack the SCRAM and `SHOW` behaviour that is relied on here.
VERSION_MIN = (1, 18)
# From here on it follows protocol-level prepared statements through a transaction pool.
PREPARED_FROM = (1, 21)
# From here on SIGTERM waits for clients, and SIGQUIT is the immediate stop.
QUIT_FROM = (1, 23)

# More than the statements that one API knows: a statement pushed out is prepared again.
PREPARED_STATEMENTS_MAX = 500
POOL_SIZE = 15  # Supabase's default for its smallest computes
CLIENTS_MAX = 200  # pooler clients of Supabase's Nano and Micro
# As PostgREST waits for a connection: a client hears of an exhausted pool, it does not hang.
QUERY_WAIT_TIMEOUT_S = 10
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02
ADMIN_DATABASE = "pgbouncer"


@dataclass(frozen=True)
class PoolStats:
    """One row of SHOW POOLS: a database and user. Counts of connections."""

    database: str
    user: str
    clients_active: int
    clients_waiting: int
    servers_active: int
    servers_idle: int
    wait_s_max: float
    """How long the oldest waiting client has waited, in seconds."""


@dataclass(frozen=True)
class PgBouncer:
    """A running pooler of ours."""

    folder: Path
    port: int
    pid: int
    version: tuple[int, int]
    server_dsn: str = field(repr=False)

    @property
    def dsn(self) -> str:
        """The server's DSN with the pooler in its place; the password is in it."""
        return with_port(self.server_dsn, self.port)

    @property
    def statement_cache_size(self) -> int | None:
        """What asyncpg needs to know: 0 where the pooler cannot follow prepared statements."""
        return None if self.version >= PREPARED_FROM else 0

    @property
    def log(self) -> Path:
        """Where it writes what it has to say."""
        return self.folder / "pgbouncer.log"


def find_pgbouncer() -> Path | None:
    """The program on this machine, or None.

    Raises:
        ConfigurationError: `PHASEGATE_PGBOUNCER` names something that is not there.
    """
    named = os.environ.get(PROGRAM_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise ConfigurationError(
                f"{PROGRAM_VARIABLE} names {named}, which is not there",
                then="Correct it, or unset it to look in the usual places",
            )
        return Path(named)
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], *USUAL_FOLDERS]))
    if found:
        return Path(found)
    unpacked = unpacked_pgbouncer()
    return unpacked if unpacked.is_file() else None


@cache
def pgbouncer_version(program: Path) -> tuple[int, int]:
    """Major and minor version of `program`, as (1, 18).

    Raises:
        ConfigurationError: it does not run, or is older than 1.18.
    """
    try:
        told = subprocess.run(
            [program, "--version"],
            check=True,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            env={**os.environ, **library_path(program)},
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"{program} does not run: {error}", then=f"Try: {install_command()}"
        ) from error
    return parse_version(told)


def parse_version(told: str) -> tuple[int, int]:
    """The version in what `pgbouncer --version` says.

    Raises:
        ConfigurationError: there is none, or it is older than 1.18.
    """
    match = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    if match is None:
        raise ConfigurationError(f"This is no PgBouncer that we know: {told.strip()[:80]}")
    version = (int(match[1]), int(match[2]))
    if version < VERSION_MIN:
        raise ConfigurationError(
            f"PgBouncer {version[0]}.{version[1]} is too old: 1.18 or newer is needed",
            then=f"Try: {install_command()}",
        )
    return version


def configuration(
    server_dsn: str,
    *,
    folder: Path,
    port: int,
    pool_size: int,
    clients_max: int,
    version: tuple[int, int],
) -> str:
    """The text of `pgbouncer.ini`; no password in it."""
    server = urlsplit(server_dsn)
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "pool_mode": "transaction",
        "auth_type": "scram-sha-256",
        "auth_file": folder / "userlist.txt",
        "admin_users": unquote(server.username or ""),
        "default_pool_size": pool_size,
        "max_client_conn": clients_max,
        "query_wait_timeout": QUERY_WAIT_TIMEOUT_S,
        # After a server restart it would by default keep everybody waiting for 15 s.
        "server_login_retry": 1,
        # Of asyncpg and the JDBC driver; harmless to drop, since it only changes how floats print.
        "ignore_startup_parameters": "extra_float_digits",
        "logfile": folder / "pgbouncer.log",
        "pidfile": folder / "pgbouncer.pid",
        # Two lines a client would be most of what is written.
        "log_connections": 0,
        "log_disconnections": 0,
    }
    if version >= PREPARED_FROM:
        settings["max_prepared_statements"] = PREPARED_STATEMENTS_MAX
    lines = [f"{name} = {value}" for name, value in settings.items()]
    databases = f"* = host={server.hostname} port={server.port or 5432}"
    return "\n".join(["[databases]", databases, "", "[pgbouncer]", *lines, ""])


def start_pgbouncer(
    folder: Path,
    server_dsn: str,
    *,
    port: int | None = None,
    pool_size: int = POOL_SIZE,
    clients_max: int = CLIENTS_MAX,
) -> PgBouncer:
    """Start a pooler that outlives this process; `stop_pgbouncer` ends it.

    Args:
        folder: for its files; made if need be. As root it must lie where the service user can go.
        server_dsn: of the server behind it; its user and password are those of the pooler.
        port: of 127.0.0.1; any free one if None.
        pool_size: connections to the server per database and user.
        clients_max: connections that clients may have open.

    Raises:
        Refused: the port is taken.
        ConfigurationError: there is no PgBouncer here, or it is too old.
        CannotMeasure: it does not start; the end of its log is quoted.
    """
    program = find_pgbouncer()
    if program is None:
        raise ConfigurationError(
            "There is no PgBouncer on this machine",
            untouched="Nothing was started",
            then=f"Try: {install_command()}",
        )
    version = pgbouncer_version(program)
    stop_pgbouncer(folder)  # left behind by a run that was killed
    chosen = free_port(port)
    _write_files(folder, server_dsn, chosen, pool_size, clients_max, version)
    user = service_user()
    identity: dict[str, Any] = (
        {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    )
    process = subprocess.Popen(
        [program, "--quiet", folder / "pgbouncer.ini"],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: we stop it in order
        env={**os.environ, **library_path(program)},
        **identity,
    )
    pooler = PgBouncer(folder, chosen, process.pid, version, server_dsn)
    _await_readiness(pooler, process)
    return pooler


def _write_files(
    folder: Path,
    server_dsn: str,
    port: int,
    pool_size: int,
    clients_max: int,
    version: tuple[int, int],
) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    give_to_service_user(folder)
    server = urlsplit(server_dsn)
    user, password = (unquote(part or "") for part in (server.username, server.password))
    quoted = " ".join('"' + part.replace('"', '""') + '"' for part in (user, password))
    text = configuration(
        server_dsn,
        folder=folder,
        port=port,
        pool_size=pool_size,
        clients_max=clients_max,
        version=version,
    )
    for name, content in (("userlist.txt", f"{quoted}\n"), ("pgbouncer.ini", text)):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
        give_to_service_user(path)


def _await_readiness(pooler: PgBouncer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            admin(pooler, "SHOW VERSION")
        except CannotMeasure as error:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
                continue
            stop_pgbouncer(pooler.folder)
            said = pooler.log.read_text("utf-8").splitlines()[-2:] if pooler.log.exists() else []
            raise CannotMeasure(f"PgBouncer does not start: {' / '.join(said) or error}") from error
        return


def stop_pgbouncer(folder: Path) -> None:
    """Stop the pooler of `folder`, if one runs: clients are cut off, the server is not touched."""
    found = _process(folder)
    if found is None:
        return
    process, version = found
    process.send_signal(signal.SIGQUIT if version >= QUIT_FROM else signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)
    (folder / "pgbouncer.pid").unlink(missing_ok=True)


def _process(folder: Path) -> tuple[psutil.Process, tuple[int, int]] | None:
    """The process that runs on `folder`; its number may have been given to another one since."""
    path = folder / "pgbouncer.pid"
    try:
        process = psutil.Process(int(path.read_text(encoding="ascii")))
        ours = str(folder / "pgbouncer.ini") in process.cmdline()
        if not ours or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process, pgbouncer_version(find_pgbouncer() or Path(process.exe()))
    except (OSError, ValueError, psutil.Error):
        return None


def is_running(folder: Path) -> bool:
    """Whether the pooler of `folder` runs."""
    return _process(folder) is not None


def restart_pgbouncer(
    pooler: PgBouncer, *, pool_size: int = POOL_SIZE, clients_max: int = CLIENTS_MAX
) -> PgBouncer:
    """Stop and start `pooler` on its port: what an upgrade or a crash looks like to clients."""
    stop_pgbouncer(pooler.folder)
    return start_pgbouncer(
        pooler.folder,
        pooler.server_dsn,
        port=pooler.port,
        pool_size=pool_size,
        clients_max=clients_max,
    )


@contextmanager
def running_pgbouncer(
    folder: Path,
    server_dsn: str,
    *,
    port: int | None = None,
    pool_size: int = POOL_SIZE,
    clients_max: int = CLIENTS_MAX,
) -> Iterator[PgBouncer]:
    """As `start_pgbouncer`, stopped at the end, come what may."""
    pooler = start_pgbouncer(
        folder, server_dsn, port=port, pool_size=pool_size, clients_max=clients_max
    )
    try:
        yield pooler
    finally:
        stop_pgbouncer(folder)


def admin(pooler: PgBouncer, command: str) -> list[dict[str, str]]:
    """The rows that the admin console answers to `command`, as text by column name.

    Through psql: the console speaks only the simple query protocol, asyncpg only the extended one.

    Raises:
        CannotMeasure: it does not answer.
    """
    dsn = with_database(pooler.dsn, ADMIN_DATABASE)
    address = urlsplit(dsn)
    try:
        done = subprocess.run(
            [programs() / "psql", "--no-psqlrc", "--csv", "--command", command],
            check=False,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            env={
                **os.environ,
                "PGHOST": address.hostname or "",
                "PGPORT": str(address.port),
                "PGUSER": unquote(address.username or ""),
                "PGPASSWORD": unquote(address.password or ""),  # keeps it off argv
                "PGDATABASE": ADMIN_DATABASE,
                "PGCONNECT_TIMEOUT": "2",
            },
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"PgBouncer at {redact(dsn)} does not answer") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise CannotMeasure(
            f"PgBouncer at {redact(dsn)} does not answer: {said[-1] if said else done.returncode}"
        )
    lines = [line.split(",") for line in done.stdout.splitlines()]
    return [dict(zip(lines[0], row, strict=False)) for row in lines[1:]]


def pools(pooler: PgBouncer) -> tuple[PoolStats, ...]:
    """SHOW POOLS without the console's own.

    Raises:
        CannotMeasure: the console does not answer.
    """
    return tuple(
        PoolStats(
            database=row["database"],
            user=row["user"],
            clients_active=int(row["cl_active"]),
            clients_waiting=int(row["cl_waiting"]),
            servers_active=int(row["sv_active"]),
            servers_idle=int(row["sv_idle"]),
            wait_s_max=int(row["maxwait"]) + int(row["maxwait_us"]) / 1e6,
        )
        for row in admin(pooler, "SHOW POOLS")
        if row["database"] != ADMIN_DATABASE
    )
