"""What `seed/population.toml` may say: tables and rows per owner. Pure.

One struct a table of the file; a misspelt key is an error. Columns are in
`project.population_columns`. `docs/project/seed.md` documents every
key; `project.population_checks` checks what one declaration says of another.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from phasegate.model.prices import Entry
from phasegate.project.population_columns import SHORT, ColumnFile

# Two years: sort keys carry milliseconds since the start in 39 bits, beside 24 for the owner.
DAYS_MAX = 730
HOURS, WEEKDAYS = 24, 7
ROWS_FEW_MAX = 65_535
"""Rows an owner has at most where they are kept as a number each."""
LOCALES_MAX = 64
WORDS_MAX = 1024


class VocabularyFile(Entry, frozen=True):
    """`[vocabularies.NAME]`: 1,024 words of Faker's for each locale, or words of one's own."""

    faker: tuple[str, ...] = ()
    """Providers; the first that a locale has."""
    words: tuple[str, ...] = ()
    """The words themselves, in place of Faker's."""
    capitalize: bool = False
    strip: str = ""
    """Characters to take off at the end."""

    def __post_init__(self) -> None:
        """Refuse one that is empty, or two in one."""
        if bool(self.faker) == bool(self.words):
            raise ValueError("`faker` or `words` must say where the words come from, not both")
        if len(self.words) > WORDS_MAX or not all(self.words):
            raise ValueError(f"`words` must be {WORDS_MAX:,} at most, none of them empty")


class RowsFile(Entry, frozen=True):
    """`rows = { … }`: how many rows an owner has. Exactly one of the first four is given."""

    mean: float | None = None
    """None, one or many: a Poisson process along the owner's life, at the user's activity."""
    from_one_mean: float | None = None
    """Geometric from 1 on: most owners have few."""
    share: float | None = None
    """None or one: such a share of the owners has one."""
    members_mean: float | None = None
    """Groups of users: how many users found themselves in one, on average."""
    members_sigma: float = 1.0
    """Of the logarithm of a group's size."""
    memberships_of: str = ""
    """The table of groups that `from_one_mean` memberships of each user lead to."""
    follow_activity: float = 0.0
    """Share of owners whose number follows their activity; the others' is chance."""
    max: int = 16
    """The most that `from_one_mean` gives an owner."""

    def __post_init__(self) -> None:
        """Refuse two numbers at once, and what no formula could carry out."""
        kinds = [self.mean, self.from_one_mean, self.share, self.members_mean]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give one of `mean`, `from_one_mean`, `share`, `members_mean`")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError("`share` must be above 0, and 1 at most")
        if self.mean is not None and not 0 < self.mean <= 100_000:
            raise ValueError("`mean` must be above 0, and 100,000 at most")
        for name in ("from_one_mean", "members_mean"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"`{name}` must be 1 or more")
        if not 1 <= self.max <= ROWS_FEW_MAX or not 0 <= self.follow_activity <= 1:
            raise ValueError(f"`max` must be 1 to {ROWS_FEW_MAX}, `follow_activity` 0 to 1")
        if not 0 <= self.members_sigma <= 3:
            raise ValueError("`members_sigma` must be 0 to 3")
        if self.memberships_of and self.from_one_mean is None:
            raise ValueError(
                "`memberships_of` needs `from_one_mean`: a user is in one group or more"
            )


class DelayFile(Entry, frozen=True):
    """`when = { … }`: rows follow their owner by a log-normal delay."""

    median_h: float
    sigma: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no delay."""
        if not (0 < self.median_h <= 24 * DAYS_MAX and 0 <= self.sigma <= 4):
            raise ValueError("`median_h` must be above 0, `sigma` 0 to 4")


class TableFile(Entry, frozen=True):
    """`[tables.NAME]`; NAME is in schema public, or `schema.table`."""

    columns: dict[str, ColumnFile | str] = msgspec.field(default_factory=dict)
    owner: str = ""
    """The table whose rows own these; empty for users, groups of users, and reference tables."""
    rows: int | RowsFile = 1
    """Per owner, or of a reference table as a whole."""
    skip: bool = False
    """Leave it empty."""
    when: Literal["life", "with owner"] | DelayFile | None = None
    """Spread over the owner's life, at its very moment, or some time after it."""
    also_into: tuple[str, ...] = ()
    """Tables that get the same rows: the same log flat and partitioned, say."""
    monthly_partitions: tuple[str, ...] = ()
    """Those of this table and `also_into` that get a partition a month and a default one."""

    def __post_init__(self) -> None:
        """Refuse words that are none of ours, and rows that are none."""
        for name, column in self.columns.items():
            if isinstance(column, str) and column not in SHORT:
                raise ValueError(
                    f"`columns.{name}`: {column!r} is none of {', '.join(SHORT)}; "
                    "a table of keys says more"
                )
        if not self.columns and not self.skip:
            raise ValueError("`columns` must name one, or `skip = true` leave the table empty")
        if isinstance(self.rows, int) and not 1 <= self.rows <= 1 << 24:
            raise ValueError("`rows` must be 1 or more")


class PopulationFile(Entry, frozen=True):
    """`seed/population.toml`: who the users are, and what they leave in each table."""

    start: dt.date
    """The first day; a fixed one, so that a seed gives the same bytes on any day."""
    tables: dict[str, TableFile]
    """In the order that they are loaded in."""
    days: int = 365
    locales: tuple[str, ...] = ("en_US",)
    """Faker's; each user gets one of them, all equally likely."""
    signup_growth_per_month: float = 0.1
    activity_sigma: float = 1.6
    """Of the logarithm of users' activity, whose mean is 1."""
    hour_weights: tuple[float, ...] = (1.0,) * HOURS
    """UTC; only proportions matter."""
    weekday_weights: tuple[float, ...] = (1.0,) * WEEKDAYS
    """Monday first."""
    vocabularies: dict[str, VocabularyFile] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no formula could carry out; msgspec names the key."""
        if not 28 <= self.days <= DAYS_MAX:
            raise ValueError(f"`days` must be 28 to {DAYS_MAX}")
        if len(self.hour_weights) != HOURS or len(self.weekday_weights) != WEEKDAYS:
            raise ValueError(
                f"`hour_weights` takes {HOURS} numbers and `weekday_weights` {WEEKDAYS}"
            )
        if min((*self.hour_weights, *self.weekday_weights)) <= 0:
            raise ValueError("`hour_weights` and `weekday_weights` must be positive")
        if not 0 < len(self.locales) <= LOCALES_MAX:
            raise ValueError(f"`locales` must name 1 to {LOCALES_MAX}")
        if not 0 <= self.activity_sigma <= 3:
            raise ValueError("`activity_sigma` must be 0 to 3")
        if not -0.5 <= self.signup_growth_per_month <= 1:
            raise ValueError("`signup_growth_per_month` must be -0.5 to 1")
        if not self.tables:
            raise ValueError("`tables` must name one")
