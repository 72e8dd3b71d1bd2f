"""Every verb works on the project of the current folder, or on the one that `--project` names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from phasegate.project import VARIABLE

PUBLISHED = Path(__file__).parents[2] / "results" / "published"

VERBS = [
    ("run", "--quick"),
    ("seed", "--users", "10"),
    ("up",),
    ("report",),
    ("gate", "--to", "2"),
    ("cost", "--users", "10"),
    ("compare", "one", "two"),
    ("advise",),
    ("sql", "some_index"),
    ("nightly", "--baseline", "HEAD"),
    ("history",),
    ("digest",),
]


def call(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run phasegate in `folder`, without a project in the environment."""
    kept = {key: value for key, value in os.environ.items() if key != VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "phasegate", *arguments],
        cwd=folder, env=kept, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project of two levels that has measured something."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "phasegate.toml").write_text(
        """
        [project]
        name = "shop"
        title = "The shop"
        users_table = "public.customers"

        [[levels]]
        title = "as it is"

        [[levels]]
        title = "with a pooler"
        parts = ["pooler"]

        [alerts]
        budget_usd_per_month = 123.0
        """
    )
    run = shutil.copytree(PUBLISHED, folder / "results" / "2026-01-01T000000Z-100k") / "run.json"
    record = json.loads(run.read_text(encoding="utf-8"))
    record["project"] |= {"name": "shop", "levels": record["project"]["levels"][:2]}
    run.write_text(json.dumps(record), encoding="utf-8")
    return folder


def _one_line(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("arguments", [(), *VERBS], ids=lambda words: " ".join(words) or "alone")
def test_without_a_project_one_line_says_what_to_do(empty: Path, arguments: tuple[str]) -> None:
    line = _one_line(call(empty, *arguments))
    assert "phasegate.toml" in line
    assert "--project DIR" in line
    assert not list(empty.iterdir())


@pytest.mark.parametrize("arguments", [("--help",), ("doctor",), ("down",), ("run", "--help")])
def test_what_needs_no_project_works_without_one(empty: Path, arguments: tuple[str]) -> None:
    assert call(empty, *arguments).returncode == 0


def test_a_folder_without_the_file_is_no_project(empty: Path) -> None:
    assert "has no phasegate.toml" in _one_line(
        call(empty, "--project", empty, "cost", "--users", "1")
    )


@pytest.mark.parametrize("is_behind", [False, True], ids=["before the verb", "behind it"])
def test_a_verb_works_on_the_project_that_is_named(
    shop: Path, empty: Path, is_behind: bool
) -> None:
    verb, named = ("cost", "--users", "200000"), ("--project", shop)
    done = call(empty, *((*verb, *named) if is_behind else (*named, *verb)))
    assert done.returncode == 0, done.stderr
    assert "Level 1, 200k users" in done.stdout


def test_a_verb_works_on_the_project_above_the_current_folder(shop: Path) -> None:
    below = shop / "loadtests"
    below.mkdir()
    assert call(below, "cost", "--users", "10").returncode == 0


def test_the_newest_run_is_that_of_the_project(shop: Path, empty: Path) -> None:
    shutil.rmtree(shop / "results")
    assert "There is no run in" in _one_line(call(empty, "--project", shop, "report"))


def test_a_project_overrides_the_catalogue(shop: Path) -> None:
    done = call(shop, "gate", "--to", "4", "--level", "2")
    assert "$123" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("verb", [("up",), ("gate", "--to", "2"), ("sql",)])
def test_a_level_that_the_project_does_not_have_is_refused(
    shop: Path, verb: tuple[str, ...]
) -> None:
    line = _one_line(call(shop, *verb, "--level", "3"))
    assert "There is no stack level 3" in line
    assert "1 to 2" in line
