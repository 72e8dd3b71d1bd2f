"""The table of registered users: found by policies, foreign keys and names, with the reason.

Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from phasegate.adopt.shape import Column, ForeignKey, Place, Shape, Table, declared_name
from phasegate.model.errors import ConfigurationError

NOTHING = "Nothing was written"
AUTH_USERS: Place = ("auth", "users")
"""Where Supabase keeps who has signed up."""
AUTH_SCORE = 60
"""What speaks for `auth.users`, against a table of the app that has a row for each of its."""

# From the surest on; compared without case, `_` and a plural's s.
NAMES = (
    "user", "profile", "userprofile", "appuser", "account", "customer", "member", "person",
    "people", "employee", "player", "student", "client", "author", "agent", "staff",
)  # fmt: skip
INTEGERS = ("int2", "int4", "int8", "numeric")
TEXTS = ("text", "varchar", "bpchar", "citext")
UUID_CHARACTERS = 36

_UID = re.compile(r"\(\s*select\s+(auth\.uid\(\))\s+as\s+\w+\s*\)", re.IGNORECASE)
_CAST = re.compile(r"::(?:\"?\w+\"?\.)?\"?\w+\"?(?:\[\])?")
_NAME = r'(?:\w+\.|"[^"]+"\.)?("(?:[^"]|"")+"|\w+)'
_COMPARED = re.compile(rf"auth\.uid\(\)\)*\s*=\s*\(*{_NAME}|{_NAME}\)*\s*=\s*\(*auth\.uid\(\)")


@dataclass(frozen=True)
class Users:
    """The table of registered users.

    Attributes:
        place: schema and name.
        key: its column that tokens carry.
        reason: why this one, in a line.
        mirror: the table of sign-ups (`auth.users`) that has a row with the same key for each.
    """

    place: Place
    key: str
    reason: str
    mirror: Place | None = None


def plain_name(name: str) -> str:
    """`name` for comparing: small letters, no `_`, and no plural."""
    bare = re.sub(r"[^a-z]", "", name.lower())
    return bare[:-1] if bare.endswith("s") and not bare.endswith("ss") else bare


def compared_with_uid(expression: str) -> set[str]:
    """Columns that an expression of a policy compares with `auth.uid()`."""
    bare = _CAST.sub("", _UID.sub(r"\1", expression))
    found = {one or other for one, other in _COMPARED.findall(bare)}
    return {name.strip('"').replace('""', '"') for name in found}


def find_users(shape: Shape, wanted: str | None) -> Users:
    """The users' table of `shape`, or the one that is `wanted`.

    Raises:
        ConfigurationError: there is no table, none of that name, none that looks like users, or one
            without a key that a token can carry.
    """
    if not shape.tables:
        raise ConfigurationError(
            "The database has no tables to fill",
            untouched=NOTHING,
            then="Name another database, or its migrations with --migrations DIR",
        )
    if wanted is not None:
        table = _named(shape, wanted)
        return _users(shape, table, f"asked for with --users-table {wanted}")
    scores = {table.place: _score(shape, table) for table in shape.tables.values()}
    if AUTH_USERS in scores:
        scores[AUTH_USERS] += AUTH_SCORE
    best = max(scores, key=lambda place: (scores[place], place == AUTH_USERS, place), default=None)
    if best is None or scores[best] < 10:
        names = ", ".join(table.name for table in list(shape.tables.values())[:8])
        raise ConfigurationError(
            f"No table looks like that of registered users (among {names})",
            untouched=NOTHING,
            then="Name it with --users-table SCHEMA.TABLE",
        )
    return _users(shape, shape.tables[best], "")


def _named(shape: Shape, wanted: str) -> Table:
    bare = wanted.replace('"', "")
    for table in shape.tables.values():
        if bare in (table.name, ".".join(table.place)):
            return table
    same = [table.name for table in shape.tables.values() if table.name.lower() == bare.lower()]
    hint = same or [table.name for table in shape.tables.values()][:8]
    raise ConfigurationError(
        f"--users-table: there is no table {wanted!r}",
        untouched=NOTHING,
        then=f"Name one of {', '.join(hint)}",
    )


def _score(shape: Shape, table: Table) -> float:
    key = _key(table)
    if key is None or table.kind == "f":
        return 0.0
    score = 0.0
    plain = plain_name(table.place[1])
    if plain in NAMES and table.place != AUTH_USERS:
        score += 40 - 2 * NAMES.index(plain)
    incoming = _incoming(shape, table.place)
    score += 2 * min(len(incoming), 10)
    is_mirrored = _to_auth(table) is not None
    if is_mirrored and (plain in NAMES or len(incoming) > 1):
        score += 60
    if _policies(table, {key.name}):
        score += 30
    for other, foreign in incoming:
        score += 3 * bool(_policies(other, set(foreign.columns)))
    return score


def _incoming(shape: Shape, place: Place) -> list[tuple[Table, ForeignKey]]:
    return [
        (table, foreign)
        for table in shape.tables.values()
        for foreign in table.foreign_keys
        if foreign.table == place and table.place != place
    ]


def _policies(table: Table, columns: set[str]) -> int:
    """How many policies of `table` compare one of `columns` with `auth.uid()`."""
    return sum(
        bool(columns & (compared_with_uid(policy.using) | compared_with_uid(policy.check)))
        for policy in table.policies
    )


def _to_auth(table: Table) -> str | None:
    """A unique column, never null, that refers to a row of `auth.users`."""
    for foreign in table.foreign_keys:
        if foreign.table == AUTH_USERS and len(foreign.columns) == 1:
            (column,) = foreign.columns
            is_unique = any(
                unique.columns == foreign.columns and not unique.expressions and not unique.where
                for unique in table.uniques
            )
            if is_unique and table.by_name[column].not_null:
                return column
    return None


def _key(table: Table) -> Column | None:
    """The column that a token can carry: that of `auth.users`, the primary key, or a unique one."""
    name = _to_auth(table)
    if name is not None:
        return table.by_name[name]
    for unique in table.uniques:  # the primary key is the first
        if len(unique.columns) == 1 and not unique.expressions and not unique.where:
            column = table.by_name[unique.columns[0]]
            if column.not_null and not column.generated and can_be_key(column):
                return column
    return None


def can_be_key(column: Column) -> bool:
    """Whether a user's key can stand in it: a UUID, or a number."""
    kind = column.type
    if kind.name in TEXTS:
        return kind.length_max == 0 or kind.length_max >= UUID_CHARACTERS
    return kind.name == "uuid" or kind.name in INTEGERS


def _users(shape: Shape, table: Table, reason: str) -> Users:
    key = _key(table)
    if key is None:
        raise ConfigurationError(
            f"{table.name} has no unique column, never null, of type uuid, integer or text: "
            "a user's token has nothing to carry",
            untouched=NOTHING,
            then="Name another table with --users-table SCHEMA.TABLE",
        )
    mirror = AUTH_USERS if _to_auth(table) == key.name and table.place != AUTH_USERS else None
    return Users(table.place, key.name, reason or _reason(shape, table, key.name, mirror), mirror)


def _reason(shape: Shape, table: Table, key: str, mirror: Place | None) -> str:
    reasons = []
    policies = Counter[str]()
    for other, foreign in _incoming(shape, table.place):
        policies[other.name] += _policies(other, set(foreign.columns))
    own = _policies(table, {key})
    count = sum(policies.values()) + own
    if count:
        where = "its key" if own else "what refers to it"
        noun = "policy compares" if count == 1 else "policies compare"
        reasons.append(f"{count} {noun} {where} with auth.uid()")
    if mirror is not None:
        reasons.append(f"{key} refers to {declared_name(mirror)}, one row each")
    elif table.place == AUTH_USERS:
        reasons.append("Supabase keeps who signs up there")
    incoming = len({other.place for other, _ in _incoming(shape, table.place)})
    if incoming:
        noun = "table refers" if incoming == 1 else "tables refer"
        reasons.append(f"{incoming} {noun} to it")
    if plain_name(table.place[1]) in NAMES and table.place != AUTH_USERS:
        reasons.append("its name says so")
    return "; ".join(reasons)
