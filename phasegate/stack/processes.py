"""The environment of programs of PostgreSQL; ending a process that may not be our child."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil

POLL_S = 0.02
TIMEOUT_S = 10.0


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


def lives(process: psutil.Process) -> bool:
    """Whether `process` runs: it is there, it is the same one, and not merely uncollected."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
