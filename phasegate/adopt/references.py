"""Columns that refer to other rows: the owner's, one inside the same owner, somebody else's.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from phasegate.adopt.filling import Work, null_share, todo
from phasegate.adopt.owners import Kind, is_required
from phasegate.adopt.shape import ForeignKey, Place
from phasegate.adopt.spans import NUMBERS
from phasegate.adopt.texts import snake

OTHERS = re.compile(
    r"follow|friend|recipient|receiver|invite|target|blocked|likee|to_user|partner|member"
)


def up_columns(work: Work) -> Iterator[str]:
    """Columns that refer to the owner or to a row above it: the same in all rows of an owner."""
    for key in work.table.foreign_keys:
        target = work.owners.target(key)
        is_first = work.owned.via is not None and key.name == work.owned.via.name
        if (
            is_first
            or target == work.owned.groups
            or (target in work.owned.ancestors and not _is_other(work, key))
            or _is_home_group(work, target)
        ):
            yield from key.columns


def _is_home_group(work: Work, target: Place) -> bool:
    """Whether the row's user, but not the row, belongs to a row of `target`: then to that alone."""
    owned = work.owned
    has_user = owned.kind is Kind.USERS or work.owners.users.place in owned.ancestors
    is_group = work.owners.by_place[target].kind is Kind.GROUPS
    return has_user and is_group and target not in (owned.table.place, *owned.ancestors)


def _is_other(work: Work, key: ForeignKey) -> bool:
    """Whether a key to a table above leads to somebody else than the row's own."""
    target, via = work.owners.target(key), work.owned.via
    if via is not None and key.name == via.name:
        return False
    if target != work.owners.users.place:
        return False
    if work.owned.kind is Kind.USERS:
        return True
    to_users = [one for one in work.table.foreign_keys if work.owners.target(one) == target]
    named = any(OTHERS.search(snake(name)) for name in key.columns)
    compared = any(
        operator == "<>" for name in key.columns for operator, _ in work.limits(name).order
    )
    return len(to_users) > 1 and (named or compared or _pairs_with_owner(work, key))


def _pairs_with_owner(work: Work, key: ForeignKey) -> bool:
    via = work.owned.via
    return via is not None and any(
        set(unique.columns) == {*via.columns, *key.columns} for unique in work.table.uniques
    )


def mirror(work: Work) -> None:
    """The key of the sign-ups is that of the users."""
    users = work.owners.users
    if work.owned.kind is not Kind.MIRROR:
        return
    top = work.owners.shape.tables[users.place]
    for key in top.foreign_keys:
        if key.table == work.table.place and users.key in key.columns:
            work.put(
                key.targets[key.columns.index(users.key)],
                {"ref": f"{top.name}.{users.key}"},
                "the users' own",
            )


def references(work: Work) -> None:
    """Declare every column of a foreign key, the owner's first."""
    if work.owned.kind is Kind.USERS:
        name = work.owners.users.key
        is_number = work.table.by_name[name].type.name in NUMBERS
        work.put(name, "identity" if is_number else "uuid4", "what a token carries")
    via = work.owned.via
    keys = sorted(
        work.table.foreign_keys,
        key=lambda key: (via is None or key.name != via.name, -len(key.columns), key.name),
    )
    for key in keys:
        if work.owned.kind is Kind.USERS and key.table == work.owners.users.mirror:
            continue
        _reference(work, key)


def _reference(work: Work, key: ForeignKey) -> None:
    pairs = [
        (name, target)
        for name, target in zip(key.columns, key.targets, strict=True)
        if name not in work.filled.columns and not work.table.by_name[name].generated
    ]
    if not pairs:
        return
    options, reason = _picked(work, key)
    stranger = _settled_elsewhere(work, key, {name for name, _ in pairs})
    if stranger:
        options, reason = None, f"{stranger} is settled by another key, not by the row's owner"
    if options is None:
        for name, _ in pairs:
            if work.table.by_name[name].not_null:
                todo(work, name, key.name, reason, '{ ref = "…" }')
            else:
                work.filled.left_out[name] = f"null: {reason}"
        return
    always_null = any(work.limits(name).null is True for name in key.columns)
    first = pairs[0][0]
    for name, target in pairs:
        declared = dict(options)
        table, column = _renamed(work, key, target, options)
        declared["ref"] = f"{table}.{column}"
        if name != first:
            declared = {"ref": declared["ref"], "same_as": first}
        else:
            if always_null:
                declared["null_share"] = 1.0
            picked = work.filled.distinct.picks.get(name)
            if picked is not None:
                declared["unique"] = "owner"
                reason += f"; {picked}: no two alike"
        ordered = {"ref": declared.pop("ref"), **declared}
        work.put(name, ordered, reason)


def _settled_elsewhere(work: Work, key: ForeignKey, free: set[str]) -> str:
    """A column of `key` that another key has set to what rows inside the common owner may lack.

    Empty where each such column is the key of the common owner, or of one above it.
    """
    by_place, target = work.owners.by_place, work.owners.target(key)
    mine = (work.table.place, *work.owned.ancestors)
    if target in mine:
        return ""
    shared = [one for one in mine if one in by_place[target].ancestors]
    for name in key.columns:
        if name not in free and _base(work, name) not in shared:
            return name
    return ""


def _base(work: Work, name: str) -> Place:
    """The table whose key a column has in the end, from one foreign key to the next."""
    table = work.table
    for _ in work.owners.shape.tables:
        keys = [key for key in table.foreign_keys if name in key.columns]
        if not keys:
            break
        key = min(keys, key=lambda one: len(one.columns))
        name = key.targets[key.columns.index(name)]
        table = work.owners.shape.tables[work.owners.target(key)]
    return table.place


def _renamed(work: Work, key: ForeignKey, target: str, options: dict[str, Any]) -> tuple[str, str]:
    """Table and column that a reference is to be drawn from."""
    shape, users = work.owners.shape, work.owners.users
    if "within" in options and options["within"] != "*":
        group = next(one for one in work.owned.ancestors if one in work.owners.memberships)
        pairs = work.owners.by_place[work.owners.memberships[group]]
        if pairs.via is not None:
            return pairs.table.name, pairs.via.columns[0]
    if key.table == users.mirror:
        return shape.tables[users.place].name, users.key
    return shape.tables[key.table].name, target


def _picked(work: Work, key: ForeignKey) -> tuple[dict[str, Any] | None, str]:
    """Options of a `ref`, and why; None where there is no row that it could be."""
    owners, owned = work.owners, work.owned
    target = owners.target(key)
    required = is_required(work.table, key)
    name = owners.shape.tables[target].name
    share = {} if required else {"null_share": null_share(work, key.columns[0])}
    if target == work.table.place:
        if not required and work.limits(key.columns[0]).null is False:
            share = {}
        return share, "an earlier row of the table" + (" of the same owner" if owned.owner else "")
    via = owned.via
    if via is not None and key.name == via.name and owned.kind is not Kind.MEMBERSHIPS:
        return {}, "the owner"
    if _is_other(work, key):
        return {"within": "*", **share}, "another user than the row's own"
    group = _group(work, key)
    if group is not None:
        within = owners.shape.tables[group].name
        return {"within": within, **share}, f"somebody in the same row of {within}"
    if target in owned.ancestors:
        return {}, f"the row's own {name}"
    return _beside(work, target, share)


def _group(work: Work, key: ForeignKey) -> Place | None:
    """The group that the row belongs to, where `key` leads to one of its members."""
    owners, owned = work.owners, work.owned
    to_user = owners.target(key) == owners.users.place and len(key.columns) == 1
    if not to_user or owned.kind is Kind.MEMBERSHIPS:
        return None
    return next((one for one in owned.ancestors if one in owners.memberships), None)


def _beside(work: Work, target: Place, share: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """As `_picked`, for a row that is not above this one."""
    owners, owned = work.owners, work.owned
    name = owners.shape.tables[target].name
    other = owners.by_place[target]
    if other.kind is Kind.REFERENCE:
        return share, f"{name} does not grow with the users"
    if _is_home_group(work, target):
        return share, "the group that took the row's user"
    mine = {owned.table.place, *owned.ancestors}
    common = next((one for one in other.ancestors if one in mine), None)
    if common is None:
        return None, f"its rows and those of {name} have no owner in common"
    (work.filled.wanted if share else work.filled.needed).add(target)
    inside = owners.shape.tables[common].name
    return share, f"one of the same row of {inside}"
