"""Paired comparison of two arms: a ratio, its interval, and what may be said of it.

Reads two sequences of block times; writes nothing and prints nothing. The estimate is the
Hodges-Lehmann ratio: exp of the median of the Walsh averages of the paired log-ratios
(Hodges & Lehmann 1963); its interval comes from the Wilcoxon signed-rank distribution, as in R's
`wilcox.test(conf.int = TRUE)`. Logarithms, because a slow-down of 2 and a speed-up of ½ are the
same distance; pairs, because a noisy machine is noisy for both arms of a block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

# Up to here the signed-rank distribution is counted exactly (2^50 is exact in a double); beyond,
# the normal approximation's error is below a thousandth of the interval's width.
EXACT_BLOCKS_MAX = 50

# Lag-1 correlations below this are what independent blocks show by chance at n ≈ 30-100; above it
# the blocks count for fewer than they are (docs/method.md#comparing-two-arms).
LAG1_CORRELATION_MIN = 0.2
# An estimate of ρ beyond this is a drift, not noise; the formula would divide by nearly zero.
LAG1_CORRELATION_MAX = 0.95

# A change below 5% is not worth a change of stack, and is what nightly jobs can be held to.
EFFECT_MIN = 1.05

# Deviation of a log-ratio between runs of one commit on one machine whose blocks say the same: of
# what lasts as long as a run (where rows lie, which data were drawn), and of what lasts as long as
# a turn of a comparison (a neighbour's burst). No number of blocks within a turn shows either
# (docs/decisions/0021-intervals-between-runs.md).
RUN_DEVIATION = 0.02
TURN_DEVIATION = 0.06
# The turns of a run say what theirs was that day; the figure above counts as so many comparisons.
TURN_PRIOR_COMPARISONS = 10
SURPLUS_MAX = 9.0

# Power at which the minimal detectable effect is stated (docs/method.md#comparing-two-arms).
POWER = 0.9

Array = npt.NDArray[np.float64]


class ComparisonResult(Enum):
    """What a ratio after/before allows one to say about times: smaller is better."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    NO_CHANGE = "no change"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Ratio:
    """After/before. `low` is 0 and `high` infinite where there are too few blocks for an interval.

    Attributes:
        estimate: Hodges-Lehmann ratio; 0.5 means that after takes half the time of before.
        low: lower bound of the confidence interval.
        high: upper bound.
        n: blocks.
        n_effective: blocks that they are worth, given their correlation; ≤ n.
        lag1: lag-1 correlation of the log-ratios; 0 where it cannot be computed.
        confidence: of the interval, in 0..1.
        minimal_detectable: smallest ratio > 1 found with power 0.9; infinite without interval.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_effective: float
    lag1: float
    confidence: float
    minimal_detectable: float

    @property
    def log_half_width(self) -> float:
        """Half of the interval's width in logarithms: 0.05 is about ±5%."""
        if self.low <= 0 or math.isinf(self.high):
            return math.inf
        return math.log(self.high / self.low) / 2


def walsh_averages(values: Array) -> Array:
    """All (x_i + x_j)/2 with i ≤ j, ascending; n(n+1)/2 of them."""
    i, j = np.triu_indices(len(values))
    return np.sort((values[i] + values[j]) / 2)


@lru_cache(maxsize=EXACT_BLOCKS_MAX)
def _signed_rank_cumulative(n: int) -> Array:
    """P(T ≤ t) for t = 0..n(n+1)/2, T being the sum of the ranks with a positive sign."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1.0
    for rank in range(1, n + 1):  # each rank is in the sum or not: subsets counted by their sum
        counts[rank:] += counts[:-rank].copy()
    cumulative: Array = np.cumsum(counts) / 2.0**n
    return cumulative


def _signed_rank_quantile(n: int, probability: float) -> int:
    """Smallest t with P(T ≤ t) ≥ probability."""
    if n <= EXACT_BLOCKS_MAX:
        return int(np.searchsorted(_signed_rank_cumulative(n), probability))
    mean = n * (n + 1) / 4
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return round(mean + deviation * NormalDist().inv_cdf(probability))


def lag1_correlation(values: Array) -> float:
    """Correlation of each value with the next; 0 below four values or without variation."""
    centred = values - values.mean()
    total = float(centred @ centred)
    if len(values) < 4 or total == 0.0:
        return 0.0
    return float(centred[:-1] @ centred[1:]) / total


def ratio(before: Sequence[float], after: Sequence[float], confidence: float = 0.95) -> Ratio:
    """Compare two arms whose i-th entries were measured in the same block.

    Args:
        before: time per block, > 0, any unit.
        after: the same of the other arm, as long as `before`.
        confidence: of the interval, in 0..1.

    Raises:
        ValueError: lengths differ, there is no block, or a time is not positive and finite.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} blocks before and {len(after)} after are not pairs")
    if not before:
        raise ValueError("no blocks to compare")
    times = np.array([before, after], dtype=float)
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("every block's time must be positive and finite")
    return ratio_of_logs(np.log(times[1] / times[0]), confidence)


def ratio_of_logs(logs: Array, confidence: float = 0.95) -> Ratio:
    """As `ratio`, from the log-ratios themselves (at least one)."""
    n = len(logs)
    walsh = walsh_averages(logs)
    centre = float(np.median(walsh))
    lag1 = lag1_correlation(logs)
    inflation = 1.0
    if lag1 > LAG1_CORRELATION_MIN:
        bounded = min(lag1, LAG1_CORRELATION_MAX)
        inflation = (1 + bounded) / (1 - bounded)
    cut = _signed_rank_quantile(n, (1 - confidence) / 2)
    if cut < 1:  # even the widest interval of so few blocks has less confidence than asked for
        low, high = -math.inf, math.inf
    else:
        widen = math.sqrt(inflation)
        low = centre + (float(walsh[cut - 1]) - centre) * widen
        high = centre + (float(walsh[len(walsh) - cut]) - centre) * widen
    return Ratio(
        estimate=math.exp(centre),
        low=math.exp(low),
        high=math.exp(high),
        n=n,
        n_effective=n / inflation,
        lag1=lag1,
        confidence=confidence,
        minimal_detectable=_minimal_detectable((high - low) / 2, confidence),
    )


@dataclass(frozen=True)
class TurnSpread:
    """How far the turns of one comparison differ.

    Attributes:
        of_means: variance of the turns' means.
        by_blocks: what of it is explained by how far blocks of one turn differ.
    """

    of_means: float
    by_blocks: float


def turn_spread(logs: Array, turns: Sequence[int]) -> TurnSpread | None:
    """As in an analysis of variance.

    Args:
        logs: of each block: its log-ratio, or the logarithm of a time.
        turns: blocks done at the end of each turn.

    Returns:
        None where there are fewer than two turns, or no turn with two blocks.
    """
    parts = [part for part in np.split(logs, list(turns[:-1])) if len(part)]
    freedom = len(logs) - len(parts)
    if len(parts) < 2 or freedom < 1:
        return None
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in parts) / freedom
    of_means = float(np.var([part.mean() for part in parts], ddof=1))
    return TurnSpread(of_means, within * float(np.mean([1 / len(part) for part in parts])))


def turn_deviation(spreads: Sequence[TurnSpread], prior: float = TURN_DEVIATION) -> float:
    """The deviation of a turn that day, from all comparisons that had several.

    Each has two or so degrees of freedom, too few to say anything of itself: they are pooled, and
    drawn to what was seen on other days. It is the deviation with which the turns' means differ as
    much as they should (Paule & Mandel, https://doi.org/10.6028/jres.087.022): those whose blocks
    say little weigh little, and none counts for more than nine times what it should be.
    """

    def surplus(variance: float) -> float:
        found = TURN_PRIOR_COMPARISONS * (prior**2 / variance - 1)
        for each in spreads:
            found += min(each.of_means / (variance + each.by_blocks), SURPLUS_MAX) - 1
        return found

    low, high = (prior / 10) ** 2, (prior * 10) ** 2
    for _ in range(40):  # to a millionth of the range
        middle = math.sqrt(low * high)
        low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
    return math.sqrt(low)


def between_runs(found: Ratio, turns: int = 1, deviation: float = TURN_DEVIATION) -> Ratio:
    """The same with an interval for the machine and the data, not for one run on them alone.

    What differs between runs is independent of what differs within one, so their half widths, in
    logarithms, add as squares.

    Args:
        found: of one run.
        turns: in which it was measured, with other comparisons between them.
        deviation: of a turn's log-ratio (`turn_deviation`).
    """
    if math.isinf(found.log_half_width):
        return found
    quantile = NormalDist().inv_cdf((1 + found.confidence) / 2)
    of_run = quantile * math.hypot(RUN_DEVIATION, deviation / math.sqrt(max(turns, 1)))
    below = math.hypot(math.log(found.estimate / found.low), of_run)
    above = math.hypot(math.log(found.high / found.estimate), of_run)
    return replace(
        found,
        low=found.estimate * math.exp(-below),
        high=found.estimate * math.exp(above),
        minimal_detectable=_minimal_detectable((below + above) / 2, found.confidence),
    )


def _minimal_detectable(log_half_width: float, confidence: float) -> float:
    normal = NormalDist()
    quantile = normal.inv_cdf((1 + confidence) / 2)
    error = log_half_width / quantile
    return math.exp((quantile + normal.inv_cdf(POWER)) * error)


def judge(
    measured: Ratio, effect_min: float = EFFECT_MIN, *, within: Ratio | None = None
) -> ComparisonResult:
    """What may be said: a change needs an interval clear of 1 and an estimate beyond `effect_min`.

    No change is a finding too: it needs an interval wholly inside ±`effect_min`.

    Args:
        measured: with what differs between runs, where that counts.
        effect_min: above 1.
        within: the same of one run alone. That nothing changed is said of the run: no number of
            blocks would ever show it where runs differ by as much as matters.

    Raises:
        ValueError: `effect_min` ≤ 1.
    """
    if effect_min <= 1:
        raise ValueError("the smallest effect that matters must be above 1")
    same = within or measured
    if measured.high < 1 and measured.estimate <= 1 / effect_min:
        return ComparisonResult.IMPROVED
    if measured.low > 1 and measured.estimate >= effect_min:
        return ComparisonResult.REGRESSED
    if same.low > 1 / effect_min and same.high < effect_min:
        return ComparisonResult.NO_CHANGE
    return ComparisonResult.CANNOT_TELL


# At 95% one series in forty would alarm by chance each night (docs/method.md#nightly-comparison).
ALARM_CONFIDENCE = 0.99


def alarms(logs: Array, effect: float = EFFECT_MIN) -> bool:
    """Whether the log-ratios speak of a slow-down that somebody should look at.

    The 99% lower bound must be above 1, and the estimate nearer to `effect` than to nothing (above
    its square root): a rule that asked for the whole effect would miss half of those that have
    exactly that size.
    """
    found = ratio_of_logs(logs, ALARM_CONFIDENCE)
    return found.low > 1 and found.estimate >= math.sqrt(effect)
