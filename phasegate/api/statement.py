"""A compiled statement: its text, and where each of its parameters comes from.

The text depends on the shape of a request alone; `bind` takes the values of one request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from phasegate.api import errors, scanner
from phasegate.api.pipeline import Parameter
from phasegate.api.query import Value

PARAMETERS_MAX = 32_767
"""What the protocol's 16-bit count surely carries."""


class Values(msgspec.Struct, frozen=True):
    """What one request brings: by pair number, and by name."""

    pairs: Sequence[str] = ()
    limit: int | None = None
    offset: int = 0
    body: bytes | None = None


Source = Callable[[Values], Parameter]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with $1, $2 …, and for each the function that picks its value."""

    sql: str
    sources: tuple[Source, ...]

    def bind(self, values: Values) -> tuple[Parameter, ...]:
        """The parameters, in order.

        Raises:
            ApiError: PGRST100, a value that should be a list is none.
        """
        return tuple([source(values) for source in self.sources])


def array_literal(items: Sequence[str]) -> str:
    """`{"a","b"}`: PostgreSQL's text form of an array, as one value to bind."""
    escaped = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in escaped) + "}"


def _listed(text: str) -> str:
    items = scanner.elements(text)
    return "{}" if items == [""] else array_literal(items)


def _starred(text: str) -> str:
    return text.replace("*", "%")


@dataclass(slots=True)
class Parameters:
    """The parameters of a statement under construction."""

    sources: list[Source] = field(default_factory=list)

    def _add(self, source: Source) -> str:
        self.sources.append(source)
        if len(self.sources) > PARAMETERS_MAX:
            raise errors.too_many_parameters(len(self.sources))
        return f"${len(self.sources)}"

    def _value(self, value: Value, convert: Callable[[str], str] | None) -> str:
        if value.pair is None:
            fixed = value.text if convert is None else convert(value.text)
            return self._add(lambda _: fixed)
        pair = value.pair
        if convert is None:
            return self._add(lambda values: values.pairs[pair])
        return self._add(lambda values: convert(values.pairs[pair]))

    def text(self, value: Value) -> str:
        """A value as it is."""
        return self._value(value, None) + "::text"

    def pattern(self, value: Value) -> str:
        """A pattern of `like`, where `*` stands for `%`."""
        return self._value(value, _starred) + "::text"

    def elements(self, value: Value) -> str:
        """A list `(a,b)` as the text of an array."""
        return self._value(value, _listed) + "::text"

    def constant(self, text: str) -> str:
        """A text that belongs to the shape."""
        return self._add(lambda _: text) + "::text"

    def limit(self) -> str:
        """The root's limit."""
        return self._add(lambda values: values.limit) + "::bigint"

    def offset(self) -> str:
        """The root's offset."""
        return self._add(lambda values: values.offset) + "::bigint"

    def body(self) -> str:
        """The request's body."""
        return self._add(lambda values: values.body) + "::json"
