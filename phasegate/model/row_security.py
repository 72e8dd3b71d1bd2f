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

_OF_ROLE = {
    "superuser": "is a superuser and passes by all policies: alter role {role} nosuperuser;",
    "bypassrls": "passes by all policies: alter role {role} nobypassrls;",
}


def not_in_force(found: Iterable[tuple[str, str]], role: str = ACTING_ROLE) -> tuple[str, ...]:
    """A sentence for each reason, with the statement that mends it; empty where policies hold.

    Args:
        found: (table, why) as `stack/sql/row_security.sql` gives them.
        role: that the load acts as.
    """
    by_reason: dict[str, list[str]] = {}
    for table, why in found:
        by_reason.setdefault(why, []).append(table)
    said = []
    for why, tables in by_reason.items():
        names = ", ".join(tables[:NAMES_MAX])
        if len(tables) > NAMES_MAX:
            names += f" and {len(tables) - NAMES_MAX} more"
        if why in _OF_ROLE:
            said.append(f"role {role} {_OF_ROLE[why].format(role=role)}")
        elif why == "off":
            said.append(
                f"row-level security is off on {names}: alter table public.{tables[0]} enable row "
                "level security; and so on, with a policy each"
            )
        else:
            said.append(
                f"role {role} owns {names} and passes by their policies: alter table "
                f"public.{tables[0]} force row level security; or give them another owner"
            )
    return tuple(said)
