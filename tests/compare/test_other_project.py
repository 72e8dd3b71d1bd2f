"""A project unlike the task app, without any Python: its statements are collected and measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasegate.compare.run import run_benchmarks
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import VARIABLE, load_project
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.stack.database import execute, read_sql
from phasegate.stack.levels import apply_parts, present_parts

pytestmark = pytest.mark.integration

USERS = 40
SHOP = {
    "phasegate.toml": """
[project]
name = "shop"
title = "A shop"
users_table = "public.buyers"
users_key = "buyer_no"

[[levels]]
title = "as shipped"

[[levels]]
title = "indexed"
parts = ["by_buyer"]
""",
    "pytest.ini": "[pytest]\naddopts = --of-another-plug-in\n",
    "benchmarks/draw.sql": """
-- Buyers as often as they buy.
select buyer as sub, buyer, no from purchases order by md5(no::text || $1) limit $2::int
""",
    "benchmarks/by_buyer/technique.toml": """
title = "Index purchases (buyer)"
cost = "disk"
parameters = ["buyer"]
[before]
title = "no index"
[after]
title = "index"
[[costs]]
probe = "write_slow_down"
title = "insert"
query = "buy.sql"
parameters = ["serial", "buyer"]
writes = "purchases"
""",
    "benchmarks/by_buyer/query.sql": "select no, cents from purchases where buyer = $1 order by no",
    "benchmarks/by_buyer/buy.sql": "insert into purchases values ($1, $2, 100)",
    "benchmarks/by_buyer/migration.sql": "create index concurrently by_buyer on purchases (buyer);",
    "benchmarks/by_buyer/undo.sql": "drop index concurrently if exists by_buyer;",
    "benchmarks/by_buyer/present.sql": "select to_regclass('by_buyer') is not null",
    "benchmarks/paid_only/technique.toml": """
title = "Partial index on what is unpaid"
cost = "disk"
role = "owner"
[before]
title = "no index"
[after]
title = "index"
""",
    "benchmarks/paid_only/query.sql": "select count(*) from purchases where cents = 0",
    "benchmarks/paid_only/migration.sql": "create index unpaid on purchases (no) where cents = 0;",
    "benchmarks/paid_only/undo.sql": "drop index if exists unpaid;",
    "benchmarks/paid_only/present.sql": "select to_regclass('unpaid') is not null",
}
DATA = f"""
create table buyers (buyer_no int primary key);
create table purchases (no bigint primary key, buyer int references buyers, cents int);
insert into buyers select generate_series(1, {USERS});
insert into purchases
select n, 1 + n % {USERS}, n % 50 from generate_series(1, 20000) as n;
alter table purchases enable row level security;
alter table buyers enable row level security;
grant select, insert on purchases to authenticated;
grant select on buyers to authenticated;
create policy mine on purchases to authenticated using (
    buyer = (select (current_setting('request.jwt.claims')::jsonb ->> 'sub')::int)
);
create schema phasegate;
create table phasegate.dataset (state text, users int, seed bigint, sha256 text, tables oid[]);
insert into phasegate.dataset
values ('complete', {USERS}, 1, 'feed', array['buyers'::regclass, 'purchases'::regclass]::oid[]);
analyze;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in SHOP.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def data(database: str) -> str:
    execute(database, read_sql("supabase"), DATA)
    return database


def measured(shop: Path, data: str, out: Path) -> BenchmarkRecord:
    (record,) = run_benchmarks(
        {USERS: data},
        seed_sha256={USERS: "feed"},
        seed=1,
        out=out,
        budget_s=6.0,
        project=load_project(shop),
    )
    return record


def test_its_techniques_are_measured_and_its_database_left_as_it_was(
    shop: Path, data: str, tmp_path: Path
) -> None:
    found = measured(shop, data, tmp_path / "out")
    by_id = {each.technique: each for each in found.comparisons}
    assert set(by_id) == {"by_buyer", "paid_only"}
    assert by_id["by_buyer"].title == "Index purchases (buyer)"
    assert "Seq Scan on purchases" in by_id["by_buyer"].before.plan
    assert "by_buyer" in by_id["by_buyer"].after.plan
    assert [cost.name for cost in by_id["by_buyer"].costs] == ["insert"]
    assert "unpaid" in by_id["paid_only"].after.plan  # of no level: made for as long as it takes
    assert found.self_check is not None
    assert found.self_check.same.before.sql == SHOP["benchmarks/by_buyer/query.sql"]
    assert present_parts(data, load_project(shop)) == frozenset()


def by_hand(shop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != VARIABLE}
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "-q"),
            *("-c", os.devnull, f"--rootdir={shop}", *arguments),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=shop,
        env=environment,
        timeout=120,
    )


def test_pytest_collects_it_by_a_conftest_of_one_line(shop: Path) -> None:
    (shop / "benchmarks" / "conftest.py").write_text(
        'pytest_plugins = ["phasegate.compare.pytest_plugin"]\n', encoding="utf-8"
    )
    done = by_hand(shop, "--co")
    assert done.stdout.splitlines()[:6] == [
        f"benchmarks/{name}[{arm}]"
        for name in (
            "draw.sql::test_self_check",
            "by_buyer/technique.toml::test_by_buyer",
            "paid_only/technique.toml::test_paid_only",
        )
        for arm in ("before", "after")
    ], done.stdout + done.stderr
    chosen = by_hand(shop, "--co", "-k", "paid_only")
    assert "2/6 tests collected" in chosen.stdout


def test_pytest_collects_it_without_a_conftest_too(shop: Path) -> None:
    done = by_hand(shop, "--co", "-p", "phasegate.compare.pytest_plugin")
    assert "6 tests collected" in done.stdout, done.stdout + done.stderr


def test_the_project_is_that_of_the_named_folder_wherever_pytest_is_called(
    shop: Path, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", shop / "benchmarks", "-p", "no:cacheprovider"),
            *("-p", "phasegate.compare.pytest_plugin", "--co", "-q", "-c", os.devnull),
        ],
        check=False, capture_output=True, text=True, timeout=120,
        cwd=tmp_path.parent, env=environment,
    )  # fmt: skip
    assert "6 tests collected" in done.stdout, done.stdout + done.stderr


def test_a_project_that_says_what_it_must_not_ends_with_one_line_and_exit_code_2(
    shop: Path,
) -> None:
    path = shop / "benchmarks" / "by_buyer" / "technique.toml"
    path.write_text("titel = 1\n", encoding="utf-8")
    done = by_hand(shop, "--co", "-p", "phasegate.compare.pytest_plugin")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "benchmarks/by_buyer/technique.toml: Object contains unknown field `titel`" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (
            "by_buyer/query.sql",
            "selec no from purchases",
            r"benchmarks/by_buyer/query\.sql: syntax",
        ),
        ("by_buyer/undo.sql", "drop index index by_buyer", r"by_buyer/undo\.sql: syntax error"),
        ("draw.sql", "select no from purchases, $1", r"benchmarks/draw\.sql: syntax error"),
        ("draw.sql", "select no from purchases where $1 <> $2 limit 9", "must give a column `sub`"),
        ("paid_only/query.sql", "select $1", "could not determine data type|bind message"),
    ],
)
def test_sql_that_postgresql_cannot_read_is_named_before_anything_is_measured(
    shop: Path, data: str, tmp_path: Path, file: str, text: str, said: str
) -> None:
    (shop / "benchmarks" / file).write_text(text, encoding="utf-8")
    with pytest.raises(CannotMeasure, match=said):
        measured(shop, data, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.json"))


def test_a_migration_that_cannot_be_read_is_named_by_the_stack(shop: Path, data: str) -> None:
    (shop / "benchmarks" / "by_buyer" / "migration.sql").write_text(
        "create indx concurrently by_buyer on purchases (buyer)", encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"benchmarks/by_buyer/migration\.sql: syntax"):
        apply_parts(data, {"by_buyer"}, load_project(shop))


def test_a_query_for_what_is_there_that_fails_is_named(shop: Path, data: str) -> None:
    (shop / "benchmarks" / "by_buyer" / "present.sql").write_text(
        "select indexed from nowhere", encoding="utf-8"
    )
    with pytest.raises(ConfigurationError, match=r"benchmarks/by_buyer/present\.sql: relation"):
        present_parts(data, load_project(shop))
