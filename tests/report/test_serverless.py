from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from phasegate import report
from phasegate.records import store
from phasegate.records.run import Machine
from phasegate.records.serverless import Climb, ServerlessAnswer, ServerlessRecord, Users
from phasegate.report import serverless
from phasegate.report.page import render

NEVER = Users(estimate=None, low=None, high=None)
CLIMB = Climb(
    users=800_000.0, modelled=Users(estimate=900_000.0, low=780_000.0, high=1_050_000.0), fair=True,
    limit="max_connections", said="remaining connection slots are reserved", instances=48,
    connections=47, requests=4000, query_ms=1.8, stretch=1.0, lag_ms_p95=2.0, longer=1.01,
)  # fmt: skip
ANSWER = ServerlessAnswer(
    size="nano", through="straight", limit=47, pool=None,
    users=Users(estimate=706_812.0, low=615_438.0, high=766_301.0),
    deployed=Users(estimate=152_335.0, low=None, high=None), pool_runs_out=False, climbs=(CLIMB,),
)  # fmt: skip


def record(*answers: ServerlessAnswer) -> ServerlessRecord:
    machine = Machine(cpu="a CPU", cores=2, memory_bytes=1, kernel="Linux", python="3", load_1m=0.0)
    return ServerlessRecord(
        format_version=ServerlessRecord.FORMAT_VERSION, answered_at="2026-11-27T12:00:00+00:00",
        machine=machine, functions=1, concurrency=1, pool_max=10, queries_at_once=1,
        idle_timeout_s=10.0, freezes=True, kept_s=2700.0, cold_start_s=1.0, peak_s=600.0,
        other_connections=10, request_s=0.21, query_s=0.01, requests_per_session=5.0,
        requests_from="as told", statement="", answers=answers,
    )  # fmt: skip


def climbs(**changed: Any) -> ServerlessAnswer:
    return msgspec.structs.replace(ANSWER, climbs=(msgspec.structs.replace(CLIMB, **changed),))


def test_what_was_driven_agrees_near_the_model_or_within_its_interval() -> None:
    assert ANSWER.agrees  # 11% below
    assert climbs(users=770_000.0).agrees  # 14% below, and below the interval
    assert climbs(users=1_045_000.0).agrees  # 16% above, and within it
    assert not climbs(users=1_100_000.0).agrees
    assert not climbs(users=None).agrees  # never refused
    three = (CLIMB, *climbs(users=2e6).climbs, *climbs(users=900_000.0).climbs)
    assert msgspec.structs.replace(ANSWER, climbs=three).ratio == 1.0  # the median
    assert msgspec.structs.replace(ANSWER, climbs=()).agrees


def test_the_table_names_what_refuses_and_how_far_from_the_model() -> None:
    pooled = msgspec.structs.replace(
        ANSWER, through="pooler", limit=200, pool=24, users=NEVER, pool_runs_out=True, climbs=()
    )
    rows = serverless.table(record(ANSWER, pooled)).rows
    assert rows[0] == (
        "nano, straight", "47", "707k (615k to 766k)", "152k", "PostgreSQL: max_connections",
        "max_connections at 0.89 × the model",
    )  # fmt: skip
    assert rows[1][2:] == (
        "not at any number of users", "152k",
        "the pooler's 24 connections to the server: requests wait", "not driven",
    )  # fmt: skip
    busy = serverless.table(record(climbs(fair=False))).rows
    assert busy[0][-1] == "too busy to tell"


def page(run: Path) -> str:
    """Without its charts, which take seconds."""
    sections = ("matrix", "techniques", "load", "money", "data")
    return render(report._findings(run, None, None), {name: [] for name in sections})


def test_the_page_has_a_section_where_it_was_asked_and_says_so_where_it_was_not(
    whole_run: Path,
) -> None:
    assert 'id="serverless"' not in page(whole_run)
    assert "<code>phasegate serverless</code> says from how many users on" in page(whole_run)
    store.write(whole_run / "serverless.json", record(ANSWER))
    asked = page(whole_run)
    assert 'id="serverless"' in asked
    assert "707k (615k to 766k)" in asked
    assert "remaining connection slots are reserved" in asked
    requests = report.requests_per_session(whole_run)
    assert requests is not None
    assert requests.estimate > 0
