"""The instrument measured by itself: false alarms and power, from blocks of equal arms. Pure.

Where both arms are the same, the sign of each block's log-ratio is chance. Signs redrawn at random
give as many A/A comparisons as one likes from one recording (a randomisation test, Fisher 1935);
the same with a constant added are comparisons with a slow-down that is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasegate.stats.paired import EFFECT_MIN, alarms

# 0 alarms in 300 bound the rate at 1% (rule of three).
PAIRS = 300
INJECTIONS = 200

# Signs cannot make blocks noisier than they were recorded; beyond this many, more add nothing.
BLOCKS_MAX = 200

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Counts of comparisons.

    Attributes:
        pairs: comparisons of equal arms.
        false_alarms: of them, in how many a slow-down was seen.
        injected: the known slow-down, as 1.05.
        injections: comparisons with it.
        found: of them, in how many it was seen.
    """

    pairs: int
    false_alarms: int
    injected: float
    injections: int
    found: int


def redrawn(
    logs: Array,
    *,
    injected: float = EFFECT_MIN,
    pairs: int = PAIRS,
    injections: int = INJECTIONS,
    seed: int = 1,
) -> Tally:
    """False alarms and power of `stats.paired.alarms` on the log-ratios of equal arms.

    Raises:
        ValueError: there are no blocks, or `injected` is not above 1.
    """
    if len(logs) == 0 or injected <= 1:
        raise ValueError("needs blocks of equal arms, and a slow-down above 1")
    random = np.random.default_rng(seed)
    centred = logs[:BLOCKS_MAX]

    def again() -> Array:
        signs: Array = random.choice((-1.0, 1.0), len(centred))
        return centred * signs

    false_alarms = sum(alarms(again()) for _ in range(pairs))
    found = sum(alarms(again() + math.log(injected)) for _ in range(injections))
    return Tally(pairs, false_alarms, injected, injections, found)
