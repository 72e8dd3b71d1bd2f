"""Pieces of SQL expressions as sqlglot reads them: columns, literals, calls.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

Value = str | int | float | bool


class Unreadable(Exception):
    """An expression says something that is not understood here."""


@dataclass(frozen=True)
class Condition:
    """One thing that is to hold of a column.

    Attributes:
        column: its name.
        kind: `in`, `not in`, `null`, `low`, `high`, `length`, `size`, `pattern`, `order`, `case`,
            `json`, `now`, `sum`, `product`, `count`.
        value: what it is compared with, by kind.
        operator: of the comparison.
    """

    column: str
    kind: str
    value: Any = None
    operator: str = ""


def unwrapped(node: exp.Expr) -> exp.Expr:
    """Without parentheses and casts around it."""
    while isinstance(node, exp.Paren | exp.Cast | exp.Collate):
        node = node.this
    return node


def column_of(node: exp.Expr) -> str:
    """Name of the column that `node` is, casts aside."""
    bare = unwrapped(node)
    if not isinstance(bare, exp.Column) or bare.table:
        raise Unreadable(node.sql("postgres"))
    return str(bare.name)


def literal_of(node: exp.Expr) -> Value:
    """The value that `node` is."""
    if isinstance(node, exp.Neg):
        value = literal_of(node.this)
        if isinstance(value, int | float):
            return -value
        raise Unreadable(node.sql("postgres"))
    if isinstance(node, exp.Cast):
        value = literal_of(node.this)
        if isinstance(value, str) and node.to.this in exp.DataType.NUMERIC_TYPES:
            return number_of(value)
        return value
    bare = unwrapped(node)
    if isinstance(bare, exp.Boolean):
        return bool(bare.this)
    if isinstance(bare, exp.Literal):
        return str(bare.this) if bare.is_string else number_of(str(bare.this))
    if bare is not node:
        return literal_of(bare)
    raise Unreadable(node.sql("postgres"))


def number_of(text: str) -> int | float:
    """The number that `text` says."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError as error:
        raise Unreadable(text) from error


def is_literal(node: exp.Expr) -> bool:
    """Whether `node` is a value."""
    try:
        literal_of(node)
    except Unreadable:
        return False
    return True


def call_of(node: exp.Expr) -> tuple[str, list[exp.Expr]]:
    """Name and arguments of a call; an empty name where it is none."""
    bare = unwrapped(node)
    if isinstance(bare, exp.Anonymous):
        return str(bare.this).lower(), list(bare.expressions)
    return "", []
