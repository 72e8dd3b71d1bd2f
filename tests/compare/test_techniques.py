"""Every technique is whole: a folder of SQL, an entry in a bench module, a catalogue line."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from phasegate.compare.technique import Technique
from phasegate.model.catalogue import load
from phasegate.project import BENCHMARKS

TECHNIQUES = BENCHMARKS / "techniques"
BENCHES = sorted(BENCHMARKS.glob("bench_*.py"))
FOUND = {
    value.id: value
    for bench in BENCHES
    for value in vars(importlib.import_module(f"benchmarks.{bench.stem}")).values()
    if isinstance(value, Technique)
}
# Arms that differ in the way to the server alone share the SQL of another technique, and the
# self-check's statement is no technique.
SHARED = {"join_rtt_1ms", "join_rtt_5ms"}


def test_techniques_and_catalogue_name_the_same() -> None:
    assert set(FOUND) - {"self_check"} == {entry.id for entry in load().techniques}


def test_every_technique_has_its_folder_and_every_folder_its_technique() -> None:
    assert set(FOUND) - SHARED == {path.name for path in TECHNIQUES.iterdir() if path.is_dir()}


@pytest.mark.parametrize(
    "path", sorted(TECHNIQUES.rglob("*.sql")), ids=lambda path: path.parent.name
)
def test_every_statement_begins_by_saying_what_it_does_or_undoes_a_setup(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ") or path.stem == "teardown"


@pytest.mark.parametrize("technique", FOUND.values(), ids=FOUND)
def test_what_is_set_up_is_taken_back(technique: Technique) -> None:
    made = [name for name in technique.setup if "create" in _sql(technique, name)]
    assert bool(made) == bool(technique.teardown)


def _sql(technique: Technique, name: str) -> str:
    return (TECHNIQUES / technique.id / f"{name}.sql").read_text(encoding="utf-8")
