"""How quiet the machine was during a measurement, and whether the night counts. Reads /proc.

On a shared machine a doubtful night does not count: the next night measures again, while a false
alarm costs its readers time and trust.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from phasegate.model.verdict import STEAL_SHARE_MAX
from phasegate.stack.machine import IDLE, IOWAIT, STEAL, processor_ticks, steal_share

# What else runs may have one of two cores for four fifths of the time: client and server share the
# other one. Beyond, it must be on theirs.
BUSY_SHARE_MAX = 0.40
# The least that a night must have been able to see: otherwise "nothing moved" says nothing.
POWER_MIN = 0.80


@dataclass(frozen=True)
class Shares:
    """Of all processors' time; None where the machine does not tell."""

    steal: float | None
    busy: float | None
    """Of processes other than ours."""


def _cpu_s(pid: int) -> float:
    """Processor time of a process and its descendants, those that ended included."""
    total = 0.0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                times = each.cpu_times()
                total += times.user + times.system
                total += getattr(times, "children_user", 0.0)
                total += getattr(times, "children_system", 0.0)
    return total


class Watch:
    """Begins when it is made; `shares` may be asked any time after."""

    def __init__(self, *pids: int) -> None:
        """`pids` are ours beside this process and its descendants: the database server's."""
        self._pids = (os.getpid(), *pids)
        self.load_1m = round(os.getloadavg()[0], 2)
        self._began = self._now()

    def _now(self) -> tuple[tuple[int, ...], float]:
        return processor_ticks(), sum(map(_cpu_s, self._pids))

    def shares(self) -> Shares:
        """Steal, and what others used, since it began."""
        ticks, ours_s = self._now()
        steal = steal_share(self._began[0], ticks)
        if steal is None:
            return Shares(None, None)
        spent = [now - then for now, then in zip(ticks, self._began[0], strict=True)]
        total = sum(spent)
        busy = total - spent[IDLE] - spent[IOWAIT] - spent[STEAL]
        ours = (ours_s - self._began[1]) * os.sysconf("SC_CLK_TCK")
        return Shares(steal, round(min(1.0, max(0.0, (busy - ours) / total)), 4))


def quarantine(
    shares: Shares, *, same_alarmed: Sequence[str], found: int, injections: int
) -> tuple[str, ...]:
    """Why a night does not count; empty where it does.

    Args:
        shares: of the whole measurement.
        same_alarmed: series of which HEAD was slower than itself, twice.
        found: how many injected slow-downs of 5% the A/A comparisons would have shown.
        injections: of so many; 0 where nothing was measured, which is no reason by itself.
    """
    reasons = []
    if shares.steal is not None and shares.steal > STEAL_SHARE_MAX:
        reasons.append(
            f"other tenants of the host took {shares.steal:.0%} of the processors' time "
            f"(more than {STEAL_SHARE_MAX:.0%})"
        )
    if shares.busy is not None and shares.busy > BUSY_SHARE_MAX:
        reasons.append(
            f"other processes used {shares.busy:.0%} of the processors' time "
            f"(more than {BUSY_SHARE_MAX:.0%})"
        )
    if same_alarmed:
        names = ", ".join(same_alarmed)
        reasons.append(f"HEAD was slower than itself, in both measurements: {names}")
    if injections and found / injections < POWER_MIN:
        reasons.append(
            f"it could not have found 5%: of {injections} such slow-downs put into the A/A "
            f"comparisons {found} were seen (fewer than {POWER_MIN:.0%})"
        )
    return tuple(reasons)
