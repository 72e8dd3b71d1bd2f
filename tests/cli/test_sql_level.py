"""`phasegate sql --level`: a level for one's own database, shown first, run only when asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasegate.seeding import seed_database
from phasegate.stack.database import execute, fetch
from phasegate.stack.levels import apply_level, current_level

USERS = 20
LEVELS = (1, 2, 3)

# Relations with their rights, row-level security and indexes; functions with theirs; policies.
CATALOGUE = """
select format('%s %s %s %s', c.oid::regclass, c.relkind, c.relrowsecurity,
              (select array_agg(a::text order by a::text) from unnest(c.relacl) as a)) as line
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'private', 'phasegate_stack', 'queue')
union all
select format('%s %s %s', p.oid::regprocedure, p.prosecdef,
              (select array_agg(a::text order by a::text) from unnest(p.proacl) as a))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('public', 'private', 'phasegate_stack', 'queue')
union all
select format('%s %s %s %s', tablename, policyname, qual, with_check) from pg_policies
order by 1
"""


def phasegate(*arguments: str, dsn: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    if dsn is not None:
        environment["DATABASE_URL"] = dsn
    return subprocess.run(
        [sys.executable, "-m", "phasegate", "sql", *arguments],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_level_is_printed_and_nothing_is_touched(hosted: str) -> None:
    seed_database(hosted, users=USERS, seed=1)
    before = fetch(hosted, CATALOGUE)
    done = phasegate("--level", "2", dsn=hosted)
    assert done.returncode == 0, done.stderr
    assert "create index idx_tasks_user_created" in done.stdout
    assert fetch(hosted, CATALOGUE) == before


@pytest.mark.parametrize("level", LEVELS)
def test_on_a_hosted_project_what_was_shown_is_what_the_level_is(
    hosted: str, level: int, tmp_path: Path
) -> None:
    seed_database(hosted, users=USERS, seed=1)
    done = phasegate("--level", str(level), "--apply", dsn=hosted)
    assert done.returncode == 0, done.stderr
    shown, _, said = done.stdout.rpartition("-- Applied to ")
    assert shown.rstrip().endswith("commit;")
    assert "of-the-tests" not in done.stdout + done.stderr
    assert said.strip().endswith(f"stack level {level}")
    assert current_level(hosted) == level
    applied = fetch(hosted, CATALOGUE)
    apply_level(hosted, level)
    assert fetch(hosted, CATALOGUE) == applied


def test_every_level_can_be_applied_after_every_other(hosted: str) -> None:
    seed_database(hosted, users=USERS, seed=1)
    for level in (3, 3, 1, 2, 3, 2):
        done = phasegate("--level", str(level), "--apply", dsn=hosted)
        assert done.returncode == 0, done.stderr
        assert current_level(hosted) == level
    assert fetch(hosted, "select to_regclass('phasegate_stack.partition_policy')") == [(None,)]
    policy = "select ahead_months, keep_months from phasegate_stack.partition_policy"
    phasegate("--level", "3", "--apply", dsn=hosted)
    assert fetch(hosted, policy) == [(3, 1200)]


def test_the_printed_text_runs_as_it_is(hosted: str, database: str) -> None:
    seed_database(hosted, users=USERS, seed=1)

    execute(hosted, phasegate("--level", "3").stdout)
    assert current_level(hosted) == 3


def test_a_plain_database_is_opened_to_its_users_by_its_level(database: str) -> None:
    seed_database(database, users=USERS, seed=1)
    may = "select has_table_privilege('authenticated', 'tasks', 'select')"
    done = phasegate("--level", "1", "--apply", dsn=database)
    assert done.returncode == 0, done.stderr
    assert fetch(database, may) == [(True,)]


@pytest.mark.parametrize(
    "made", ["create table tasks (id int)", "create schema phasegate; create table notes (id int)"]
)
def test_a_database_of_somebody_elses_is_left_as_it_is(database: str, made: str) -> None:
    for statement in made.split("; "):
        execute(database, statement)
    before = fetch(database, CATALOGUE)
    done = phasegate("--level", "2", "--apply", dsn=database)
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no whole data set of phasegate's" in done.stderr
    assert "Nothing was changed" in done.stderr
    assert fetch(database, CATALOGUE) == before


def test_a_table_that_was_replaced_since_is_left_as_it_is(database: str) -> None:
    seed_database(database, users=USERS, seed=1)
    replaced = "drop table activity_logs; create table activity_logs (id int)"
    execute(database, replaced)
    before = fetch(database, CATALOGUE)
    done = phasegate("--level", "2", "--apply", dsn=database)
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no whole data set of phasegate's" in done.stderr
    assert fetch(database, CATALOGUE) == before


def test_who_may_not_is_told_and_nothing_is_half_done(hosted: str, database: str) -> None:
    seed_database(hosted, users=USERS, seed=1)
    execute(database, "alter table tasks owner to postgres")
    before = fetch(database, CATALOGUE)
    done = phasegate("--level", "2", "--apply", dsn=hosted)
    assert done.returncode == 3
    assert "must be owner" in done.stderr
    assert "Nothing was changed" in done.stderr
    assert fetch(database, CATALOGUE) == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("join", "--level", "1"),
        ("--level", "1", "--undo"),
        ("--level", "1", "--apply"),
        ("join", "--apply"),
        ("--level", "4"),
    ],
)
def test_calls_that_make_no_sense_are_one_line(arguments: tuple[str, ...]) -> None:
    done = phasegate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
