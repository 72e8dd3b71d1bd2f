"""The simplest stack that holds, on the page, in the five lines and in the gate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from phasegate import report
from phasegate.records import store
from phasegate.records.least import LeastRecord, LeastStack, Needed, Trial
from phasegate.records.matrix import Probe


def probe(users: int, verdict: Any, p95: float, *, over: float = 1.3) -> Probe:
    return Probe(
        stage=f"{users}-users-1", level=1, users=users, rate_sessions_per_s=4.0, verdict=verdict,
        reasons=(), latency_ms_p95=p95, clicks=400, clicks_failed=0, bound_by=None,
        bound_detail=None, statement=None, statement_share=None, suspects=(), rate_over_peak=over,
    )  # fmt: skip


def stack(users: int, *needed: str, outcome: Any = "holds", over: float = 1.3) -> LeastStack:
    own = probe(users, "PASS" if outcome == "holds" else "FAIL", 40.0, over=over)
    return LeastStack(
        users=users,
        outcome=outcome,
        needed=tuple(Needed(part=part, without=probe(users, "FAIL", 1_900.0)) for part in needed),
        kept_up_by=(),
        probe=own,
        trials=(Trial(parts=needed, probe=own),),
    )


def searched(run: Path, *stacks: LeastStack) -> None:
    record = LeastRecord(
        format_version=1, head_room=1.3, always=("n-plus-1",), left_out=(), stacks=stacks
    )
    store.write(run / "least.json", record)


INDEX = "idx_tasks_user_created"


def test_the_least_is_in_the_five_lines(whole_run: Path) -> None:
    searched(whole_run, stack(1_000), stack(10_000), stack(100_000, INDEX))
    lines = report.summary(whole_run)
    assert len(lines) == 5
    assert lines[1] == f"Do for 1k and 10k: nothing; 100k: {INDEX}"
    assert lines[3].startswith("Can wait: ")
    assert "Harmful here: " in lines[3]


def test_the_page_begins_with_it_and_names_what_is_not_needed(whole_run: Path) -> None:
    searched(whole_run, stack(1_000), stack(100_000, INDEX))
    html = report.build(whole_run).read_text(encoding="utf-8")
    assert re.search(r"<h1>100k users hold with .* and nothing else</h1>", html)
    assert html.index('id="least"') < html.index('id="matrix"')
    assert f"phasegate sql {INDEX}" in html
    assert f"{INDEX}: FAIL, p95 1,900 ms" in html or f"{INDEX}: FAIL, p95 1.9 s" in html
    start = html.index("Not needed up to 100k users")
    others = html[start : html.index("</p>", start)]
    assert "pooler" in others
    assert INDEX not in others


def test_the_gate_judges_the_least_and_its_next_is_nothing_that_it_has(whole_run: Path) -> None:
    searched(whole_run, stack(1_000), stack(10_000), stack(100_000, INDEX))
    early = report.gate(whole_run, 2)
    assert (early.decision, early.parts) == ("GO", ())
    assert early.next_technique is not None
    assert early.next_technique.technique == INDEX
    assert "needed by 100k users" in early.next_technique.effect
    late = report.gate(whole_run, 3)
    assert late.parts == (INDEX,)
    assert late.next_technique is None
    texts = [reason.text for reason in late.reasons]
    assert f"With {INDEX}, 100k users hold with a p95 of 40 ms at 1.30× the peak" in texts
    assert any(text.startswith(f"Without {INDEX}: FAIL") for text in texts)
    assert report.gate_lines(late)[0].endswith(f"up to 100k users, with {INDEX}")


def test_a_level_that_is_asked_for_is_judged_itself(whole_run: Path) -> None:
    searched(whole_run, stack(10_000))
    assert report.gate(whole_run, 2, 3).parts is None
    assert report.gate(whole_run, 2, 3).level == 3


@pytest.mark.parametrize("outcome", ["does not hold", "cannot tell"])
def test_without_a_stack_that_holds_the_level_is_judged(whole_run: Path, outcome: str) -> None:
    searched(whole_run, stack(10_000, INDEX, outcome=outcome))
    assert report.gate(whole_run, 2).parts is None
    assert report.summary(whole_run)[1] == f"Do for 10k: {outcome}"


def test_a_least_without_head_room_is_no_go_ahead(whole_run: Path) -> None:
    searched(whole_run, stack(10_000, over=1.0))
    found = report.gate(whole_run, 2)
    assert found.decision == "INVALID"
    assert "not driven with enough head-room" in found.reasons[0].text
