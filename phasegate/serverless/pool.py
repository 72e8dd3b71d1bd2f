"""The connection pool of one instance, as drivers have it, and what a server says that refuses.

Opens connections. As `pg.Pool` (https://node-postgres.com/apis/pool): made empty, opened when one
is needed and none is idle, `max` at most, a queue beyond that; the one given back last is taken
first; closed when idle for too long. No driver connects again by itself where it was refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Lock

from phasegate.compare.connection import Connection
from phasegate.compare.libpq import Result, Session
from phasegate.compare.technique import Arm, Parameters
from phasegate.model.errors import CannotMeasure

REFUSALS = {
    "remaining connection slots are reserved": "max_connections",
    "too many clients already": "max_connections",
    "too many connections for role": "role",
    "too many connections for database": "database",
    "no more connections allowed": "max_client_conn",
    "query_wait_timeout": "query_wait_timeout",
}
"""What PostgreSQL and PgBouncer say where they have no connection left, and which limit that is."""


class ConnectionRefused(CannotMeasure):
    """A server, or a pooler, has no connection left; `limit` says which of its settings that is."""

    def __init__(self, limit: str, said: str) -> None:
        self.limit = limit
        self.said = said
        super().__init__(said)


def as_refusal(error: CannotMeasure) -> CannotMeasure:
    """`error` as what it is: a refusal where it is one."""
    for words, limit in REFUSALS.items():
        if words in error.what:
            return ConnectionRefused(limit, error.what.rpartition("FATAL: ")[2].strip())
    return error


class FunctionConnection(Connection):
    """A connection as functions use it: nothing is kept prepared, so any pooler can follow."""

    def prepared(self, sql: str, *arguments: str | None) -> Result:
        """Run one statement, which is not kept prepared."""
        return Session.once(self, sql, *arguments)

    def carry_out(self, arm: Arm, drawn: Parameters) -> None:
        """One transaction as the drawn user, with the statements of `arm`.

        Raises:
            ConnectionRefused: the pooler gave no connection to the server in time.
            CannotMeasure: a statement failed.
        """
        try:
            self.execute("begin")
            self.become(drawn.sub)
            arm.body(self, drawn)()
            self.execute("commit")
        except CannotMeasure as error:
            raise as_refusal(error) from error


@dataclass
class _Idle:
    connection: FunctionConnection
    since: float


class Pool:
    """The pool of one instance.

    Args:
        dsn: of the server or the pooler in front of it.
        connections_max: open at most.
        idle_timeout_s: after which an idle one is closed, once `close_idle` is called.
        tell: is told of each connection that is opened (1) or closed (-1).
    """

    def __init__(
        self, dsn: str, connections_max: int, idle_timeout_s: float, tell: Callable[[int], None]
    ) -> None:
        self._dsn = dsn
        self._max = connections_max
        self._idle_timeout_s = idle_timeout_s
        self._tell = tell
        self._idle: list[_Idle] = []
        self._open = 0
        self._changed = Condition()
        self.turn = Lock()
        """For who takes several, one after the other."""

    def take(self) -> FunctionConnection:
        """An idle connection, else a new one, else the next that is given back.

        Raises:
            ConnectionRefused: the server or the pooler has none left.
            CannotMeasure: it cannot be reached for another reason.
        """
        with self._changed:
            while not self._idle and self._open >= self._max:
                self._changed.wait()
            if self._idle:
                return self._idle.pop().connection
            self._open += 1
        try:
            opened = FunctionConnection(self._dsn)
        except CannotMeasure as error:
            with self._changed:
                self._open -= 1
                self._changed.notify()
            raise as_refusal(error) from error
        self._tell(1)
        return opened

    def give_back(self, connection: FunctionConnection) -> None:
        """It is idle from now on; closed where a statement of it failed."""
        broken = connection.in_transaction
        if broken:
            connection.close()
            self._tell(-1)
        with self._changed:
            if broken:
                self._open -= 1
            else:
                self._idle.append(_Idle(connection, time.monotonic()))
            self._changed.notify()

    def close_idle(self, longer_than_s: float | None = None) -> None:
        """Close the connections that are idle for longer than the idle time-out, or than this."""
        bound = self._idle_timeout_s if longer_than_s is None else longer_than_s
        until = time.monotonic() - bound
        with self._changed:
            gone = [each for each in self._idle if each.since <= until]
            self._idle = [each for each in self._idle if each.since > until]
            self._open -= len(gone)
            self._changed.notify_all()
        for each in gone:
            each.connection.close()
            self._tell(-1)

    def close(self) -> None:
        """Close all idle connections."""
        self.close_idle(0.0)
