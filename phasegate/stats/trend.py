"""A slow trend in a series over time: its slope with interval, and whether it is one. Pure.

Theil and Sen: the slope is the median of those between all pairs of points; its interval comes from
the variance of Kendall's S. Mann and Kendall: S counts pairs that rise less pairs that fall.
Gilbert 1987, *Statistical Methods for Environmental Pollution Monitoring*, 16.4 and 16.5
(https://www.osti.gov/biblio/7037501).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

POINTS_MIN = 10
"""The normal approximation of S holds from here on (Gilbert, 16.4.2)."""
Z_95 = 1.96
PVALUE_MAX = 0.01


@dataclass(frozen=True)
class Trend:
    """How a series moves, in its unit per unit of time."""

    slope: float
    low: float
    high: float
    """The 95% interval."""
    pvalue: float
    """Of a trend as clear where there is none, either way."""

    @property
    def is_one(self) -> bool:
        """Whether chance is ruled out."""
        return self.pvalue <= PVALUE_MAX and (self.low > 0 or self.high < 0)


def trend(times: Array, values: Array) -> Trend | None:
    """The trend of `values` over `times`; None with fewer than 10 points.

    Where neighbouring points are alike beyond the trend itself, with a correlation ρ > 0, the
    variance of S is that of fewer points: it is multiplied by (1 + ρ) / (1 - ρ).
    """
    count = len(values)
    if count < POINTS_MIN:
        return None
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((values[second] - values[first]) / (times[second] - times[first]))
    slope = float(np.median(slopes))
    score = float(np.sign(values[second] - values[first]).sum())
    ties = Counter(values.tolist()).values()
    variance = count * (count - 1) * (2 * count + 5)
    variance -= sum(t * (t - 1) * (2 * t + 5) for t in ties)
    deviation = math.sqrt(variance / 18 * _inflation(values - slope * times))
    if deviation == 0:
        return Trend(0.0, 0.0, 0.0, 1.0)
    z = (score - math.copysign(1, score)) / deviation if score else 0.0
    pairs, half = len(slopes), Z_95 * deviation
    low = int(np.clip(math.floor((pairs - half) / 2), 0, pairs - 1))
    high = int(np.clip(math.ceil((pairs + half) / 2), 0, pairs - 1))
    return Trend(slope, float(slopes[low]), float(slopes[high]), math.erfc(abs(z) / math.sqrt(2)))


def _inflation(left: Array) -> float:
    """By how much the variance grows where neighbours are alike; `left` is without the trend."""
    about = left - left.mean()
    total = float((about**2).sum())
    if total <= 1e-18:
        return 1.0
    alike = min(max(float((about[1:] * about[:-1]).sum()) / total, 0.0), 0.9)
    return (1 + alike) / (1 - alike)
