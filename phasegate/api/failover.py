"""A replica that reads fall back from: while it is away, the primary answers in its place.

Reads and writes what `api.database` does. A read can be asked again without harm, so the
client of the request that finds the replica gone still gets its answer; later requests go straight
to the primary until the replica is tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from phasegate.api.catalogue import Catalogue
from phasegate.api.database import Asked, Database, Row
from phasegate.api.errors import ApiError
from phasegate.api.identity import Identity
from phasegate.api.settings import ApiSettings
from phasegate.api.statement import Statement, Values

# Not at every request: a connection that is refused costs little, one that times out much.
RETRY_AFTER_S = 1.0

# The answers that say "the database is away", not "this statement is wrong".
AWAY_CODES = frozenset({"PGRST000", "PGRST001", "PGRST002"})
AWAY_STATES = ("57P", "08")  # shutting down, starting up, connection lost

log = logging.getLogger(__name__)


class ReplicaOrPrimary(Database):
    """The replica, or the primary while the replica is away.

    Args:
        dsn: of the replica.
        settings: pool size, time-outs.
        primary: answers while the replica does not.
    """

    def __init__(self, dsn: str, settings: ApiSettings, primary: Database) -> None:
        super().__init__(dsn, settings)
        self._primary = primary
        self._away_until: float | None = None

    @property
    def serving(self) -> bool:
        """Whether the replica answered when it was last asked."""
        return self._away_until is None

    async def catalogue(self, *, fresh: bool = False) -> Catalogue:
        """The primary's: the two hold the same tables."""
        found = await self._primary.catalogue(fresh=fresh)
        if found is not self._catalogue:
            self._catalogue = found
            self._preludes.clear()
        return found

    async def run(
        self,
        identity: Identity,
        asked: Asked,
        statements: Sequence[Statement],
        values: Values,
        check: Callable[[Row], None] | None = None,
    ) -> list[Row]:
        """As `Database.run`; a read that finds the replica away is asked of the primary."""
        if self._away_until is not None and time.monotonic() < self._away_until:
            return await self._primary.run(identity, asked, statements, values, check)
        try:
            rows = await super().run(identity, asked, statements, values, check)
        except ApiError as error:
            if not (asked.read_only and _away(error)):
                raise
            if self.serving:
                log.warning("The replica is away, reads go to the primary: %s", error.details)
            self._away_until = time.monotonic() + RETRY_AFTER_S
            return await self._primary.run(identity, asked, statements, values, check)
        if not self.serving:
            log.warning("The replica is back")
            self._away_until = None
        return rows


def _away(error: ApiError) -> bool:
    return error.code in AWAY_CODES or error.code.startswith(AWAY_STATES)
