from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from phasegate import report
from phasegate.model import catalogue
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.run import Machine
from phasegate.records.sizes import SizeAnswer, SizeDrive, SizesRecord, SizeUse
from phasegate.report import sizing

CATALOGUE = catalogue.load()
MACHINE = Machine(cpu="a CPU", cores=2, memory_bytes=1, kernel="Linux", python="3", load_1m=0.0)


def drive(size: str, mode: Any, cache: Any, verdict: Any, p95: float) -> SizeDrive:
    return SizeDrive(
        stage=f"{size}-{mode}-{cache}", size=size, mode=mode, cache=cache, verdict=verdict,
        reasons=() if verdict == "PASS" else ("machine-shared: other programs had it",),
        latency_ms_p95=p95, clicks=120, sessions=28, rate_sessions_per_s=4.33, bound_by=None,
        used=SizeUse(cores=0.5, operations_per_s=120.0, sessions=36.8, reads=1100,
                     blocks_hit=75_000, blocks_read=1200, blocks_read_first=600),
    )  # fmt: skip


def answer(**changed: Any) -> SizeAnswer:
    whole = SizeAnswer(
        users=100_000, level=2, parts=tuple(sorted(load_project().parts_of(2))),
        sizes=("nano", "micro", "small", "medium", "large"), sustained="small", burst="nano",
        burst_cores=1.0, burst_operations_per_s=300.0, not_in_force=(), left_out=("the API",),
        drives=(
            drive("small", "sustained", "warm", "PASS", 41.0),
            drive("small", "sustained", "cold", "PASS", 55.0),
            drive("nano", "burst", "cold", "PASS", 60.0),
            drive("nano", "burst", "warm", "PASS", 33.0),
            drive("nano", "sustained", "warm", "FAIL", 2200.0),
        ),
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changed)


def record(*answers: SizeAnswer) -> SizesRecord:
    return SizesRecord(
        format_version=SizesRecord.FORMAT_VERSION, measured_at="2026-11-27T12:00:00+00:00",
        machine=MACHINE, seed=2026, head_room=1.3, answers=answers,
    )  # fmt: skip


def test_a_nano_that_peaks_at_a_core_runs_out_and_a_micro_does_not() -> None:
    # A day asks for 12,000 core seconds; Nano earns 8,640, Micro 17,280.
    assert sizing.daily(answer(), CATALOGUE) == "micro"
    # 0.6 cores ask for 7,200.
    assert sizing.daily(answer(burst_cores=0.6), CATALOGUE) == "nano"
    # What was not sampled says nothing of credits: what holds for ever does.
    assert sizing.daily(answer(burst_cores=None), CATALOGUE) == "small"


def test_the_disk_budget_counts_as_much_as_the_credits() -> None:
    # 3,000 operations/s at the peak are 36 million a day; Nano's 250 are 21.6, Micro's 500 43.2.
    busy = answer(burst_cores=0.1, burst_operations_per_s=3000.0)
    assert sizing.daily(busy, CATALOGUE) == "micro"


def test_the_answer_is_told_in_lines() -> None:
    said = list(sizing.lines(record(answer()), CATALOGUE))
    assert said[0].startswith("100k registered users, level 2 (")
    text = "\n".join(said)
    assert "small: warm cache PASS (p95 41 ms), cold cache PASS (p95 55 ms)" in text
    assert "while the burst lasts   nano: PASS (p95 33 ms)" in text
    # 144 credits are 8,640 core seconds, at 1 - 0.1 a second: 9,600 s
    assert "2 h 40 min at the peak; used up on day 3" in text
    assert "a day earns 140 credits and spends" in text
    assert "after that              FAIL (p95 2.2 s)" in text
    assert "for the modelled day    micro: its credits are never used up" in text


def test_what_every_answer_rests_on_is_said_once() -> None:
    said = list(sizing.lines(record(answer(), answer(users=10_000)), CATALOGUE))
    assumed, too_large, left_out = said[-3:]
    assert "a core of a size does what one of this machine's does (a CPU)" in assumed
    assert left_out == "Not emulated: the API."
    assert "since this machine has 2 cores and 0.0 GiB: xl, 2xl, 4xl" in too_large
    assert not [line for line in said[:-3] if "the API" in line]
    unjudged = answer(not_in_force=("disk: this machine's",))
    assert "No size can be judged, for want of: disk: this machine's." in sizing.rests_on(
        record(unjudged), CATALOGUE
    )


def test_a_size_below_the_answer_that_could_not_be_judged_is_named_with_the_reason() -> None:
    busy = drive("micro", "sustained", "warm", "INVALID", 600.0)
    unsure = answer(drives=(*answer().drives, busy))
    text = "\n".join(sizing.lines(record(unsure), CATALOGUE))
    assert "(p95 55 ms); micro could not be judged" in text
    assert "micro for ever, warm cache: other programs had it" in text
    cells = [cell for row in sizing.drives_table([unsure]).rows for cell in row]
    assert "INVALID (p95 600 ms): other programs had it" in cells


def test_a_size_on_the_edge_is_named_wherever_the_next_one_is_the_answer() -> None:
    reasons = ("on-the-edge: p95 between 380 and 610 ms, the objective is 500",)
    edge = msgspec.structs.replace(
        drive("micro", "sustained", "warm", "INVALID", 470.0),
        reasons=reasons, latency_ms_p95_between=(380.0, 610.0),
    )  # fmt: skip
    burst = msgspec.structs.replace(
        edge, size="nano", mode="burst", reasons=("machine-shared: by others",)
    )
    unsure = answer(burst="micro", drives=(*answer().drives[:2], edge, burst))
    text = "\n".join(sizing.lines(record(unsure), CATALOGUE))
    assert "(p95 55 ms); micro is on the edge\n" in text
    assert "its credits are never used up; nano could not be judged in its burst" in text
    assert "on the edge             micro for ever, warm cache: p95 between 380 and 610 ms" in text
    cells = [cell for row in sizing.drives_table([unsure]).rows for cell in row]
    assert "on the edge (p95 470 ms, 380 ms to 610 ms)" in cells


def test_a_size_that_only_one_plan_has_is_told_with_it() -> None:
    text = "\n".join(sizing.lines(record(answer(burst_cores=0.6)), CATALOGUE))
    assert "for the modelled day    nano (on Free alone): its credits are never used up" in text


def test_the_page_and_the_bill_go_by_the_measured_size(whole_run: Path) -> None:
    found = record(answer(burst_cores=None, sustained="medium"))
    store.write(whole_run / "sizes.json", found)
    said = report.cost(whole_run, 100_000, load_project())
    assert any("Level 2" in line and "Pro, medium" in line for line in said)
    assert any("for 100k users at level 2 were measured" in line for line in said)
    page = report.build(whole_run, load_project()).read_text(encoding="utf-8")
    assert "On which compute size" in page
    assert "data in 0.5 GiB" in page  # a limit of its own


def test_without_a_search_the_bill_says_what_its_size_rests_on(whole_run: Path) -> None:
    said = report.cost(whole_run, 100_000, load_project())
    assert any("`phasegate size` measures them" in line for line in said)


@pytest.mark.parametrize("gone", ["sustained", "burst"])
def test_a_search_without_an_answer_has_lines_too(gone: str) -> None:
    changed = {"sustained": None} if gone == "sustained" else {"sustained": None, "burst": None}
    text = "\n".join(sizing.lines(record(answer(**changed, burst_cores=None)), CATALOGUE))
    assert "none of nano, micro, small, medium, large was seen to" in text
