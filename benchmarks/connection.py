"""One asyncpg connection as the arms use it: prepared once, round trips counted.

Sends what the arms say and nothing else; keeps the first statement of an arm for EXPLAIN.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from benchmarks.technique import Role, Row

# PostgREST sets role and claims with one statement (FACTS §3), local to the transaction.
CLAIM = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"


def claims_of(user: UUID) -> tuple[str, str]:
    """Role and JWT claims of a signed-in user."""
    role = Role.USER.value
    return role, json.dumps({"sub": str(user), "role": role, "aud": role})


class Connection:
    """A `benchmarks.technique.Caller`."""

    def __init__(self, connection: asyncpg.Connection, dsn: str) -> None:
        self.raw = connection
        self._dsn = dsn
        self.round_trips = 0
        self.first: tuple[str, tuple[object, ...]] | None = None
        self._prepared: dict[str, asyncpg.prepared_stmt.PreparedStatement] = {}

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Rows of one prepared statement: one round trip, preparing it aside."""
        self.round_trips += 1
        prepared = self._prepared.get(sql)
        if prepared is None:
            prepared = self._prepared[sql] = await self.raw.prepare(sql)
        if self.first is None:
            self.first = sql, arguments
        rows: Sequence[Row] = await prepared.fetch(*arguments)
        return rows

    async def request(self, user: UUID, sql: str, *arguments: object) -> Sequence[Row]:
        """One request as the API makes it: four round trips."""
        self.round_trips += 3
        await self.raw.execute("begin")
        await self.raw.fetchval(CLAIM, *claims_of(user))
        rows = await self.fetch(sql, *arguments)
        await self.raw.execute("commit")
        return rows

    async def request_anew(self, user: UUID, sql: str, *arguments: object) -> Sequence[Row]:
        """As `request`, on a connection of its own: its handshake counts as one round trip."""
        self.round_trips += 5
        # Unnamed statements: an old pooler cannot follow named ones, and nothing is used twice.
        opened = await asyncpg.connect(self._dsn, statement_cache_size=0)
        try:
            await opened.execute("begin")
            await opened.fetchval(CLAIM, *claims_of(user))
            rows: Sequence[Row] = await opened.fetch(sql, *arguments)
            await opened.execute("commit")
        finally:
            await opened.close()
        if self.first is None:
            self.first = sql, arguments
        return rows

    async def become(self, user: UUID) -> None:
        """Act as `user` until the transaction ends. Not counted: no arm calls it."""
        await self.raw.fetchval(CLAIM, *claims_of(user))

    async def execute(self, sql: str) -> None:
        """Run a script. Not counted: no arm calls it."""
        await self.raw.execute(sql)

    async def rollback(self) -> None:
        """End the transaction, if one is open."""
        if self.raw.is_in_transaction():
            await self.raw.execute("rollback")

    def forget(self) -> None:
        """Drop prepared statements: those of another technique's objects."""
        self._prepared.clear()
        self.first = None
