from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

import instruments.seeding_peers
import instruments.seeding_perf
from phasegate.project import SeedFolder
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]


def test_every_figure_stands_beside_its_peer_and_nothing_is_left_on_the_server(
    postgres: PostgresServer, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {
        "USERS": 10_000,
        "REPETITIONS": 1,
        "PGBENCH_SCALE": 1,
        "FAKER_ROWS": 100,
        "REUSE_USERS": 40,
    }
    for name, value in small.items():
        monkeypatch.setattr(instruments.seeding_perf, name, value)

    rows = list(instruments.seeding_perf.rows(postgres))

    assert [row.goal for row in rows] == ["≤ 1.25", "≥ 1.2", "≥ 1.2", "≥ 20", "≤ 1", "≤ 1"]
    for row in rows:
        assert row.ours > 0
        assert row.ratio == pytest.approx(row.ours / row.peer)
        assert row.repetitions == 1
        limit = float(row.goal.split()[1])
        assert row.holds == (row.ratio <= limit if "≤" in row.goal else row.ratio >= limit)
    left = query(postgres.dsn(), "select datname from pg_database where datname like '%perf%'")
    assert left == []


def test_twenty_tables_stand_beside_copy_of_their_bytes(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(SeedFolder(instruments.seeding_peers.SHOP).population.tables) == 20
    club = Path(__file__).with_name("club")
    for name, value in {"USERS": 300, "REPETITIONS": 1, "SHOP": club}.items():
        monkeypatch.setattr(instruments.seeding_peers, name, value)
    row = instruments.seeding_peers.overhead(postgres)
    assert (row.goal, row.repetitions) == ("≤ 1.6", 1)
    assert row.ratio == pytest.approx(row.ours / row.peer)
    assert row.holds == (row.ratio <= 1.6)
