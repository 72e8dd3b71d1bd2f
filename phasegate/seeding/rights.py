"""What a role and a server must allow before the seeder writes: each lack with what mends it.

Pure: reads the row of `seeding/sql/circumstances.sql`; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phasegate.model.errors import Refused

# The oldest server that still gets fixes, and the first whose COPY FREEZE marks pages all-visible.
VERSION_MIN = 140_000

# Names and titles are in many languages. LATIN1 and its like lack characters of some; SQL_ASCII
# takes any byte and counts it as a character.
ENCODING = "UTF8"

NOTHING_CHANGED = "Nothing was changed"

Found = Mapping[str, Any]


def check_server(found: Found, where: str) -> None:
    """Check that the data set can be in this database at all.

    Raises:
        Refused: the server is too old, or the database's encoding lacks characters.
    """
    if found["version"] < VERSION_MIN:
        raise Refused(
            f"{where} runs PostgreSQL {found['version_text']}; phasegate needs 14 or newer",
            untouched=NOTHING_CHANGED,
            then="Give it a newer server",
        )
    if found["encoding"] != ENCODING:
        raise Refused(
            f"{where} is in {found['encoding']}, which cannot hold the names of all languages",
            untouched=NOTHING_CHANGED,
            then="Make another: create database NAME encoding 'UTF8' locale 'C' "
            "template template0;",
        )


def check_may_read(found: Found, where: str) -> None:
    """Check that the role may read the marker, where there is one.

    Raises:
        Refused: it may not; the grants are named.
    """
    if found["marked"] and not found["may_read_marker"]:
        role = found["role"]
        raise Refused(
            f"{where} holds a data set of phasegate's that role {role} may not read",
            untouched=NOTHING_CHANGED,
            then=f"Connect as its owner, {found['owner']}, or let that role run: "
            f"grant usage on schema phasegate to {role}; "
            f"grant select on phasegate.dataset to {role};",
        )


def cannot_count(found: Found, where: str) -> Refused:
    """The error of a whole data set whose rows the role may not count."""
    role = found["role"]
    return Refused(
        f"{where} holds this data set, but role {role} may not read all of its rows, so whether it "
        "is still whole cannot be told",
        untouched=NOTHING_CHANGED,
        then=f"Connect as its owner, {found['owner']}, or let a superuser run: "
        f"grant pg_read_all_data to {role}; alter role {role} bypassrls;",
    )


def check_may_write(found: Found, where: str) -> None:
    """Check that the role may make and fill the tables.

    Raises:
        Refused: the server or the role is read-only, or lacks a right; every statement that mends
            it is named.
    """
    if found["is_replica"]:
        raise Refused(
            f"{where} is read-only: it is a replica",
            untouched=NOTHING_CHANGED,
            then="Give the primary's address",
        )
    if found["read_only"]:
        raise Refused(
            f"{where} is read-only: default_transaction_read_only is on",
            untouched=NOTHING_CHANGED,
            then=_writable(found),
        )
    if found["marked"] and not found["owns_marker"]:
        raise Refused(
            f"{where} holds a data set of phasegate's that belongs to role {found['owner']}, "
            f"and role {found['role']} may not replace it",
            untouched=NOTHING_CHANGED,
            then=f"Connect as {found['owner']}, or let it be a member: "
            f"grant {found['owner']} to {found['role']};",
        )
    statements = "; ".join(_missing_grants(found))
    if statements:
        raise Refused(
            f"Role {found['role']} may not create schemas, or tables in `public`, in {where}",
            untouched=NOTHING_CHANGED,
            then=f"Connect as the database's owner, or let it run: {statements};",
        )


def _missing_grants(found: Found) -> Iterator[str]:
    role = found["role"]
    if not found["may_make_schemas"]:
        yield f"grant create on database {found['database']} to {role}"
    if not found["has_public"]:
        yield f"create schema public; grant usage, create on schema public to {role}"
    elif not found["may_make_tables"]:  # nobody but the owner may, since PostgreSQL 15
        yield f"grant usage, create on schema public to {role}"
    if not found["may_enter_auth"]:
        yield f"grant usage on schema auth to {role}"


def _writable(found: Found) -> str:
    """What turns `default_transaction_read_only` off, by where it is set."""
    role, database = found["role"], found["database"]
    whose = {
        "user": f"alter role {role}",
        "database": f"alter database {database}",
        "database user": f"alter role {role} in database {database}",
    }.get(found["read_only_by"])
    if whose is not None:
        return f"If it may be written to, run: {whose} reset default_transaction_read_only;"
    if found["read_only_by"] == "client":
        return "Take default_transaction_read_only out of PGOPTIONS or the address"
    return (
        f"If it may be written to, run: alter role {role} set default_transaction_read_only = off;"
    )
