"""A connection as the arms use it: prepared once, round trips counted, role and claims as the API.

Sends what the arms say and nothing else; keeps the first statement of an arm for EXPLAIN.
"""

from __future__ import annotations

import json

from phasegate.compare.libpq import Result, Session
from phasegate.model.row_security import ACTING_ROLE

# PostgREST sets role and claims with one statement, local to the transaction
# (docs/method.md#the-http-dialect).
CLAIM = "select set_config('role', $1, true), set_config('request.jwt.claims', $2, true)"
USER_ROLE = ACTING_ROLE


def claims_of(user: str) -> tuple[str, str]:
    """Role and JWT claims of a signed-in user."""
    return USER_ROLE, json.dumps({"sub": user, "role": USER_ROLE, "aud": USER_ROLE})


class Connection(Session):
    """A `libpq.Session` that counts; what is not counted is for the engine, not for arms."""

    def __init__(self, dsn: str, *, near_port: int | None = None) -> None:
        super().__init__(dsn, near_port=near_port)
        self._dsn = dsn
        self._near_port = near_port
        self.round_trips = 0
        self.first: tuple[str, tuple[str | None, ...]] | None = None

    def fetch(self, sql: str, *arguments: str | None) -> Result:
        """Rows of one prepared statement: one round trip, preparing it aside."""
        self.round_trips += 1
        if self.first is None:
            self.first = sql, arguments
        return self.prepared(sql, *arguments)

    def request(self, user: str, sql: str, *arguments: str | None) -> Result:
        """As the API answers: transaction, role and claims, statement, commit: four round trips."""
        self.round_trips += 3
        self.execute("begin")
        self.prepared(CLAIM, *claims_of(user))
        rows = self.fetch(sql, *arguments)
        self.execute("commit")
        return rows

    def request_anew(self, user: str, sql: str, *arguments: str | None) -> Result:
        """The same over a connection opened for it and closed after it, as a function does.

        The handshake counts as one round trip. Statements are not prepared by name: nothing is
        used twice, and an old pooler could not follow.
        """
        self.round_trips += 5
        if self.first is None:
            self.first = sql, arguments
        opened = Session(self._dsn, near_port=self._near_port)
        try:
            opened.execute("begin")
            opened.once(CLAIM, *claims_of(user))
            rows = opened.once(sql, *arguments)
            opened.execute("commit")
        finally:
            self.busy_ns += opened.busy_ns
            opened.close()
        return rows

    def become(self, user: str) -> None:
        """Act as `user` until the transaction ends. Not counted."""
        self.prepared(CLAIM, *claims_of(user))

    def rollback(self) -> None:
        """End the transaction, if one is open. Not counted."""
        if self.in_transaction:
            self.execute("rollback")
