"""Starting and stopping a project's own API: the command of its `[api]`, on the seeded database.

Writes the API's output to a log file. The command has a process group of its own: all of it is
ended when the caller says so or is killed, and nothing of it is ever started again. Of one that
outlives its caller, the number of its process stands beside the log: it is ended before the next.
"""

from __future__ import annotations

import http.client
import os
import shlex
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from phasegate.api.launch import Api, Started
from phasegate.model.errors import CannotMeasure, ConfigurationError, Refused
from phasegate.project import ApiFile
from phasegate.stack.processes import end_group
from phasegate.stack.tokens import mint_key

POLL_S = 0.05
ANSWER_TIMEOUT_S = 10.0

# Of the log's last line: it may hold a whole statement.
TAIL_LENGTH_MAX = 300

NOTE = "api.pid"

# Its input is a pipe that the caller holds: it ends with the caller, however that ends.
WATCHER = 'read -r _; kill -s TERM -- "-$1"; sleep 2; kill -s KILL -- "-$1"'


@dataclass
class StartedCommand(Started):
    """A project's API that was started here."""

    note: Path
    watcher: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End the whole process group: in order, and by force if it does not follow."""
        if self.watcher is not None:
            self.watcher.kill()
            self.watcher.communicate()  # closes our end of its pipe as well
        end_group(self.process.pid)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        self.note.unlink(missing_ok=True)


def start_command(
    api: ApiFile,
    *,
    root: Path,
    folder: Path,
    dsn: str,
    jwt_secret: str,
    port: int | None,
    outlives_caller: bool,
) -> StartedCommand:
    """Start the command of `api` and wait until it is ready.

    Args:
        api: what to start, and how it is known to be ready.
        root: the project's folder, which the command runs in.
        folder: for its log.
        dsn: of the database, or of a pooler before it, as the database's owner.
        jwt_secret: that users' tokens are signed with.
        port: of 127.0.0.1; any free one if None.
        outlives_caller: whether it goes on when this process has ended.

    Raises:
        ConfigurationError: there is no such command.
        Refused: the port is taken.
        CannotMeasure: it ended, or was not ready in time; its last words are quoted.
    """
    chosen, log = _free_port(port), folder / "api.log"
    values = {"database_url": dsn, "port": str(chosen), "jwt_secret": jwt_secret}
    ours = {"DATABASE_URL": dsn, "PORT": str(chosen), "HOST": "127.0.0.1"}
    ours |= {name: value.format(**values) for name, value in api.environment.items()}
    # libpq's own variables are meant for somebody's own server.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                shlex.split(api.command),
                cwd=root,
                env={**inherited, **ours},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # Ctrl-C is for us: we stop it in order
            )
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"phasegate.toml: api.command cannot be started: {error}",
                untouched="Nothing was driven",
                then="Write it as a shell has it, for the project's folder: node server.js",
            ) from error
    note = folder / NOTE
    note.write_text(f"{process.pid} {psutil.Process(process.pid).create_time()}", encoding="ascii")
    started = StartedCommand(
        Api(f"http://127.0.0.1:{chosen}", mint_key(jwt_secret), process.pid), process, None, note
    )
    try:
        if not outlives_caller:
            started.watcher = subprocess.Popen(
                ["/bin/sh", "-c", WATCHER, "sh", str(process.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        _wait_until_ready(started, api, chosen, log, (dsn, jwt_secret))
    except BaseException:
        started.stop()
        raise
    return started


def clear_left_behind(folder: Path) -> None:
    """End the API that a run which was killed left in `folder`."""
    note = folder / NOTE
    with suppress(OSError, ValueError, psutil.Error):
        pid, created = note.read_text(encoding="ascii").split()
        if psutil.Process(int(pid)).create_time() == float(created):
            end_group(int(pid))
    note.unlink(missing_ok=True)


def _free_port(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            raise Refused(
                f"Port {port} of 127.0.0.1 cannot be used: {error.strerror}",
                untouched="The API was not started",
                then="Stop what listens there, or name another port",
            ) from error
        return int(probe.getsockname()[1])


def _wait_until_ready(
    started: StartedCommand, api: ApiFile, port: int, log: Path, secrets: tuple[str, ...]
) -> None:
    deadline = time.monotonic() + api.ready_within_s
    said = "it does not answer"
    while time.monotonic() < deadline:
        status = started.process.poll()
        if status is not None:
            raise _failed(f"ended with status {status} before it was ready", log, secrets)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        try:
            connection.request("GET", api.ready)
            answer = connection.getresponse().status
            if answer < http.client.BAD_REQUEST:
                return
            said = f"{api.ready} answers {answer}"
        except (OSError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
        finally:
            connection.close()
        time.sleep(POLL_S)
    raise _failed(f"was not ready within {api.ready_within_s:g} s ({said})", log, secrets)


def _failed(what: str, log: Path, secrets: tuple[str, ...]) -> CannotMeasure:
    """`what` went wrong, with the last line of the API's output; no secret is quoted."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    words = lines[-1].strip() if lines else "no output"
    for secret in secrets:
        words = words.replace(secret, "…")
    return CannotMeasure(
        f"phasegate.toml: api.command {what}: {words[-TAIL_LENGTH_MAX:]}", then=f"Read {log}"
    )
