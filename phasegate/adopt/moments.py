"""Columns that are held against each other: moments along the owner's life, numbers in order.

Pure.
"""

from __future__ import annotations

import re
from typing import Any

from phasegate.adopt.filling import Work, null_share, source
from phasegate.adopt.shape import Column
from phasegate.adopt.spans import INTEGERS, NUMBERS, Unfilled, number_span
from phasegate.adopt.texts import snake
from phasegate.adopt.values import BIRTHS, FUTURE, MOMENTS, RARE

_CREATED = (
    r"^(created|inserted|creation)(_?(at|on|date|time|ts))?$|^date_?created$|^create_(date|time)$",
    (
        r"^(made|joined|registered|occurred|happened|sent|ordered|order|posted|logged|signed_?up|"
        r"placed|since|opened|rental|payment|invoice|hire)_?(at|on|date|time)?$|"
        r"^(timestamp|at|date|ts|time|when)$"
    ),
)
"""Names of the moment when a row is made, from the surest on."""


def orders(work: Work) -> None:
    """Numbers that are to be in order, each in a stretch of its own; and copies."""
    below = _below(work)
    names = {name for name in below if work.table.by_name[name].type.name in NUMBERS}
    names -= work.filled.columns.keys()
    ranks = {name: _rank(name, below, names, ()) for name in sorted(names)}
    if not ranks or min(ranks.values()) < 0:
        return
    try:
        spans = [
            number_span(work.table.by_name[name].type, work.limits(name), snake(name))
            for name in ranks
        ]
    except Unfilled:
        return
    low, high = max(span[0] for span in spans), min(span[1] for span in spans)
    whole = any(work.table.by_name[name].type.name in INTEGERS for name in ranks)
    width = (high - low) / (max(ranks.values()) + 1)
    width = float(int(width)) if whole or width > 1 else width
    if width <= 0:
        return
    for name, rank in ranks.items():
        begin, end = low + rank * width, low + (rank + 1) * width
        if not whole:
            end -= width / 10  # what is rounded up stays below the next one
        declared: dict[str, Any] = {"uniform": [_tidy(begin), _tidy(end)]}
        if work.filled.distinct.columns.get(name):
            declared["unique"] = True
        work.put(name, declared, source(work, name))


def _below(work: Work) -> dict[str, set[str]]:
    """By column, those that are to be below it; a copy is declared at once."""
    below: dict[str, set[str]] = {}
    for name, limits in work.solved.limits.items():
        for operator, other in limits.order:
            if other not in work.table.by_name or name in work.filled.columns:
                continue
            if operator == "=":
                work.put(name, {"copy": other}, source(work, name))
                continue
            low, high = (name, other) if operator in ("<", "<=", "<>") else (other, name)
            below.setdefault(high, set()).add(low)
            below.setdefault(low, set())
    return below


def _tidy(number: float) -> int | float:
    return int(number) if number.is_integer() else round(number, 6)


def _rank(name: str, below: dict[str, set[str]], names: set[str], path: tuple[str, ...]) -> int:
    """How many are below it in a row; negative where it is below itself."""
    if name in path:
        return -1_000
    return max(
        (1 + _rank(other, below, names, (*path, name)) for other in below[name] if other in names),
        default=0,
    )


def moments(work: Work) -> None:
    """`created` first, then what follows it, one after the other where checks say so."""
    columns = [
        column
        for column in work.table.columns
        if column.type.name in MOMENTS
        and not column.generated
        and column.name not in work.filled.columns
        and not _stands_alone(work, column)
    ]
    if not columns:
        return
    ordered = _in_order(work, columns)
    first = _first(work, ordered)
    created = first.name if first is not None else ""
    if first is not None:
        work.put(created, "created", "when the row is made")
    before = created
    for column in ordered:
        if column.name == created or not created:
            continue
        chained = _is_chained(work, column)
        _follow(work, column, before if chained else created)
        if chained:
            before = column.name


def _stands_alone(work: Work, column: Column) -> bool:
    limits = work.limits(column.name)
    bounded = limits.low is not None or limits.high is not None or limits.values is not None
    future = any(operator in (">", ">=") or away < 0 for operator, away in limits.now)
    unique = column.name in work.filled.distinct.columns
    return bounded or future or unique or bool(BIRTHS.search(snake(column.name)))


def _is_chained(work: Work, column: Column) -> bool:
    names = {other for _, other in work.limits(column.name).order}
    back = {
        name
        for name, limits in work.solved.limits.items()
        for _, other in limits.order
        if other == column.name
    }
    return bool(names | back)


def _in_order(work: Work, columns: list[Column]) -> list[Column]:
    """Each after those that checks put before it."""
    names = [column.name for column in columns]
    below: dict[str, set[str]] = {name: set() for name in names}
    for name in names:
        for operator, other in work.limits(name).order:
            if other in below and operator in (">", ">="):
                below[name].add(other)
            elif other in below and operator in ("<", "<="):
                below[other].add(name)
    ranks = {name: _rank(name, below, set(names), ()) for name in names}
    return sorted(columns, key=lambda column: (ranks[column.name], _created_rank(column)))


def _created_rank(column: Column) -> int:
    plain = snake(column.name)
    for rank, pattern in enumerate(_CREATED):
        if re.search(pattern, plain):
            return rank
    return 2 if column.default.startswith(("now()", "CURRENT_TIMESTAMP")) else 3


def _first(work: Work, ordered: list[Column]) -> Column | None:
    """The column that says when a row was made: by its name, its default, or because it must be."""
    free = [
        column
        for column in ordered
        if not any(operator in (">", ">=") for operator, _ in work.limits(column.name).order)
        and work.limits(column.name).null is not True
    ]
    best = min(free, key=_created_rank, default=None)
    if best is None:
        return None
    if best.not_null or _created_rank(best) < 2:
        return best
    return next((column for column in free if column.not_null), best)


def _follow(work: Work, column: Column, base: str) -> None:
    """A moment after another one."""
    name, facts = snake(column.name), work.facts(column.name)
    limits = work.limits(column.name)
    never_null = column.not_null or limits.null is False
    declared: dict[str, Any] = {"after": base}
    strict = any(operator in (">", "<", "<>") for operator, _ in limits.order) or any(
        other == column.name and operator in ("<", ">")
        for one in work.solved.limits.values()
        for operator, other in one.order
    )
    if limits.null is True:
        declared["happens"] = 0.0
    elif strict and column.type.name == "date":
        work.put(column.name, {"between": ["2030-01-01", "2031-01-01"]}, source(work, column.name))
        return
    elif (FUTURE.search(name) and not re.search(r"ed_?(at|on)?$", name)) or (strict and never_null):
        declared |= {"median_h": 72.0, "future": True}
        if not never_null:
            declared["null_share"] = null_share(work, column.name)
    elif never_null:
        declared |= {"median_h": 24.0, "otherwise": base}
    else:
        missing = 0.9 if RARE.search(name) else 0.4
        share = 1 - (missing if facts is None else facts.null_frac)
        declared |= {"median_h": 24.0, "happens": round(min(max(share, 0.0), 1.0), 3)}
    work.put(column.name, declared, source(work, column.name) or f"not before {base}")
