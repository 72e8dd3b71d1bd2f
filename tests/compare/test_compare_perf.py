"""The benchmarks' accuracy can be held against pgbench's."""

from __future__ import annotations

import pytest

from instruments import compare_perf
from phasegate.stack.postgres import PostgresServer


@pytest.mark.alone
def test_a_statement_is_timed_by_both_and_nothing_is_left_on_the_server(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, sql = next(iter(compare_perf.STATEMENTS.items()))
    monkeypatch.setattr(compare_perf, "REPETITIONS", 1)
    monkeypatch.setattr(compare_perf, "STATEMENTS", {name: sql})
    (row,) = compare_perf.rows(postgres)
    assert row.name == f"median of a statement: {name}"
    assert row.ratio == pytest.approx(row.ours / row.peer)
    assert row.holds == (abs(row.ratio - 1) <= compare_perf.RATIO_OFF_MAX)
