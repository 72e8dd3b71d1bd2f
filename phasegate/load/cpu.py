"""How much of the processor the generator's process got, and how much it waited for.

Reads this process's times and, on Linux, /proc/self/schedstat.
"""

from __future__ import annotations

import time
from pathlib import Path

from phasegate.load.counters import StageTally

# Nanoseconds on a core, nanoseconds ready without a core, time slices (kernel: sched-stats.rst).
SCHEDSTAT = Path("/proc/self/schedstat")


class Processor:
    """Shares of a core since the last sample."""

    def __init__(self) -> None:
        self._before = self._now()

    def sample(self, tally: StageTally) -> None:
        """Raise the maxima of `tally` to the shares since the last sample, where higher."""
        before, self._before = self._before, self._now()
        elapsed_s = self._before[0] - before[0]
        if elapsed_s <= 0:
            return
        used = (self._before[1] - before[1]) / elapsed_s
        waited = (self._before[2] - before[2]) / elapsed_s
        tally.cpu_share_max = max(tally.cpu_share_max, used)
        tally.cpu_wait_share_max = max(tally.cpu_wait_share_max, waited)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            waited_s = int(SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            waited_s = 0.0  # not Linux: lag alone tells
        return time.perf_counter(), time.process_time(), waited_s
