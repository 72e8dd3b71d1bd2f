"""The year that the data cover: weeks, months, and the rhythm of its days.

Reads the declared population; writes nothing. Times are integers: milliseconds since the
year's start inside the seeder, microseconds since 2000-01-01 for PostgreSQL. A **week** is seven
days from the start on, whatever weekday that is; events are made week by week.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from phasegate.model.errors import ConfigurationError
from phasegate.project.population import PopulationFile

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
# A sign-up in the last hour would leave no time to do anything.
LAST_SIGNUP_BEFORE_END_MS = HOUR_MS
DAYS_PER_MONTH = 365.25 / 12

POSTGRES_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
UNIX_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# Sixteen hashed bits choose a moment's bin, sixteen more the place inside it.
BITS = 16
_WEIGHT_SCALE = 1 << 20
_WIDTH_BITS = 24


@dataclass(frozen=True)
class Moments:
    """How moments are spread over a span of equal bins: the inverse of the distribution function.

    `stretches[q]` is where the q-th of 2^16 equally likely stretches begins, shifted left by 24
    bits, and its length below: one look-up gives both.
    """

    stretches: NDArray[np.uint64]

    @classmethod
    def of(cls, weights: Sequence[float], bin_ms: int) -> Moments:
        """Moments over `len(weights)` bins of `bin_ms`, each as likely as its weight."""
        total = sum(weights)
        whole = [max(1, round(weight / total * _WEIGHT_SCALE)) for weight in weights]
        ends = np.cumsum(np.array(whole, dtype=np.int64)) << BITS
        targets = np.arange(1 << BITS, dtype=np.int64) * sum(whole)
        bins = np.searchsorted(ends, targets, side="right")
        weight = np.array(whole, dtype=np.int64)[bins]
        into = targets - (ends[bins] - (weight << BITS))
        starts = bins * bin_ms + (into >> 4) * bin_ms // (weight << (BITS - 4))
        limits = np.append(starts[1:], len(weights) * bin_ms)
        widths = limits - starts
        if widths.max() >> _WIDTH_BITS:
            raise ConfigurationError(
                "Weights of hours, weekdays or growth differ by more than a thousandfold",
                then="Correct seed/population.toml",
            )
        return cls(((starts << _WIDTH_BITS) | widths).astype(np.uint64))

    def at(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Milliseconds into the span for each hash; its upper 32 bits are used."""
        stretches = self.stretches.take((hashes >> np.uint64(48)).view(np.intp))
        inside = hashes >> np.uint64(32)
        inside &= np.uint64(0xFFFF)
        inside *= stretches & np.uint64((1 << _WIDTH_BITS) - 1)
        inside >>= np.uint64(BITS)
        stretches >>= np.uint64(_WIDTH_BITS)
        inside += stretches
        return inside


@dataclass(frozen=True)
class Year:
    """The span of the data set, `days` from `start` on."""

    population: PopulationFile

    @cached_property
    def start(self) -> dt.datetime:
        """The first moment, UTC."""
        return dt.datetime.combine(self.population.start, dt.time(), tzinfo=dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """The first moment after the span, UTC."""
        return self.start + dt.timedelta(days=self.population.days)

    @cached_property
    def end_ms(self) -> int:
        """Length of the span in ms."""
        return self.population.days * DAY_MS

    @cached_property
    def unix_ms(self) -> int:
        """The start in ms since 1970."""
        return (self.start - UNIX_EPOCH) // dt.timedelta(milliseconds=1)

    @cached_property
    def postgres_us(self) -> int:
        """The start in µs since 2000, as timestamptz has it."""
        return (self.start - POSTGRES_EPOCH) // dt.timedelta(microseconds=1)

    @property
    def weeks(self) -> int:
        """Weeks begun."""
        return -(-self.end_ms // WEEK_MS)

    @cached_property
    def months(self) -> tuple[dt.datetime, ...]:
        """First moment of each calendar month that the span touches, and of the one after."""
        first = self.start.replace(day=1)
        found = [first]
        while found[-1] < self.end:
            found.append((found[-1] + dt.timedelta(days=32)).replace(day=1))
        return tuple(found)

    def ms(self, moment: dt.datetime) -> int:
        """`moment` in ms since the start."""
        return (moment - self.start) // dt.timedelta(milliseconds=1)

    @cached_property
    def hours_of_week(self) -> Moments:
        """The rhythm of a week: hour of day × weekday."""
        first = self.start.weekday()
        days = self.population.weekday_weights
        weights = [
            days[(first + day) % 7] * hour
            for day in range(7)
            for hour in self.population.hour_weights
        ]
        return Moments.of(weights, HOUR_MS)

    @cached_property
    def hours_of_day(self) -> Moments:
        """The rhythm of a day."""
        return Moments.of(self.population.hour_weights, HOUR_MS)

    @cached_property
    def signup_day_weights(self) -> tuple[float, ...]:
        """How likely a user is to sign up on each day: growth × weekday."""
        growth = 1 + self.population.signup_growth_per_month
        first = self.start.weekday()
        return tuple(
            float(growth ** (day / DAYS_PER_MONTH))
            * self.population.weekday_weights[(first + day) % 7]
            for day in range(self.population.days)
        )

    @property
    def weeks_per_user_mean(self) -> float:
        """Expected weeks from a user's sign-up to the end."""
        weights = self.signup_day_weights
        days = self.population.days
        left = sum(weight * (days - day - 0.5) for day, weight in enumerate(weights))
        return left / sum(weights) / 7
