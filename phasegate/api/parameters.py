"""From the query string of a URL to a `Query`, and to its shape.

Two requests of one shape differ only in the values of plain filters (`user_id=eq.…`, `id=in.(…)`)
and in the root's limit and offset, so one compiled statement serves both.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

from phasegate.api import errors, grammar
from phasegate.api.query import ROOT, Condition, Order, Path, Query, Term

Pairs = list[tuple[str, str]]

SHARED_OPERATORS = frozenset(
    {"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in"}
    | {f"not.{operator}" for operator in ("eq", "neq", "gt", "gte", "lt", "lte", "in")}
)
"""Operators after which any value makes the same statement."""

_LOGIC = ("and", "or")
_RESERVED = frozenset({"select", "columns", "on_conflict"})
_RESERVED_LAST = frozenset({"order", "limit", "offset", *_LOGIC})


def _decoded(raw: bytes) -> str:
    plain = unquote_to_bytes(raw.replace(b"+", b" ")) if b"%" in raw or b"+" in raw else raw
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError as error:
        raise errors.ApiError(
            400, "PGRST100", "The query string is not UTF-8", details=error.reason
        ) from error


@lru_cache(maxsize=8192)
def _pair(part: bytes) -> tuple[str, str] | None:
    """`a=1` decoded. Remembered: clients send the same few over and over, percent-encoded."""
    name, equals, value = part.partition(b"=")
    return (_decoded(name), _decoded(value)) if equals else None


PART_REMEMBERED_BYTES_MAX = 512
"""A longer part is a list of ids or worse, and never the same again."""


def split(raw: bytes) -> Pairs:
    """Names and values of `a=1&b=2`, decoded, in order; a name without `=` is left out.

    Raises:
        ApiError: PGRST100, not UTF-8.
    """
    pairs: Pairs = []
    for part in raw.split(b"&"):
        remembered = len(part) <= PART_REMEMBERED_BYTES_MAX
        pair = _pair(part) if remembered else _pair.__wrapped__(part)
        if pair is not None:
            pairs.append(pair)
    return pairs


class Shape(msgspec.Struct, frozen=True):
    """`key`: what decides the statement. `values`: by pair number, what is bound to it."""

    key: tuple[Hashable, ...]
    values: tuple[str, ...]


def shape(pairs: Pairs) -> Shape:
    """The shape of a query string."""
    key: list[Hashable] = []
    values: list[str] = []
    for name, value in pairs:
        bound = ""
        if name in ("limit", "offset"):
            key.append(name)
        elif (shared := _shared(name, value)) is not None:
            operator, bound = shared
            key.append((name, operator))
        else:
            key.append((name, value))
        values.append(bound)
    return Shape(tuple(key), tuple(values))


def _shared(name: str, value: str) -> tuple[str, str] | None:
    """Operator and value of a plain filter whose statement serves every value; else None."""
    operator, dot, rest = value.partition(".")
    if operator == "not":
        second, dot, rest = rest.partition(".")
        operator = f"not.{second}"
    if not dot or operator not in SHARED_OPERATORS or _is_reserved(name):
        return None
    return operator, rest


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.rpartition(".")[2] in _RESERVED_LAST


def _integer(text: str) -> int | None:
    """As PostgREST: what is no integer is as if it were not there."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _DIGITS_MAX:
        return None
    return int(text)


_DIGITS_MAX = 18
"""Of limits and offsets: what surely fits a bigint."""


def root_limits(pairs: Pairs) -> tuple[int | None, int | None]:
    """`limit` and `offset` of the root; the first of each counts."""
    limit = offset = None
    for name, value in pairs:
        if name == "limit" and limit is None:
            limit = _integer(value)
        elif name == "offset" and offset is None:
            offset = _integer(value)
    return limit, offset


def parse(pairs: Pairs, *, calls_function: bool = False) -> Query:
    """What the pairs say. With `calls_function`, a pair that is no filter is an argument.

    Raises:
        ApiError: PGRST100 for what the grammar does not know, PGRST123 for an aggregate.
    """
    given = dict(reversed(pairs))  # of several, the first counts
    where: list[tuple[Path, Term]] = []
    order: list[tuple[Path, tuple[Order, ...]]] = []
    limits: list[tuple[Path, int]] = []
    offsets: list[tuple[Path, int]] = []
    arguments: list[tuple[str, str]] = []
    for number, (name, value) in enumerate(pairs):
        last = name.rpartition(".")[2]
        if name in _RESERVED:
            continue
        if last == "order":
            order.append((_embed_path(name), grammar.order(value)))
        elif last in ("limit", "offset"):
            count = _integer(value)
            path = _embed_path(name)
            if count is not None and path != ROOT:
                _add_count(limits if last == "limit" else offsets, path, count)
        elif last in _LOGIC:
            where.append(_logic(name, value))
        elif calls_function and not _is_filter(value):
            arguments.append((name, value))
        else:
            path, field = grammar.path_of(name)
            # What is not shared belongs to the shape, and is bound as a constant of it.
            negated, test = grammar.test(value, number if _shared(name, value) else None)
            where.append((path, Condition(field, test, negated)))
    columns, conflict = given.get("columns"), given.get("on_conflict")
    return Query(
        grammar.select(given.get("select", "*")),
        tuple(where),
        tuple(order),
        tuple(limits),
        tuple(offsets),
        None if columns is None else grammar.names("columns", columns),
        None if conflict is None else grammar.names("on_conflict", conflict),
        tuple(arguments),
    )


def _embed_path(name: str) -> Path:
    path, _ = grammar.path_of(name)
    return path


def _add_count(counts: list[tuple[Path, int]], path: Path, count: int) -> None:
    if count < 0:
        raise errors.invalid_range("Limit should be greater than or equal to zero.")
    counts.append((path, count))


def _logic(name: str, value: str) -> tuple[Path, Term]:
    """`or=(…)`, `not.and=(…)`, `projects.or=(…)`, `projects.not.or=(…)`."""
    path, field = grammar.path_of(name)
    negated = "not" in path
    embeds = tuple(part for part in path if part != "not")
    return embeds, grammar.logic(("not." if negated else "") + field.name, value)


def _is_filter(value: str) -> bool:
    try:
        grammar.test(value, None)
    except errors.ApiError:
        return False
    return True
