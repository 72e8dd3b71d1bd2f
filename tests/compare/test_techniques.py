"""Every technique of the task app is whole: a folder, and arms in its TOML or in a bench module."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasegate.compare.sql_child import techniques
from phasegate.compare.technique_folders import SELF_CHECK
from phasegate.project import load_project

PROJECT = load_project()
FOUND = techniques()


def test_techniques_and_folders_name_the_same() -> None:
    assert set(FOUND) - {SELF_CHECK} == set(PROJECT.techniques)


@pytest.mark.parametrize(
    "path",
    sorted(PROJECT.benchmarks.rglob("*.sql")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_every_statement_begins_by_saying_what_it_does_or_undoes_a_setup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ") or path.stem == "teardown"


def test_the_arm_without_an_index_is_arranged_by_the_migrations_own_undo() -> None:
    found = FOUND["idx_tasks_project_delete"]  # measured twice, applied once
    assert "drop index if exists public.idx_tasks_project" in found.before.arrange
    assert "concurrently" not in found.before.arrange
    assert found.after.arrange == ""
    assert found.needs == ("idx_tasks_project",)


def test_arms_that_ask_differently_are_not_arranged() -> None:
    assert FOUND["logs_window"].before.arrange == FOUND["user_stats"].before.arrange == ""
    assert FOUND["logs_window"].needs == ()
