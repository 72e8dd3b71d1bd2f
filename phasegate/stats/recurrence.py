"""What recurs in a long stage: excursions of latency, their period, what they coincide with. Pure.

A stage is a row of bins of equal width: how many clicks were due in each, and how many of those
were slow, that is, slower than `threshold_ms`. Times are seconds since the stage began. Random
numbers come from a fixed seed, so that the same records give the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SLOW_RATIO = 1.5
"""A click is slow from half as much again as the p95 of its surroundings."""
SLOW_MS_MIN = 5.0
"""And at least so much more: a hundredth of the default objective, above the generator's jitter."""

TYPICAL_SHARE_MAX = 0.05
"""Slow clicks outside excursions: no more, since by definition 5% of clicks lie above a p95."""
TYPICAL_SHARE_MIN = 0.002

HOT_RATIO = 4.0
"""A bin is hot where its share of slow clicks is so many times the typical one."""
CLICKS_APART = 3.0
"""Hot bins belong together while no more than so many clicks are due between them, or 2 bins."""
BINS_APART = 2

CHANCE_MAX = 0.002
"""Of a run, times the number of runs. Runs begin and end where it was slow, so that the tail is too
small: by simulation, one stage in fifty then has a false excursion (tests/stats)."""

PERIODS_MIN = 3
"""A rhythm is seen at least so often, or it is none."""
ONSETS_MIN = 4
"""Three equal gaps: two are equal within a tenth in every tenth case of chance."""
BEATS_SHARE_MIN = 0.5
"""Of a rhythm's beats, those at which an excursion must begin."""
DRAWS_OF_PERIODS = 499
DRAWS_OF_WINDOWS = 9_999
DRAWN_MAX = 4_000_000
"""Numbers drawn for one test: 32 MB."""
PVALUE_MAX = 0.01


def rolling_median(values: Array, window: int) -> Array:
    """The median of the `window` values about each, NaNs left out; fewer at both ends."""
    if not len(values):
        return values
    half = window // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    views = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    known = ~np.isnan(views).all(axis=1)
    found = np.full(len(values), np.nan)
    found[known] = np.nanmedian(views[known], axis=1)
    fallback = float(np.nanmedian(values)) if np.any(~np.isnan(values)) else math.nan
    return np.where(known, found, fallback)


def threshold_ms(typical_ms_p95: Array) -> Array:
    """From which latency on a click is slow, beside the typical p95 of its surroundings."""
    return np.maximum(typical_ms_p95 * SLOW_RATIO, typical_ms_p95 + SLOW_MS_MIN)


@dataclass(frozen=True)
class Excursion:
    """A run of bins with more slow clicks than chance puts there."""

    begin_s: float
    end_s: float
    clicks: int
    slow: int
    chance: float
    """Expected number of such runs in the stage, if slow clicks fell at random."""

    @property
    def duration_s(self) -> float:
        """From its first hot bin to the end of its last."""
        return self.end_s - self.begin_s


def excursions(clicks: Array, slow: Array, width_s: float) -> tuple[Excursion, ...]:
    """The runs of slow clicks that chance does not explain, in order.

    Hot bins close to each other form a run. Of a run's n clicks, as many or more are slow by chance
    with the tail of a binomial distribution; with as many runs as there are, that tail times their
    number is expected by chance. The typical share is taken outside the excursions found so far.
    """
    found: tuple[Excursion, ...] = ()
    share = typical_share(clicks, slow, found, width_s)
    for _ in range(4):
        found = _runs(clicks, slow, width_s, share)
        again = typical_share(clicks, slow, found, width_s)
        if again == share:
            break
        share = again
    return found


def typical_share(
    clicks: Array, slow: Array, apart_from: Sequence[Excursion], width_s: float
) -> float:
    """Share of slow clicks outside the excursions, within bounds that keep it usable."""
    outside = np.ones(len(clicks), dtype=bool)
    for each in apart_from:
        outside[round(each.begin_s / width_s) : round(each.end_s / width_s)] = False
    total = float(clicks[outside].sum())
    share = float(slow[outside].sum()) / total if total else 0.0
    return min(max(share, TYPICAL_SHARE_MIN), TYPICAL_SHARE_MAX)


def _runs(clicks: Array, slow: Array, width_s: float, share: float) -> tuple[Excursion, ...]:
    hot = np.flatnonzero((slow >= 1) & (slow >= HOT_RATIO * share * clicks))
    if not len(hot):
        return ()
    apart = round(apart_s(clicks, width_s) / width_s) - 1
    cuts = np.flatnonzero(np.diff(hot) > apart) + 1
    runs = np.split(hot, cuts)
    found = []
    for run in runs:
        first, last = int(run[0]), int(run[-1]) + 1
        due, late = int(clicks[first:last].sum()), int(slow[first:last].sum())
        chance = len(runs) * binomial_tail(late, due, share)
        if chance <= CHANCE_MAX:
            found.append(Excursion(first * width_s, last * width_s, due, late, chance))
    return tuple(found)


def apart_s(clicks: Array, width_s: float) -> float:
    """How close the begins of two excursions can be: nearer ones would be one."""
    a_bin = float(clicks.mean())
    return (
        1 + (max(BINS_APART, math.ceil(CLICKS_APART / a_bin)) if a_bin else BINS_APART)
    ) * width_s


def binomial_tail(least: int, of: int, share: float) -> float:
    """P(X ≥ `least`) of a binomial count of `of` trials, each of probability `share`."""
    if least <= 0:
        return 1.0
    k = np.arange(least, of + 1)
    factorials = np.array([math.lgamma(i + 1) for i in range(of + 1)])
    choose = factorials[of] - factorials[k] - factorials[of - k]
    logs = choose + k * math.log(share) + (of - k) * math.log1p(-share)
    return float(min(1.0, np.exp(logs).sum()))


@dataclass(frozen=True)
class Period:
    """A rhythm."""

    period_s: float
    beats: int
    """That the stage had room for, from the first to the last onset."""
    met: int
    """Beats with an onset."""
    pvalue: float


def period_of(
    onsets_s: Sequence[float], length_s: float, width_s: float, apart_s: float
) -> Period | None:
    """The rhythm of `onsets_s`; None where chance would do as well.

    The onsets' periodogram |Σ exp(2πi t/P)| / n (a Rayleigh test at each P) is 1 where all lie on
    one beat. Its highest point is compared with that of as many onsets at random places, no closer
    to each other than `apart_s`: drawn 499 times. Of a period and its fractions, which fit as well,
    the longest counts.

    Args:
        onsets_s: ascending, seconds since the stage began.
        length_s: of the stage.
        width_s: how exact they are.
        apart_s: how close two of them could be.
    """
    count, bins = len(onsets_s), max(round(length_s / width_s), 1)
    if count < ONSETS_MIN:
        return None
    size = 1 << (4 * bins - 1).bit_length()
    frequencies = np.fft.rfftfreq(size, width_s)
    fastest = min(count / BEATS_SHARE_MIN / length_s, 1 / (2 * width_s))
    band = (frequencies >= PERIODS_MIN / length_s) & (frequencies <= fastest)
    if not band.any():
        return None

    def powers(at_s: Array) -> Array:
        row = np.bincount(np.minimum((at_s / width_s).astype(int), bins - 1), minlength=bins)
        return np.abs(np.fft.rfft(row, size)) / count

    found = powers(np.asarray(onsets_s, dtype=float))
    height = float(found[band].max())
    random = np.random.default_rng(count)
    room_s = max(length_s - count * apart_s, 0.0)
    steps = np.arange(count) * apart_s
    reached = 0
    for _ in range(DRAWS_OF_PERIODS):
        drawn = np.sort(random.uniform(0, room_s, count)) + steps
        reached += float(powers(drawn)[band].max()) >= height
    pvalue = (1 + reached) / (1 + DRAWS_OF_PERIODS)
    if pvalue > PVALUE_MAX:
        return None
    best = int(np.flatnonzero(band)[found[band].argmax()])
    return _beats(onsets_s, 1 / float(frequencies[_slowest(found, band, best)]), pvalue)


def _slowest(powers: Array, band: npt.NDArray[np.bool_], best: int) -> int:
    """Of the frequency `best` and what it may be a multiple of: the lowest that does as well."""
    for divisor in range(8, 1, -1):
        place = int(best / divisor)
        near = [i for i in range(place - 1, place + 3) if 0 < i < len(powers) and band[i]]
        top = max(near, key=lambda i: float(powers[i]), default=best)
        if near and powers[top] >= 0.9 * powers[best]:
            return top
    return best


def _beats(onsets_s: Sequence[float], period_s: float, pvalue: float) -> Period:
    """The period made exact: the slope of the onsets over their beats, by least squares."""
    at_s = np.asarray(onsets_s, dtype=float)
    beats = np.zeros(len(at_s))
    for _ in range(3):
        phase = np.angle(np.exp(2j * np.pi * at_s / period_s).mean()) / (2 * np.pi) * period_s
        beats = np.rint((at_s - phase) / period_s)
        if len(set(beats.tolist())) > 1:
            period_s = float(np.polyfit(beats, at_s, 1)[0])
    span = int(beats.max() - beats.min()) + 1
    return Period(period_s, span, len(set(beats.tolist())), pvalue)


@dataclass(frozen=True)
class Coincidence:
    """Whether clicks in the windows of some events are slow more often than beside them."""

    pvalue: float
    clicks: int
    slow: int
    """In the windows, each bin once."""
    hits: int
    """Windows with more slow clicks than their clicks would have elsewhere."""
    share_outside: float
    """Of clicks outside all windows, the slow ones."""

    @property
    def share_inside(self) -> float:
        """Of clicks in the windows, the slow ones."""
        return self.slow / self.clicks if self.clicks else 0.0


def coincidence(
    clicks: Array, slow: Array, width_s: float, windows_s: Array, apart_s: float
) -> Coincidence:
    """How much slower it is in `windows_s` than beside them, and how likely by chance.

    The surplus of slow clicks in the windows is compared with that of the same windows, each moved
    by a random time of up to half of `apart_s` to either side. So what varies more slowly than the
    events come (a machine busy for minutes) is no evidence. It is the jitter test of Amarasingham
    et al. 2012 (https://doi.org/10.1152/jn.00633.2011).

    Args:
        clicks: due in each bin.
        slow: of those.
        width_s: of a bin.
        windows_s: begin and end of each, shape (events, 2).
        apart_s: the median time between two events.
    """
    length_s, inside = len(clicks) * width_s, covered(windows_s, len(clicks), width_s)
    outside = float(clicks[~inside].sum())
    share = float(slow[~inside].sum()) / outside if outside else 0.0
    surplus = np.concatenate([[0.0], np.cumsum(slow - share * clicks)])
    edges_s = np.arange(len(surplus)) * width_s

    def within(windows: Array) -> Array:
        total: Array = np.interp(windows[..., 1], edges_s, surplus) - np.interp(
            windows[..., 0], edges_s, surplus
        )
        return total

    events = len(windows_s)
    draws = int(np.clip(DRAWN_MAX // max(events, 1), 999, DRAWS_OF_WINDOWS))
    moved = np.random.default_rng(events).uniform(-apart_s / 2, apart_s / 2, (draws, events))
    begins, lengths = windows_s[:, 0] + moved, windows_s[:, 1] - windows_s[:, 0]
    # What is moved beyond an end comes in again at the other.
    begins = np.mod(begins, np.maximum(length_s - lengths, width_s))
    each = within(windows_s)
    drawn = within(np.stack([begins, begins + lengths], axis=-1)).sum(axis=1)
    reached = int(np.count_nonzero(drawn >= each.sum() - 1e-9))
    return Coincidence(
        pvalue=(1 + reached) / (1 + draws),
        clicks=int(clicks[inside].sum()),
        slow=int(slow[inside].sum()),
        hits=int(np.count_nonzero(each >= 0.5)),
        share_outside=share,
    )


def covered(windows_s: Array, bins: int, width_s: float) -> npt.NDArray[np.bool_]:
    """The bins that any of `windows_s` (shape (events, 2)) touches."""
    inside = np.zeros(bins, dtype=bool)
    for begin_s, end_s in windows_s:
        inside[max(int(begin_s / width_s), 0) : max(math.ceil(end_s / width_s - 1e-9), 0)] = True
    return inside
