"""The cells of `phasegate run` on a real level: what no policy holds for is INVALID, by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from phasegate import seeding as seed
from phasegate.cli import drive_matrix as matrix
from phasegate.load.capacity_matrix import MatrixPlan
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.load import LoadRecord
from phasegate.records.matrix import MatrixRecord
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer

USERS = 300


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        Path(name).chmod(0o755)  # as root, the parts of a level run as another user
        yield Path(name)


def driven(server: PostgresServer, dsn: str, folder: Path) -> MatrixRecord:
    plan = MatrixPlan(
        levels=(1,), sizes=(USERS,), seed=1, run_dir=folder / "run", cell_s=2.0, probes_max=0
    )
    return matrix.measure(server, {USERS: dsn}, plan, load_project(), folder=folder / "parts")


def test_a_role_that_passes_by_all_policies_makes_a_cell_invalid(
    postgres: PostgresServer, folder: Path
) -> None:
    dsn, _ = seed.ensure_dataset(postgres, users=USERS, seed=1)
    execute(dsn, "alter role authenticated bypassrls")
    try:
        record = driven(postgres, dsn, folder)
    finally:
        execute(dsn, "alter role authenticated nobypassrls")
    (cell,) = record.cells
    assert cell.verdict == "INVALID"
    assert cell.reasons[0].startswith(
        "row-level-security: role authenticated passes by all policies"
    )
    load = store.read(folder / "run" / "load" / f"{cell.stage}.json", LoadRecord)
    assert load.invalid[0] == cell.reasons[0]


def test_a_level_that_is_as_it_should_be_has_no_such_reason(
    postgres: PostgresServer, folder: Path
) -> None:
    dsn, _ = seed.ensure_dataset(postgres, users=USERS, seed=1)
    (cell,) = driven(postgres, dsn, folder).cells
    assert not [reason for reason in cell.reasons if "row-level-security" in reason]
