"""What a size that bursts earns and spends: processor credits and disk I/O budget over a day. Pure.

Both are one thing: a balance that fills at the baseline, is spent by use, and holds so much. AWS
calls the processor's unit a credit, a core for a minute (EC2 User Guide, "Key concepts for
burstable performance instances"); here everything is in core seconds, operations or bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from phasegate.model.catalogue import Workload
from phasegate.model.prices import Compute, Disk

CREDIT_CORE_S = 60.0
"""Core seconds of one credit."""

CREDITS_KEPT_S = 24 * 3600.0
"""As many credits are kept as a day earns (same page, "Credit accrual limits")."""

DAYS_MAX = 400
"""Of a repeated day: a balance that has not settled by then changes by less than it matters."""

SETTLED_SHARE = 1e-9
"""Of what a balance can hold: two mornings that differ by less are the same."""


@dataclass(frozen=True)
class Budget:
    """What a size has of one resource.

    Attributes:
        baseline_per_s: what it may use for ever, and earns: cores, operations or bytes a second.
        max_per_s: what it may use while something is left; the baseline where it cannot burst.
        kept: the most that is saved up: core seconds, operations or bytes.
    """

    baseline_per_s: float
    max_per_s: float
    kept: float

    @property
    def bursts(self) -> bool:
        """Whether it may use more than its baseline for a while."""
        return self.max_per_s > self.baseline_per_s and self.kept > 0

    def lasts_s(self, used_per_s: float, balance: float | None = None) -> float:
        """Seconds until `balance` (a full one if None) is spent; infinite where it never is."""
        spent = min(used_per_s, self.max_per_s) - self.baseline_per_s
        return math.inf if spent <= 0 else (self.kept if balance is None else balance) / spent


@dataclass(frozen=True)
class Stretch:
    """Part of a day with the same use throughout."""

    duration_s: float
    used_per_s: float
    """What the load would use if nothing held it back."""


@dataclass(frozen=True)
class Day:
    """What became of a balance in one day.

    Attributes:
        earned: at the baseline, all day; what no longer fitted included.
        spent: by what was used.
        begin: balance in the morning.
        end: balance in the evening.
        least: the lowest balance of the day.
        held_back_s: seconds at the baseline with more asked for.
    """

    earned: float
    spent: float
    begin: float
    end: float
    least: float
    held_back_s: float


@dataclass(frozen=True)
class Outlook:
    """What becomes of a balance when the same day comes again and again, from a full one on."""

    usual: Day
    """Once days no longer differ."""
    runs_out_on: int | None
    """The first day, from 1, on which nothing is left; None where that never happens."""


def of_processor(size: Compute) -> Budget:
    """The processor's credits of `size`, in core seconds."""
    baseline = size.cores * size.cpu_baseline_share
    kept = baseline * CREDITS_KEPT_S if size.cpu_baseline_share < 1 else 0.0
    return Budget(baseline, float(size.cores), kept)


def of_operations(size: Compute, disk: Disk) -> Budget:
    """The disk operations of `size`: the smaller of what it and its disk allow."""
    return _of_disk(size.iops, size.iops_max or size.iops, float(disk.iops), disk.burst_s)


def of_bytes(size: Compute, disk: Disk) -> Budget:
    """The disk throughput of `size`, likewise, in bytes."""
    most = size.throughput_mb_s_max or size.throughput_mb_s
    return _of_disk(
        size.throughput_mb_s * 1e6, most * 1e6, disk.throughput_mb_s * 1e6, disk.burst_s
    )


def _of_disk(baseline: float, most: float, disk: float, burst_s: float) -> Budget:
    # The instance's own budget: it lasts for `burst_s` at the instance's own maximum, and so for
    # longer at that of a slower disk.
    kept = (most - baseline) * burst_s
    return Budget(min(baseline, disk), min(most, disk), kept if disk > baseline else 0.0)


def modelled_day(peak_per_s: float, workload: Workload) -> tuple[Stretch, ...]:
    """The workload model's day, from the end of one peak to that of the next.

    What does not fall into the busiest hour is spread over the other 23. That hour's own comes at
    the modelled peak, one minute after another, until it is used up: the careful side, since
    nothing is earned in between.

    Args:
        peak_per_s: use at the modelled peak.
        workload: the shares of its day.
    """
    hour = peak_per_s * 3600 / workload.burst
    rest = hour * (1 - workload.peak_hour_share) / workload.peak_hour_share
    peak_s = 3600 / workload.burst
    return (
        Stretch(23 * 3600.0, rest / (23 * 3600)),
        Stretch(3600 - peak_s, 0.0),
        Stretch(peak_s, peak_per_s),
    )


def day_of(budget: Budget, day: Sequence[Stretch], begin: float) -> Day:
    """One day from a balance of `begin` on."""
    balance = least = begin
    earned = spent = held_back_s = 0.0
    for stretch in day:
        used = min(stretch.used_per_s, budget.max_per_s)
        change = budget.baseline_per_s - used
        burst_s = stretch.duration_s
        if change < 0:
            burst_s = min(burst_s, balance / -change)
        late_s = stretch.duration_s - burst_s
        balance = min(max(balance + change * burst_s, 0.0), budget.kept)
        earned += budget.baseline_per_s * stretch.duration_s
        spent += used * burst_s + min(used, budget.baseline_per_s) * late_s
        held_back_s += late_s
        least = min(least, balance)
    return Day(earned, spent, begin, balance, least, held_back_s)


def runs_out(budget: Budget, day: Sequence[Stretch]) -> bool:
    """Whether a balance is ever used up when the same day comes again and again.

    Two days tell: where the second leaves less than the first, every further one takes as much.
    """
    first = day_of(budget, day, budget.kept)
    second = day_of(budget, day, first.end)
    if first.held_back_s > 0 or second.held_back_s > 0:
        return True
    return second.end < first.end - SETTLED_SHARE * budget.kept


def outlook(budget: Budget, day: Sequence[Stretch]) -> Outlook:
    """The same day again and again, from a full balance on."""
    runs_out_on = None
    found = day_of(budget, day, budget.kept)
    for number in range(1, DAYS_MAX + 1):
        if found.held_back_s > 0 and runs_out_on is None:
            runs_out_on = number
        if abs(found.end - found.begin) <= SETTLED_SHARE * max(budget.kept, 1.0):
            break
        found = day_of(budget, day, found.end)
    return Outlook(found, runs_out_on)
