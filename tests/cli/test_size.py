"""What `phasegate size` asks of the search; the search itself is tested in the load room."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from phasegate.cli.main import phasegate
from phasegate.cli.size import Asked, candidates, possible_sizes
from phasegate.model.errors import CannotMeasure, UsageError
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.least import LeastRecord, LeastStack, Needed
from phasegate.records.matrix import Probe
from phasegate.stack import emulation

pytestmark = pytest.mark.unit

PROJECT = load_project()
PROBE = Probe(
    stage="s", level=1, users=10_000, rate_sessions_per_s=1.0, verdict="PASS", reasons=(),
    latency_ms_p95=1.0, clicks=100, clicks_failed=0, bound_by=None, bound_detail=None,
    statement=None, statement_share=None, suspects=(),
)  # fmt: skip


def _asked(parts: frozenset[str] | None = None) -> Asked:
    return Asked(PROJECT, (10_000,), parts, seed=1, jobs=1, cell_s=1.0)


def test_the_levels_are_tried_in_their_order() -> None:
    levels = [PROJECT.parts_of(n) for n in range(1, len(PROJECT.levels) + 1)]
    assert list(candidates(_asked(), 10_000, None)) == levels
    assert list(candidates(_asked(frozenset({"pooler"})), 10_000, None)) == [{"pooler"}]


def test_the_simplest_stack_of_a_run_comes_first_for_its_users_alone(tmp_path: Path) -> None:
    stack = LeastStack(
        users=10_000, outcome="holds", needed=(Needed(part="pooler", without=None),),
        kept_up_by=(), probe=PROBE, trials=(),
    )  # fmt: skip
    record = LeastRecord(
        format_version=LeastRecord.FORMAT_VERSION, head_room=1.3, always=("n-plus-1",),
        left_out=(), stacks=(stack,),
    )  # fmt: skip
    store.write(tmp_path / "least.json", record)
    assert next(candidates(_asked(), 10_000, tmp_path)) == {"pooler", "n-plus-1"}
    assert next(candidates(_asked(), 1000, tmp_path)) == PROJECT.parts_of(1)


def test_sizes_beyond_this_machine_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = PROJECT.catalogue.compute
    monkeypatch.setattr("phasegate.cli.size.available_cores", lambda: 2.0)
    monkeypatch.setattr("phasegate.cli.size.available_memory_bytes", lambda: 3 << 30)
    assert [size.name for size in possible_sizes(sizes)] == ["nano", "micro", "small"]
    monkeypatch.setattr("phasegate.cli.size.available_memory_bytes", lambda: 1 << 20)
    with pytest.raises(CannotMeasure, match="smaller than every compute size"):
        possible_sizes(sizes)


def test_what_a_container_may_use_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation, "limited_memory", lambda _: 1 << 29)
    if emulation.places().get("memory") is not None:
        assert emulation.available_memory_bytes() == 1 << 29


def test_a_burst_of_no_size_is_refused() -> None:
    done = CliRunner().invoke(phasegate, ["up", "--burst"])
    assert isinstance(done.exception, UsageError)
    assert "--burst needs a --compute size" in str(done.exception)
