"""The simplest stack that holds, on the page, in the five lines and in the gate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from phasegate import report
from phasegate.records import store
from phasegate.records.advice import AdviceRecord, AtSize, Finding
from phasegate.records.benchmark import Cost
from phasegate.records.least import LeastRecord, LeastStack, Needed, Trial
from phasegate.records.matrix import Probe
from phasegate.records.run import RunRecord
from phasegate.report import headline


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


def five_lines(run: Path, advice: AdviceRecord) -> tuple[str, ...]:
    """Of a project without a technique, whose candidates stand for them."""
    return headline.lines(store.read(run / "run.json", RunRecord), (), (), "100k: idx_a", advice)


def test_the_least_is_in_the_five_lines(whole_run: Path) -> None:
    searched(whole_run, stack(1_000), stack(10_000), stack(100_000, INDEX))
    lines = report.summary(whole_run)
    assert len(lines) == 5
    assert lines[1] == f"Do for 1k and 10k: nothing; 100k: {INDEX}"
    assert lines[3].startswith("Can wait: ")
    assert "Harmful here: " in lines[3]


def test_a_project_without_a_technique_has_its_candidates_in_the_five_lines(
    whole_run: Path,
) -> None:
    plain = {"kind": "index", "table": "public.t", "title": "t", "why": "w"}
    made = (("idx_a", "not needed yet"), ("idx_b", "not needed yet"), ("idx_c", "harmful"))
    findings = [Finding(id=id_, advice=advice, **plain) for id_, advice in made]  # type: ignore[arg-type]
    advice = AdviceRecord(
        format_version=1, started_at="", seed=1, sizes=(1_000, 10_000), level=1, seen_on="ours",
        statements=1, unread=0, sessions=1, findings=tuple(findings),
    )  # fmt: skip
    _, do, needed, rest, _ = five_lines(whole_run, advice)
    assert do == "Do for 100k: idx_a"
    assert needed == "Needed (0 of 3 candidates) up to 10k users: none"
    assert rest == "Can wait: idx_b. Harmful here: idx_c"


def test_an_index_that_can_go_is_said_beside_the_least_with_what_it_saves_and_never_in_it(
    whole_run: Path,
) -> None:
    read = AtSize(users=1_000, ratio=1.0, low=0.98, high=1.02, before_ms_p95=2.0, after_ms_p95=2.0)
    drop = Finding(
        id="drop_idx_old", kind="unused index", table="public.t", title="Drop index idx_old",
        why="no statement used it", advice="can be dropped", sizes=(read,),
        costs=(Cost(name="index size", value=8e6, unit="bytes"),
               Cost(name="insert", value=0.93, low=0.9, high=0.96, unit="×")),
    )  # fmt: skip
    advice = AdviceRecord(
        format_version=1, started_at="", seed=1, sizes=(1_000,), level=1, seen_on="our copy",
        statements=1, unread=0, sessions=1, findings=(drop,),
    )  # fmt: skip
    store.write(whole_run / "advice.json", advice)
    searched(whole_run, stack(1_000), stack(100_000, INDEX))
    for lines in (report.summary(whole_run), five_lines(whole_run, advice)):
        assert lines[3].endswith(". Can be dropped: drop_idx_old")
        assert "drop_idx_old" not in lines[1]
        assert len(lines[3]) <= headline.LINE_CHARS
    (note,) = [each for each in report.gate(whole_run, 2).reasons if "dropped" in each.text]
    assert (note.kind, note.sources) == ("note", ("advice.json",))
    assert "drop_idx_old (phasegate sql ID)" in note.text
    html = report.build(whole_run).read_text(encoding="utf-8")
    found = html[html.index('id="findings"') :]
    assert "index size 8 MB, insert × 0.930 (0.900 to 0.960)" in found
    assert "<code>phasegate sql ID</code> prints a migration" in found


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


def test_what_keeps_a_needed_part_up_to_date_is_named_beside_it(whole_run: Path) -> None:
    kept = msgspec.structs.replace(stack(100_000, "user_stats"), kept_up_by=("refresh",))
    searched(whole_run, stack(1_000), kept)
    html = report.build(whole_run).read_text(encoding="utf-8")
    assert "phasegate sql user_stats); kept up to date by refresh" in html


def test_a_stack_with_a_candidate_is_priced_by_its_own_use_and_not_by_the_level_that_failed(
    whole_run: Path,
) -> None:
    def price(cpu_s: float | None) -> str:
        own = stack(100_000, "idx_found")
        needed = (msgspec.structs.replace(own.needed[0], proposed="An index"),)
        own = msgspec.structs.replace(own, needed=needed, cpu_s_per_session=cpu_s)
        searched(whole_run, stack(1_000), own)
        reasons = report.gate(whole_run, 3).reasons
        return next(each.text for each in reasons if " a month (" in each.text)

    assert "micro by processor time" in price(0.0001)
    assert "micro by processor time" not in price(0.5)
    assert price(None).startswith("At least "), "what it takes was not sampled"


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


def test_what_the_database_lacks_of_it_is_a_no_and_comes_next(whole_run: Path) -> None:
    searched(whole_run, stack(1_000), stack(10_000), stack(100_000, INDEX))
    found = report.gate(whole_run, 3, had={"rls_uid": ""})
    assert (found.decision, found.found) == ("NO-GO", {"rls_uid": ""})
    assert found.reasons[0].text == (
        f"The database lacks {INDEX}; without it 100k users FAIL, p95 1.9 s"
    )
    assert found.next_technique is not None
    assert found.next_technique.command == f"phasegate sql {INDEX}"


def test_what_the_database_has_under_another_name_is_judged_and_never_next(
    whole_run: Path,
) -> None:
    searched(whole_run, stack(1_000), stack(10_000), stack(100_000, INDEX))
    had = {INDEX: "tasks_of_a_user", "user_stats": ""}
    late = report.gate(whole_run, 3, had=had)
    assert late.decision == report.gate(whole_run, 3).decision
    assert f"The database has {INDEX} (as tasks_of_a_user) and user_stats" in [
        reason.text for reason in late.reasons
    ]
    assert not {each.technique for each in late.not_yet} & had.keys()
    early = report.gate(whole_run, 2, had=had)
    assert early.next_technique is None


def test_a_candidate_of_nobody_s_is_named_with_its_title_and_its_migration(
    whole_run: Path,
) -> None:
    proposed = stack(100_000, "idx_orders_state")
    (needed,) = proposed.needed
    needed = msgspec.structs.replace(needed, proposed="index orders (state)")
    searched(whole_run, stack(1_000), msgspec.structs.replace(proposed, needed=(needed,)))
    html = report.build(whole_run).read_text(encoding="utf-8")
    assert "index orders (state) (phasegate sql idx_orders_state)" in html
    assert "<h1>100k users hold with index orders (state) and nothing else</h1>" in html
    early = report.gate(whole_run, 2)
    assert early.next_technique is None, "10k users were not searched here"
    lacking = report.gate(whole_run, 3, had={})
    assert "The database lacks idx_orders_state" in lacking.reasons[0].text


def test_a_level_that_is_asked_for_is_judged_itself(whole_run: Path) -> None:
    searched(whole_run, stack(10_000))
    assert report.gate(whole_run, 2, 3).parts is None
    assert report.gate(whole_run, 2, 3).level == 3


@pytest.mark.parametrize("outcome", ["does not hold", "cannot tell"])
def test_without_a_stack_that_holds_the_level_is_judged(whole_run: Path, outcome: str) -> None:
    searched(whole_run, stack(10_000, INDEX, outcome=outcome))
    assert report.gate(whole_run, 2).parts is None
    assert report.summary(whole_run)[1] == f"Do for 10k: {outcome}"


def test_where_nothing_is_enough_what_clients_should_ask_is_named(whole_run: Path) -> None:
    rows = AtSize(users=1_000, ratio=0.1, low=0.1, high=0.1, before_ms_p95=90.0, after_ms_p95=9.0)
    offset = Finding(
        id="page_news", kind="offset", table="public.news", title="Go on after the last row",
        why="seen", advice="needed", sizes=(rows,),
    )  # fmt: skip
    advice = AdviceRecord(
        format_version=1, started_at="", seed=1, sizes=(1_000,), level=1, seen_on="our copy",
        statements=1, unread=0, sessions=1, findings=(offset,),
    )  # fmt: skip
    store.write(whole_run / "advice.json", advice)
    searched(whole_run, stack(100_000, INDEX, outcome="does not hold"))
    html = report.build(whole_run).read_text(encoding="utf-8")
    assert f"enough (tried {INDEX}). What clients send must change" in html
    assert "Go on after the last row (phasegate sql page_news)" in html


def test_a_least_without_head_room_is_no_go_ahead(whole_run: Path) -> None:
    searched(whole_run, stack(10_000, over=1.0))
    found = report.gate(whole_run, 2)
    assert found.decision == "INVALID"
    assert "not driven with enough head-room" in found.reasons[0].text
