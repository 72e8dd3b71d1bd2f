from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

import instruments.seeding_scale
from instruments.seeding_scale import Size, exponent, lines, measure
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]


def size(users: int, wall_s: float) -> Size:
    return Size(users, 120 * users, 1, wall_s, wall_s / 2, 170.0)


def test_the_exponent_is_that_of_the_wall_time() -> None:
    assert exponent(size(10, 1.0), size(1000, 100.0)) == pytest.approx(1.0)
    assert exponent(size(10, 1.0), size(1000, 1000.0)) == pytest.approx(1.5)


def test_each_size_is_loaded_measured_and_dropped(
    postgres: PostgresServer, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instruments.seeding_scale, "REPETITIONS_MAX", 1)
    told = list(lines(measure(postgres, (20, 40))))
    assert [line.split()[0] for line in told[1:3]] == ["20", "40"]
    assert "goal ≤ 400" in told[3]
    assert "exponent" in told[4]
    left = query(postgres.dsn(), "select datname from pg_database where datname like '%scaling'")
    assert left == []
