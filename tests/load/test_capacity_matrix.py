"""The matrix against real servers whose speed the test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phasegate.load.capacity_matrix import MatrixPlan, Standing, run_matrix
from phasegate.model.catalogue import load
from phasegate.model.errors import CannotMeasure
from phasegate.model.verdict import code_of
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.records.matrix import MatrixRecord

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.loadtests.conftest import Busy, TinyServer

Start = Callable[..., "TinyServer"]


def skip_where_too_busy(record: MatrixRecord, busy: Busy) -> None:
    reasons = [reason for probe in (*record.cells, *record.searched) for reason in probe.reasons]
    if any(code_of(reason) in ("schedule-lag", "generator-cpu") for reason in reasons):
        busy.skip_or_fail()


DELAY_MS = {1: 900, 2: 5}


@contextmanager
def unsampled(users: int, *, stage: str, out: Path, standing: Standing) -> Iterator[Path]:
    yield out / f"{stage}.json"


def test_a_slow_level_fails_a_quick_one_passes_and_a_missing_one_is_named(
    tiny_server: Start, tmp_path: Path, busy: Busy
) -> None:
    @contextmanager
    def stand(level: int, users: int) -> Iterator[Standing]:
        if level == 3:
            raise CannotMeasure("No PgBouncer here", then="apt-get install pgbouncer")
        server = tiny_server("--delay-ms", str(DELAY_MS[level]))
        yield Standing(server.target, {})

    plan = MatrixPlan(
        levels=(1, 2, 3), sizes=(400_000,), seed=1, run_dir=tmp_path, cell_s=1.7, probes_max=0
    )
    record = run_matrix(plan, load_project(), stand, unsampled)
    skip_where_too_busy(record, busy)
    verdicts = {(cell.level, cell.users): cell.verdict for cell in record.cells}
    assert verdicts == {(1, 400_000): "FAIL", (2, 400_000): "PASS"}
    assert "above 500 ms" in record.cells[0].reasons[0]
    assert record.not_measured == (
        "level 3 with 400,000 users: No PgBouncer here. apt-get install pgbouncer.",
    )
    assert store.read(tmp_path / "matrix.json", MatrixRecord) == record
    stage = store.read(tmp_path / "load" / "cell-level-1-400000-users.json", LoadRecord)
    assert stage.arm == "n-plus-1"


def test_the_breakpoint_search_starts_from_the_cell_and_ends_with_its_budget(
    tiny_server: Start, tmp_path: Path, busy: Busy
) -> None:
    @contextmanager
    def stand(level: int, users: int) -> Iterator[Standing]:
        yield Standing(tiny_server().target, {})

    plan = MatrixPlan(
        levels=(2,), sizes=(1000,), seed=1, run_dir=tmp_path, cell_s=2, probe_s=1, probes_max=2
    )
    record = run_matrix(plan, load_project(), stand, unsampled)
    skip_where_too_busy(record, busy)
    (cell,), (found,) = record.cells, record.breakpoints
    assert [probe.verdict for probe in record.searched] == ["PASS", "PASS"]
    rates = [probe.rate_sessions_per_s for probe in (cell, *record.searched)]
    assert rates == [14, 28, 56]  # enough sessions in the cell; nobody looked at the processor
    assert found.probes == (cell.stage, *(probe.stage for probe in record.searched))
    assert found.sustained_sessions_per_s == 56
    assert found.failed_sessions_per_s is None
    assert found.unknown_sessions_per_s is None
    assert found.ended == "budget"
    per_user = load().workload.arrival_rate_per_s(1)
    assert found.users_max == int(56 / per_user)
    assert cell.rate_over_peak == pytest.approx(14 / (1000 * per_user))
    assert cell.clicks >= 72
    assert cell.sessions is not None
    assert 13 <= cell.sessions <= 43
    assert cell.latency_ms_p95 is not None
    assert cell.latency_ms_p95_high is not None
    assert cell.latency_ms_p95 <= cell.latency_ms_p95_high < 500
