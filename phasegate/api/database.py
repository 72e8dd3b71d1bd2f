"""One database behind the API: its pool, its catalogue, and the transaction of a request.

Every request is one transaction, as in PostgREST: one SELECT that sets role, claims and time-out
for this transaction alone, then the statement that answers. Both travel in one round trip, which
begins and commits. Nothing of it stays on the connection, so it holds behind a pooler in
transaction mode.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from phasegate.api import errors, pipeline
from phasegate.api.catalogue import Catalogue, read_catalogue
from phasegate.api.http import Request
from phasegate.api.identity import Identity
from phasegate.api.pipeline import PipelinedConnection
from phasegate.api.pool import UNREACHABLE, Connection, Pool, answer_to
from phasegate.api.settings import ApiSettings
from phasegate.api.statement import Statement, Values
from phasegate.stack.database import driver_arguments

CATALOGUE_AGE_MIN_S = 0.2
"""A name that is not found makes the catalogue be read again, no more often than this."""

SEARCH_PATH = '"public", "extensions"'
"""Supabase's: the exposed schema, then its extra search path."""

REPLICA_HEADER = b"x-read-replica"
"""Marks reads for analytics (docs/method.md#the-scaling-guide)."""

SETTINGS_FIXED = (
    "set_config('search_path', $1, true), set_config('role', $2, true),"
    " set_config('request.jwt.claims', $3, true), set_config('request.method', $4, true),"
    " set_config('request.path', $5, true), set_config('request.headers', $6, true)"
)
READ_ONLY = ", set_config('transaction_read_only', 'on', true)"
"""Of what must not change anything: PostgREST's BEGIN READ ONLY."""


Row = pipeline.Row
"""In the order of `api.compiler.RESULT`."""


class Asked(msgspec.Struct, frozen=True):
    """What a transaction is told of its request, beside who asks."""

    method: str
    path: str
    headers: str
    """As a JSON object."""
    read_only: bool


class Database:
    """A database, reachable or not.

    Args:
        dsn: where it is.
        settings: pool size, time-outs.
    """

    def __init__(self, dsn: str, settings: ApiSettings) -> None:
        self._dsn = dsn
        self._settings = settings
        self.pool = Pool(
            self._connect, size=settings.pool_size, acquire_timeout_s=settings.acquire_timeout_s
        )
        self._catalogue: Catalogue | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._preludes: dict[str, tuple[str, str, tuple[str, ...]]] = {}

    async def _connect(self) -> Connection:
        arguments = driver_arguments(self._dsn)
        arguments["timeout"] = self._settings.acquire_timeout_s  # a request waits no longer
        return await asyncpg.connect(
            **arguments,
            statement_cache_size=self._settings.statement_cache_size,
            connection_class=PipelinedConnection,
        )

    async def catalogue(self, *, fresh: bool = False) -> Catalogue:
        """What the database offers; with `fresh`, read again unless that was just done.

        Raises:
            ApiError: PGRST002 while it could never be read.
        """
        known = self._catalogue
        if known is not None and not fresh:
            return known
        async with self._reading:
            age_s = time.monotonic() - self._read_at
            if self._catalogue is not None and age_s < CATALOGUE_AGE_MIN_S:
                return self._catalogue
            return await self._read()

    async def _read(self) -> Catalogue:
        try:
            connection = await self.pool.acquire()
        except errors.ApiError as error:
            if self._catalogue is not None:
                return self._catalogue
            raise errors.no_catalogue() from error
        try:
            found = await read_catalogue(connection)
        except UNREACHABLE as error:
            self.pool.release(connection, dirty=True)
            raise errors.no_catalogue() from error
        except BaseException:
            self.pool.release(connection, dirty=True)
            raise
        self.pool.release(connection)
        self._catalogue, self._read_at = found, time.monotonic()
        self._preludes.clear()
        return found

    def _prelude(self, identity: Identity, asked: Asked) -> tuple[str, tuple[str, ...]]:
        """The SELECT that sets a transaction up, and its parameters."""
        known = self._preludes.get(identity.role)
        if known is None:
            # SET ROLE does not bring the role's own settings, such as its statement_timeout.
            own = self._catalogue.role_settings.get(identity.role, ()) if self._catalogue else ()
            numbered = (f", set_config(${7 + 2 * i}, ${8 + 2 * i}, true)" for i in range(len(own)))
            prelude = f"select {SETTINGS_FIXED}{''.join(numbered)}"
            known = (prelude, prelude + READ_ONLY, tuple(part for pair in own for part in pair))
            self._preludes[identity.role] = known
        free, read_only, last = known
        first = (SEARCH_PATH, identity.role, identity.claims)
        return read_only if asked.read_only else free, (
            *first,
            asked.method,
            asked.path,
            asked.headers,
            *last,
        )

    async def run(
        self,
        identity: Identity,
        asked: Asked,
        statements: Sequence[Statement],
        values: Values,
        check: Callable[[Row], None] | None = None,
    ) -> list[Row]:
        """Run `statements` as `identity` in one transaction; the first row of each.

        `check` may refuse the first row by raising; then nothing is kept. It costs a second round
        trip, so it is for changes only. A statement without a row gives an empty one.

        Raises:
            ApiError: whatever PostgREST would answer.
        """
        sent = [(statement.sql, statement.bind(values)) for statement in statements]
        sent.insert(0, self._prelude(identity, asked))
        if check is not None:
            sent.insert(0, ("begin", ()))
        cache_size = self._settings.statement_cache_size
        connection = await self.pool.acquire()
        dirty = True
        try:
            rows = await connection.exchange(sent, cache_size=cache_size)
            if check is not None:
                rows = rows[1:]
                check(rows[1])
                await connection.exchange([("commit", ())], cache_size=cache_size)
            dirty = False
        except Exception as error:
            dirty = not connection.settled
            lost = connection.is_closed()
            raise answer_to(error, anonymous=identity.anonymous, lost=lost) from error
        else:
            answers: list[Row] = rows[1:]
            return answers
        finally:
            self.pool.release(connection, dirty=dirty)

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Connection]:
        """A connection of the database's owner, for services that act above row-level security.

        Raises:
            ApiError: whatever PostgREST would answer to what goes wrong on it.
        """
        connection = await self.pool.acquire()
        dirty = True
        try:
            yield connection
            dirty = False
        except Exception as error:
            raise answer_to(error, anonymous=False, lost=connection.is_closed()) from error
        finally:
            self.pool.release(connection, dirty=dirty)

    async def close(self) -> None:
        """Close the pool."""
        await self.pool.close()


def choose(request: Request, primary: Database, replica: Database | None) -> Database:
    """The replica, where there is one, for reads that are marked for it; else the primary."""
    marked = request.method in ("GET", "HEAD") and REPLICA_HEADER in request.headers
    return replica if replica is not None and marked else primary
