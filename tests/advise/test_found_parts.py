"""What a database has of a project's techniques, by what is there and not by its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot

from phasegate import seeding
from phasegate.advise.found_parts import IndexShape, found_parts, holds_users, shape_of
from phasegate.advise.inventory import inventory, lines
from phasegate.project import load_project
from phasegate.stack.database import execute
from phasegate.stack.levels import apply_level
from phasegate.stack.postgres import PostgresServer

ROOT = Path(__file__).parents[2]


def shape(rest: str) -> IndexShape:
    found = shape_of(sqlglot.parse_one(f"create index i on {rest}", dialect="postgres"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("there", "wanted", "does"),
    [
        ("public.t (a, b desc)", "t (a, b desc)", True),
        ("public.t using btree (a, b, c)", "t (a)", True),
        ("t (a desc, b)", "t (a, b desc)", True),  # read backwards
        ("t (a, b)", "t (a, b desc)", False),
        ("t (b, a)", "t (a, b)", False),
        ("other.t (a)", "public.t (a)", False),
        ("u (a)", "t (a)", False),
        ("t using gin (a)", "t (a)", False),
        ("t (a)", "t (a) where (b is not null)", True),
        ("t (a) where b is not null", "t (a)", False),
        ("t (a) where (b IS NOT NULL)", "t (a) where b is not null", True),
        ("t (a) where (s = 'x'::text)", "t (a) where s = 'x'", True),
        ("t (a)", "t (a) include (b)", False),
        ("t (a) include (b, c)", "t (a) include (b)", True),
        ("t (lower((a)::text))", "t (lower(a))", True),
    ],
)
def test_an_index_does_what_another_would(there: str, wanted: str, does: bool) -> None:
    assert shape(there).serves(shape(wanted)) is does


RENAMED = """
alter index public.idx_tasks_user_created rename to tasks_of_a_user;
drop index public.idx_tasks_project;
drop function public.user_stats();
alter materialized view private.user_stats rename to figures;
"""


@pytest.mark.integration
def test_parts_are_found_under_any_name_and_nothing_is_written(
    postgres: PostgresServer, database: str
) -> None:
    del postgres
    project = load_project(ROOT)
    seeding.seed_database(database, users=50, seed=1, jobs=1)
    apply_level(database, 3, project)

    execute(database, RENAMED)
    found = found_parts(database, project)
    assert found["idx_tasks_user_created"] == "tasks_of_a_user"
    assert found["user_stats"] == "private.figures"
    assert found["rls_uid"] == ""  # by its own name, or by what policies say
    assert "idx_tasks_project" not in found
    assert "logs_window" not in found, "the log itself is not partitioned"
    assert found == found_parts(database, project)
    assert holds_users(database, project.about)
    there = inventory(database, project)
    assert there.techniques == found
    assert there.views == ("private.figures",)
    assert there.partitioned == ("public.activity_logs_partitioned",)
    assert "tasks_of_a_user" in there.indexes
    assert "tasks_pkey" not in there.indexes
    told = "\n".join(lines(there))
    assert "idx_tasks_user_created (as tasks_of_a_user)" in told
    assert "poolers: none seen" in told


@pytest.mark.integration
def test_a_database_of_another_app_has_none_and_is_known_by_its_users(database: str) -> None:
    project = load_project(ROOT)
    assert found_parts(database, project).keys() <= {"rls_uid"}  # no policy asks once a row
    assert not holds_users(database, project.about)
