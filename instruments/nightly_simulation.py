"""Months of nights, drawn from recordings of equal arms: false alarms, and slow-downs put in. Pure.

A measurement is drawn as the nightly makes one: as many rounds of fresh processes as it has, each
as recorded and with a random sign, since of two equal sides either may be HEAD.
So what stays the same within a process stays together. The Hodges-Lehmann estimate and its bounds
move with the blocks, so a slow-down of any size is added to them and nothing computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasegate.nightly.measure import SECOND_ROUNDS
from phasegate.stats.drift import MAGNITUDE_MIN, NIGHTS_AFTER_MIN, raised, reference_nights
from phasegate.stats.nightly import SLOWER, SUSPICIOUS
from phasegate.stats.paired import ALARM_CONFIDENCE, EFFECT_MIN, ratio_of_logs

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

SERIES = 40
NIGHTS = 30
# Nights before the month that is counted: what a drift is told from.
NIGHTS_BEFORE = 30
DRIFT_NIGHTS = 7
# A slow-down not found by then counts as not found.
NIGHTS_WATCHED = 10

# Pairs of a first and a second measurement drawn for each series; nights draw from these.
MEASUREMENTS = 2_000

STEP = math.log(EFFECT_MIN)
# HEAD is 10% faster than the baseline: a drift that no comparison with the baseline shows.
FASTER = math.log(0.9)


@dataclass(frozen=True)
class Measurements:
    """Measurements of equal arms; arrays of the shape (series, measurement).

    Attributes:
        estimate: ln of the Hodges-Lehmann ratio.
        low: ln of its lower 99% bound, minus infinity where there is none.
        blocks: how many.
    """

    estimate: Floats
    low: Floats
    blocks: Floats

    def put(self, row: int, column: int, logs: Floats) -> None:
        """Fill one entry in, from its log-ratios."""
        found = ratio_of_logs(logs, ALARM_CONFIDENCE)
        self.estimate[row, column] = math.log(found.estimate)
        self.low[row, column] = math.log(found.low) if found.low > 0 else -math.inf
        self.blocks[row, column] = found.n


@dataclass(frozen=True)
class Bank:
    """What nights are drawn from.

    Attributes:
        series: ids.
        first: first measurements.
        again: second ones, which have more rounds.
        raw: ln of one side's median time, per series in order of the rounds recorded.
        repeat: which repeat each of those belongs to.
    """

    series: tuple[str, ...]
    first: Measurements
    again: Measurements
    raw: tuple[Floats, ...]
    repeat: tuple[Places, ...]


@dataclass(frozen=True)
class Recorded:
    """One series' rounds, over all repeats.

    Attributes:
        series: id.
        rounds: log-ratios of each round's blocks.
        each: rounds that make one measurement.
        raw_ns: median time of one side in each round.
        repeat: which repeat each round belongs to.
    """

    series: str
    rounds: tuple[tuple[float, ...], ...]
    each: int
    raw_ns: tuple[float, ...]
    repeat: tuple[int, ...]


def bank(recorded: Sequence[Recorded], rng: np.random.Generator, count: int = MEASUREMENTS) -> Bank:
    """Draw `count` pairs of a first and a second measurement of each series.

    No round is in both, as no process is: with few rounds recorded, one that went astray would
    otherwise confirm itself.

    Raises:
        ValueError: a series has too few rounds for both.
    """
    shape = len(recorded), count
    first, again = (Measurements(*(np.empty(shape) for _ in range(3))) for _ in range(2))
    for row, one in enumerate(recorded):
        known = [np.array(logs) for logs in one.rounds]
        needed = one.each * (1 + SECOND_ROUNDS)
        if len(known) < needed:
            raise ValueError(f"{one.series} has {len(known)} rounds, and {needed} are needed")
        for column in range(count):
            chosen = rng.permutation(len(known))[:needed]
            signs = rng.choice((-1.0, 1.0), needed)
            logs = [known[at] * sign for at, sign in zip(chosen, signs, strict=True)]
            first.put(row, column, np.concatenate(logs[: one.each]))
            again.put(row, column, np.concatenate(logs[one.each :]))
    return Bank(
        tuple(one.series for one in recorded),
        first,
        again,
        tuple(np.log(np.array(one.raw_ns)) for one in recorded),
        tuple(np.array(one.repeat) for one in recorded),
    )


@dataclass(frozen=True)
class Drawn:
    """Nights as the nightly would have them; arrays of one shape.

    Attributes:
        slower: whether `stats.nightly.slower` would speak.
        value: ln of the night's ratio, as `records.history.combined` makes it.
        suspicious: whether it was measured again.
    """

    slower: Booleans
    value: Floats
    suspicious: Booleans


def draw(found: Bank, series: Places, shift: Floats, rng: np.random.Generator) -> Drawn:
    """One night for each entry of `series` (row of the bank), slower by `shift` (one shape)."""
    at = series, rng.integers(found.first.estimate.shape[1], size=series.shape)
    once, twice = found.first.estimate[at] + shift, found.again.estimate[at] + shift
    blocks, more = found.first.blocks[at], found.again.blocks[at]
    together = (blocks * once + more * twice) / (blocks + more)
    suspicious = once >= math.log(SUSPICIOUS)
    certain = found.again.low[at] + shift > 0
    slower = suspicious & certain & (together >= math.log(SLOWER))
    return Drawn(slower, np.where(suspicious, together, once), suspicious)


def rises(values: Floats) -> Booleans:
    """Whether `stats.drift.raised` finds something after each night; (series, nights) both.

    It asks for a median of the last nights well above the reference, so it is called only there.
    """
    found = np.zeros(values.shape, dtype=bool)
    nights = values.shape[1]
    for count in range(1, nights + 1):
        if count < NIGHTS_AFTER_MIN:
            continue
        reference = values[:, : min(reference_nights(count), count)].mean(axis=1)
        tail = np.median(values[:, count - NIGHTS_AFTER_MIN : count], axis=1)
        names = [str(night) for night in range(count)]
        for row in np.flatnonzero(tail - reference >= math.log1p(MAGNITUDE_MIN) - 1e-9):
            ratios = np.exp(values[row, :count]).tolist()
            found[row, count - 1] = raised(names, ratios) is not None
    return found


def episodes(alarm: Booleans) -> int:
    """Runs of alarms, however long, along the last axis."""
    before = np.zeros_like(alarm)
    before[..., 1:] = alarm[..., :-1]
    return int((alarm & ~before).sum())


def false_slower(found: Bank, months: int, rng: np.random.Generator) -> int:
    """Alarms of the two measurements in so many months of equal commits."""
    alarms = 0
    for _ in range(months):
        rows = rng.integers(len(found.series), size=(SERIES, 1)) + np.zeros((1, NIGHTS), int)
        alarms += int(draw(found, rows, np.zeros(rows.shape), rng).slower.sum())
    return alarms


def quiet(found: Bank, months: int, rng: np.random.Generator) -> Floats:
    """Ln ratios of equal commits: (months · 40 series, nights before and counted)."""
    rows = rng.integers(len(found.series), size=(months * SERIES, 1))
    rows = rows + np.zeros((1, NIGHTS_BEFORE + NIGHTS), int)
    return draw(found, rows, np.zeros(rows.shape), rng).value


def step(nights: int = NIGHTS_WATCHED) -> Floats:
    """A step of 5% in the first night."""
    return np.full(nights, STEP)


def drift(nights: int = NIGHTS_WATCHED) -> Floats:
    """5% in equal parts over seven nights, then no more."""
    return np.minimum(np.arange(1, nights + 1) / DRIFT_NIGHTS, 1.0) * STEP


@dataclass(frozen=True)
class Cases:
    """Slow-downs put into nights, one row a case.

    Attributes:
        row: of the bank.
        slower: alarms of the two measurements, in the nights of the slow-down.
        value: ln ratios, of the nights before and those.
    """

    row: Places
    slower: Booleans
    value: Floats


def cases(
    found: Bank, shape: Floats, rng: np.random.Generator, *, each: int, level: float = 0.0
) -> Cases:
    """`each` cases of every series: quiet nights, then nights slower by `shape`.

    Args:
        found: measurements.
        shape: ln of the slow-down, night by night.
        rng: draws.
        each: cases of a series.
        level: ln HEAD ÷ baseline before it.
    """
    row = np.repeat(np.arange(len(found.series)), each)
    shift = np.concatenate([np.zeros(NIGHTS_BEFORE), shape]) + level
    rows = row[:, None] + np.zeros((1, len(shift)), int)
    drawn = draw(found, rows, np.broadcast_to(shift, rows.shape), rng)
    return Cases(row, drawn.slower[:, NIGHTS_BEFORE:], drawn.value)


def first_found(alarm: Booleans) -> Floats:
    """Number of the first night with an alarm, from 1; infinite where there is none."""
    return np.where(alarm.any(axis=1), alarm.argmax(axis=1) + 1.0, math.inf)


def moves(found: Bank, shape: Floats, row: Places, rng: np.random.Generator) -> Floats:
    """ln(tonight's median ÷ last night's) of one side alone, per case and night of `shape`.

    Each night is a recorded round, of another repeat than the night before it.
    """
    nights = np.empty((len(row), len(shape) + 1))
    for case, at in enumerate(row):
        raw, repeat = found.raw[at], found.repeat[at]
        last = -1
        for night in range(nights.shape[1]):
            others = np.flatnonzero(repeat != last)
            chosen = others[rng.integers(len(others))]
            nights[case, night], last = raw[chosen], repeat[chosen]
    slower = np.concatenate([[0.0], shape])
    return np.diff(nights + slower, axis=1)


def above(threshold: float) -> Callable[[Floats], Booleans]:
    """A rule that compares with the night before."""
    return lambda moved: moved > math.log(threshold)


# Up to here the bound is computed exactly; beyond, Wilson and Hilferty's is off by a thousandth.
POISSON_EXACT_MAX = 50


def poisson_max(count: int) -> float:
    """Upper 95% bound of the mean of a Poisson count: 3.0 for none (the rule of three)."""
    more = count + 1
    if count > POISSON_EXACT_MAX:
        return float(more * (1 - 1 / (9 * more) + 1.645 / (3 * math.sqrt(more))) ** 3)
    low, high = float(count), count + 10.0 + 5 * math.sqrt(count)
    for _ in range(60):
        middle = (low + high) / 2
        below = math.fsum(
            math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(more)
        )
        low, high = (middle, high) if below > 0.05 else (low, middle)
    return high
