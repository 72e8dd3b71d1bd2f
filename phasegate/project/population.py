"""What `seed/population.toml` may say: tables, rows per owner, columns. Pure.

One struct a table of the file; a misspelt key is an error. `docs/project/seed.md` documents every
key; `project.population_checks` checks what one declaration says of another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from phasegate.model.catalogue import Entry

# Two years: sort keys carry milliseconds since the start in 39 bits, beside 24 for the owner.
DAYS_MAX = 730
HOURS, WEEKDAYS = 24, 7
ROWS_FEW_MAX = 65_535
"""Rows an owner has at most where they are kept as a number each."""
LOCALES_MAX = 64
WORDS_MAX = 1024
LENGTH_MAX, DECIMALS_MAX, SIGMA_MAX = 64, 9, 4

SHORT = ("uuid4", "uuid7", "identity", "snowflake", "created", "number", "locale")
"""What a column may be in one word."""


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
    """`rows = { … }`: how many rows an owner has. Exactly one of the first three is given."""

    mean: float | None = None
    """None, one or many: a Poisson process along the owner's life, at the user's activity."""
    from_one_mean: float | None = None
    """Geometric from 1 on: most owners have few."""
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
        kinds = [self.mean, self.from_one_mean, self.members_mean]
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give one of `mean`, `from_one_mean`, `members_mean`")
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


class ColumnFile(Entry, frozen=True):
    """`[tables.T.columns.C]`, where one word does not do: exactly one kind, and its options."""

    ref: str = ""
    """`table.column` of another row: the owner's, one inside the same owner, or a reference row."""
    same_as: str = ""
    """`ref`: the column whose row it is."""
    within: str = ""
    """`ref`: the ancestor inside which a row is picked; the nearest common one where empty."""
    prefer: Literal["any", "newer"] = "any"
    """`ref`: which of the owner's rows."""
    choice: dict[str, float] | tuple[str | int | float | bool, ...] | None = None
    """Values with their weights, or equally likely ones."""
    share: float | None = None
    """A boolean: how often it is true."""
    uniform: tuple[float, float] | None = None
    """A number from the first to below the second."""
    normal: tuple[float, float] | None = None
    """Mean and standard deviation."""
    log_normal: tuple[float, float] | None = None
    """Median, and sigma of the logarithm."""
    decimals: int = 2
    """Numbers: places behind the point, where the type has any."""
    text: str | None = None
    """Words and `{vocabulary}` names, `{number}` or `{id}`."""
    value: str | int | float | bool | None = None
    """The same in every row."""
    copy: str = ""
    """Another column of the row."""
    after: str = ""
    """A moment that follows another column's by a log-normal delay, null where it does not come."""
    median_h: float = 24.0
    sigma: float = 1.0
    happens: float = 1.0
    """`after`: share of rows in which it comes at all."""
    otherwise: str | int | float | bool | None = None
    """`after`: a column to copy where it does not come; `if_null`: the value of the others."""
    if_null: str = ""
    """A value that says whether another column is null: `then` where it is, else `otherwise`."""
    then: str | int | float | bool | None = None
    json: dict[str, Any] | None = None
    """A template: values stand for themselves, a table with one kind of column is drawn."""
    array: ColumnFile | str | None = None
    """What each element is."""
    length: tuple[int, int] = (0, 4)
    """`array`: fewest and most elements."""
    function: str = ""
    """Of `seed/columns.py`."""
    null_share: float = 0.0
    """How often it is null, besides."""

    def __post_init__(self) -> None:
        """Refuse two kinds at once, and what no formula could carry out."""
        kinds = kinds_of(self)
        if len(kinds) != 1:
            given = f", not {' and '.join(kinds)}" if kinds else ""
            raise ValueError(f"give one of {', '.join(KINDS)}{given}")
        for wrong, why in self._limits():
            if wrong:
                raise ValueError(why)

    def _limits(self) -> Iterator[tuple[bool, str]]:
        """Whether something is out of its range, and what that is."""
        for name in ("null_share", "happens", "share"):
            share = getattr(self, name)
            yield share is not None and not 0 <= share <= 1, f"`{name}` must be 0 to 1"
        yield bool(self.ref) and self.ref.count(".") not in (1, 2), "`ref` must be `table.column`"
        if self.choice is not None:
            weights = list(self.choice.values()) if isinstance(self.choice, dict) else [1.0]
            wrong = not self.choice or min(weights) <= 0
            yield wrong, "`choice` needs a value, and weights above 0"
        yield (
            self.uniform is not None and self.uniform[0] >= self.uniform[1],
            "`uniform` must be a lower number and a higher one",
        )
        for name in ("normal", "log_normal"):
            pair = getattr(self, name)
            yield pair is not None and pair[1] < 0, f"`{name}` must have a spread of 0 or more"
        yield (
            self.log_normal is not None and self.log_normal[0] <= 0,
            "`log_normal` must have a median above 0",
        )
        low, most = self.length
        yield not 0 <= low <= most <= LENGTH_MAX, f"`length` must be two of 0 to {LENGTH_MAX}"
        yield not 0 <= self.decimals <= DECIMALS_MAX, f"`decimals` must be 0 to {DECIMALS_MAX}"
        yield (
            not (self.median_h > 0 and 0 <= self.sigma <= SIGMA_MAX),
            (f"`median_h` must be above 0, `sigma` 0 to {SIGMA_MAX}"),
        )
        yield (
            bool(self.if_null) and (self.then is None or self.otherwise is None),
            "`if_null` needs `then` and `otherwise`",
        )


KINDS = (
    "ref", "choice", "share", "uniform", "normal", "log_normal", "text", "value", "copy", "after",
    "if_null", "json", "array", "function",
)  # fmt: skip
"""Keys of which a column has exactly one."""


def kinds_of(column: ColumnFile) -> list[str]:
    """Those of `KINDS` that are given."""
    return [kind for kind in KINDS if getattr(column, kind) not in (None, "")]


class TableFile(Entry, frozen=True):
    """`[tables.NAME]`; NAME is in schema public, or `schema.table`."""

    columns: dict[str, ColumnFile | str]
    owner: str = ""
    """The table whose rows own these; empty for users, groups of users, and reference tables."""
    rows: int | RowsFile = 1
    """Per owner, or of a reference table as a whole."""
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
