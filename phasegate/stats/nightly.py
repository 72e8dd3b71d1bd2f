"""The nightly's rule of alarm: suspicious once, slower for certain when measured again. Pure.

Each measurement is made in processes of its own, so the place of one process's code and data in
memory cannot cause both findings; the second measurement has more processes and decides. `make
perf-nightly` holds the rule to its goals. In simulations with 1.5% of difference between processes,
against the rule "both measurements alarm" (`stats.paired.alarms` twice): 0.04 false alarms a month
instead of 0.15, and 98% of steps of 5% found instead of 94%.
"""

from __future__ import annotations

import math

from phasegate.stats.paired import ALARM_CONFIDENCE, EFFECT_MIN, Array, ratio_of_logs

# A suspicion costs a second measurement and wakes nobody, so it may come early: at two fifths of
# the effect (2.0%) it has lost hardly any that are as large as the whole.
SUSPICIOUS = math.pow(EFFECT_MIN, 0.4)
# Of both measurements together, which vary less than either: a bar (3.0%) nearer to the effect than
# to nothing leaves as much room for those of exactly that size, and more against chance.
SLOWER = math.pow(EFFECT_MIN, 0.6)


def suspicious(first: Array) -> bool:
    """Whether a first measurement's log-ratios are reason enough to measure again."""
    return ratio_of_logs(first, ALARM_CONFIDENCE).estimate >= SUSPICIOUS


def together(first: float, first_blocks: int, again: float, again_blocks: int) -> float:
    """The ratio of two measurements: the geometric mean, weighted by blocks (ratios in and out)."""
    weighted = first_blocks * math.log(first) + again_blocks * math.log(again)
    return math.exp(weighted / (first_blocks + again_blocks))


def slower(first: Array, again: Array) -> bool:
    """Whether two measurements speak of a slow-down that somebody should look at.

    The first must be suspicious, the second one's 99% lower bound above 1, and the ratio of both
    together above `SLOWER`.
    """
    once = ratio_of_logs(first, ALARM_CONFIDENCE)
    twice = ratio_of_logs(again, ALARM_CONFIDENCE)
    both = together(once.estimate, len(first), twice.estimate, len(again))
    return once.estimate >= SUSPICIOUS and twice.low > 1 and both >= SLOWER
