"""Memory of this process and of those it forked, each page counted once (PSS): Linux alone.

Reads `/proc`; writes nothing. Resident memory counts a page that two processes share twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from phasegate.model.errors import CannotMeasure

INTERVAL_S = 0.1
"""A table of a million users takes seconds, and its peak a good part of them."""


class Peak:
    """The largest memory seen, in bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()

    def watch(self) -> None:
        """Look until told to end."""
        while not self._ended.wait(INTERVAL_S):
            self.bytes = max(self.bytes, sum(map(_pss_bytes, _processes())))

    def end(self) -> None:
        """Look no more."""
        self._ended.set()


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Watch while the context lasts.

    Raises:
        CannotMeasure: the kernel tells no PSS.
    """
    if not _pss_bytes(os.getpid()):
        raise CannotMeasure("This system does not tell memory page by page (/proc/*/smaps_rollup)")
    peak = Peak()
    thread = threading.Thread(target=peak.watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak.end()
        thread.join()


def _processes() -> Iterator[int]:
    """This process and those that it forked; a server that it started is another program."""
    ours = os.getpid()
    yield ours
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            for child in (task / "children").read_text().split():
                if Path(f"/proc/{child}/exe").readlink() == Path("/proc/self/exe").readlink():
                    yield int(child)


def _pss_bytes(process: int) -> int:
    """0 where it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
