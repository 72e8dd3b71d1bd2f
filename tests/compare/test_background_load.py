"""What runs beside an arm: it runs, it ends with the arm, and its failure is not lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from phasegate.compare.background_load import running_beside
from phasegate.compare.libpq import Session, StatementError


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    opened = Session(database)
    opened.execute("create sequence runs")
    yield opened
    opened.close()


def test_it_runs_again_and_again_until_the_arm_is_done(session: Session) -> None:
    with running_beside(session, "select nextval('runs'), pg_sleep(0.001)"):
        time.sleep(0.3)
    (runs,) = session.once("select last_value from runs").column(0)
    assert int(runs or 0) >= 5
    time.sleep(0.05)
    assert session.once("select last_value from runs").column(0) == [runs]


def test_a_long_run_is_cut_off_when_the_arm_is_done(session: Session) -> None:
    start = time.monotonic()
    with running_beside(session, "select pg_sleep(30)"):
        time.sleep(0.1)
    assert time.monotonic() - start < 5
    assert session.once("select 1").column(0) == ["1"]


def test_its_failure_is_raised(session: Session) -> None:
    with (
        pytest.raises(StatementError, match="does not exist"),
        running_beside(session, "select from nowhere"),
    ):
        time.sleep(0.1)


def test_without_a_session_nothing_runs() -> None:
    with running_beside(None, "select 1"):
        pass
