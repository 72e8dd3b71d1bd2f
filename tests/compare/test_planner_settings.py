"""Planner settings away from their default are said and recorded, wherever they were set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from phasegate.compare.dataset import read_planner_settings
from phasegate.compare.libpq import Session
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.planner_settings import PlannerSetting, sentences, warnings
from phasegate.stack.database import execute
from phasegate.stack.inspect import look_at, planner_settings

REPOSITORY = Path(__file__).parents[2]
Alter = Callable[[str, str], None]


def by_libpq(dsn: str) -> tuple[PlannerSetting, ...]:
    with closing(Session(dsn)) as session:
        return read_planner_settings(session)


def by_asyncpg(dsn: str) -> tuple[PlannerSetting, ...]:
    return planner_settings([dsn])


def looked_at(dsn: str) -> tuple[PlannerSetting, ...]:
    return look_at(dsn, load_project(REPOSITORY).about)[0].planner_settings or ()


READERS = (by_libpq, by_asyncpg, looked_at)


@pytest.fixture
def altered(populated: str) -> Iterator[Alter]:
    """Executes a statement, and its opposite after the test."""
    undo: list[str] = []

    def alter(statement: str, opposite: str) -> None:
        name = populated.rpartition("/")[2]
        undo.append(opposite.format(database=name))
        execute(populated, statement.format(database=name))

    yield alter
    execute(populated, *undo)


@pytest.mark.parametrize("read", READERS)
def test_a_server_as_supabase_sets_it_is_recorded_without_a_warning(
    populated: str, read: Callable[[str], tuple[PlannerSetting, ...]]
) -> None:
    found = read(populated)
    assert {(one.name, one.value, one.default) for one in found} == {
        ("jit", "off", "on"),
        ("random_page_cost", "1.1", "4"),
    }
    assert sentences(found) == ()


@pytest.mark.parametrize(
    ("statement", "opposite", "source", "undo"),
    [
        (
            "alter database {database} set enable_indexscan = off",
            "alter database {database} reset enable_indexscan",
            "database",
            "ALTER DATABASE … RESET enable_indexscan",
        ),
        (
            "alter role authenticator set enable_indexscan = 'false'",
            "alter role authenticator reset enable_indexscan",
            "role authenticator",
            "ALTER ROLE authenticator RESET enable_indexscan",
        ),
        (
            "alter role anon in database {database} set enable_indexscan = off",
            "alter role anon in database {database} reset enable_indexscan",
            "role anon in this database",
            "ALTER ROLE anon IN DATABASE … RESET enable_indexscan",
        ),
        (
            "alter role all set enable_indexscan = off",
            "alter role all reset enable_indexscan",
            "global",
            "ALTER ROLE ALL RESET enable_indexscan",
        ),
    ],
)
@pytest.mark.parametrize("read", READERS)
def test_what_is_set_for_a_database_or_a_role_of_the_api_is_warned_of(
    populated: str,
    altered: Alter,
    read: Callable[[str], tuple[PlannerSetting, ...]],
    statement: str,
    opposite: str,
    source: str,
    undo: str,
) -> None:
    assert warnings(read(populated)) == ()
    altered(statement, opposite)
    found = read(populated)
    assert [one.source for one in found if one.name == "enable_indexscan"] == [source]
    (said,) = warnings(found)
    assert "enable_indexscan = " in said
    assert said.endswith(undo)


@pytest.mark.parametrize("read", READERS)
def test_what_the_whole_server_was_told_is_warned_of(
    own_server: str, read: Callable[[str], tuple[PlannerSetting, ...]]
) -> None:
    (said,) = warnings(read(own_server))
    assert "enable_hashjoin = off (default: on), set in the server's configuration" in said
    assert "ALTER SYSTEM RESET enable_hashjoin" in said


@pytest.fixture
def own_server(populated: str) -> Iterator[str]:
    """DSN on the tests' server after ALTER SYSTEM, taken back afterwards."""
    execute(populated, "alter system set enable_hashjoin = off", "select pg_reload_conf()")
    try:
        yield populated
    finally:
        execute(populated, "alter system reset enable_hashjoin", "select pg_reload_conf()")


def test_pgoptions_are_seen_where_they_hold(
    populated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c enable_indexscan=off -c work_mem=16MB")
    warned, informed = sentences(by_libpq(populated))
    assert "enable_indexscan = off (default: on), set by PGOPTIONS" in warned
    assert informed == "Of the server's size: work_mem = 16MB (default: 4096kB)"
    # The API's driver does not read them, so the load under it is planned as ever.
    assert sentences(by_asyncpg(populated)) == ()


def test_what_only_the_session_that_looks_has_is_nothing_of_the_targets(
    populated: str, altered: Alter
) -> None:
    altered("alter role postgres set enable_sort = off", "alter role postgres reset enable_sort")
    assert [one.source for one in by_asyncpg(populated) if one.name == "enable_sort"] == ["user"]
    assert warnings(looked_at(populated)) == ()


@pytest.mark.parametrize(
    ("value", "counts"), [("4MB", False), ("4096", False), ("4096kB", False), ("5MB", True)]
)
def test_a_default_in_other_words_is_the_default(
    populated: str, altered: Alter, value: str, counts: bool
) -> None:
    altered(f"alter role anon set work_mem = '{value}'", "alter role anon reset work_mem")
    assert ("work_mem" in {one.name for one in by_libpq(populated)}) is counts


def test_a_role_that_may_only_read_sees_them_too(populated: str, altered: Alter) -> None:
    altered("alter role anon set enable_sort = off", "alter role anon reset enable_sort")
    altered("create role plain login password 'plain-of-the-tests'", "drop role plain")
    plain = f"postgresql://plain:plain-of-the-tests@{populated.partition('@')[2]}"
    assert by_libpq(plain) == by_libpq(populated)


def test_the_benchmarks_warn_and_record(populated: str, tmp_path: Path) -> None:
    """The very command of a user, with PGOPTIONS and a database of which somebody turned a knob."""
    record, table = tmp_path / "record.json", tmp_path / "table.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "benchmarks", "-k", "test_join", "--budget", "1"),
            *("-p", "no:cacheprovider", "--record", str(record), f"--benchmark-json={table}"),
        ],
        check=False, capture_output=True, text=True, timeout=120, cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": populated, "PGOPTIONS": "-c enable_indexscan=off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("phasegate warns: Planner setting enable_indexscan = off") == 1
    kept = store.read(record, BenchmarkRecord).planner_settings
    assert kept is not None
    (off,) = [one for one in kept if one.name == "enable_indexscan"]
    assert (off.value, off.default, off.source) == ("off", "on", "client")
    for entry in json.loads(table.read_text())["benchmarks"]:
        assert "enable_indexscan = off (default: on)" in entry["extra_info"]["planner_settings"]
