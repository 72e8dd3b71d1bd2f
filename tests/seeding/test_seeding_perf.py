from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

import instruments.seeding_perf
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
