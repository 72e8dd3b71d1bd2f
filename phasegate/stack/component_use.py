"""What each part of the stack uses: processor and memory of a process and all its descendants.

Reads the system's process table by psutil; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import psutil

from phasegate.records.sampler import Component


class Components:
    """Processor and memory of each component: its root process and all its descendants.

    Args:
        pids: of the root process, by the component's name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._cpu_s: dict[int, float] = {}
        self._total_s: dict[str, float] = {}
        self._looked_s = time.monotonic()
        psutil.cpu_percent()
        self.look()

    def look(self) -> tuple[Component, ...]:
        """What each used since the last look."""
        now_s = time.monotonic()
        elapsed_s, self._looked_s = max(now_s - self._looked_s, 1e-6), now_s
        return tuple(self._component(name, pid, elapsed_s) for name, pid in self._pids.items())

    def _component(self, name: str, pid: int, elapsed_s: float) -> Component:
        # The root's account of ended children includes connections that came and went between
        # two looks. A child that ends moves into it, so the sum only grows.
        total_s, busiest, memory = 0.0, 0.0, 0
        for process in _family(pid):
            try:
                times, held = process.cpu_times(), process.memory_info()
            except psutil.Error:
                continue
            used_s = times.user + times.system
            share = max(used_s - self._cpu_s.get(process.pid, used_s), 0.0) / elapsed_s
            self._cpu_s[process.pid] = used_s
            busiest = max(busiest, share)
            total_s += used_s
            memory += held.rss - getattr(held, "shared", 0)
            if process.pid == pid:
                total_s += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
                memory += getattr(held, "shared", 0)  # once for all of them
        before_s = self._total_s.get(name, total_s)
        self._total_s[name] = total_s
        return Component(
            name=name,
            cpu_share=max(total_s - before_s, 0.0) / elapsed_s,
            process_cpu_share_max=busiest,
            memory_bytes=memory,
        )


def _family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; nobody once it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []
