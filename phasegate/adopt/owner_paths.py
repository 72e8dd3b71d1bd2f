"""Finds whose rows a table has: the foreign-key path to a user, groups of users, reference tables.

Pure. A foreign key to any other row stays inside the nearest owner that both have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from phasegate.adopt.facts import SourceFacts
from phasegate.adopt.owners import Kind, Owned, Owners, is_required, is_unique
from phasegate.adopt.shape import ForeignKey, Place, Shape, Table, declared_name
from phasegate.adopt.users import Users, plain_name

REFERENCE_SHARE_MAX = 0.1
"""A table that only may lead to a user grows with them if it has more rows than this share."""

_GROUP_NAMES = re.compile(
    r"^(organi[sz]ation|org|team|workspace|company|companie|tenant|group|household|familie|family|"
    r"club|communit|school|store|shop|agenc|firm|studio|channel|room|conversation|chat)"
)
_MEMBER_NAMES = re.compile(
    r"member|participant|collaborator|seat|staff|"
    r"(user|org|organi[sz]ation|team|workspace|account)s?_?(on_?)?"
    r"(user|org|organi[sz]ation|team|workspace|account)"
)


def find_owners(shape: Shape, users: Users, facts: SourceFacts | None) -> Owners:
    """The owner of every table's rows."""
    owners = Owners(shape, users, facts)
    top = shape.tables[users.place]
    owners.by_place[users.place] = Owned(top, Kind.USERS, users.reason)
    if users.mirror is not None:
        owners.by_place[users.mirror] = Owned(
            shape.tables[users.mirror],
            Kind.MIRROR,
            f"one row for each of {top.name}, with the same key",
            users.place,
            ancestors=(users.place,),
        )
    owners.carried.update(_carried(owners))
    _find_groups(owners)
    _find_required(owners)
    _find_extensions(owners)
    _find_optional(owners)
    _find_extensions(owners)
    _find_reference(owners)
    owners.by_place = {place: owners.by_place[place] for place in _ordered(owners)}
    return owners


def _carried(owners: Owners) -> Iterator[Place]:
    """Tables whose key goes along in a foreign key of several columns, once for each such key."""
    for table in owners.shape.tables.values():
        for key in table.foreign_keys:
            other = owners.shape.tables[owners.target(key)]
            for above in owners.parents(other) if len(key.columns) > 1 else ():
                if len(above.columns) == 1 and above.columns[0] in key.targets:
                    yield owners.target(above)


def _find_groups(owners: Owners) -> None:
    """Tables of groups: those that a table of pairs joins with the users."""
    users = owners.users.place
    for table in owners.shape.tables.values():
        if table.place in owners.by_place:
            continue
        required = [key for key in owners.parents(table) if is_required(table, key)]
        to_users = [key for key in required if owners.target(key) == users]
        if len(to_users) != 1:
            continue
        for key in required:
            group = owners.shape.tables[owners.target(key)]
            if group.place in owners.by_place or group.place == users:
                continue
            if not _is_pair(table, to_users[0], key) or not _is_group(owners, group, table):
                continue
            owners.memberships[group.place] = table.place
            owners.by_place[group.place] = Owned(
                group,
                Kind.GROUPS,
                f"{table.name} says who is in it",
                ancestors=(users,),
            )
            owners.by_place[table.place] = Owned(
                table,
                Kind.MEMBERSHIPS,
                f"joins {declared_name(users)} with {group.name}",
                users,
                to_users[0],
                group.place,
                (users, group.place),
            )
            break


def _is_pair(table: Table, one: ForeignKey, other: ForeignKey) -> bool:
    """Whether a user is once in a group."""
    both = {*one.columns, *other.columns}
    is_unique = any(set(unique.columns) == both and not unique.where for unique in table.uniques)
    return is_unique or bool(_MEMBER_NAMES.search(table.place[1].lower()))


def _is_group(owners: Owners, group: Table, pairs: Table) -> bool:
    """Whether it is a group of users, and no list of roles, tags or goods."""
    if _GROUP_NAMES.match(plain_name(group.place[1])):
        return True
    if any(owners.target(key) == owners.users.place for key in owners.parents(group)):
        return bool(_MEMBER_NAMES.search(pairs.place[1].lower()))
    return bool(_MEMBER_NAMES.search(pairs.place[1].lower())) and any(
        key.table == group.place and is_required(table, key) and table is not pairs
        for table in owners.shape.tables.values()
        for key in table.foreign_keys
    )


def _find_required(owners: Owners) -> None:
    """Tables with a path to a user that every row has; the deepest owner that they name."""
    reached = set(owners.by_place)
    while True:
        more = {
            table.place
            for table in owners.shape.tables.values()
            if table.place not in reached
            and any(
                is_required(table, key) and owners.target(key) in reached
                for key in owners.parents(table)
            )
        }
        if not more:
            break
        reached |= more
    for place in sorted(reached):
        _own(owners, place, reached, ())


def _own(owners: Owners, place: Place, reached: set[Place], path: tuple[Place, ...]) -> Owned:
    """The owner of `place`, the owners of what it refers to first."""
    if place in owners.by_place:
        return owners.by_place[place]
    table = owners.shape.tables[place]
    keys = [key for key in owners.parents(table) if is_required(table, key)]
    leading = [key for key in keys if owners.target(key) in reached]
    if not any(_is_pinned(table, key) for key in leading):
        leading += [key for key in keys if key not in leading and _is_pinned(table, key)]
    found: list[tuple[tuple[int, ...], Owned, ForeignKey]] = []
    for key in leading:
        target = owners.target(key)
        if target in (*path, place):
            continue
        above = _try_own(owners, target, reached, (*path, place))
        if above is not None:
            found.append((_rank(owners, table, key, above), above, key))
    if not found:
        raise _DeadEnd(place)
    _, above, key = max(found, key=lambda one: one[0])
    columns = ", ".join(key.columns)
    made = Owned(
        table,
        Kind.OWNED,
        f"{columns} refers to {above.table.name} in every row",
        above.table.place,
        key,
        ancestors=tuple(dict.fromkeys((above.table.place, *above.ancestors))),
    )
    owners.by_place[place] = made
    return made


class _DeadEnd(Exception):
    """A path that comes back to itself."""


def _try_own(
    owners: Owners, place: Place, reached: set[Place], path: tuple[Place, ...]
) -> Owned | None:
    try:
        if place in reached:
            return _own(owners, place, reached, path)
        return owners.by_place.get(place) or _own_optional(owners, place, reached, path)
    except _DeadEnd:
        return None


def _own_optional(
    owners: Owners, place: Place, reached: set[Place], path: tuple[Place, ...]
) -> Owned:
    """The owner of a table of which some rows alone lead to a user, by the shortest path."""
    table = owners.shape.tables[place]
    found = []
    for key in owners.parents(table) if _may_grow(owners, place) else ():
        if owners.target(key) in reached and owners.target(key) not in (*path, place):
            above = _try_own(owners, owners.target(key), reached, (*path, place))
            if above is not None:
                found.append((len(above.ancestors), key.name, key, above))
    if not found:
        raise _DeadEnd(place)
    _, _, key, above = min(found, key=lambda one: one[:2])
    return _put_optional(owners, table, key, above)


def _put_optional(owners: Owners, table: Table, key: ForeignKey, above: Owned) -> Owned:
    made = Owned(
        table,
        Kind.OWNED,
        f"{', '.join(key.columns)} refers to {above.table.name}"
        + (" in every row" if is_required(table, key) else " where it is not null"),
        above.table.place,
        key,
        ancestors=tuple(dict.fromkeys((above.table.place, *above.ancestors))),
    )
    owners.by_place[table.place] = made
    return made


def _may_grow(owners: Owners, place: Place) -> bool:
    """Whether the source has so many rows of a table that they may be users'."""
    rows, users = owners.rows(place), owners.rows(owners.users.place)
    return rows is None or not users or rows >= REFERENCE_SHARE_MAX * users


def _rank(owners: Owners, table: Table, key: ForeignKey, above: Owned) -> tuple[int, ...]:
    """What speaks for an owner, the strongest first.

    A key of its rows alone, depth, keys that take it along, a name in common, a cascade.
    """
    name, other = plain_name(table.place[1]), plain_name(above.table.place[1])
    return (
        _is_pinned(table, key),
        len(above.ancestors),
        owners.carried[above.table.place],
        name.startswith(other),
        key.on_delete == "c",
        -list(table.by_name).index(key.columns[0]),
    )


def _is_pinned(table: Table, key: ForeignKey) -> bool:
    """Whether a unique key of it and of columns with few values can hold for its rows alone."""
    referring = {name for other in table.foreign_keys for name in other.columns}
    for unique in table.uniques:
        rest = set(unique.columns) - set(key.columns)
        if not unique.where and len(rest) < len(unique.columns):
            columns = [table.by_name[name] for name in rest]
            if all(
                column.name in referring or column.type.name in ("enum", "bool")
                for column in columns
            ):
                return True
    return False


def _find_optional(owners: Owners) -> None:
    """Tables of which some rows at least lead to a user, the shortest path first.

    A key that a unique one holds for goes before a shorter path, so its table's owner comes first.
    """
    while True:
        found = []
        for table in owners.shape.tables.values():
            if table.place in owners.by_place or not _may_grow(owners, table.place):
                continue
            keys = owners.parents(table)
            pinned = [key for key in keys if is_required(table, key) and _is_pinned(table, key)]
            waits = any(owners.target(key) not in owners.by_place for key in pinned)
            for key in keys:
                above = owners.by_place.get(owners.target(key))
                if above is not None and above.kind is not Kind.REFERENCE:
                    rank = (waits, key not in pinned, len(above.ancestors), table.place)
                    found.append((rank, table, key, above))
        if not found:
            return
        _, table, key, above = min(found, key=lambda one: one[0])
        _put_optional(owners, table, key, above)


def _find_extensions(owners: Owners) -> None:
    """Tables that lead to no user, but each of whose rows belongs to the one that refers to it."""
    while True:
        found = []
        for one in owners.by_place.values():
            for key in owners.parents(one.table):
                place = owners.target(key)
                is_free = place not in owners.by_place and one.kind is not Kind.REFERENCE
                if is_free and is_unique(one.table, key):
                    required = is_required(one.table, key)
                    found.append(((not required, len(one.ancestors), one.table.place), key, one))
        if not found:
            return
        _, key, one = min(found, key=lambda each: each[0])
        owners.by_place[key.table] = Owned(
            owners.shape.tables[key.table],
            Kind.EXTENSION,
            f"{', '.join(key.columns)} of {one.table.name} refers to it, and is unique",
            one.table.place,
            ancestors=(one.table.place, *one.ancestors),
        )


def _find_reference(owners: Owners) -> None:
    """What leads to no user; pairs of reference rows belong to one of them."""
    for table in owners.shape.tables.values():
        if table.place not in owners.by_place:
            owners.by_place[table.place] = Owned(
                table, Kind.REFERENCE, "no foreign key leads to a user"
            )
    for _ in owners.by_place:
        changed = False
        for one in list(owners.by_place.values()):
            if one.kind is not Kind.REFERENCE or one.owner is not None:
                continue
            key = _pairs_of(owners, one.table)
            above = None if key is None else owners.by_place[owners.target(key)]
            if key is None or above is None or one.table.place in above.ancestors:
                continue
            owners.by_place[one.table.place] = replace(
                one,
                owner=above.table.place,
                via=key,
                reason=f"{', '.join(key.columns)} refers to {above.table.name}, "
                "which does not grow with the users",
                ancestors=(above.table.place, *above.ancestors),
            )
            changed = True
        if not changed:
            return


def _pairs_of(owners: Owners, table: Table) -> ForeignKey | None:
    """The foreign key of a reference table that a key of several columns begins with."""
    for unique in table.uniques:
        for key in owners.parents(table):
            above = owners.by_place.get(owners.target(key))
            is_part = set(key.columns) <= set(unique.columns) and not unique.where
            if (
                is_part
                and is_required(table, key)
                and above is not None
                and above.kind is Kind.REFERENCE
                and table.place not in above.ancestors
            ):
                return key
    return None


def _ordered(owners: Owners) -> list[Place]:
    """Reference tables first, then users, then what belongs to others, owners before their own."""
    ranks = {Kind.REFERENCE: 0, Kind.USERS: 1, Kind.MIRROR: 2, Kind.GROUPS: 3}

    def rank(place: Place) -> tuple[int, int, Place]:
        one = owners.by_place[place]
        return ranks.get(one.kind, 4), len(one.ancestors), place

    return sorted(owners.by_place, key=rank)
