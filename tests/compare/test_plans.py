"""A plan's hash follows its shape alone; its text and blocks come from the server."""

from __future__ import annotations

from typing import Any

from phasegate.compare.libpq import Session
from phasegate.compare.plans import Plan, buffers, explain, plan_hash

SCAN: dict[str, Any] = {"Node Type": "Seq Scan", "Relation Name": "tasks", "Total Cost": 1.0}


def test_costs_and_rows_do_not_change_a_plans_hash_but_a_node_does() -> None:
    assert plan_hash(SCAN) == plan_hash({**SCAN, "Total Cost": 9.0, "Actual Rows": 5})
    assert plan_hash(SCAN) != plan_hash({**SCAN, "Node Type": "Index Scan"})
    assert plan_hash(SCAN) != plan_hash({**SCAN, "Relation Name": "projects"})
    assert plan_hash({"Node Type": "Sort", "Plans": [SCAN]}) != plan_hash({"Node Type": "Sort"})


def test_which_and_how_many_months_are_scanned_is_not_another_plan() -> None:
    def over(*months: str) -> dict[str, Any]:
        scans = [{**SCAN, "Relation Name": f"activity_logs_p{month}"} for month in months]
        return {"Node Type": "Append", "Plans": scans}

    assert plan_hash(over("2026_01", "2026_02")) == plan_hash(over("2026_05"))


def explained(dsn: str, sql: str, *arguments: str) -> Plan | None:
    session = Session(dsn)
    try:
        return explain(session, sql, arguments)
    finally:
        session.close()


def test_a_plan_comes_with_its_text_and_the_blocks_it_touched(populated: str) -> None:
    plan = explained(populated, "select count(*) from tasks where title <> $1", "")
    assert plan is not None
    assert "Seq Scan on tasks" in plan.text
    assert "Buffers: shared" in plan.text
    assert plan.shared_buffers > 50


def test_a_statement_without_a_plan_has_none_and_is_not_run(populated: str) -> None:
    assert explained(populated, "-- comment\ndrop table tasks") is None
    assert explained(populated, "select count(*) from tasks") is not None


def test_buffers_are_the_roots_and_never_those_of_planning() -> None:
    text = """Sort  (cost=1)
  Buffers: shared hit=7 read=5 dirtied=2, temp read=9 written=9
  ->  Seq Scan on tasks
        Buffers: shared hit=4
Planning:
  Buffers: shared hit=100"""
    assert buffers(text) == 7 + 5
    assert buffers("Result  (cost=0)\nPlanning:\n  Buffers: shared hit=100") == 0
