"""How a data set is distributed: counted while it is made, kept in its record, drawn as text.

Pure. The histograms are those of the rows themselves, not of the parameters they were drawn by.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from phasegate.records.seed import Distribution
from phasegate.seeding.entity import CODE_BITS, Entity
from phasegate.seeding.timeline import HOUR_MS, WEEK_MS, Year

# Delays are shown from minutes to a year, by powers of two.
DELAY_EDGES_H = (0.0, *(2.0**power for power in range(-4, 14)))
HOURS = "hours"
BAR_WIDTH = 40


class Rhythm:
    """Counts of events by the hour of their week, as weeks of the data set begin."""

    def __init__(self, year: Year) -> None:
        self._year = year
        self._hours: NDArray[np.int64] = np.zeros(WEEK_MS // HOUR_MS, dtype=np.int64)

    def add(self, keys: NDArray[np.uint64]) -> None:
        """Count the events of a week's sort keys, which are ascending."""
        hours = np.arange(self._hours.size + 1, dtype=np.uint64) * np.uint64(HOUR_MS)
        self._hours += np.diff(np.searchsorted(keys, hours << np.uint64(CODE_BITS)))

    def histograms(self, table: str) -> tuple[Distribution, Distribution]:
        """Rows of `table` by hour of day and by weekday."""
        days = self._hours.reshape(7, 24)
        weekdays = np.roll(days.sum(axis=1), self._year.start.weekday())
        return (
            _histogram(f"{table} by hour of day", "hour, UTC", range(25), days.sum(axis=0)),
            _histogram(f"{table} by weekday", "weekday, 0 = Monday", range(8), weekdays),
        )


def per_owner(name: str, counts: NDArray[np.integer]) -> Distribution:
    """Owners by how many rows they own, in bins that double."""
    powers = int(counts.max(initial=1)).bit_length()
    edges = (0, *(1 << power for power in range(powers + 1)))
    return _histogram(name, "rows", edges, np.histogram(counts, edges)[0])


def signups(users: Entity) -> Distribution:
    """Users by the month that they signed up in."""
    edges = [users.year.ms(month) for month in users.year.months]
    counts = np.histogram(users.created_ms, edges)[0]
    return _histogram("sign-ups by month", "months since the start", range(len(edges)), counts)


def delays(name: str, outcomes_ms: NDArray[np.int64], counts: NDArray[np.int64]) -> Distribution:
    """Rows by the time from one of their moments to another: how often each outcome was drawn."""
    found = np.histogram(outcomes_ms / HOUR_MS, DELAY_EDGES_H, weights=counts)[0]
    return _histogram(name, HOURS, DELAY_EDGES_H, found)


def _histogram(
    name: str, unit: str, edges: Iterable[float], counts: NDArray[np.integer | np.floating]
) -> Distribution:
    return Distribution(
        name=name,
        unit=unit,
        edges=tuple(float(edge) for edge in edges),
        counts=tuple(int(count) for count in counts),
    )


def drawn(histogram: Distribution) -> str:
    """`histogram` as lines of text, a bar per bin, after a line with its name and unit."""
    most = max(histogram.counts, default=0) or 1
    total = sum(histogram.counts) or 1
    lines = [f"{histogram.name} ({histogram.unit})"]
    bins = zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False)
    for low, high, count in bins:
        # Hours are measured, the rest counted: bins of counts end before the next one begins.
        last = high if histogram.unit == HOURS else high - 1
        label = f"{low:g}" if last == low else f"{low:g} – {last:g}"
        bar = "█" * round(count / most * BAR_WIDTH)
        lines.append(f"  {label:>15} {count / total:6.1%} {bar}")
    return "\n".join(lines)
