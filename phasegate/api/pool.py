"""A pool of connections to one database, and the transaction that every request is.

Written for this service because asyncpg's own resets a connection with a round trip of its own
each time it comes back; here nothing outlives a transaction, so there is nothing to reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg

from phasegate.api import errors
from phasegate.api.pipeline import ServerError
from phasegate.api.sqlstate import status_of

Connection = Any
"""`api.pipeline.PipelinedConnection`; asyncpg, which it extends, ships no types."""

CLEAN_UP_TIMEOUT_S = 5.0
"""For the rollback of a request that was given up; then the connection is thrown away."""

UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


class Pool:
    """At most `size` connections, opened when needed.

    Args:
        connect: opens one.
        size: 0 for a connection of its own to each request, closed after it.
        acquire_timeout_s: how long a request waits for one.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], *, size: int, acquire_timeout_s: float
    ) -> None:
        self._connect = connect
        self._size = size
        self._acquire_timeout_s = acquire_timeout_s
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        return sum(not waiter.done() for waiter in self._waiting)

    @property
    def in_use(self) -> int:
        """Connections that serve a request."""
        return self._open - len(self._idle)

    @property
    def size(self) -> int:
        """Connections at most; 0 for no pool."""
        return self._size

    async def acquire(self) -> Connection:
        """A connection; give it back with `release`.

        Raises:
            ApiError: PGRST003 when none becomes free in time, PGRST000 when none can be opened.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        if self._size == 0 or self._open < self._size:
            return await self._opened()
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                connection = await waiter
        except TimeoutError:
            if waiter.cancelled():
                raise errors.pool_exhausted() from None
            connection = waiter.result()  # it came at the very moment of giving up
        except BaseException:
            if not waiter.cancelled():
                self._return(waiter.result())
            raise
        if connection is None or connection.is_closed():
            return await self._opened(reserved=True)
        return connection

    async def _opened(self, *, reserved: bool = False) -> Connection:
        """A new connection; with `reserved`, in a place that is already counted."""
        if not reserved:
            self._open += 1
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                return await self._connect()
        except TimeoutError:
            self._return(None)
            raise errors.pool_exhausted() from None
        except UNREACHABLE as error:
            self._return(None)
            raise errors.database_unreachable(_reason(error)) from error
        except BaseException:
            self._return(None)
            raise

    def release(self, connection: Connection, *, dirty: bool = False) -> None:
        """Give `connection` back; a dirty one is rolled back first, in the background."""
        if connection.is_closed():
            self._return(None)
        elif dirty:
            self._spawn(self._cleaned(connection))
        elif self._size == 0:
            self._return(None)
            self._spawn(_close(connection))
        else:
            self._return(connection)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cleaned(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(CLEAN_UP_TIMEOUT_S):
                await connection.settle()
        except UNREACHABLE:
            connection.terminate()
        self.release(connection)

    def _return(self, connection: Connection | None) -> None:
        """Hand a connection, or the place of one that is gone, to who waits longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._open -= 1
        else:
            self._idle.append(connection)

    async def close(self) -> None:
        """Close what is idle; whoever still holds one closes it by giving it back."""
        for task in list(self._tasks):
            task.cancel()
        idle, self._idle = self._idle, []
        self._open -= len(idle)
        await asyncio.gather(*(_close(connection) for connection in idle))


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=CLEAN_UP_TIMEOUT_S)
    except UNREACHABLE:
        connection.terminate()


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def answer_to(error: BaseException, *, anonymous: bool, lost: bool = True) -> errors.ApiError:
    """PostgREST's answer to what was raised during a transaction.

    Args:
        error: what was raised; one that is neither PostgreSQL's nor ours is raised again.
        anonymous: whether the asker has not signed in.
        lost: whether the connection is closed by now, which explains asyncpg's complaints.
    """
    if isinstance(error, errors.ApiError):
        return error
    if isinstance(error, asyncpg.PostgresConnectionError | OSError) or (
        lost and isinstance(error, asyncpg.InterfaceError)
    ):
        return errors.database_lost(_reason(error))
    if isinstance(error, ServerError):
        return errors.ApiError(
            status_of(error.sqlstate, error.message, anonymous=anonymous),
            error.sqlstate,
            error.message,
            details=error.detail,
            hint=error.hint,
        )
    if isinstance(error, asyncpg.PostgresError):
        fields: Mapping[str, Any] = error.as_dict()
        state = str(fields.get("sqlstate") or "XX000")
        message = str(fields.get("message") or error)
        return errors.ApiError(
            status_of(state, message, anonymous=anonymous),
            state,
            message,
            details=fields.get("detail"),
            hint=fields.get("hint"),
        )
    raise error
