"""Folders of migrations as tools lay them out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phasegate.adopt.migrations import read_migrations
from phasegate.model.errors import ConfigurationError


def write(root: Path, files: dict[str, str]) -> Path:
    """The folder `root` with `files` below it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_numbers_count_by_their_value_and_what_goes_back_is_passed_over(tmp_path: Path) -> None:
    names = (
        "10_b.up.sql",
        "2_a.up.sql",
        "2_a.down.sql",
        "10_b.down.sql",
        "R__views.sql",
        "notes.txt",
    )
    found = read_migrations(write(tmp_path, dict.fromkeys(names, "select 1")))
    assert [file.name for file in found.files] == ["2_a.up.sql", "10_b.up.sql", "R__views.sql"]
    assert found.passed_over == ("2_a.down.sql", "10_b.down.sql")


def test_the_supabase_cli_takes_numbered_files_alone(tmp_path: Path) -> None:
    files = {"supabase/migrations/20240101_a.sql": "select 1", "supabase/migrations/draft.sql": "x"}
    for folder in (tmp_path, tmp_path / "supabase", tmp_path / "supabase" / "migrations"):
        found = read_migrations(write(tmp_path, files) and folder)
        assert [file.name for file in found.files] == ["20240101_a.sql"]
        assert found.tool == "the Supabase CLI"
        assert found.passed_over == ("draft.sql",)


def test_prismas_folders_come_in_the_order_of_letters(tmp_path: Path) -> None:
    files = {
        "migrations/20250625_x/migration.sql": "select 2",
        "migrations/20250101120000_init/migration.sql": "select 1",
        "migrations/20250701120000_y/migration.sql": "select 3",
        "migrations/migration_lock.toml": 'provider = "postgresql"',
    }
    found = read_migrations(write(tmp_path, files))
    assert [file.text for file in found.files] == ["select 1", "select 2", "select 3"]
    assert found.tool == "Prisma"


def test_drizzles_come_in_the_order_of_the_journal(tmp_path: Path) -> None:
    entries = [{"idx": 1, "tag": "0001_a"}, {"idx": 0, "tag": "0000_z"}]
    files = {
        "meta/_journal.json": json.dumps({"dialect": "postgresql", "entries": entries}),
        "0001_a.sql": "select 2--> statement-breakpoint\nselect 3;",
        "0000_z.sql": "select 1",
        "0002_gone.sql": "select 4",
    }
    found = read_migrations(write(tmp_path, files))
    said = [statement.text for file in found.files for statement in file.statements]
    assert said == ["select 1", "select 2", "select 3"]
    assert found.passed_over == ("0002_gone.sql",)


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("-- migrate:up", "-- migrate:down"),
        ("-- +goose Up", "-- +goose Down"),
        ("-- Up Migration", "-- Down Migration"),
    ],
)
def test_of_a_file_that_goes_both_ways_the_way_forward_is_taken(
    tmp_path: Path, up: str, down: str
) -> None:
    text = f"-- head\n{up}\ncreate table t (a int);\n{down}\ndrop table t;\n"
    (file,) = read_migrations(write(tmp_path, {"1.sql": text})).files
    (statement,) = file.statements
    assert (statement.text, statement.line) == ("create table t (a int)", 3)
    (file,) = read_migrations(
        write(tmp_path, {"1.sql": f"{down}\ndrop table t;\n{up}\nselect 1;"})
    ).files
    assert [each.text for each in file.statements] == ["select 1"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds no migrations"),
        ({"a.txt": ""}, "holds no migrations"),
        ({"a/migration.sql": "", "migration_lock.toml": 'provider = "mysql"'}, "are for mysql"),
        ({"meta/_journal.json": '{"dialect": "sqlite", "entries": []}'}, "are for sqlite"),
        ({"meta/_journal.json": "[]"}, "no journal of Drizzle's"),
        ({"meta/_journal.json": '{"entries": [{"idx": 0, "tag": "a"}]}'}, r"Cannot read .*a\.sql"),
    ],
)
def test_a_folder_without_migrations_for_postgres_is_named(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_migrations(write(tmp_path, files))


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_bytes(b"select '\xff'")
    with pytest.raises(ConfigurationError, match=r"1\.sql, line 1, is not UTF-8 \(byte 8\)"):
        read_migrations(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "create policy p on t using ((select auth.uid()) = id)",
        'references "auth"."users" (id)',
        "grant all on t to anon",
        "create extension x with schema extensions",
    ],
)
def test_what_asks_for_a_supabase_project_is_seen(tmp_path: Path, text: str) -> None:
    assert read_migrations(write(tmp_path, {"1.sql": text})).of_supabase.startswith("1.sql has")


def test_an_app_of_its_own_asks_for_none(tmp_path: Path) -> None:
    text = "create table auth_users (id int); create table public.users (email text)"
    assert not read_migrations(write(tmp_path, {"1.sql": text})).of_supabase
