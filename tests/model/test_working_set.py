from __future__ import annotations

import pytest

from phasegate.model import catalogue
from phasegate.model.capacity import ColdStage, Fit, Span
from phasegate.model.working_set import (
    sessions_in_peak_hour,
    users_whose_reads_fill,
    users_whose_set_fills,
    working_set_bytes,
)

CATALOGUE = catalogue.load()
# 100 sessions touched 2,000 blocks, 1,000 of them in the first half: none was touched twice.
LINEAR = ColdStage(sessions=100, blocks=2000, blocks_first=1000, operations=1500)


def test_the_busiest_hour_has_fifteen_per_cent_of_a_days_sessions() -> None:
    # 100,000 · 0.2 · 2 · 0.15
    assert sessions_in_peak_hour(100_000, CATALOGUE) == pytest.approx(6000)


def test_sessions_that_share_no_block_need_memory_in_proportion() -> None:
    assert LINEAR.exponent().estimate == 1.0
    # 6,000 sessions · 20 blocks · 8,192 bytes
    assert working_set_bytes(100_000, LINEAR, 1.0, None, CATALOGUE) == pytest.approx(983_040_000)
    found = users_whose_set_fills(983_040_000, LINEAR, None, CATALOGUE)
    assert found is not None
    assert found.estimate == pytest.approx(100_000, rel=1e-5)
    assert found.low == pytest.approx(100_000, rel=1e-5)  # more than linear it cannot grow


def test_sessions_that_share_blocks_need_less() -> None:
    shared = ColdStage(sessions=100, blocks=1414, blocks_first=1000)
    assert shared.exponent().estimate == pytest.approx(0.5, abs=1e-3)
    # Of 50 sessions' 414 new blocks, 1.96 / √50 = 28% more or less: log₂(1.299) and log₂(1.529)
    assert shared.exponent().low == pytest.approx(0.3777, abs=1e-3)
    assert shared.exponent().high == pytest.approx(0.6124, abs=1e-3)


def test_the_working_set_is_never_more_than_the_database() -> None:
    database = Fit(Span(1000.0), 0.0)
    assert working_set_bytes(100_000, LINEAR, 1.0, database, CATALOGUE) == 100_000_000
    found = users_whose_set_fills(983_040_000, LINEAR, database, CATALOGUE)
    assert found is not None
    assert found.estimate == pytest.approx(983_040, rel=1e-5)


def test_reads_reach_the_disk_at_the_modelled_peak() -> None:
    # 15 operations a session, of which a user starts 1 / 30,000 per second: 500 · 30,000 / 15
    found = users_whose_reads_fill(500, LINEAR, CATALOGUE)
    assert found is not None
    assert found.estimate == pytest.approx(1_000_000)
    # 1.96 / √100 = 19.6% more, or less
    assert found.low == pytest.approx(1_000_000 / 1.196)
    assert found.high == pytest.approx(1_000_000 / 0.804)


def test_too_few_sessions_say_nothing() -> None:
    assert users_whose_set_fills(1.0, ColdStage(9, 100, 50), None, CATALOGUE) is None
    assert users_whose_reads_fill(1.0, ColdStage(9, 100, 50), CATALOGUE) is None
