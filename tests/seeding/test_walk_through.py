"""CONTRIBUTING, "Adding a column, or a table": followed to the letter."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg

from phasegate.project import SeedFolder
from phasegate.seeding import seed_database

Query = Callable[..., list[asyncpg.Record]]

ROOT = Path(__file__).resolve().parents[2]


def test_a_column_is_a_line_for_the_server_and_a_line_for_the_seeder(
    tmp_path: Path, database: str, query: Query
) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Adding a column, or a table")[2].partition("\n## ")[0]
    sql, toml = re.findall(r"```(?:sql|toml)\n(.*?)\n   ```", section, flags=re.DOTALL)
    shutil.copy(ROOT / "phasegate.toml", tmp_path)
    shutil.copytree(ROOT / "seed", tmp_path / "seed")
    for name, heading, line in (
        ("schema.sql", "create table tasks (\n", sql),
        ("population.toml", "[tables.tasks.columns]\n", toml.strip()),
    ):
        path = tmp_path / "seed" / name
        before = path.read_text(encoding="utf-8")
        assert heading in before
        path.write_text(before.replace(heading, f"{heading}{line}\n"), encoding="utf-8")
    seed_database(database, users=100, seed=1, project=SeedFolder(tmp_path))
    found = query(database, "select priority, count(*) as tasks from tasks group by 1 order by 2")
    assert [row["priority"] for row in found] == [1, 3, 2]
