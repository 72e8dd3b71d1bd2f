"""What a PostgREST query string says, as frozen records. No database, no SQL, no parsing here.

A value that a request brings along is a `Value`. It carries the number of the query-string
pair that it came from, where there is one, so that a statement compiled for one request serves
every request of the same shape: the statement remembers pair numbers, not values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Path = tuple[str, ...]
"""Names of embeds from the root down to where a filter, an order or a limit belongs."""

ROOT: Path = ()


@dataclass(frozen=True, slots=True)
class Value:
    """Text from the request; never part of a statement, always bound."""

    text: str
    pair: int | None = None
    """Number of the query-string pair whose value, after the operator, this is."""


@dataclass(frozen=True, slots=True)
class JsonStep:
    """`->key`, `->>key`, `->0`: one step into a JSON column."""

    as_text: bool
    key: str
    is_index: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a place inside a JSON column."""

    name: str
    path: tuple[JsonStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """`alias:name::cast` in `select`; `name` may be `*`."""

    field: Field
    alias: str | None = None
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Embed:
    """`alias:relation!hint!inner(…)` in `select`; `...relation(…)` spreads its columns."""

    relation: str
    items: tuple[SelectItem, ...]
    alias: str | None = None
    hint: str | None = None
    inner: bool = False
    spread: bool = False

    @property
    def name(self) -> str:
        """What filters call it, and the key of its value in the answer."""
        return self.alias or self.relation


SelectItem = Column | Embed


@dataclass(frozen=True, slots=True)
class Compare:
    """`eq.5`, `like(any).{a*,b*}`."""

    operator: str
    value: Value
    quantifier: Literal["any", "all"] | None = None


@dataclass(frozen=True, slots=True)
class In:
    """`in.(a,b,"c,d")`; the list is taken apart when it is bound."""

    value: Value


@dataclass(frozen=True, slots=True)
class Is:
    """`is.null` and its like."""

    truth: str


@dataclass(frozen=True, slots=True)
class TextSearch:
    """`fts(english).word`."""

    function: str
    language: Value | None
    value: Value


Test = Compare | In | Is | TextSearch


@dataclass(frozen=True, slots=True)
class Condition:
    """A column and what is asked of it."""

    field: Field
    test: Test
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Logic:
    """`and(…)` or `or(…)`."""

    operator: Literal["and", "or"]
    terms: tuple[Condition | Logic, ...]
    negated: bool = False


Term = Condition | Logic


@dataclass(frozen=True, slots=True)
class Order:
    """`name.desc.nullslast`, or `relation(name).desc` for a column of a to-one embed."""

    field: Field
    relation: str | None = None
    direction: Literal["asc", "desc"] | None = None
    nulls: Literal["first", "last"] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A query string. `limits` are those of embeds: the root's depend on headers too."""

    select: tuple[SelectItem, ...]
    where: tuple[tuple[Path, Term], ...] = ()
    order: tuple[tuple[Path, tuple[Order, ...]], ...] = ()
    limits: tuple[tuple[Path, int], ...] = ()
    offsets: tuple[tuple[Path, int], ...] = ()
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    arguments: tuple[tuple[str, str], ...] = field(default=())
    """Of a function called by GET: pairs that are not filters."""
