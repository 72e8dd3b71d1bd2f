"""What a column of `seed/population.toml` may be: one kind, and its options. Pure.

`docs/project/seed.md` documents every key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from phasegate.model.prices import Entry

LENGTH_MAX, DECIMALS_MAX, SIGMA_MAX = 64, 9, 4
RANDOM_MAX = 16_000
"""Bytes, bits or components of a random value; pgvector takes no longer vectors."""
ANYWHERE = "*"
"""`within`: not inside a common owner, but any row of the table."""
SHORT = ("uuid4", "uuid7", "identity", "snowflake", "created", "number", "locale", "random")
"""What a column may be in one word."""


class RangeFile(Entry, frozen=True):
    """`range = { … }`: ranges from `low` on, `size` long.

    Whole or broken numbers; days for ranges of dates, hours for those of moments, from the first
    day on or from another column of the row.
    """

    low: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (1.0, 1.0)
    start: str = ""
    """A column with a moment that `low` counts from; the first day where empty."""

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        if self.low[0] > self.low[1] or not 0 < self.size[0] <= self.size[1]:
            raise ValueError(
                "`low` and `size` must be a lower number and a higher one, size above 0"
            )


class ColumnFile(Entry, frozen=True):
    """`[tables.T.columns.C]`, where one word does not do: exactly one kind, and its options."""

    ref: str = ""
    """`table.column` of another row: the owner's, one inside the same owner, or a reference row."""
    same_as: str = ""
    """`ref`: the column whose row it is."""
    within: str = ""
    """`ref`: the ancestor inside which a row is picked, `*` for anywhere; else the nearest common
    one."""
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
    base: str = ""
    """Numbers: a column that the number is added to."""
    between: tuple[str, str] | None = None
    """A day or moment from the first to below the second."""
    every_h: float | None = None
    """Moments at equal distances, for what must not overlap: the row's number times this."""
    sum: tuple[str, ...] = ()
    """Columns to add up."""
    product: tuple[str, ...] = ()
    """Columns to multiply."""
    text: str | None = None
    """Words and `{vocabulary}` names, `{number}` or `{id}`."""
    cut: bool = False
    """`text`: words are cut so that the longest text fits the column."""
    pattern: str | None = None
    """A text by a simple regular expression."""
    random: int | tuple[int, int] | None = None
    """So many random bytes, bits or components of a vector."""
    address: str = ""
    """An address in this network: inet, cidr; or a hardware address that begins so."""
    range: RangeFile | None = None
    """A range of numbers, days or moments."""
    by_number: tuple[str | int | float | bool, ...] = ()
    """Values by the row's number in its owner; the last goes on."""
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
    max_h: float = 0.0
    """`after`: no later than this; 0 for no limit."""
    future: bool = False
    """`after`: it may lie beyond the end, and then is no null."""
    otherwise: str | int | float | bool | None = None
    """`after`: a column to copy where it does not come; `if_null`: the value of the others."""
    if_null: str = ""
    """A value that says whether another column is null: `then` where it is, else `otherwise`."""
    then: str | int | float | bool | None = None
    json: dict[str, Any] | list[Any] | None = None
    """A template: values stand for themselves, a table with one kind of column is drawn."""
    array: ColumnFile | str | None = None
    """What each element is."""
    length: tuple[int, int] = (0, 4)
    """`array`: fewest and most elements."""
    function: str = ""
    """Of `seed/columns.py`."""
    todo: str = ""
    """What is still to be said, in words: nothing is loaded before it is."""
    null_share: float = 0.0
    """How often it is null, besides."""
    unique: bool | Literal["owner"] = False
    """No value twice in the table, or in an owner's rows."""

    def __post_init__(self) -> None:
        """Refuse two kinds at once, and what no formula could carry out."""
        kinds = kinds_of(self)
        if len(kinds) != 1:
            given = f", not {' and '.join(kinds)}" if kinds else ""
            raise ValueError(f"give one of {', '.join(KINDS)}{given}")
        for wrong, why in (*_options(self), *self._limits(), *self._more_limits()):
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

    def _more_limits(self) -> Iterator[tuple[bool, str]]:
        sizes = (self.random,) if isinstance(self.random, int) else self.random or (1,)
        wrong = not 0 < min(sizes) <= max(sizes) <= RANDOM_MAX or list(sizes) != sorted(sizes)
        yield wrong, f"`random` must be 1 to {RANDOM_MAX:,}, or two such numbers"
        yield self.every_h is not None and self.every_h <= 0, "`every_h` must be above 0"
        yield self.max_h < 0, "`max_h` must be above 0"
        yield (
            self.between is not None and not self.between[0] < self.between[1],
            "`between` must be an earlier day or moment and a later one",
        )


KINDS = (
    "ref", "choice", "share", "uniform", "normal", "log_normal", "between", "every_h", "sum",
    "product", "text", "pattern", "random", "address", "range", "by_number", "value", "copy",
    "after", "if_null", "json", "array", "function", "todo",
)  # fmt: skip
"""Keys of which a column has exactly one."""
NUMBERS = ("uniform", "normal", "log_normal")
"""Kinds that are numbers drawn."""
UNIQUE = ("choice", "uniform", "pattern", "range", "every_h")
"""Kinds that can be without repetition in a table; a `ref` can within an owner."""


def kinds_of(column: ColumnFile) -> list[str]:
    """Those of `KINDS` that are given."""
    empty = ("sum", "product", "by_number")
    return [
        kind
        for kind in KINDS
        if getattr(column, kind) not in (None, "")
        and not (kind in empty and getattr(column, kind) == ())
    ]


def _options(column: ColumnFile) -> Iterator[tuple[bool, str]]:
    """Whether an option is given that the kind does not have, and what it is for."""
    (kind,) = kinds_of(column)
    yield bool(column.base) and kind not in NUMBERS, f"`base` is for {', '.join(NUMBERS)}"
    yield column.cut and kind != "text", "`cut` is for `text`"
    yield (
        (bool(column.max_h) or column.future) and kind != "after",
        "`max_h` and `future` are for `after`",
    )
    of_ref = kind == "ref" and column.unique == "owner"
    yield (
        bool(column.unique) and kind not in UNIQUE and not of_ref,
        (
            f'`unique` is for {", ".join(UNIQUE)}, and as `unique = "owner"` for `ref`; '
            "texts take {id} or {number}"
        ),
    )


# What a template of json may draw: other tables with these words as keys are objects as they are.
_IN_JSON = frozenset(KINDS) - {"address", "random", "range", "sum", "product", "every_h"}


def as_column(value: dict[str, object]) -> ColumnFile | None:
    """`value` of a template as a column to draw; None where it is an object to write as it is."""
    if not _IN_JSON & value.keys():
        return None
    try:
        return msgspec.convert(value, ColumnFile, strict=True)
    except msgspec.ValidationError:
        return None


def drawn_in(template: Any, path: str = "") -> Iterator[tuple[str, ColumnFile]]:
    """The drawn values of a template of json, each with its path."""
    pairs = enumerate(template) if isinstance(template, list) else template.items()
    for name, value in pairs:
        column = as_column(value) if isinstance(value, dict) else None
        if column is not None:
            yield f"{path}{name}", column
        elif isinstance(value, dict | list):
            yield from drawn_in(value, f"{path}{name}.")


def refs_in(column: ColumnFile | str) -> Iterator[ColumnFile]:
    """The column itself and what is drawn inside it, where those are a `ref`."""
    if isinstance(column, ColumnFile):
        if column.ref:
            yield column
        inner = [drawn for _, drawn in drawn_in(column.json or {})]
        for one in (*inner, column.array or ""):
            yield from refs_in(one)
