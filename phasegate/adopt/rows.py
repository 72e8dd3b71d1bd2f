"""How many rows an owner has: from the source's counts, or as lives mostly go; with the reason.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phasegate.adopt.filling import Filled
from phasegate.adopt.owners import Kind, Owned, Owners
from phasegate.adopt.shape import Place
from phasegate.adopt.texts import snake
from phasegate.project.population import ROWS_FEW_MAX

REFERENCE_ROWS, GROUP_MEMBERS, MEMBERSHIPS = 20, 8.0, 1.3
FEW, MANY, VERY_MANY, CHILDREN = 2.0, 10.0, 50.0, 3.0
"""Rows of an owner, where the source tells nothing."""
ONE_TO_ONE = 0.95
"""From such a share of owners on, each is given its row."""
ROWS_MAX = 1 << 24
FOLLOWS = 0.5
"""Of owners with one row at least, the share that has more the busier they are.

No catalogue says how many. Rows with a `mean` follow activity wholly; where these did not at all, a
busy user's rows of other tables would refer to one or two of theirs alone (docs/decisions/0018).
"""
_VERY_MANY = re.compile(
    r"log|event|activit|histor|audit|view|message|notification|click|visit|metric"
)
_EACH = re.compile(r"profile|setting|preference|config|detail|wallet|balance|stat(s|us)?$|secret")


@dataclass(frozen=True)
class Rows:
    """What `population.toml` says of the number of rows.

    Attributes:
        value: of the key `rows`; None where it is left out.
        reason: where the number comes from.
        when: of the key `when`; empty where it is left out.
    """

    value: int | dict[str, Any] | None
    reason: str
    when: str = ""


def needed_tables(owners: Owners, filled: Mapping[Place, Filled]) -> set[Place]:
    """Tables of which every owner must have a row: another one's reference is never null."""
    found: set[Place] = set()
    for place, one in filled.items():
        mine = {place, *owners.by_place[place].ancestors}
        for target in one.needed:
            for each in (target, *owners.by_place[target].ancestors):
                if each in mine:
                    break
                found.add(each)
    return found


def wanted_tables(filled: Mapping[Place, Filled]) -> set[Place]:
    """Tables that rows beside theirs refer to, if there is one."""
    return {target for one in filled.values() for target in one.wanted}


def rows_of(
    owners: Owners, owned: Owned, filled: Filled, *, needed: bool, wanted: bool = False
) -> Rows:
    """How many rows `owned`'s table has for each of its owner's.

    Args:
        owners: of all tables.
        owned: the table.
        filled: its columns.
        needed: whether each owner must have one.
        wanted: whether each had better have one, as far as there are that many.
    """
    cap, why = filled.distinct.rows_max, filled.distinct.why
    rows = owners.rows(owned.table.place)
    match owned.kind:
        case Kind.USERS:
            return Rows(None, "")
        case Kind.MIRROR | Kind.EXTENSION:
            return Rows(1, "", "with owner")
        case Kind.GROUPS:
            users = owners.rows(owners.users.place)
            if rows and users:
                mean = max(1.0, users / rows)
                return Rows({"members_mean": tidy(mean)}, _counted(rows, users, "users"))
            return Rows({"members_mean": GROUP_MEMBERS}, "a guess: users in a group")
        case Kind.MEMBERSHIPS:
            return _memberships(owners, owned, rows)
    if owned.owner is None:
        number = REFERENCE_ROWS if not rows else max(1, min(round(rows), ROWS_MAX))
        reason = f"the source has {number:,}" if rows else "a guess"
        if cap is not None and number > cap:
            number, reason = cap, why
        return Rows(number, reason)
    return _of_owner(owners, owned, filled, rows, needed=needed, wanted=wanted)


def _memberships(owners: Owners, owned: Owned, rows: float | None) -> Rows:
    users = owners.rows(owners.users.place)
    groups = owners.shape.tables[owned.groups].name if owned.groups is not None else ""
    mean, reason = MEMBERSHIPS, "a guess: groups that a user is in"
    if rows and users:
        mean, reason = max(1.0, rows / users), _counted(rows, users, "users")
    return Rows({"from_one_mean": tidy(mean), "memberships_of": groups}, reason)


def _of_owner(
    owners: Owners,
    owned: Owned,
    filled: Filled,
    rows: float | None,
    *,
    needed: bool,
    wanted: bool,
) -> Rows:
    cap, why = filled.distinct.rows_max, filled.distinct.why
    name = owned.table.name
    above = None if owned.owner is None else owners.by_place[owned.owner]
    if above is None:
        raise AssertionError(name)
    of_above = owners.rows(above.table.place)
    if rows and of_above:
        ratio, reason = rows / of_above, _counted(rows, of_above, f"of {above.table.name}")
    else:
        ratio, reason = _guess(owned, above, cap, needed=needed or wanted)
    if cap == 1:
        if needed or ratio >= ONE_TO_ONE:
            return Rows(1, f"{why}; {reason}")
        return Rows({"share": tidy(ratio)}, f"{why}; {reason}")
    if cap is not None:
        if ratio < 1 and not needed:
            return Rows({"share": tidy(ratio)}, f"{reason}; {why}")
        mean = min(max(ratio, 1.0), max(1.0, cap * 0.6))
        return Rows({"from_one_mean": tidy(mean), "max": cap}, f"{reason}; {why}")
    if needed or (wanted and ratio >= 1) or above.kind is Kind.REFERENCE:
        mean = max(ratio, 1.0)
        most = min(ROWS_FEW_MAX, max(16, round(mean * 12)))
        value: dict[str, Any] = {"from_one_mean": tidy(mean), "max": most}
        # Rows below these would be more than the source has: they follow activity as well.
        owns_none = not any(owned.table.place in one.ancestors for one in owners.by_place.values())
        if above.kind in (Kind.USERS, Kind.MIRROR) and owns_none:
            value["follow_activity"] = FOLLOWS
        more = "; rows of other tables refer to one" if needed or wanted else ""
        return Rows(value, reason + more)
    return Rows({"mean": tidy(min(ratio, 100_000.0))}, reason)


def _guess(owned: Owned, above: Owned, cap: int | None, *, needed: bool) -> tuple[float, str]:
    plain = snake(owned.table.place[1])
    if cap == 1:
        primary, via = owned.table.primary, owned.via
        shares = primary is not None and via is not None and primary.columns == via.columns
        each = shares or bool(_EACH.search(plain)) or above.kind is Kind.MIRROR
        return (1.0 if each else 0.5), "a guess"
    if above.kind not in (Kind.USERS, Kind.MIRROR, Kind.GROUPS):
        return CHILDREN, "a guess"
    if _VERY_MANY.search(plain):
        return VERY_MANY, "a guess: of its kind there are many"
    return (FEW if needed else MANY), "a guess"


def _counted(rows: float, others: float, what: str) -> str:
    return f"the source has {rows:,.0f} for {others:,.0f} {what}"


def tidy(number: float) -> float:
    """With four figures that count."""
    return float(f"{number:.4g}")
