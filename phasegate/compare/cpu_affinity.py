"""Where client and server run: together on one core, where the machine lets us say so.

Reads and sets the scheduling affinity of this process and of a local server's backend (Linux only;
their parallel workers are children of the postmaster and stay free). Left alone, the scheduler
moves the two between one core and two from minute to minute, and a 14 µs statement becomes a 90 µs
one, since an idle core has to be woken for each message. Which of the two is measured matters less
than that it is the same throughout; together there is the least noise, and the client of a
request-and-answer protocol waits while the server works.
"""

from __future__ import annotations

import os

from phasegate.model.dsn import Dsn


def is_local(dsn: str) -> bool:
    """Whether the server of `dsn` is on this machine."""
    return Dsn.of(dsn).is_loopback


class Placement:
    """Affinity taken at construction and given back by `release`."""

    def __init__(self, dsn: str) -> None:
        self._before: set[int] | None = None
        self.said = "left to the operating system"
        if not hasattr(os, "sched_setaffinity") or not is_local(dsn):
            return
        before = os.sched_getaffinity(0)
        # The last one: interrupts and whatever was started first tend to be on the first.
        self._core = max(before)
        os.sched_setaffinity(0, {self._core})
        self._before = before
        self.said = "client on one core; no right to place the server's processes"

    def take(self, backend_pid: int) -> None:
        """Put a backend where the client is, if this user may."""
        if self._before is None:
            return
        try:
            os.sched_setaffinity(backend_pid, {self._core})
        except OSError:  # another user's process, or one in another container
            return
        self.said = "client and its backend together on one core"

    def release(self) -> None:
        """Let this process run anywhere again; backends end with their connections."""
        if self._before is not None:
            os.sched_setaffinity(0, self._before)
