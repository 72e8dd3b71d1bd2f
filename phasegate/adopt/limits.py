"""What the checks of a table leave a column: one set of limits that satisfies all of them.

Pure. Reads a table's shape; a check that is not understood, or that contradicts the others, is a
problem with its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from phasegate.adopt.checks import Alternative, alternatives, of_column
from phasegate.adopt.expressions import Condition, Unreadable, Value
from phasegate.adopt.shape import Check, Column, Table

TRIES_MAX = 5_000
"""Combinations of alternatives that are tried for one table."""
LENGTH_MAX = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What may stand in a column, as far as checks say it.

    Attributes:
        values: the only ones, in their order; None for any.
        excluded: those that may not.
        low: the lowest, number or day; None for any.
        low_open: whether `low` itself is out.
        high: the highest; None for any.
        high_open: whether `high` itself is out.
        length: fewest and most characters.
        size: fewest and most elements.
        patterns: regular expressions, each with `i` where case does not count, `!` where it must
            not match.
        null: True: always, False: never, None: free.
        order: operators, each with the other column.
        case: `lower`, `upper`, or empty.
        json: kind of a json value; empty for any.
        now: operators against the present, with -1 or 1 where an interval is taken off or added.
        computed: `sum` or `product`, and of which columns.
    """

    values: tuple[Value, ...] | None = None
    excluded: tuple[Value, ...] = ()
    low: Value | None = None
    low_open: bool = False
    high: Value | None = None
    high_open: bool = False
    length: tuple[int, int] = (0, LENGTH_MAX)
    size: tuple[int, int] = (0, LENGTH_MAX)
    patterns: tuple[tuple[str, str], ...] = ()
    null: bool | None = None
    order: tuple[tuple[str, str], ...] = ()
    case: str = ""
    json: str = ""
    now: tuple[tuple[str, int], ...] = ()
    computed: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True)
class Solved:
    """What all checks of a table leave.

    Attributes:
        limits: by column; those alone that are limited.
        sources: names of the checks that limit a column.
        unsolved: checks that are not understood, or that fit no other, each with a column and why.
    """

    limits: dict[str, Limits] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unsolved: tuple[tuple[Check, str, str], ...] = ()


def solve(table: Table) -> Solved:
    """Limits that satisfy every check of `table` and of its columns' domains."""
    unsolved: list[tuple[Check, str, str]] = []
    ways: list[tuple[Check, list[Alternative]]] = []
    for check, column in _checks(table):
        try:
            found = alternatives(check.sql)
        except Unreadable:
            first = column or (check.columns[0] if check.columns else "")
            unsolved.append((check, first, "is not understood"))
            continue
        ways.append((check, of_column(found, column) if column else found))
    # Those with the fewest alternatives first: what they settle the others must fit.
    ways.sort(key=lambda pair: len(pair[1]))
    chosen, failed = _search(table, ways)
    unsolved += [(check, _first(check, found), "cannot hold") for check, found in failed]
    sources: dict[str, tuple[str, ...]] = {}
    limits: dict[str, Limits] = {}
    for check, way in chosen:
        for one in way:
            merged = _merged(limits.get(one.column, Limits()), one, table.by_name[one.column])
            if merged is None:
                raise AssertionError(check.name)
            limits[one.column] = merged
            sources[one.column] = tuple(dict.fromkeys((*sources.get(one.column, ()), check.name)))
    return Solved(limits, sources, tuple(unsolved))


def _first(check: Check, ways: list[Alternative]) -> str:
    named = [one.column for way in ways for one in way]
    return (*check.columns, *named, "")[0]


def _checks(table: Table) -> Iterator[tuple[Check, str]]:
    """Checks of the table, and of domains with the column that has them."""
    for check in table.checks:
        yield check, ""
    for column in table.columns:
        for check in column.type.checks:
            yield check, column.name


def _preference(way: Alternative) -> tuple[int, int]:
    """The fewest nulls first, then the fewest conditions."""
    nulls = sum(one.kind == "null" and one.value is True for one in way)
    return nulls, len(way)


_Ways = list[tuple[Check, list[Alternative]]]


def _search(table: Table, ways: _Ways) -> tuple[list[tuple[Check, Alternative]], _Ways]:
    """A combination of alternatives that goes together; and the checks that fit none.

    A check that fits no combination is left out, and the search goes on without it.
    """
    failed: _Ways = []
    while True:
        tries = [TRIES_MAX]
        deepest = [0]
        found = _try(table, ways, 0, {}, tries, deepest)
        if found is not None:
            return found, failed
        failed.append(ways[deepest[0]])
        ways = ways[: deepest[0]] + ways[deepest[0] + 1 :]


def _try(
    table: Table,
    ways: _Ways,
    place: int,
    limits: dict[str, Limits],
    tries: list[int],
    deepest: list[int],
) -> list[tuple[Check, Alternative]] | None:
    if place == len(ways):
        return []
    deepest[0] = max(deepest[0], place)
    check, alternatives_ = ways[place]
    for way in sorted(alternatives_, key=_preference):
        tries[0] -= 1
        if tries[0] < 0:
            return None
        after = _with(table, limits, way)
        if after is None:
            continue
        rest = _try(table, ways, place + 1, after, tries, deepest)
        if rest is not None:
            return [(check, way), *rest]
    return None


def _with(table: Table, limits: dict[str, Limits], way: Alternative) -> dict[str, Limits] | None:
    after = dict(limits)
    for one in way:
        column = table.by_name.get(one.column)
        if column is None:
            return None
        merged = _merged(after.get(one.column, Limits()), one, column)
        if merged is None:
            return None
        after[one.column] = merged
    return after


def _merged(limits: Limits, one: Condition, column: Column) -> Limits | None:
    """`limits` with one more condition; None where nothing is left."""
    made = _added(limits, one)
    if made is None:
        return None
    if made.null is True:
        return None if column.not_null else made
    return _narrowed(made, column)


def _added(limits: Limits, one: Condition) -> Limits | None:  # noqa: C901, a case a kind
    value, operator = one.value, one.operator
    match one.kind:
        case "null":
            if limits.null is not None and limits.null != value:
                return None
            return replace(limits, null=value)
        case "in":
            if limits.values is None:
                return replace(limits, values=tuple(value))
            kept = {str(each) for each in value}
            return replace(
                limits, values=tuple(each for each in limits.values if str(each) in kept)
            )
        case "not in":
            return replace(limits, excluded=(*limits.excluded, *value))
        case "low":
            if limits.low is None or _less(limits.low, value) or value == limits.low:
                return replace(
                    limits,
                    low=value,
                    low_open=operator == ">" or (value == limits.low and limits.low_open),
                )
            return limits
        case "high":
            if limits.high is None or _less(value, limits.high) or value == limits.high:
                return replace(
                    limits,
                    high=value,
                    high_open=operator == "<" or (value == limits.high and limits.high_open),
                )
            return limits
        case "length" | "size":
            low, high = limits.length if one.kind == "length" else limits.size
            low, high = _span(low, high, int(value), operator)
            if low > high:
                return None
            if one.kind == "length":
                return replace(limits, length=(low, high))
            return replace(limits, size=(low, high))
        case "pattern":
            return replace(limits, patterns=(*limits.patterns, (value, operator)))
        case "order":
            return replace(limits, order=(*limits.order, (operator, value)))
        case "case":
            return None if limits.case not in ("", value) else replace(limits, case=value)
        case "json":
            return None if limits.json not in ("", value) else replace(limits, json=value)
        case "now":
            return replace(limits, now=(*limits.now, (operator, value)))
        case _:
            return replace(limits, computed=(one.kind, value))


def _span(low: int, high: int, value: int, operator: str) -> tuple[int, int]:
    match operator:
        case "=":
            return max(low, value), min(high, value)
        case ">":
            return max(low, value + 1), high
        case ">=":
            return max(low, value), high
        case "<":
            return low, min(high, value - 1)
        case "<=":
            return low, min(high, value)
        case _:  # `<> n` is mostly `<> 0`
            return max(low, value + 1), high


def _less(one: Value, other: Value) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return str(one) < str(other)
    return one < other


def _narrowed(limits: Limits, column: Column) -> Limits | None:
    """Without the values that the other limits rule out; None where none is left."""
    if limits.values is not None:
        left = tuple(value for value in limits.values if _allows(limits, value))
        if column.type.labels:
            left = tuple(value for value in left if value in column.type.labels)
        return replace(limits, values=left) if left else None
    if limits.excluded and column.type.labels:
        left = tuple(label for label in column.type.labels if label not in limits.excluded)
        return replace(limits, values=left) if left else None
    if limits.excluded and column.type.name == "bool":
        return replace(limits, values=tuple({True, False} - set(limits.excluded))) or None
    if limits.low is not None and limits.high is not None:
        if _less(limits.high, limits.low):
            return None
        if limits.low == limits.high and (limits.low_open or limits.high_open):
            return None
    return limits


def _allows(limits: Limits, value: Value) -> bool:
    if str(value) in {str(one) for one in limits.excluded}:
        return False
    low, high = limits.low, limits.high
    if low is not None and (_less(value, low) or (value == low and limits.low_open)):
        return False
    if high is not None and (_less(high, value) or (value == high and limits.high_open)):
        return False
    fewest, most = limits.length
    return not isinstance(value, str) or fewest <= len(value) <= most
