"""Every technique of the task app is whole: a folder, and arms in its TOML or in a bench module."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from phasegate.compare.technique import Technique
from phasegate.project import BENCHMARKS, load_project

BENCHES = sorted(BENCHMARKS.glob("bench_*.py"))
FOUND = {
    value.id: value
    for bench in BENCHES
    for value in vars(importlib.import_module(f"benchmarks.{bench.stem}")).values()
    if isinstance(value, Technique)
}


def test_techniques_and_folders_name_the_same() -> None:
    assert set(FOUND) - {"self_check"} == set(load_project().techniques)


@pytest.mark.parametrize(
    "path", sorted(BENCHMARKS.rglob("*.sql")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_statement_begins_by_saying_what_it_does_or_undoes_a_setup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ") or path.stem == "teardown"
