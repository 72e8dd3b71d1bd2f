"""The house rules that no linter knows (CONTRIBUTING, "Habits")."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "phases", "records", "stats", "stack", "seed", "loadtests", "benchmarks", "report", "nightly",
    "phasegate",
)  # fmt: skip
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
SQL = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.sql"))

# Where a process of ours begins: the command line, and the children that rooms start.
ENTRY_POINTS = (
    "phasegate/__main__.py",
    "loadtests/locustfile.py",
    "seed/worker.py",
    "stack/api/__main__.py",
)
SELF_EVIDENT_SQL_LINES_MAX = 2

FUNCTION_LINES_MAX = 70  # read at once, on one screen
MODULE_LINES_MAX = 400  # a module that needs more is more than one room


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20
    assert SQL


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_says_what_it_is_for_and_stays_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no module docstring"
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_process_exits_in_one_place(path: Path) -> None:
    exits = re.findall(r"\bsys\.exit\(|\bos\._exit\(|raise SystemExit", path.read_text())
    assert len(exits) <= (1 if _name(path) in ENTRY_POINTS else 0)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_commented_out_code_and_no_todo_without_a_reason(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        comment = line.partition("# ")[2] if line.lstrip().startswith("# ") else ""
        assert not re.match(r"(TODO|FIXME|XXX)\W*$", comment), f"line {number}: no reason given"
        assert not re.match(r"(import|from|def|class|return|if|for|with) .*:?$", comment) or (
            not comment.endswith((":", ")"))
        ), f"line {number} looks like code: {comment}"


@pytest.mark.parametrize("path", SQL, ids=_name)
def test_an_sql_file_of_any_length_begins_by_saying_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("--") or len(text.splitlines()) <= SELF_EVIDENT_SQL_LINES_MAX


def test_the_lock_files_name_no_registry_and_pin_every_package_by_hash() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
        pinned = re.findall(r"^[a-z0-9][\w.\[\]-]*==.*$", text, flags=re.MULTILINE)
        assert len(pinned) > 30
        assert all(line.endswith("\\") for line in pinned), "a package without a hash"
