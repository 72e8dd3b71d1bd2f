"""PgBouncer's pool, looked at once a second: who waits for a server connection, and how long.

Reads SHOW POOLS, SHOW STATS and SHOW CONFIG from its console; writes nothing.
"""

from __future__ import annotations

from phasegate.model.errors import CannotMeasure
from phasegate.records.sampler import Pooler
from phasegate.records.server_events import Rhythm
from phasegate.stack.pgbouncer_console import ADMIN_DATABASE, Console, pools_of

NOT_ANSWERED = (
    "PgBouncer's pool in some seconds (its console did not answer; enable: name the DSN's user in "
    "`admin_users` or `stats_users`)"
)


class PoolerWatch:
    """One pooler.

    Args:
        dsn: of the pooler, with any database in it.
    """

    def __init__(self, dsn: str) -> None:
        self._console = Console(dsn)
        self._waited_s: float | None = None
        self._transactions = 0
        self.size: int | None = None
        self.rhythms: tuple[Rhythm, ...] = ()
        self.not_sampled: set[str] = set()

    async def look(self) -> Pooler | None:
        """What happened since the last look; None where the console does not answer."""
        try:
            if self.size is None:
                self.size = await self._size()
            pools = pools_of(await self._console.ask("SHOW POOLS"))
            totals = await self._console.ask("SHOW STATS")
        except CannotMeasure:
            self.not_sampled.add(NOT_ANSWERED)
            return None
        own = [row for row in totals if row["database"] != ADMIN_DATABASE]
        waited_s = sum(int(row["total_wait_time"]) for row in own) / 1e6
        transactions = sum(int(row["total_xact_count"]) for row in own)
        before_s, before = self._waited_s, self._transactions
        self._waited_s, self._transactions = waited_s, transactions
        if before_s is None or transactions < before:  # the first look, or it was restarted
            before_s, before = waited_s, transactions
        return Pooler(
            clients_active=sum(pool.clients_active for pool in pools),
            clients_waiting=sum(pool.clients_waiting for pool in pools),
            servers_active=sum(pool.servers_active for pool in pools),
            servers_idle=sum(pool.servers_idle for pool in pools),
            wait_s_max=max((pool.wait_s_max for pool in pools), default=0.0),
            waited_s=max(waited_s - before_s, 0.0),
            transactions=transactions - before,
        )

    async def close(self) -> None:
        """End the session with the console."""
        await self._console.close()

    async def _size(self) -> int:
        settings = {row["key"]: row["value"] for row in await self._console.ask("SHOW CONFIG")}
        lifetime_s = float(settings["server_lifetime"])
        self.rhythms = (
            Rhythm(
                kind="reconnect", what="PgBouncer", every_s=lifetime_s, said_by="server_lifetime"
            ),
        )
        return int(settings["default_pool_size"])
