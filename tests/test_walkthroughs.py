"""The walk-throughs of CONTRIBUTING.md, followed step by step on the files that they show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from phasegate.project import VARIABLE, load_project
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.seeding import seed_database
from phasegate.stack.levels import apply_parts, present_parts

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# A file's name, and the next block of code.
FILE = re.compile(r"`(?P<name>benchmarks/covering/[a-z.]+)`.*?```\w+\n(?P<text>.*?)```", re.DOTALL)
PARTS = ("phasegate.toml", "seed", "benchmarks", "loadtests")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The task app's project with the technique of the walk-through."""
    for name in PARTS:
        path = ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / name)
    for found in FILE.finditer(TEXT):
        path = tmp_path / found["name"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(re.sub("^   ", "", found["text"], flags=re.MULTILINE), encoding="utf-8")
    return tmp_path


def run(project: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env={**os.environ, VARIABLE: str(project), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_technique_is_measured_printed_and_applied(project: Path, database: str) -> None:
    here = load_project(project)
    names = {path.name for path in (project / "benchmarks" / "covering").iterdir()}
    assert names == {"technique.toml", "query.sql", "migration.sql", "undo.sql", "present.sql"}
    seed_database(database, users=50, seed=1)

    record = project / "record.json"
    done = run(
        project, "pytest", "benchmarks", "-q", "-k", "covering", "--budget=3", f"--record={record}",
        DATABASE_URL=database,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    (found,) = store.read(record, BenchmarkRecord).comparisons
    assert found.title == "Covering index: a user's newest titles"
    assert found.before.name == "no index"
    assert [cost.name for cost in found.costs] == ["index size"]
    assert "covering" not in present_parts(database, here)

    printed = run(project, "phasegate", "sql", "covering")
    assert printed.stdout == here.techniques["covering"].migration

    apply_parts(database, {"rls_uid", "covering"}, here)
    assert present_parts(database, here) == {"rls_uid", "covering"}
