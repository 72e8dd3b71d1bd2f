"""The figures of `make perf` can be had, and speak of the same transaction on both sides."""

from __future__ import annotations

import asyncio

import pytest

from instruments import api_perf as perf
from instruments.http_bench import fire
from phasegate.api import running_api
from phasegate.model.errors import CannotMeasure
from phasegate.stack.postgres import PostgresServer


def test_each_figure_stands_beside_pgbenchs(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf, "REPETITIONS", 1)
    monkeypatch.setattr(perf, "STRETCH_S", 1.0)
    rows = list(perf.rows(postgres))
    assert [row.unit for row in rows] == ["requests/s", "µs", "ms"]
    for row in rows:
        assert row.ours > 0
        assert row.peer > 0
        assert row.ratio == pytest.approx(row.ours / row.peer)


def test_the_script_holds_the_apis_own_statement(postgres: PostgresServer) -> None:
    with perf.perf_database(postgres) as dsn:
        script = asyncio.run(perf.pgbench_script(dsn))
    assert "$" not in script
    for part in ("begin read only;", "'role'", "'request.jwt.claims'", "pgrst_source", "commit;"):
        assert part in script


def test_an_answer_that_is_no_task_list_is_not_counted(prepared: str) -> None:
    with running_api(prepared, jwt_secret=perf.SECRET) as api:
        request = b"GET /rest/v1/tasks HTTP/1.1\r\nhost: x\r\n\r\n"
        with pytest.raises(CannotMeasure, match="401"):
            fire(api.url, [request], clients=2, stretch_s=0.5)
