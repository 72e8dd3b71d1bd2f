"""A machine against the reference core, and what N* is on another core. Pure: numbers in and out.

The yardstick's statements (`compare/yardstick.py`) take so long here and so long on the reference
core; what they are to each other is the machine's speed for that kind of work. A statement of the
project's is a blend of kinds, so its time on the reference core is its time here times the blended
speed (docs/method.md#the-yardstick). What the kinds leave open is in the interval, and so is how
far off such blends were seen to be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from phasegate.stats.crossover import Crossover, Outcome, P95s, Size, crossover, p95s_of
from phasegate.stats.paired import LAG1_CORRELATION_MAX, LAG1_CORRELATION_MIN, lag1_correlation

Z = 1.96
"""Of a 95% interval."""

TRIM = 0.1
"""Of the rounds, on each side: one stall of a second says nothing of the others. A mean and not a
median, since a call of 50 ms meets every interruption that rounds of 2 ms meet now and then."""

ROUNDS_MIN = 10
"""Fewest rounds of which one can be left out on each side."""

WINDOWS = 6
WINDOW_ROUNDS_MIN = 8
# Windows of eight rounds that deviate by 12% differ by less than this in 95 of 100 runs
# (tests/stats/test_yardstick.py).
WANDER_MAX = 1.25

BUSY_SHARE_MAX = 0.95
"""Beyond it a queue grows as long as a stage lasts, and no formula for a steady state holds."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Speed:
    """What a time on another core is to the time here; 2: it takes twice as long there.

    On the reference core that is this machine's speed: 2 is twice as fast as the reference.

    Attributes:
        estimate: time there / time here.
        low: lower bound of its 95% interval.
        high: upper bound.
    """

    estimate: float
    low: float
    high: float

    def times(self, factor: float) -> Speed:
        """The same on a core that needs `factor` times as long."""
        return Speed(self.estimate * factor, self.low * factor, self.high * factor)


WAITING = Speed(1.0, 1.0, 1.0)
"""Of what no processor shortens: the network's delay."""


def speed(times: Sequence[float], reference: float) -> Speed:
    """The speed for one kind of work, from the trimmed mean of its rounds.

    The interval is that of Tukey and McLaughlin, from the winsorised deviation (Yuen, The
    Two-Sample Trimmed t, 1974, https://doi.org/10.1093/biomet/61.1.165); rounds that resemble their
    neighbours count for fewer, as blocks do (`stats.paired`).

    Args:
        times: of each round, in order, > 0.
        reference: the reference core's, in the same unit.

    Raises:
        ValueError: too few rounds, or a time that is not positive.
    """
    values = np.array(times, dtype=float)
    n, cut = len(values), int(TRIM * len(values))
    if n < ROUNDS_MIN or values.min() <= 0 or reference <= 0:
        raise ValueError(f"a speed needs {ROUNDS_MIN} rounds and positive times")
    mean, ordered = trimmed_mean(values), np.sort(values)
    winsorised = np.clip(values, ordered[cut], ordered[n - 1 - cut])
    correlation = lag1_correlation(winsorised)
    rho = min(correlation, LAG1_CORRELATION_MAX) if correlation > LAG1_CORRELATION_MIN else 0.0
    effective = n * (1 - rho) / (1 + rho)
    error = float(winsorised.std(ddof=1)) / ((1 - 2 * TRIM) * math.sqrt(effective))
    half = math.exp(Z * error / mean)
    return Speed(reference / mean, reference / mean / half, reference / mean * half)


def trimmed_mean(times: Array) -> float:
    """The mean without the quickest and the slowest tenth."""
    cut = max(int(TRIM * len(times)), int(len(times) >= WINDOW_ROUNDS_MIN))
    return float(np.sort(times)[cut : len(times) - cut].mean())


def blended(speeds: Mapping[str, Speed], shares: Mapping[str, float], error: float) -> Speed:
    """The speed for a statement that spends its time here on several kinds of work.

    Args:
        speeds: by kind.
        shares: of the statement's time here, by kind; any unit. A kind without a speed of its own
            is anything between the others.
        error: of a blend that is carried to another machine; its logarithm's half width at 95%.

    Raises:
        ValueError: no speeds, or no time.
    """
    total = sum(shares.values())
    if not speeds or total <= 0:
        raise ValueError("a blend needs speeds and time spent")
    unknown = any_of(speeds.values())
    parts = [(share / total, speeds.get(kind, unknown)) for kind, share in shares.items()]
    # Waiting takes no error along: nothing of it is carried.
    moved = error * sum(share for share, part in parts if part is not WAITING)
    return Speed(
        sum(share * part.estimate for share, part in parts),
        sum(share * part.low for share, part in parts) * math.exp(-moved),
        sum(share * part.high for share, part in parts) * math.exp(moved),
    )


def any_of(speeds: Iterable[Speed]) -> Speed:
    """One speed for work of an unknown kind: their geometric mean, within all of them."""
    found = [each for each in speeds if each is not WAITING]
    mean = math.exp(sum(math.log(each.estimate) for each in found) / len(found))
    return Speed(mean, min(each.low for each in found), max(each.high for each in found))


def wander(times: Sequence[float]) -> float:
    """How far the machine's speed moved: the slowest window's mean over the quickest one's.

    Args:
        times: of each round, in order; one kind of work.

    Returns:
        1 where there are too few rounds for two windows. Means are trimmed (`trimmed_mean`).
    """
    windows = min(WINDOWS, len(times) // WINDOW_ROUNDS_MIN)
    if windows < 2:
        return 1.0
    parts = np.array_split(np.array(times, dtype=float), windows)
    means = [trimmed_mean(part) for part in parts]
    return max(means) / min(means)


def crossover_elsewhere(
    sizes: Sequence[Size], speeds: Sequence[Speed], slo_ms: float, *, p95s: P95s | None = None
) -> Crossover:
    """N* on a core on which each size's times are multiplied by its speed.

    The interval holds both what the calls leave open and what the speeds do: on the log axis, half
    widths of independent errors add as squares. Where one of them has no end within the sizes, the
    farther one counts.

    Args:
        sizes: as measured here, ascending in users.
        speeds: of each size's session.
        slo_ms: the objective.
        p95s: of the sizes as measured here, where they are known already.

    Raises:
        ValueError: as `crossover`; or not a speed for each size.
    """
    known = p95s or p95s_of(sizes)
    found, slow, quick = (
        crossover(sizes, slo_ms, p95s=known, factors=factors)
        for factors in (
            [each.estimate for each in speeds],
            [each.high for each in speeds],
            [each.low for each in speeds],
        )
    )
    low, high = slow.low, quick.high
    if found.users is not None and found.outcome is Outcome.WITHIN:
        if found.low is not None and slow.users is not None:
            low = found.users / _joined(found.users / found.low, found.users / slow.users)
        if found.high is not None and quick.users is not None:
            high = found.users * _joined(found.high / found.users, quick.users / found.users)
    return replace(
        found,
        low=low if low is not None and low >= found.smallest else None,
        high=high if high is not None and high <= found.largest else None,
    )


def _joined(one: float, other: float) -> float:
    """Two factors from an estimate to its bounds, as one."""
    return math.exp(math.hypot(math.log(one), math.log(other)))


def latency_elsewhere(latency_ms: float, busy_share: float, factor: float) -> float | None:
    """A latency under load on a core where work takes `factor` times as long, at the same rate.

    As a processor that all requests share (M/G/1 with processor sharing: the time is S/(1 − ρ),
    Kleinrock, Time-shared Systems, 1967, https://doi.org/10.1145/321386.321388).

    Args:
        latency_ms: here.
        busy_share: of all cores here, 0..1.
        factor: time there / time here.

    Returns:
        None where the cores there could not do the work, or those here hardly did.
    """
    if busy_share >= BUSY_SHARE_MAX or busy_share * factor >= BUSY_SHARE_MAX:
        return None
    return latency_ms * factor * (1 - busy_share) / (1 - busy_share * factor)
