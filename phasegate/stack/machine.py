"""What every figure depends on: the machine and the server. Records state it.

Reads /proc and asks the server; writes nothing. No host name, user name or path is taken down.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import psutil

from phasegate.records.run import Machine, Server
from phasegate.stack.database import connected
from phasegate.stack.postgres import PostgresServer

UNKNOWN_CPU = "unknown"

STAT = Path("/proc/stat")
# Columns of its first line (man 5 proc): user nice system idle iowait irq softirq steal …
IDLE, IOWAIT, STEAL, COLUMNS = 3, 4, 7, 8


def processor_ticks() -> tuple[int, ...]:
    """What all processors did since the machine started, in ticks, by column; empty if unknown."""
    try:
        fields = STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return ()
    return tuple(int(field) for field in fields[:COLUMNS])


def steal_share(before: Sequence[int], after: Sequence[int]) -> float | None:
    """Of the processors' time between two looks, what the hypervisor took; None if unknown."""
    if min(len(before), len(after)) < COLUMNS or sum(after) <= sum(before):
        return None
    return round((after[STEAL] - before[STEAL]) / (sum(after) - sum(before)), 4)


class StealWatch:
    """What the hypervisor took between two looks; the first one is when it is made."""

    def __init__(self) -> None:
        self._seen = processor_ticks()

    def look(self) -> float | None:
        """Of all processors' time since the last look; None if unknown."""
        before, self._seen = self._seen, processor_ticks()
        return steal_share(before, self._seen)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or UNKNOWN_CPU
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine() or UNKNOWN_CPU


def machine() -> Machine:
    """The computer that this process runs on."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        load_1m=round(os.getloadavg()[0], 2),
    )


async def describe_server(server: PostgresServer) -> Server:
    """Version and non-default settings of a running server."""
    async with connected(server.dsn()) as connection:
        full = await connection.fetchval("show server_version")
    return Server(version=full, settings=dict(server.settings))
