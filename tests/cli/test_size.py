"""What `phasegate size` asks of the search; the search itself is tested in the load room."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from phasegate.cli.least_candidates import Candidates
from phasegate.cli.main import phasegate
from phasegate.cli.size import Asked, _conclude, possible_sizes, stacks
from phasegate.model.errors import CannotMeasure, DoesNotHold, UsageError
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.least import LeastRecord, LeastStack, Needed
from phasegate.records.matrix import Probe
from phasegate.records.run import Machine
from phasegate.records.sizes import SizeAnswer, SizeDrive, SizesRecord
from phasegate.stack import emulation
from tests.cli.test_least_candidates import advised, finding

pytestmark = pytest.mark.unit

PROJECT = load_project()
KNOWN = Candidates(PROJECT, {})
PROBE = Probe(
    stage="s", level=1, users=10_000, rate_sessions_per_s=1.0, verdict="PASS", reasons=(),
    latency_ms_p95=1.0, clicks=100, clicks_failed=0, bound_by=None, bound_detail=None,
    statement=None, statement_share=None, suspects=(),
)  # fmt: skip


def _asked(parts: frozenset[str] | None = None) -> Asked:
    return Asked(PROJECT, (10_000,), parts, seed=1, jobs=1, cell_s=1.0, compute=())


def test_the_levels_are_tried_in_their_order() -> None:
    levels = [PROJECT.parts_of(n) for n in range(1, len(PROJECT.levels) + 1)]
    assert list(stacks(_asked(), 10_000, None, KNOWN)) == levels
    assert list(stacks(_asked(frozenset({"pooler"})), 10_000, None, KNOWN)) == [{"pooler"}]


def _held_with(folder: Path, part: str) -> None:
    stack = LeastStack(
        users=10_000, outcome="holds", needed=(Needed(part=part, without=None),),
        kept_up_by=(), probe=PROBE, trials=(),
    )  # fmt: skip
    record = LeastRecord(
        format_version=LeastRecord.FORMAT_VERSION, head_room=1.3, always=("n-plus-1",),
        left_out=(), stacks=(stack,),
    )  # fmt: skip
    store.write(folder / "least.json", record)


def test_the_simplest_stack_of_a_run_comes_first_for_its_users_alone(tmp_path: Path) -> None:
    _held_with(tmp_path, "pooler")
    assert next(stacks(_asked(), 10_000, tmp_path, KNOWN)) == {"pooler", "n-plus-1"}
    assert next(stacks(_asked(), 1000, tmp_path, KNOWN)) == PROJECT.parts_of(1)


def test_a_candidate_that_was_not_kept_is_driven_and_one_that_is_gone_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = advised(tmp_path, finding("idx_tasks_state"))
    _held_with(tmp_path, "idx_tasks_state")
    parts = next(stacks(_asked(), 10_000, tmp_path, known))
    assert parts == {"n-plus-1", "idx_tasks_state"}
    change = known.change_of(1, parts)
    assert change.added == (), "the sessions know nothing of it"
    assert next(stacks(_asked(), 10_000, tmp_path, KNOWN)) == PROJECT.parts_of(1)
    assert "needs idx_tasks_state, which neither the project nor the run" in capsys.readouterr().err


def test_sizes_beyond_this_machine_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = PROJECT.catalogue
    monkeypatch.setattr("phasegate.stack.emulation.available_cores", lambda: 2.0)
    monkeypatch.setattr("phasegate.stack.emulation.available_memory_bytes", lambda: 3 << 30)
    assert [size.name for size in possible_sizes(catalogue)] == ["nano", "micro", "small"]
    assert [size.name for size in possible_sizes(catalogue, ["Small", "nano"])] == ["nano", "small"]
    with pytest.raises(CannotMeasure, match=r"2 cores, 3.0 GiB\) is smaller than medium, xl"):
        possible_sizes(catalogue, ["nano", "medium", "xl"])
    with pytest.raises(UsageError, match="no compute size 'tiny'"):
        possible_sizes(catalogue, ["tiny"])
    monkeypatch.setattr("phasegate.stack.emulation.available_memory_bytes", lambda: 1 << 20)
    with pytest.raises(CannotMeasure, match="smaller than every compute size"):
        possible_sizes(catalogue)


def _answer(sustained: str | None, verdict: str, *not_in_force: str) -> SizesRecord:
    drive = SizeDrive(
        stage="s", size="nano", mode="sustained", cache="warm", verdict=verdict, reasons=(),  # type: ignore[arg-type]
        latency_ms_p95=1.0, clicks=100, sessions=28, rate_sessions_per_s=4.3, bound_by=None,
        used=None,
    )  # fmt: skip
    answer = SizeAnswer(
        users=10_000, level=2, parts=(), sizes=("nano", "micro"), sustained=sustained,
        burst=sustained, burst_cores=None, burst_operations_per_s=None, drives=(drive,),
        not_in_force=not_in_force, left_out=(),
    )  # fmt: skip
    machine = Machine(cpu="a CPU", cores=2, memory_bytes=1, kernel="L", python="3", load_1m=0.0)
    return SizesRecord(
        format_version=SizesRecord.FORMAT_VERSION, measured_at="2026-11-27T12:00:00+00:00",
        machine=machine, seed=1, head_room=1.3, answers=(answer,),
    )  # fmt: skip


def test_the_exit_code_tells_what_does_not_hold_from_what_could_not_be_judged() -> None:
    _conclude(_answer("nano", "PASS"))
    with pytest.raises(DoesNotHold, match="None of nano, micro was seen to hold 10,000 users"):
        _conclude(_answer(None, "FAIL"))
    with pytest.raises(CannotMeasure, match="some could not be judged"):
        _conclude(_answer(None, "INVALID"))
    with pytest.raises(CannotMeasure, match="No size can be judged here: disk: no io controller"):
        _conclude(_answer("nano", "PASS", "disk: no io controller"))


def test_what_a_container_may_use_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "limited_memory", lambda _: 1 << 29)
    if emulation.places().get("memory") is not None:
        assert emulation.available_memory_bytes() == 1 << 29


def test_a_burst_of_no_size_is_refused() -> None:
    done = CliRunner().invoke(phasegate, ["up", "--burst"])
    assert isinstance(done.exception, UsageError)
    assert "--burst needs a --compute size" in str(done.exception)
