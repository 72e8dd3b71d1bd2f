"""Every shape of table, every type: the server judges, and growing changes no row."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.project import SeedFolder
from phasegate.records.seed import SeedRecord
from phasegate.seeding import process_pool, seed_database
from phasegate.stack.postgres import PostgresServer

Query = Callable[..., list[asyncpg.Record]]

EVERYTHING = SeedFolder(Path(__file__).with_name("everything"))
USERS, FEW, SEED = 400, 40, 3
EXCLUSION = (
    "tables.bookings.columns.user_id, tstzrange(starts_at, ends_at)"
    " (bookings_user_id_tstzrange_excl)"
)


@pytest.fixture(scope="module")
def everything(postgres: PostgresServer, query: Query) -> Iterator[tuple[str, SeedRecord]]:
    query(postgres.dsn(), "create database everything")
    dsn = postgres.dsn("everything")
    yield dsn, seed_database(dsn, users=USERS, seed=SEED, jobs=1, project=EVERYTHING)
    query(postgres.dsn(), "drop database everything with (force)")


def test_every_constraint_holds_and_no_table_is_empty(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    dsn, record = everything
    kinds = query(
        dsn,
        "select contype::text as kind, count(*) from pg_constraint"
        " where convalidated and contype in ('p', 'u', 'f', 'x', 'c') group by 1",
    )
    assert {row["kind"] for row in kinds} == {"p", "u", "f", "x", "c"}
    assert min(one.rows for one in record.relations) >= 40


def test_rows_that_are_looked_up_are_inside_their_owner(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    strangers = {
        "notes of other orgs": "select count(*) from notes n join auth.users u on u.id = n.user_id"
        " join projects p on p.id = n.project_id where p.org_id <> u.org_id",
        "answers to others": "select count(*) from notes n join notes p on p.id = n.parent_id"
        " where p.user_id <> n.user_id or p.made > n.made",
        "tags of others": "select count(*) from note_tags n join tags t on t.id = n.tag_id"
        " where t.user_id <> n.note_user",
        "big projects of others": "select count(*) from orgs o join projects p"
        " on p.id = o.big_project_id where p.org_id <> o.id",
        "founders elsewhere": "select count(*) from orgs o join auth.users u"
        " on u.id = o.owner_id where u.org_id <> o.id",
    }
    assert {name: query(everything[0], sql)[0][0] for name, sql in strangers.items()} == (
        dict.fromkeys(strangers, 0)
    )
    assert query(everything[0], "select count(distinct b) from friends")[0][0] > USERS / 2


def test_no_value_is_null_that_is_not_to_be_and_values_differ(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    columns = query(
        everything[0],
        "select attname as name from pg_attribute where attrelid = 'types'::regclass"
        " and attnum > 0 and attname <> 'a_gen'",
    )
    counted = ", ".join(
        f'count({row["name"]}) as "{row["name"]}",'
        f' count(distinct {row["name"]}::text) as "{row["name"]} differ"'
        for row in columns
    )
    [found] = query(everything[0], f"select {counted} from types")
    wrong = [
        name
        for name, count in found.items()
        if count != 2 * USERS and not (name.endswith("differ") and count >= 2)
    ]
    assert wrong == []


def test_random_values_are_what_was_declared(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    wrong = query(
        everything[0],
        """
        select count(*) filter (where not a_inet <<= '10.0.0.0/8' or not a_cidr <<= '10.0.0.0/8'),
               count(*) filter (where trunc(a_mac8) <> trunc(a_mac8) or a_mac::text !~ '^02:'),
               count(*) filter (where length(a_bit) <> 5 or length(a_varbit) not between 1 and 9),
               count(*) filter (where length(a_bytea) <> 16 or a_vc !~ '^[a-z]{5}$'),
               count(*) filter (where abs(ext.vector_norm(a_vec) - 1) > 1e-5),
               count(*) filter (where upper(a_i4r) - lower(a_i4r) not between 1 and 10),
               count(*) filter (where a_tstz not between '2025-01-01' and '2025-04-01'),
               count(*) filter (where a_time not between '00:00' and '24:00' or a_int > '30 days')
        from types
        """,
    )[0]
    assert list(wrong) == [0] * len(wrong)


def test_growing_keeps_every_row_of_every_table(
    everything: tuple[str, SeedRecord], database: str, query: Query
) -> None:
    record = seed_database(database, users=FEW, seed=SEED, jobs=1, project=EVERYTHING)
    for relation in record.relations:
        statement = f"select r::text from {relation.name} as r"
        few, all_rows = (
            [row[0] for row in query(dsn, statement)] for dsn in (database, everything[0])
        )
        assert len(few) == relation.rows
        assert set(few) - set(all_rows) == set(), relation.name


def test_the_bytes_do_not_depend_on_the_number_of_processes(
    everything: tuple[str, SeedRecord], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "USERS_MIN_PER_JOB", 1)
    record = seed_database(database, users=USERS, seed=SEED, jobs=4, project=EVERYTHING)
    assert (record.jobs, record.sha256) == (4, everything[1].sha256)


def test_what_rows_do_not_hold_is_named_before_the_load_each_with_its_line(
    tmp_path: Path, database: str, query: Query
) -> None:
    shutil.copytree(EVERYTHING.root, tmp_path, dirs_exist_ok=True)
    population = tmp_path / "seed" / "population.toml"
    text = population.read_text("utf-8")
    for old, new in (
        ('"[A-Z]{2}[0-9]", unique = true', '"[A-Z][0-2]"'),
        ('within = "*", unique = "owner"', 'within = "*"'),
        ("a_pos = { uniform = [1, 5] }", "a_pos = { uniform = [-5, 5] }"),
        ("every_h = 3 }", 'between = ["2025-01-01", "2025-01-02"] }'),
    ):
        assert old in text
        text = text.replace(old, new)
    population.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        seed_database(database, users=2_000, seed=1, jobs=1, project=SeedFolder(tmp_path))
    *faults, total = refused.value.what.splitlines()
    assert [line.split(": ")[1] for line in faults] == [
        "tables.types.columns.a_pos (posint_check)",
        "tables.cats.columns.code (cats_code_key)",
        "tables.friends.columns.a, b (friends_pkey)",
        EXCLUSION,
    ]
    assert total == "4 constraints do not hold: types, cats, friends, bookings"
    assert query(database, "select count(*) from pg_class where relname = 'cats'")[0][0] == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("slot = { range = { size = [1, 4] }", "slot = { range = { size = [1, 9e5] }", "bookings"),
        ("every_h = 3 }", "every_h = 1e6, unique = true }", "bookings.columns.starts_at"),
        ('a_i2 = "random"', 'a_i2 = "identity"', "a_i2: int2 holds no number above 32,767"),
    ],
)
def test_a_type_too_small_for_what_may_not_come_twice_is_named_before_the_load(
    old: str, new: str, said: str, tmp_path: Path, database: str, query: Query
) -> None:
    shutil.copytree(EVERYTHING.root, tmp_path, dirs_exist_ok=True)
    population = tmp_path / "seed" / "population.toml"
    text = population.read_text("utf-8")
    assert old in text
    population.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        seed_database(database, users=20_000, seed=1, jobs=1, project=SeedFolder(tmp_path))
    assert query(database, "select count(*) from pg_class where relname = 'cats'")[0][0] == 0


def test_triggers_of_the_schema_stay_still_while_rows_come_in_and_are_on_again(
    everything: tuple[str, SeedRecord], query: Query
) -> None:
    dsn = everything[0]
    assert query(dsn, "select count(*) from cats")[0][0] == 40  # one refuses each row
    enabled = "select tgname, tgenabled::text from pg_trigger where tgname ~ '^o' order by 1"
    assert [tuple(row) for row in query(dsn, enabled)] == [("off", "D"), ("on_", "O")]
