"""What is declared of each column of a table: references, keys, moments, values; with the reason.

Pure. Gives plain values that `adopt.population` writes as TOML.
"""

from __future__ import annotations

from typing import Any

from phasegate.adopt.filling import Filled, Work, asked_of, source, todo
from phasegate.adopt.limits import solve
from phasegate.adopt.moments import moments, orders
from phasegate.adopt.owners import Kind, Owned, Owners
from phasegate.adopt.references import mirror, references, up_columns
from phasegate.adopt.shape import Column
from phasegate.adopt.spans import Unfilled
from phasegate.adopt.uniques import find_distinct
from phasegate.adopt.values import MOMENTS, Declaration, value_for


def fill(owners: Owners, owned: Owned) -> Filled:
    """What is declared of the columns of `owned`'s table."""
    solved = solve(owned.table)
    work = Work(owners, owned, solved, Filled())
    up = frozenset(up_columns(work))
    work.filled.distinct = find_distinct(owners, owned, solved.limits, up)
    mirror(work)
    references(work)
    _spans(work)
    orders(work)
    moments(work)
    for column in owned.table.columns:
        if column.name not in work.filled.columns and not column.generated:
            _value(work, column)
    _nulls(work)
    _problems(work)
    return work.filled


def _spans(work: Work) -> None:
    """What must not overlap: it begins at equal distances, and ends before the next."""
    for low, high in work.filled.distinct.spans.items():
        if low in work.filled.columns or high in work.filled.columns:
            continue
        whole_days = work.table.by_name[high].type.name == "date"
        step, length = (72.0, 30.0) if whole_days else (2.0, 1.0)
        work.put(low, {"every_h": step, "unique": True}, "none may overlap another one")
        ends = {"after": low, "median_h": length, "sigma": 0, "future": True}
        work.put(high, ends, "none may overlap another one")


def _value(work: Work, column: Column) -> None:
    numbered = work.filled.distinct.by_number.get(column.name)
    if numbered is not None:
        only = len(numbered) == 1
        chosen: Declaration = {"value": numbered[0]} if only else {"by_number": numbered}
        reason = "a unique key takes no other" if only else "one of an owner's rows alone"
        work.put(column.name, chosen, reason)
        return
    asked = asked_of(work, column)
    constraint = source(work, column.name)
    if work.table.partition_columns == (column.name,) and column.type.name in MOMENTS:
        work.put(column.name, "created", "rows go into the partition of their moment")
        return
    try:
        declared = value_for(asked)
    except Unfilled as why:
        if column.type.name != "enum" and not column.not_null and asked.limits.null is not False:
            work.filled.left_out[column.name] = f"null: {why}"
            return
        if column.default and not constraint and not asked.unique:
            work.filled.left_out[column.name] = f"its default: {why}"
            return
        todo(work, column.name, constraint or (asked.unique and "unique"), str(why), "…")
        return
    reason = constraint or ("unique" if asked.unique else "")
    work.put(column.name, declared, reason)


def _nulls(work: Work) -> None:
    """Nulls where the schema takes them, as often as the source has them."""
    for name, (declared, reason) in list(work.filled.columns.items()):
        column, limits = work.table.by_name[name], work.limits(name)
        is_ref = isinstance(declared, dict) and ("ref" in declared or "after" in declared)
        if (
            column.not_null
            or limits.null is False
            or is_ref
            or name in work.owned.table.partition_columns
        ):
            continue
        if name == work.owners.users.key and work.owned.kind is Kind.USERS:
            continue
        facts = work.facts(name)
        share = 1.0 if limits.null is True else 0.0 if facts is None else round(facts.null_frac, 3)
        if share > 0 and isinstance(declared, dict):
            work.put(name, {**declared, "null_share": share}, reason)
        elif limits.null is True:
            work.put(name, {"value": _any(work, column), "null_share": 1.0}, reason)


def _any(work: Work, column: Column) -> Any:
    if column.type.name == "uuid":
        return "00000000-0000-4000-8000-000000000000"
    return 1


def _problems(work: Work) -> None:
    """Checks, keys and exclusions that nothing declared here satisfies."""
    for check, column, why in work.solved.unsolved:
        if column in work.filled.columns or column in work.table.by_name:
            todo(work, column, check.name, f"CHECK {check.sql} {why}", "…")
    for unique, column, why in work.filled.distinct.unsolved:
        todo(work, column, unique.name, f"unique ({', '.join(unique.columns)}): {why}", "…")
