"""Which column makes a unique key come true, and how many rows an owner can have then.

Pure. A key needs one column whose values never come twice: in the table, or among an owner's rows
where the key holds the owner as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from phasegate.adopt.checks import alternatives
from phasegate.adopt.expressions import Unreadable
from phasegate.adopt.limits import Limits
from phasegate.adopt.owners import Kind, Owned, Owners
from phasegate.adopt.shape import Column, Exclusion, ForeignKey, Table, Unique
from phasegate.adopt.spans import NUMBERS
from phasegate.adopt.texts import choices_for
from phasegate.adopt.values import MOMENTS, TEXTS

_RANGE_OF = re.compile(r"^\w+range\((\w+|\"[^\"]+\"), (\w+|\"[^\"]+\")")
BY_ITSELF = ("uuid",)
"""Types whose drawn values never come twice."""


@dataclass
class Distinct:
    """What the unique keys of a table ask.

    Attributes:
        columns: `table` or `owner`: where the values of a column are not to come twice.
        by_number: values of a column by the row's number in its owner, the last goes on.
        rows_max: rows that an owner can have; None for any.
        why: of `rows_max`.
        spans: moments that begin what must not overlap, with the moment that ends it.
        picks: foreign keys whose rows are not to be picked twice by an owner, by first column.
        unsolved: keys that nothing makes come true, each with a column and why.
    """

    columns: dict[str, str] = field(default_factory=dict)
    by_number: dict[str, list[bool | str | int | float]] = field(default_factory=dict)
    rows_max: int | None = None
    why: str = ""
    spans: dict[str, str] = field(default_factory=dict)
    picks: dict[str, str] = field(default_factory=dict)
    unsolved: list[tuple[Unique, str, str]] = field(default_factory=list)

    def at_most(self, rows: int, why: str) -> None:
        """An owner can have no more than `rows`."""
        if self.rows_max is None or rows < self.rows_max:
            self.rows_max, self.why = rows, why


@dataclass(frozen=True)
class _Asked:
    owners: Owners
    owned: Owned
    limits: dict[str, Limits]
    up: frozenset[str]
    """Columns that refer to the owner or one above it."""
    referring: frozenset[str]
    """All columns of foreign keys."""

    @property
    def table(self) -> Table:
        return self.owned.table


def find_distinct(
    owners: Owners, owned: Owned, limits: dict[str, Limits], up: frozenset[str]
) -> Distinct:
    """What the unique keys of a table ask of its columns; `up` refer to the owner and above it."""
    found = Distinct()
    table = owned.table
    referring = frozenset(name for key in table.foreign_keys for name in key.columns)
    asked = _Asked(owners, owned, limits, up, referring)
    # Single columns first: what they settle, longer keys need not ask again.
    keys = [*table.uniques, *_equalities(table)]
    for unique in sorted(keys, key=lambda one: (len(one.columns), not one.is_primary)):
        _settle(asked, unique, found)
    for exclusion in table.exclusions:
        _exclude(asked, exclusion, found)
    return found


def _equalities(table: Table) -> Iterator[Unique]:
    """Exclusion constraints that are unique keys by another name."""
    for one in table.exclusions:
        if all(operator == "=" for _, operator in one.elements):
            yield Unique(one.name, one.columns, where=one.where)


def _exclude(asked: _Asked, exclusion: Exclusion, found: Distinct) -> None:
    """Ranges that must not overlap: none of the table does, whatever else is equal."""
    operators = {operator for _, operator in exclusion.elements}
    if operators == {"="}:
        return
    for element, operator in exclusion.elements:
        if operator != "&&":
            continue
        column = asked.table.by_name.get(element.strip('"'))
        if column is not None and column.type.kind == "r":
            found.columns[column.name] = "table"
            return
        ends = _RANGE_OF.match(element)
        if ends is None:
            continue
        low, high = (asked.table.by_name.get(name.strip('"')) for name in ends.groups())
        if low is not None and high is not None and low.type.name in MOMENTS:
            found.spans[low.name] = high.name
            found.columns[low.name] = "table"
            return
    first = exclusion.columns[0] if exclusion.columns else ""
    found.unsolved.append((Unique(exclusion.name, exclusion.columns), first, exclusion.sql))


def _settle(asked: _Asked, unique: Unique, found: Distinct) -> None:
    table, owned = asked.table, asked.owned
    columns = [table.by_name[name] for name in unique.columns]
    if not columns or any(_is_settled(asked, column, found) for column in columns):
        return
    if _never(asked, unique) or _is_of_extension(asked, unique):
        return
    free = [column for column in columns if column.name not in asked.up]
    in_owner = owned.via is not None and set(owned.via.columns) <= set(unique.columns)
    if owned.kind is Kind.MEMBERSHIPS and len(free) < len(columns) - 1:
        return  # a user is once in a group
    if unique.where and not free and _by_number(asked, unique, found, once=in_owner):
        return
    if not free:
        _one_row(asked, unique, found, in_owner=in_owner)
        return
    scope = "owner" if in_owner else "table"
    best = max(free, key=lambda column: _ease(asked, column, scope, free))
    if _ease(asked, best, scope, free) >= 0:
        _distinct(asked, best, scope, found, unique)
    elif unique.where and _by_number(asked, unique, found, once=False):
        return
    elif in_owner:
        found.at_most(1, f"{unique.name} lets an owner have one")
    else:
        found.unsolved.append((unique, best.name, "has too few values to be unique"))


def _one_row(asked: _Asked, unique: Unique, found: Distinct, *, in_owner: bool) -> None:
    """A key that all rows of an owner have alike."""
    if in_owner:
        found.at_most(1, f"{unique.name} lets an owner have one")
    elif asked.owned.kind not in (Kind.USERS, Kind.MIRROR):
        found.unsolved.append((unique, unique.columns[0], "is of a row above the owner"))


def _is_settled(asked: _Asked, column: Column, found: Distinct) -> bool:
    if asked.owned.kind is Kind.USERS and column.name == asked.owners.users.key:
        return True
    if column.name in asked.referring:
        return False
    return column.type.name in BY_ITSELF or found.columns.get(column.name) == "table"


def _never(asked: _Asked, unique: Unique) -> bool:
    """Whether the key holds for no two rows since one of its columns is always null."""
    if unique.nulls_equal:
        return False
    return any(asked.limits[name].null is True for name in unique.columns if name in asked.limits)


def _is_of_extension(asked: _Asked, unique: Unique) -> bool:
    """Whether the key is that of rows which belong to those of this table, one each."""
    return any(
        set(key.columns) <= set(unique.columns)
        and asked.owners.by_place[asked.owners.target(key)].kind is Kind.EXTENSION
        and asked.owners.by_place[asked.owners.target(key)].owner == asked.table.place
        for key in asked.table.foreign_keys
    )


def _by_number(asked: _Asked, unique: Unique, found: Distinct, *, once: bool) -> bool:
    """`where is_default`, `where status = 'active'`: one row of an owner, or none at all."""
    try:
        ways = alternatives(unique.where)
    except Unreadable:
        return False
    if len(ways) != 1:
        return False
    for one in ways[0]:
        column = asked.table.by_name.get(one.column)
        if one.kind != "in" or column is None or column.name in asked.referring:
            continue
        meets = list(one.value)
        others = [value for value in _values(asked, column) if value not in meets]
        if others:
            found.by_number[column.name] = [meets[0], others[0]] if once else [others[0]]
            return True
    return False


def _values(asked: _Asked, column: Column) -> tuple[bool | str | int | float, ...]:
    """All values of a column that has few; empty for any other."""
    limits = asked.limits.get(column.name)
    if limits is not None and limits.values is not None:
        return limits.values
    if column.type.name == "bool":
        return (True, False)
    if column.type.labels:
        return column.type.labels
    return ("other", *choices_for(column.name)) if column.type.name in TEXTS else ()


def _ease(asked: _Asked, column: Column, scope: str, free: list[Column]) -> int:
    """How well a column keeps its values apart; below 0: it cannot."""
    limits = asked.limits.get(column.name, Limits())
    name = column.type.name
    if column.generated or limits.computed is not None or limits.null is True:
        return -1
    if column.name in asked.referring:
        key = next(key for key in asked.table.foreign_keys if column.name in key.columns)
        if asked.owners.target(key) == asked.table.place:
            return -1
        return 4 if scope == "owner" or _is_inside(asked, key) else -1
    if limits.values is not None or name in ("bool", "enum"):
        return 3 if scope == "owner" or asked.owned.kind is Kind.REFERENCE else -1
    if name in NUMBERS:
        return 8 if column.is_numbered else 6
    if name in TEXTS:
        return 7 if len(free) == 1 or not limits.patterns else 5
    if name in MOMENTS or column.type.kind in ("r", "m"):
        return 5
    return 2 if name in ("bytea", "time", "interval") else -1


def _is_inside(asked: _Asked, key: ForeignKey) -> bool:
    """Whether no two owners' rows can pick the same row."""
    other = asked.owners.by_place[asked.owners.target(key)]
    mine = {asked.table.place, *asked.owned.ancestors}
    common = next((one for one in other.ancestors if one in mine), None)
    if common is None or common != asked.owned.owner:
        return False
    # Rows of a group that this table is not in are those of all who are at home in it.
    return not any(
        asked.owners.by_place[one].kind is Kind.GROUPS for one in other.ancestors if one not in mine
    )


def _distinct(asked: _Asked, column: Column, scope: str, found: Distinct, unique: Unique) -> None:
    if column.name in asked.referring:
        found.picks[column.name] = unique.name
        return
    limits = asked.limits.get(column.name, Limits())
    values = limits.values or (column.type.labels if column.type.name == "enum" else None)
    if values is None and column.type.name == "bool":
        values = (True, False)
    if values is not None:
        found.at_most(len(values), f"{unique.name} lets each value come once")
    before = found.columns.get(column.name)
    found.columns[column.name] = "table" if "table" in (before, scope) else scope
