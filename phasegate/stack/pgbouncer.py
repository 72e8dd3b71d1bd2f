"""PgBouncer in transaction mode, in front of a server of ours or any other.

Reads the program found on this machine; writes one folder with its configuration, its list of users
(mode 600: it holds the password), its log and its process id. Works as root too: it then runs as
the service user, since it refuses root as PostgreSQL does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.stack.binaries import as_service_user, give_to_service_user
from phasegate.stack.pgbouncer_console import PgBouncer, admin
from phasegate.stack.pgbouncer_install import (
    PREPARED_FROM,
    QUIT_FROM,
    install_command,
    library_path,
    pgbouncer_version,
)
from phasegate.stack.pgbouncer_install import find_pgbouncer as find_pgbouncer
from phasegate.stack.postgres import free_port
from phasegate.stack.processes import end, lives

# More than the statements that one API knows: a statement pushed out is prepared again.
PREPARED_STATEMENTS_MAX = 500
POOL_SIZE = 15  # Supabase's default for its smallest computes
CLIENTS_MAX = 200  # pooler clients of Supabase's Nano and Micro
# As PostgREST waits for a connection: a client hears of an exhausted pool, it does not hang.
QUERY_WAIT_TIMEOUT_S = 10
START_TIMEOUT_S = 10.0
POLL_S = 0.02


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
    process = subprocess.Popen(
        [program, "--quiet", folder / "pgbouncer.ini"],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: we stop it in order
        env={**os.environ, **library_path(program)},
        **as_service_user(),
    )
    pooler = PgBouncer(folder, chosen, process.pid, version, server_dsn)
    try:
        _await_readiness(pooler, process)
    except BaseException:  # Ctrl-C included: nobody else knows of it yet
        process.kill()
        process.wait()
        raise
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
            said = pooler.log.read_text("utf-8").splitlines()[-2:] if pooler.log.exists() else []
            raise CannotMeasure(
                f"PgBouncer does not start: {' / '.join(said) or error.what}",
                then="Mend what it names, then start again",
            ) from error
        return


def stop_pgbouncer(folder: Path) -> None:
    """Stop the pooler of `folder`, if one runs: clients are cut off, the server is not touched."""
    found = _process(folder)
    if found is None:
        return
    process, version = found
    end(process, signal.SIGQUIT if version >= QUIT_FROM else signal.SIGTERM)
    (folder / "pgbouncer.pid").unlink(missing_ok=True)


def _process(folder: Path) -> tuple[psutil.Process, tuple[int, int]] | None:
    """The process that runs on `folder`; its number may have been given to another one since."""
    path = folder / "pgbouncer.pid"
    try:
        process = psutil.Process(int(path.read_text(encoding="ascii")))
        ours = str(folder / "pgbouncer.ini") in process.cmdline()
        if not ours or not lives(process):
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
    pool_size: int = POOL_SIZE,
    clients_max: int = CLIENTS_MAX,
) -> Iterator[PgBouncer]:
    """As `start_pgbouncer`, stopped at the end, also after an error."""
    pooler = start_pgbouncer(folder, server_dsn, pool_size=pool_size, clients_max=clients_max)
    try:
        yield pooler
    finally:
        stop_pgbouncer(folder)
