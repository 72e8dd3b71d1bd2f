"""The house rules that no linter knows (CONTRIBUTING, "Habits")."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("phasegate", "instruments", "seed", "loadtests", "benchmarks")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
ENGINE = [path for path in MODULES if path.is_relative_to(ROOT / "phasegate")]
SQL = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.sql"))

# Where a process of ours begins: the command line, and the children that rooms start.
ENTRY_POINTS = (
    "phasegate/__main__.py",
    "phasegate/load/locust_plugin.py",
    "phasegate/seeding/worker.py",
    "phasegate/api/__main__.py",
)
SELF_EVIDENT_SQL_LINES_MAX = 2

# Errors that a person may mend. NO-GO, FAIL and what a child process has said already need no more.
MENDED = ("ConfigurationError", "Refused", "CannotMeasure", "UsageError")
SAID_WITHOUT_A_NEXT_STEP = {
    "phasegate/api/api_child.py": 1,  # a request out of turn between processes of ours
    "phasegate/compare/sql_child.py": 2,  # the same
    "phasegate/cli/gate.py": 1,  # the table above it ends with the next steps
    "phasegate/compare/run.py": 1,
    "phasegate/load/visit.py": 1,  # quotes a sentence that has one
    "phasegate/records/history.py": 1,  # the night is left out, and said so
    "phasegate/stack/remote_measure.py": 1,  # quotes a sentence that has one
}

# What a reader can be pointed at: every text that people write and read.
TEXT_SUFFIXES = {
    "", ".css", ".html", ".in", ".ini", ".js", ".json", ".md", ".py", ".sh", ".sql", ".toml",
    ".txt", ".yaml", ".yml",
}  # fmt: skip
NOT_OURS = {"results", "__pycache__", "node_modules"}
TEXTS = sorted(
    path
    for path in ROOT.rglob("*")
    if path.is_file()
    and path.suffix in TEXT_SUFFIXES
    and path != Path(__file__).resolve()  # it spells out what it forbids
    and not NOT_OURS.intersection(parts := path.relative_to(ROOT).parts)
    and (not parts[0].startswith(".") or parts[0] == ".github")
)
MARKDOWN = [path for path in TEXTS if path.suffix == ".md"]

# Documents that are not in the repository, and ways to cite them.
OUTSIDE = re.compile(
    r"\b(?:FACTS|REVIEW|STYLE)\.md\b|\bDESIGN\.md\b|\b(?:FACTS|DESIGN|REVIEW)\b(?=[ \"§,:)])|§"
    r"|(?<![\w-])shared/|\b[Tt]he issue(?:'s|s)?\b|\bissue's\b"
)
# There "the issue" is the one on GitHub that the nightly workflow keeps.
ABOUT_THE_NIGHTLY_ISSUE = {
    ".github/scripts/nightly_issue.py",
    ".github/workflows/nightly-benchmarks.yml",
    "tests/workflows/test_nightly.py",
}
THE_GUIDE = re.compile(r"\b[Tt]he (?:scaling )?guide\b|\bscaling guide\b")
GUIDE_EXPLAINED = "docs/method.md"

MARKDOWN_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]*)\)")
DOCS_CITATION = re.compile(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?")

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


@pytest.mark.parametrize("path", ENGINE, ids=_name)
def test_an_error_says_what_to_do_next(path: Path) -> None:
    without = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in MENDED
        and "then" not in {keyword.arg for keyword in node.keywords}
    ]
    assert len(without) <= SAID_WITHOUT_A_NEXT_STEP.get(_name(path), 0), f"lines {without}"


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


def _anchors(path: Path) -> set[str]:
    """Fragments of a Markdown file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _dead(target: str, folder: Path) -> bool:
    """Whether `path#fragment`, relative to `folder`, leads nowhere."""
    name, _, fragment = target.partition("#")
    path = folder / name
    return not path.exists() or bool(fragment and fragment not in _anchors(path))


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_a_file_cites_nothing_that_its_reader_cannot_open(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = set(OUTSIDE.findall(text))
    if _name(path) in ABOUT_THE_NIGHTLY_ISSUE:
        found = {cited for cited in found if "issue" not in cited}
    assert not found, "cite docs/method.md or a public address instead"
    dead = {cited for cited in DOCS_CITATION.findall(text) if _dead(cited, ROOT)}
    assert not dead, "no such document, or no such section"


@pytest.mark.parametrize("path", [*MODULES, *SQL], ids=_name)
def test_the_scaling_guide_is_named_with_the_page_that_explains_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not THE_GUIDE.search(text) or GUIDE_EXPLAINED in text


@pytest.mark.parametrize("path", MARKDOWN, ids=_name)
def test_a_link_in_a_document_leads_somewhere(path: Path) -> None:
    links = MARKDOWN_LINK.findall(path.read_text(encoding="utf-8"))
    dead = [
        link for link in links if _dead(link if link[0] != "#" else path.name + link, path.parent)
    ]
    assert not dead


def test_the_index_of_documents_names_every_document() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    documents = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert documents
    assert documents <= set(MARKDOWN_LINK.findall(index))


@pytest.mark.parametrize(
    ("text", "is_outside"),
    [
        ("power (FACTS §7).", True),
        ('as DESIGN "Measuring honestly" asks', True),
        ("see ../shared/STYLE.md", True),
        ("the issue's goals", True),
        ("packages/shared-data/pricing-catalog.ts", False),
        ("opens one issue that updates itself", False),
    ],
)
def test_the_search_for_outside_documents_finds_them(text: str, is_outside: bool) -> None:
    assert bool(OUTSIDE.search(text)) is is_outside


def test_every_file_of_tests_is_in_one_part_of_make_test() -> None:
    globs = re.findall(r"'(tests/[^']*\.py)'", (ROOT / "Makefile").read_text(encoding="utf-8"))
    named = [path for glob in globs for path in ROOT.glob(glob)]
    split = {path.parent for path in named}
    assert len(named) == len(set(named))
    assert {path for folder in split for path in folder.glob("test_*.py")} == set(named)
