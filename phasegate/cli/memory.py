"""Peak memory of a stretch of work, over this process and all that it started.

Pages that processes share (PostgreSQL's buffers) count once: the sum of what each holds alone,
plus the largest shared part that any of them maps. Sampled, so a spike between samples is missed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from phasegate.model.errors import CannotMeasure
from phasegate.stack.processes import postmaster_of

SAMPLE_EVERY_S = 0.5  # a few ms of work per sample on a tree of 20 processes


class MemorySampler:
    """Samples while it is entered; `bytes_max` is the peak so far.

    Args:
        data_dirs: of servers whose process trees count as well, although they are nobody's
            children.
    """

    def __init__(self, *data_dirs: Path) -> None:
        self.bytes_max = 0
        self._data_dirs = data_dirs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory", daemon=True)

    def __enter__(self) -> MemorySampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.bytes_max = max(self.bytes_max, self._now())
            if self._stop.wait(SAMPLE_EVERY_S):
                return

    def _now(self) -> int:
        alone = shared_max = 0
        for process in self._processes():
            try:
                memory = process.memory_info()
            except psutil.Error:  # it ended while we looked
                continue
            shared = getattr(memory, "shared", 0)
            alone += memory.rss - shared
            shared_max = max(shared_max, shared)
        return alone + shared_max

    def _processes(self) -> Iterator[psutil.Process]:
        roots = [psutil.Process()]
        for data_dir in self._data_dirs:
            try:
                roots.append(psutil.Process(postmaster_of(data_dir)))
            except (CannotMeasure, OSError, psutil.Error):  # it has ended
                continue
        seen: set[int] = set()
        for root in roots:
            try:
                tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in tree:
                if process.pid not in seen:
                    seen.add(process.pid)
                    yield process
