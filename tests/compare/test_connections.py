"""Ways to the server: what a delay adds, what is missing, and that nothing is left running."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from phasegate.compare.connection import Connection
from phasegate.compare.connections import REPLICA_VARIABLE, Routes, Unavailable, round_trip_ms
from phasegate.compare.cpu_affinity import Placement
from phasegate.compare.technique import DIRECT, Route, Via


@pytest.fixture
def direct(database: str) -> Connection:
    return Connection(database)


@pytest.fixture
def routes(database: str, direct: Connection) -> Routes:
    return Routes(database, direct, Placement("postgresql://elsewhere/"))


def test_the_proxy_adds_what_was_asked_for_and_says_what_it_really_takes(
    routes: Routes, direct: Connection
) -> None:
    base_ms = round_trip_ms(routes.caller(DIRECT))
    delayed_ms = round_trip_ms(routes.caller(Route(Via.PROXY, 5)))
    # Its own two hops and a late sleep: some tenths of a millisecond, on a busy machine more.
    assert base_ms + 5 <= delayed_ms < base_ms + 9
    routes.close()


def test_closing_leaves_no_process_behind(routes: Routes) -> None:
    before = set(psutil.Process().children())
    routes.caller(Route(Via.PROXY, 0))
    started = set(psutil.Process().children()) - before
    assert len(started) == 1
    routes.close()
    assert not any(process.is_running() for process in started)


def test_a_route_is_opened_once(routes: Routes) -> None:
    assert routes.caller(Route(Via.PROXY, 1)) is routes.caller(Route(Via.PROXY, 1))
    routes.close()


def test_without_a_replica_the_route_names_what_would_enable_it(
    routes: Routes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPLICA_VARIABLE, raising=False)
    with pytest.raises(Unavailable, match=f"no read replica.*{REPLICA_VARIABLE}"):
        routes.caller(Route(Via.REPLICA))


def test_without_pgbouncer_the_route_names_the_command(
    routes: Routes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasegate.compare.connections.find_pgbouncer", lambda: None)
    with pytest.raises(Unavailable, match="no PgBouncer on this machine"):
        routes.caller(Route(Via.POOLER))


def test_a_pooler_is_not_started_beside_a_server_elsewhere(direct: Connection) -> None:
    away = Routes("postgresql://db.example.org/x", direct, Placement("postgresql://elsewhere/"))
    with pytest.raises(Unavailable, match="on another machine"):
        away.caller(Route(Via.POOLER))


def test_only_local_servers_are_placed(database: str) -> None:
    assert Placement("postgresql://db.example.org/x").said == "left to the operating system"
    placement = Placement(database)
    process = psutil.Process()
    if Path("/proc").exists():
        assert len(process.cpu_affinity()) == 1
    placement.release()
    if Path("/proc").exists():
        assert len(process.cpu_affinity()) >= 1
