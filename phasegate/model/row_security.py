"""Why row-level security does not hold for the role that a load acts as: findings into sentences.

Pure. A load without it is no fair one: its policies are part of what every statement costs, and
what is measured is not what users get.
"""

from __future__ import annotations

from collections.abc import Iterable

# The role of a signed-in user's token.
ACTING_ROLE = "authenticated"

# Tables that a sentence names; a whole schema would fill the screen.
NAMES_MAX = 5

# Why a table's policies do not matter: it may only be read, and its rows are nobody's.
LOOKUP = "lookup"

_OF_ROLE = {
    "superuser": "is a superuser and passes by all policies: alter role {role} nosuperuser;",
    "bypassrls": "passes by all policies: alter role {role} nobypassrls;",
}


def not_in_force(found: Iterable[tuple[str, str]], role: str = ACTING_ROLE) -> tuple[str, ...]:
    """A sentence for each reason, with the statement that mends it; empty where policies hold.

    Args:
        found: (qualified table, why) as `stack/sql/row_security.sql` gives them.
        role: that the load acts as.
    """
    by_reason: dict[str, list[str]] = {}
    for table, why in found:
        by_reason.setdefault(why, []).append(table)
    said = []
    for why, tables in by_reason.items():
        names = _named(tables)
        if why == LOOKUP:
            continue
        if why in _OF_ROLE:
            said.append(f"role {role} {_OF_ROLE[why].format(role=role)}")
        elif why == "off":
            said.append(
                f"row-level security is off on {names}: alter table {tables[0]} enable row "
                "level security; and so on, with a policy each"
            )
        else:
            said.append(
                f"role {role} owns {names} and passes by their policies: alter table "
                f"{tables[0]} force row level security; or give them another owner"
            )
    return tuple(said)


def lookups(found: Iterable[tuple[str, str]], role: str = ACTING_ROLE) -> tuple[str, ...]:
    """A warning that names the tables that everybody may read whole; none where there are none."""
    tables = [table for table, why in found if why == LOOKUP]
    if not tables:
        return ()
    right = "right for a lookup table, and for no other"
    return (f"Without row-level security, role {role} reads all of {_named(tables)}: {right}",)


def _named(tables: list[str]) -> str:
    names = ", ".join(table.removeprefix("public.") for table in tables[:NAMES_MAX])
    more = len(tables) - NAMES_MAX
    return f"{names} and {more} more" if more > 0 else names
