"""A project that says what it must not: one line that names file and key, exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.project import load_project, transactional

FILES = {
    "phasegate.toml": """
[project]
name = "shop"
title = "A shop"
users_table = "public.buyers"

[[levels]]
title = "as shipped"

[[levels]]
title = "indexed"
parts = ["by_buyer", "pooler"]
""",
    "benchmarks/by_buyer/technique.toml": """
title = "Index orders (buyer)"
cost = "disk"
parameters = ["sub"]
[before]
title = "no index"
[after]
title = "index"
""",
    "benchmarks/by_buyer/query.sql": "-- Theirs.\nselect * from orders where buyer = $1",
    "benchmarks/by_buyer/migration.sql": "create index concurrently by_buyer on orders (buyer);",
    "loadtests/locustfile.py": "import locust\n\nANSWER = 42\n",
    "benchmarks/by_buyer/undo.sql": "drop index concurrently if exists by_buyer;",
    "benchmarks/by_buyer/present.sql": "select to_regclass('by_buyer') is not null",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_a_project_without_fault_is_read(shop: Path) -> None:
    project = load_project(shop)
    assert project.parts_of(2) == {"by_buyer", "pooler"}
    assert project.level_with("by_buyer") == 2
    assert project.techniques["by_buyer"].same_query


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("phasegate.toml", "name =", "nome =", r"phasegate\.toml: project: .*`nome`"),
        ("phasegate.toml", '"pooler"', '"poler"', r"phasegate\.toml: levels\[1\]\.parts: .*poler"),
        ("phasegate.toml", "title = \"A shop\"", "", r"phasegate\.toml: project: .*`title`"),
        ("locustfile.py", "ANSWER = 42", "ANSWER =", r"loadtests/locustfile\.py, line 3: invalid"),
        ("technique.toml", "cost =", "costs_ =", r"by_buyer/technique\.toml: .*`costs_`"),
        ("technique.toml", "[after]", "[later]", r"by_buyer/technique\.toml: .*`later`"),
        ("technique.toml", 'title = "index"', "", r"technique\.toml: after: .*`title`"),
        ("technique.toml", 'cost = "disk"', "cost = 3", r"technique\.toml: cost: .*`str`"),
        (
            "technique.toml",
            'cost = "disk"',
            'cost = "disk"\nneeds = ["nothing"]',
            r"technique\.toml: `needs`: there is no part 'nothing'",
        ),
        (
            "technique.toml",
            'cost = "disk"',
            'cost = "disk"\nneeds = ["pooler"]',
            r"technique\.toml: `needs`: 'pooler' is no part of the database",
        ),
        (
            "technique.toml",
            'title = "no index"',
            'title = "no index"\nvia = "proxy"',
            r"technique\.toml: before: `delay_ms` belongs to ",
        ),
        (
            "technique.toml",
            "[before]",
            '[[costs]]\nprobe = "relation_size"\ntitle = "size"\n[before]',
            r"technique\.toml: costs\[0\]: the probe relation_size needs `of`",
        ),
        (
            "technique.toml",
            'title = "no index"',
            'title = "no index"\narrange = "drop.sql"',
            r"technique\.toml: there is no file drop\.sql .*`before\.arrange`",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_file_and_key(
    shop: Path, file: str, old: str, new: str, said: str
) -> None:
    path = next(shop.rglob(file))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_project(shop)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("query.sql", r"no file before\.sql beside it \(`before\.query`"),
        ("undo.sql", r"no file undo\.sql beside it \(migration\.sql needs it"),
        ("present.sql", r"no file present\.sql"),
        ("migration.sql", r"no file migration\.sql.*client\.sql"),
    ],
)
def test_a_file_that_is_missing_is_named(shop: Path, missing: str, said: str) -> None:
    (shop / "benchmarks" / "by_buyer" / missing).unlink()
    with pytest.raises(ConfigurationError, match=rf"benchmarks/by_buyer/technique\.toml: .*{said}"):
        load_project(shop)


@pytest.mark.parametrize("name", ["query.sql", "migration.sql", "undo.sql", "present.sql"])
def test_a_file_of_comments_alone_is_named(shop: Path, name: str) -> None:
    (shop / "benchmarks" / "by_buyer" / name).write_text("-- to be written\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"by_buyer/{name} says nothing"):
        load_project(shop)


def test_a_migration_is_made_transactional_outside_of_what_is_quoted() -> None:
    text = """
    -- create index concurrently, as a comment
    create index concurrently "made concurrently" on t (a);
    do $$ begin raise notice '-- concurrently'; end $$;
    select 'drop index concurrently x', e.concurrently_made from e;
    """
    made = transactional(text)
    assert 'create index "made concurrently" on t (a);' in made
    assert "do $$ begin raise notice '-- concurrently'; end $$;" in made
    assert "select 'drop index concurrently x', e.concurrently_made from e;" in made
    assert "as a comment" not in made
