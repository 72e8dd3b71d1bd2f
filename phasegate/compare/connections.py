"""Ways to reach the server: directly, through a delaying proxy, through a pooler, to a replica.

Starts the proxy and the pooler that a technique asks for, on 127.0.0.1, and ends them. Reads
`PHASEGATE_REPLICA_URL`. A way that is not there is named as such, with what would enable it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from phasegate.compare.connection import Connection
from phasegate.compare.cpu_affinity import Placement, is_local
from phasegate.compare.libpq import Session
from phasegate.compare.subprocess_protocol import REPLICA_VARIABLE as REPLICA_VARIABLE
from phasegate.compare.technique import DIRECT, Route, Via
from phasegate.model.dsn import Dsn
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.stack.database import with_port
from phasegate.stack.pgbouncer import find_pgbouncer, start_pgbouncer, stop_pgbouncer
from phasegate.stack.pgbouncer_install import install_command
from phasegate.stack.replica import CATCH_UP_TIMEOUT_S, measure_lag

# What a session writes to reach its level is replayed within seconds.
CATCH_UP_POLL_S = 0.1
# Round trips timed to say what a route really takes.
PROBES = 21

S = TypeVar("S", bound=Session)


class Unavailable(ConfigurationError):
    """A way to the server that this machine does not have."""


class Routes:
    """Connections by route, each opened when first asked for and kept until `close`."""

    def __init__(self, dsn: str, direct: Connection, placement: Placement) -> None:
        self._dsn = dsn
        self._placement = placement
        self._open: dict[Route, Connection] = {DIRECT: direct}
        self._stack = ExitStack()

    def caller(self, route: Route) -> Connection:
        """A connection that goes that way.

        Raises:
            Unavailable: the machine lacks the pooler, or there is no replica.
        """
        if route not in self._open:
            connection = self.open(route, Connection)
            self._stack.callback(connection.close)
            if route.via is Via.PROXY:  # whose backend is an ordinary one of this server
                self._placement.take(connection.backend_pid)
            self._open[route] = connection
        return self._open[route]

    def close(self) -> None:
        """Close what was opened, and end what was started."""
        self._stack.close()

    def open(self, route: Route, kind: type[S]) -> S:
        """A new connection of that way, with a proxy or pooler started for it if need be.

        Raises:
            Unavailable: the machine lacks the pooler, or there is no replica.
        """
        if route == DIRECT:
            return kind(self._dsn)
        if route.via is Via.POOLER:
            return kind(self._pooler())
        if route.via is Via.REPLICA:
            return kind(_replica(self._dsn))
        return kind(self._dsn, near_port=self._delayed(route.delay_ms))

    def _delayed(self, delay_ms: float) -> int:
        server = Dsn.of(self._dsn)
        host, port = server.host or "127.0.0.1", str(server.port or 5432)
        proxy = self._helper("phasegate.compare.latency_proxy", host, port, str(delay_ms))
        if proxy.stdout is None:  # cannot be: a pipe was asked for
            raise Unavailable("The delaying proxy has no output")
        return int(proxy.stdout.readline())

    def _helper(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """A process of ours that ends with its standard input, so with this one at the latest."""
        helper = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(_end, helper)
        return helper

    def _pooler(self) -> str:
        if not is_local(self._dsn):
            raise Unavailable(
                "the pooler is started beside the server, and this one is on another machine"
            )
        if os.environ.get("PGOPTIONS") or "options" in Dsn.of(self._dsn).parameters:
            raise Unavailable(
                "a pooler passes no options on (PGOPTIONS, or the address's), so its arm would be "
                "planned unlike the other",
                then="Leave them out",
            )
        if find_pgbouncer() is None:
            raise Unavailable("there is no PgBouncer on this machine", then=install_command())
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="phasegate-")))
        home.chmod(0o755)  # as root, the pooler runs as another user
        self._helper("phasegate.compare.pooler_guard", str(home))
        folder = home / "pgbouncer"
        pooler = start_pgbouncer(folder, self._dsn)
        self._stack.callback(stop_pgbouncer, folder)
        return with_port(self._dsn, pooler.port)


def _replica(primary_dsn: str) -> str:
    """DSN of the replica that was named, once it has all that the primary wrote.

    Raises:
        Unavailable: none was named.
        CannotMeasure: it is no replica, or does not catch up: it would be measured at work.
    """
    named = os.environ.get(REPLICA_VARIABLE)
    if not named:
        raise Unavailable(
            "no read replica was named",
            then=f"Set {REPLICA_VARIABLE} to the DSN of a replica of the same data",
        )
    dsn = Dsn.of(named, REPLICA_VARIABLE).url
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    while (lag := measure_lag(primary_dsn, dsn)).lag_bytes:
        if time.monotonic() > deadline:
            raise CannotMeasure(
                f"The replica is {lag.lag_bytes} bytes behind after {CATCH_UP_TIMEOUT_S:.0f} s",
                untouched="The comparison was not saved",
                then="Let it catch up while nothing writes, then measure again",
            )
        time.sleep(CATCH_UP_POLL_S)
    return dsn


def _end(helper: subprocess.Popen[str]) -> None:
    """A helper ends with its standard input; it is not left behind if it does not."""
    if helper.stdin is not None:
        helper.stdin.close()
    try:
        helper.wait(timeout=5)
    except subprocess.TimeoutExpired:
        helper.kill()
        helper.wait()
    if helper.stdout is not None:
        helper.stdout.close()


def round_trip_ms(caller: Connection) -> float:
    """What one round trip of the shortest statement takes on this route: the median."""
    times = []
    for _ in range(PROBES):
        start = time.perf_counter_ns()
        caller.prepared("select 1")
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1e6


def route_note(route: Route, caller: Connection) -> str:
    """What a round trip really takes where something stands in between."""
    if route.via is Via.NOTHING:
        return ""
    took_ms = round_trip_ms(caller)
    wanted = f" for {route.delay_ms:g} ms added" if route.via is Via.PROXY else ""
    return f"a round trip through the {route.via.value} takes {took_ms:.2f} ms{wanted}"
