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
    """`created` first, then what follows it; one after the other where checks say so."""
    columns = [
        column
        for column in work.table.columns
        if column.type.name in MOMENTS
        and not column.generated
        and column.name not in work.filled.columns
        and not _stands_alone(work, column)
    ]
    ordered, ranks = _in_order(work, columns)
    created = _first(work, ordered)
    if created is None:
        return
    work.put(created.name, "created", "when the row is made")
    for chain in _chains(work, ordered):
        if _is_strict(work, chain) and any(column.type.name == "date" for column in chain):
            _in_windows(work, chain, ranks, created.name)
            continue
        before = created.name
        for place, column in enumerate(chain):
            if column is created:
                continue
            later = any(_is_never_null(work, one) for one in chain[place:])
            _follow(work, column, before, never_null=later)
            before = column.name


def _is_never_null(work: Work, column: Column) -> bool:
    return column.not_null or work.limits(column.name).null is False


def _pairs(work: Work, names: set[str]) -> list[tuple[str, str, str]]:
    """Column, operator and column of the checks that hold two of `names` against each other."""
    return [
        (name, operator, other)
        for name in sorted(names)
        for operator, other in work.limits(name).order
        if other in names and operator != "="
    ]


def _chains(work: Work, ordered: list[Column]) -> list[list[Column]]:
    """Columns that checks hold together, each chain in order."""
    of = {column.name: {column.name} for column in ordered}
    for one, _, other in _pairs(work, set(of)):
        joined = of[one] | of[other]
        for name in joined:
            of[name] = joined
    chains: list[list[Column]] = []
    for column in ordered:
        known = next((chain for chain in chains if chain[0].name in of[column.name]), None)
        if known is None:
            chains.append([column])
        else:
            known.append(column)
    return chains


def _is_strict(work: Work, chain: list[Column]) -> bool:
    names = {column.name for column in chain}
    return any(operator in ("<", ">", "<>") for _, operator, _ in _pairs(work, names))


def _in_windows(work: Work, chain: list[Column], ranks: dict[str, int], created: str) -> None:
    """Each in years of its own: days that follow one another can be the same day."""
    for column in chain:
        if column.name != created:
            year = 2030 + ranks[column.name]
            days = [f"{year}-01-01", f"{year}-12-31"]
            work.put(column.name, {"between": days}, source(work, column.name))


def _stands_alone(work: Work, column: Column) -> bool:
    limits = work.limits(column.name)
    bounded = limits.low is not None or limits.high is not None or limits.values is not None
    future = any(operator in (">", ">=") or away < 0 for operator, away in limits.now)
    unique = column.name in work.filled.distinct.columns
    return bounded or future or unique or bool(BIRTHS.search(snake(column.name)))


def _in_order(work: Work, columns: list[Column]) -> tuple[list[Column], dict[str, int]]:
    """Each after those that checks put before it; and how many are before it in a row."""
    names = {column.name for column in columns}
    below: dict[str, set[str]] = {name: set() for name in names}
    for one, operator, other in _pairs(work, names):
        low, high = (one, other) if operator in ("<", "<=", "<>") else (other, one)
        below[high].add(low)
    ranks = {name: _rank(name, below, names, ()) for name in names}
    key = {column.name: (ranks[column.name], _created_rank(column)) for column in columns}
    return sorted(columns, key=lambda column: key[column.name]), ranks


def _created_rank(column: Column) -> int:
    plain = snake(column.name)
    for rank, pattern in enumerate(_CREATED):
        if re.search(pattern, plain):
            return rank
    return 2 if column.default.startswith(("now()", "CURRENT_TIMESTAMP")) else 3


def _first(work: Work, ordered: list[Column]) -> Column | None:
    """The column that says when a row was made: by its name, its default, or because it must be."""
    names = {column.name for column in ordered}
    above = {
        one if operator in (">", ">=") else other for one, operator, other in _pairs(work, names)
    }
    free = [
        column
        for column in ordered
        if column.name not in above and work.limits(column.name).null is not True
    ]
    best = min(free, key=_created_rank, default=None)
    if best is None or best.not_null or _created_rank(best) < 2:
        return best
    return next((column for column in free if column.not_null), best)


def _follow(work: Work, column: Column, base: str, *, never_null: bool) -> None:
    """A moment after another one."""
    name, facts = snake(column.name), work.facts(column.name)
    limits = work.limits(column.name)
    declared: dict[str, Any] = {"after": base}
    strict = any(
        operator in ("<", ">", "<>") and column.name in (one, other)
        for one, operator, other in _pairs(work, set(work.table.by_name))
    )
    planned = FUTURE.search(name) and not re.search(r"ed_?(at|on)?$", name)
    if limits.null is True:
        declared["happens"] = 0.0
    elif planned or (strict and never_null):
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
