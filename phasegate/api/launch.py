"""Starting and stopping the API: a process of its own, on a port of 127.0.0.1.

Writes nothing. The listening socket is opened here and handed over, so a taken port is known
before anything starts, and nobody can take it in between.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from phasegate.api.settings import (
    ACQUIRE_TIMEOUT_S,
    BODY_BYTES_MAX,
    GATEWAY_TIMEOUT_S,
    POOL_SIZE,
    ROWS_MAX,
    SIGN_IN_PASSWORD,
    STATEMENT_CACHE_SIZE,
    ApiSettings,
)
from phasegate.model.errors import CannotMeasure, Refused
from phasegate.stack.tokens import mint_key

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
BACKLOG = 2048


@dataclass(frozen=True)
class Api:
    """A running service. `anon_key` is the `apikey` header of every request."""

    url: str
    anon_key: str = field(repr=False)
    pid: int


def _listening(port: int | None) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port or 0))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Refused(
            f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}",
            untouched="The API was not started",
            then="Stop what listens there, or name another port",
        ) from error
    return listener


@contextmanager
def running_api(
    dsn: str,
    *,
    port: int | None = None,
    jwt_secret: str,
    pool_size: int = POOL_SIZE,
    level: int = 1,
    replica_dsn: str | None = None,
    workers: int = 1,
    statement_cache_size: int = STATEMENT_CACHE_SIZE,
    acquire_timeout_s: float = ACQUIRE_TIMEOUT_S,
    gateway_timeout_s: float = GATEWAY_TIMEOUT_S,
    rows_max: int = ROWS_MAX,
    body_bytes_max: int = BODY_BYTES_MAX,
    password: str = SIGN_IN_PASSWORD,
) -> Iterator[Api]:
    """A running API on `dsn`, stopped at the end, also after an error.

    It survives Ctrl-C in the caller's terminal, so that the caller stops it in order, and it ends
    by itself when the caller is killed.

    Args:
        dsn: of the database: a server, or a pooler before it.
        port: of 127.0.0.1; any free one if None.
        jwt_secret: that users' tokens are signed with.
        pool_size: connections of the whole service, shared out among its workers; 0 for a
            connection of its own to each request.
        level: stack level, told to functions and shown at /ready.
        replica_dsn: where reads marked for analytics go.
        workers: processes.
        statement_cache_size: statements that a connection keeps prepared; 0 behind a pooler that
            cannot follow them (PgBouncer before 1.21).
        acquire_timeout_s: how long a request waits for a connection before its 504.
        gateway_timeout_s: after which a request is given up and answered 504.
        rows_max: of one answer.
        body_bytes_max: of one request; more is answered 413.
        password: that every user signs in with.

    Raises:
        Refused: the port is taken.
        CannotMeasure: it does not become ready; what it said last is quoted.
    """
    api = start_api(
        ApiSettings(
            dsn=dsn,
            jwt_secret=jwt_secret,
            pool_size=-(-pool_size // workers),
            level=level,
            replica_dsn=replica_dsn,
            statement_cache_size=statement_cache_size,
            acquire_timeout_s=acquire_timeout_s,
            gateway_timeout_s=gateway_timeout_s,
            rows_max=rows_max,
            body_bytes_max=body_bytes_max,
            password=password,
        ),
        port=port,
        workers=workers,
        outlives_caller=False,
    )
    try:
        yield api.api
    finally:
        api.stop()


@dataclass
class Started:
    """A service that was started here."""

    api: Api
    process: subprocess.Popen[bytes]
    life_line: int | None

    def stop(self) -> None:
        """End it in order; by force if it does not follow."""
        if self.life_line is not None:
            os.close(self.life_line)
            self.life_line = None
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its session is its own
            self.process.wait()


def start_api(
    settings: ApiSettings,
    *,
    port: int | None = None,
    workers: int = 1,
    outlives_caller: bool,
    log: Path | None = None,
) -> Started:
    """Start the service and wait until it is ready; see `running_api`.

    With `outlives_caller`, `stop_api(pid)` ends it. What it says goes to `log`, or where the
    caller's own words go.
    """
    with _listening(port) as listener:
        chosen = listener.getsockname()[1]
        read_end, write_end = os.pipe()
        passed = (listener.fileno(), -1 if outlives_caller else read_end)
        sink = None if log is None else log.open("wb")
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "phasegate.api", *map(str, passed), str(workers)],
                env={**os.environ, **settings.environment()},
                pass_fds=[descriptor for descriptor in passed if descriptor >= 0],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # Ctrl-C is for us: we stop it in order
            )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
            if sink is not None:
                sink.close()
    if outlives_caller:
        os.close(write_end)
    api = Api(f"http://127.0.0.1:{chosen}", mint_key(settings.jwt_secret), process.pid)
    started = Started(api, process, None if outlives_caller else write_end)
    try:
        _wait_until_ready(started, chosen)
    except BaseException:
        started.stop()
        raise
    return started


def stop_api(pid: int) -> None:
    """End a service that another process started; nothing happens where it is gone."""
    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        os.killpg(pid, signal.SIGKILL)  # its session is its own


def _wait_until_ready(started: Started, port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    said = "it does not answer"
    while time.monotonic() < deadline:
        if started.process.poll() is not None:
            raise CannotMeasure(
                f"The API ended with status {started.process.returncode}",
                then="Read what it said, then start again",
            )
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_TIMEOUT_S)
        try:
            connection.request("GET", "/ready")
            answer = connection.getresponse()
            if answer.status == http.client.OK:
                return
            said = answer.read().decode()
        except OSError as error:
            said = str(error)
        finally:
            connection.close()
        time.sleep(POLL_S)
    raise CannotMeasure(
        f"The API does not become ready in {READY_TIMEOUT_S:g} s: {said}",
        then="Start again while the machine is less busy",
    )
