"""The nightly's rule of alarm: slower in two measurements. Pure.

Each measurement is made in processes of its own, so what one process brings along (where its code
and data came to lie) cannot speak twice.
"""

from __future__ import annotations

from stats.paired import Array, alarms


def slower(first: Array, confirmation: Array) -> bool:
    """Whether both measurements' log-ratios speak of a slow-down (`stats.paired.alarms`)."""
    return alarms(first) and alarms(confirmation)
