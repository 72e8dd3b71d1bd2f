"""The environment of programs of PostgreSQL; ending a process; a server's process.

The one reader of `postmaster.pid`. Its first line is the process id; a later one is the data
folder's name, in whatever bytes that has, so the file is read as bytes.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from phasegate.model.errors import CannotMeasure

POLL_S = 0.02
TIMEOUT_S = 10.0

# For what a leader left behind: it had its time while the leader ended.
GROUP_GRACE_S = 2.0


def without_libpq_variables() -> dict[str, str]:
    """The environment for programs that talk to a server of ours.

    PGOPTIONS, PGHOSTADDR and their like are meant for somebody's own; PgBouncer refuses the first.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def end(
    process: psutil.Process, number: int = signal.SIGTERM, timeout_s: float = TIMEOUT_S
) -> None:
    """Send `number` and wait until `process` has ended; by force if it does not follow.

    One that has ended but was not yet collected by its parent counts as ended: init may take
    seconds to collect what its caller left behind.
    """
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        deadline = time.monotonic() + timeout_s
        while lives(process):
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(POLL_S)
    with suppress(psutil.Error):
        process.wait(0)  # collects it where it is our own child


def end_group(leader: int) -> None:
    """End the process `leader`, and then whatever is left of the process group that it leads."""
    with suppress(psutil.NoSuchProcess):
        end(psutil.Process(leader))
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GROUP_GRACE_S
        try:
            os.killpg(leader, number)
            while time.monotonic() < deadline:
                os.killpg(leader, 0)
                time.sleep(POLL_S)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left, or nobody of ours


def lives(process: psutil.Process) -> bool:
    """Whether `process` runs: it is there, it is the same one, and not merely uncollected."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def noted_pid(data_dir: Path) -> int | None:
    """The process id in `postmaster.pid`; None where there is no such file, or no number in it."""
    try:
        first = (data_dir / "postmaster.pid").read_bytes().split(b"\n", 1)[0]
        return int(first)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def postmaster_of(data_dir: Path) -> int:
    """Process id of the server that runs on `data_dir`.

    Raises:
        CannotMeasure: none runs there any more.
    """
    pid = noted_pid(data_dir)
    if pid is None:
        raise CannotMeasure(
            f"The server on {data_dir} has ended", then=f"Read {data_dir}.log, which says why"
        )
    return pid


def is_running(data_dir: Path) -> bool:
    """Whether a server runs on `data_dir`: one that crashed leaves its `postmaster.pid` behind."""
    pid = noted_pid(data_dir)
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # The number may have been given to another program since.
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().startswith(b"postgres")
    except OSError:
        return not Path("/proc/self").exists()
