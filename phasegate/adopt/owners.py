"""Whose rows a table has, and what is known of all tables' owners.

Pure. Every table gets one owner at most; `adopt.owner_paths` finds it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from phasegate.adopt.facts import SourceFacts
from phasegate.adopt.shape import ForeignKey, Place, Shape, Table
from phasegate.adopt.users import Users


class Kind(Enum):
    """How the rows of a table come about."""

    USERS = "users"
    MIRROR = "one for each user, with their key"
    EXTENSION = "one for each row that refers to it"
    REFERENCE = "does not grow with the users"
    GROUPS = "groups of users"
    MEMBERSHIPS = "who is in which group"
    OWNED = "each row belongs to a row of its owner"


@dataclass(frozen=True)
class Owned:
    """A table's place among the owners.

    Attributes:
        table: the table.
        kind: how its rows come about.
        reason: why, in a few words.
        owner: the table whose rows own these; None for users, groups and reference tables.
        via: the foreign key that leads to the owner.
        groups: of memberships: the table of groups.
        ancestors: all tables of which a row belongs to one row, the nearest first.
    """

    table: Table
    kind: Kind
    reason: str
    owner: Place | None = None
    via: ForeignKey | None = None
    groups: Place | None = None
    ancestors: tuple[Place, ...] = ()

    @property
    def grows(self) -> bool:
        """Whether it has more rows when there are more users."""
        return self.kind is not Kind.REFERENCE


@dataclass
class Owners:
    """The owners of all tables, worked out.

    Attributes:
        shape: of the database.
        users: its users.
        facts: figures of the source, where there are any.
        by_place: what was found, in the order in which rows come about.
        memberships: of each table of groups, the table that says who is in it.
        carried: how many foreign keys of several columns take along the key of a table, so that
            both ends are in the same row of it, as of a tenant.
    """

    shape: Shape
    users: Users
    facts: SourceFacts | None = None
    by_place: dict[Place, Owned] = field(default_factory=dict)
    memberships: dict[Place, Place] = field(default_factory=dict)
    carried: Counter[Place] = field(default_factory=Counter)

    def rows(self, place: Place) -> float | None:
        """Rows of a table in the source; None where it is not known."""
        return None if self.facts is None else self.facts.rows(*place)

    def target(self, foreign: ForeignKey) -> Place:
        """Where `foreign` leads: the users, where it leads to their mirror."""
        return self.users.place if foreign.table == self.users.mirror else foreign.table

    def parents(self, table: Table) -> list[ForeignKey]:
        """Foreign keys of `table` to other tables."""
        return [key for key in table.foreign_keys if self.target(key) != table.place]


def is_required(table: Table, foreign: ForeignKey) -> bool:
    """Whether every row has a row there."""
    return all(table.by_name[name].not_null for name in foreign.columns)


def is_unique(table: Table, foreign: ForeignKey) -> bool:
    """Whether no two rows have the same row there."""
    return any(
        set(unique.columns) <= set(foreign.columns) and not unique.where and not unique.expressions
        for unique in table.uniques
    )
