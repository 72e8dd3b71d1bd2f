"""Is it well? API, auth, database, pool, connections, replica, refreshes, partitions, queue.

Reads an API by HTTP and a database by SQL; writes nothing. Any Supabase project can be asked, and
any API that has a path for it: what only phasegate's own stack can tell is skipped there, each time
with the reason. Draws nothing: the command line makes a table of the records, a workflow takes
`github_annotations`.
"""

from __future__ import annotations

from phasegate.model.errors import ConfigurationError
from phasegate.stack.checks import Check as Check
from phasegate.stack.health_api import api_checks
from phasegate.stack.health_database import database_checks


def check(
    url: str | None,
    database_url: str | None = None,
    *,
    anon_key: str | None = None,
    ready: str | None = None,
) -> tuple[Check, ...]:
    """Ask everything that can be asked, and never hang.

    Args:
        url: of an API; None skips what needs it.
        database_url: DSN of its database; None skips what needs it.
        anon_key: the project's public key; without it a hosted project answers 401.
        ready: path at `url` that answers below 400 where the API is well; None for an API with
            Supabase's routes, a hosted project's or our own.

    Raises:
        ConfigurationError: neither is given, or `url` is not an http(s) address.
    """
    if url is None and database_url is None:
        raise ConfigurationError(
            "There is nothing to check", then="Give a URL, a database URL, or both"
        )
    return (*api_checks(url, anon_key, ready), *database_checks(database_url))


def is_healthy(checks: tuple[Check, ...]) -> bool:
    """Whether nothing failed."""
    return all(one.outcome != "failed" for one in checks)


def github_annotations(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """GitHub's workflow commands for what failed, one line each."""

    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    return tuple(
        f"::error title=phasegate health ({one.name})::{escaped(one.said)}"
        for one in checks
        if one.outcome == "failed"
    )
