"""What pytest collects without any Python: a test per arm of each declared technique.

Reads the project's `benchmarks/<id>/technique.toml`; writes nothing. The self-check belongs to
`benchmarks/draw.sql`, whose parameters it uses.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from phasegate.compare.technique import Compare, Technique, arms_of
from phasegate.compare.technique_folders import pair, project_here, self_check
from phasegate.project import Project
from phasegate.project.technique import DRAW
from phasegate.project.technique import FILE as TECHNIQUE_FILE


def collected(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The tests that `path` declares; None where it declares none.

    Raises:
        ConfigurationError: a file of the project says what it must not.
    """
    if path.name not in (DRAW, TECHNIQUE_FILE):
        return None
    project = project_here()
    found = _declared_by(project, path)
    if found is None:
        return None
    technique, says = found
    module = pytest.Module.from_parent(parent, path=path)
    module.obj = _module(path, technique, says)
    return module


def _declared_by(project: Project, path: Path) -> tuple[Technique, str] | None:
    """The technique that `path` declares and what its arms do."""
    if path == project.benchmarks / DRAW:
        return self_check(project), "A/A: whatever ratio is found here is the instrument's own."
    id_ = path.parent.name
    if path != project.benchmarks / id_ / TECHNIQUE_FILE:
        return None
    technique = pair(project, id_)
    file = project.techniques[id_].file
    return None if technique is None else (technique, file.asks or file.title)


def _module(path: Path, technique: Technique, says: str) -> ModuleType:
    """A module as a person would write it in Python: one test, for both arms."""
    name = f"test_{technique.id}"
    module = ModuleType(f"declared_{technique.id}", says)
    module.__file__ = str(path)
    test = _test(technique)
    test.__name__ = test.__qualname__ = name
    test.__doc__ = says
    test.__module__ = module.__name__
    setattr(module, name, arms_of(technique)(test))
    return module


def _test(technique: Technique) -> Callable[..., None]:
    def test(compare: Compare, arm: str) -> None:
        compare(technique, arm)

    return test
