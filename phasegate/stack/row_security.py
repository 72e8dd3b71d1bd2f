"""Whether row-level security holds in a database for the role that a load acts as.

Reads catalogues by `stack/sql/row_security.sql`; writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from phasegate.model.row_security import ACTING_ROLE, not_in_force
from phasegate.stack.database import connected, read_sql, run


async def unguarded_on(
    connection: asyncpg.Connection,
    role: str = ACTING_ROLE,
    tables: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """As `unguarded`, on a connection that the caller owns."""
    found = await connection.fetch(read_sql("row_security"), role, tables)
    return not_in_force([(row["name"], row["why"]) for row in found], role)


def unguarded(dsn: str, role: str = ACTING_ROLE) -> tuple[str, ...]:
    """Why policies do not hold for `role` on the tables of `public` that it may use.

    Returns:
        A sentence for each reason; none where every policy holds.

    Raises:
        CannotMeasure: the server cannot be reached.
    """

    async def work() -> tuple[str, ...]:
        async with connected(dsn) as connection:
            return await unguarded_on(connection, role)

    return run(work())
