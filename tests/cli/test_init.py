"""`phasegate init` as somebody with an app meets it: migrations or a database in, a project out."""

from __future__ import annotations

import asyncio
import shutil
import tomllib
from pathlib import Path

import pytest

from phasegate.project import load_project
from phasegate.stack.database import connected
from tests.cli.conftest import CommandLine

SETUP = """
create extension if not exists "uuid-ossp" with schema extensions;
create extension postgis with schema extensions;
create type public.mood as enum ('good', 'bad');
create table public.people (
    id uuid primary key references auth.users (id) on delete cascade,
    name text not null,
    created_at timestamptz not null default now()
);
create table public.notes (
    id uuid primary key default extensions.uuid_generate_v4(),
    owner uuid not null references public.people (id),
    title text not null,
    mood public.mood not null default 'good',
    created_at timestamptz not null default now()
);
create table public.places (id bigint primary key, at extensions.geometry);
alter table public.people enable row level security;
alter table public.notes enable row level security;
create policy "own row" on public.people using (auth.uid() = id);
create policy "own notes" on public.notes using (auth.uid() = owner);
create policy "pictures" on storage.objects for select
    using ((storage.foldername(name))[1] = auth.uid()::text);
create function public.greet() returns trigger language plpgsql security definer as $$
begin
    insert into public.people (id, name) values (new.id, new.email);
    return new;
end
$$;
create trigger greet after insert on auth.users for each row execute function public.greet();
"""
MORE = "create table public.tags (id bigint generated always as identity primary key, label text);"


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def migrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app") / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "20250101_setup.sql").write_text(SETUP)
    return folder


@pytest.fixture(scope="module")
def adopted(
    migrations: Path, tmp_path_factory: pytest.TempPathFactory, phasegate: CommandLine
) -> Path:
    folder = tmp_path_factory.mktemp("adopted") / "my app"
    done = phasegate("init", folder, "--migrations", migrations)
    assert done.returncode == 0, done.stderr
    assert "extension postgis" in done.stdout
    assert "20250101_setup.sql, line 17: create table public.places" in done.stdout
    assert "users are in public.people" in done.stdout
    return folder


def test_migrations_become_a_project_that_can_be_seeded_at_once(
    adopted: Path, phasegate: CommandLine
) -> None:
    project = load_project(adopted)
    assert (project.about.name, project.about.users_table) == ("my-app", "public.people")
    assert set(project.seed.population.tables) >= {"people", "notes", "auth.users"}
    assert project.seed.population.owner_columns == ("owner",)
    assert "storage" not in (adopted / "seed/policies.sql").read_text()
    assert "owner=eq.{self.user.id}" in project.locustfile.read_text()
    (technique,) = project.techniques.values()
    assert project.level(2).parts == (technique.id,)
    done = phasegate("--project", adopted, "seed", "--users", "40")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if line}
    assert (rows["people"], rows["auth.users"]) == ("40", "40")
    assert int(rows["notes"]) > 0


def test_a_second_init_shows_what_changed_and_leaves_edits_alone(
    adopted: Path, migrations: Path, tmp_path: Path, phasegate: CommandLine
) -> None:
    folder, newer = tmp_path / "my app", tmp_path / "supabase" / "migrations"
    shutil.copytree(adopted, folder)
    shutil.copytree(migrations, newer)
    before = contents(folder)
    (newer / "20250201_tags.sql").write_text(MORE)
    (folder / "seed/keys.sql").write_text("-- mine\n" + before["seed/keys.sql"])
    edited = contents(folder)
    done = phasegate("init", folder, "--migrations", newer, "--diff")
    assert contents(folder) == edited
    assert "would be updated: " in done.stdout
    done = phasegate("init", folder, "--migrations", newer)
    assert done.returncode == 0, done.stderr
    assert "+CREATE TABLE public.tags (" in done.stdout
    assert "edited by you, left alone: seed/keys.sql" in done.stdout
    after = contents(folder)
    assert after["seed/keys.sql"] == edited["seed/keys.sql"]
    assert "public.tags" in after["seed/schema.sql"]
    assert "tags" in tomllib.loads(after["seed/population.toml"])["tables"]


def test_a_migration_that_fails_is_named_by_line_and_nothing_is_written(
    tmp_path: Path, phasegate: CommandLine
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1.sql").write_text(
        "create table a (id int);\n\nalter table a\n  add b nonsense;"
    )
    done = phasegate("init", tmp_path / "out", "--migrations", tmp_path / "m")
    assert done.returncode == 2
    assert '1.sql, line 4: type "nonsense" does not exist' in done.stderr
    assert "Nothing was written" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_database_becomes_a_project_without_a_row_or_an_address_in_it(
    database: str, tmp_path: Path, phasegate: CommandLine
) -> None:
    async def fill() -> None:
        async with connected(database) as connection:
            await connection.execute(
                """
                create table public."user" (id uuid primary key, "E-Mail" text not null unique);
                create table public.post (id bigint generated always as identity primary key,
                    author uuid not null references public."user", body text not null,
                    key text default 'sk_live_0123456789abcdef');
                create table public.gone (id int, a int, unique (id));
                create index post_by_author on public.post (author);
                create materialized view public.posts as
                    select author, count(*) from public.post group by author;
                create table public.seen (at timestamptz not null) partition by range (at);
                insert into public."user" select gen_random_uuid(), 'SECRET' || n || '@mail.test'
                    from generate_series(1, 100) as n;
                insert into public.post (author, body)
                    select id, 'SECRET' from public."user", generate_series(1, 7);
                analyze;
                """
            )

    asyncio.run(fill())
    done = phasegate("init", tmp_path / "out", "--database-url", database)
    assert done.returncode == 0, done.stderr
    assert "  indexes: post_by_author\n" in done.stdout
    assert "  materialised views: public.posts\n" in done.stdout
    assert "  tables in partitions: public.seen\n" in done.stdout
    assert "  replicas: none copies it now\n" in done.stdout
    written = contents(tmp_path / "out")
    text = "\n".join(written.values())
    assert "SECRET" not in text
    assert "sk_live" not in text
    secret, _, place = database.removeprefix("postgresql://").partition("@")
    assert secret.partition(":")[2] not in text + done.stdout + done.stderr
    assert place.partition("/")[0] not in text
    rows = tomllib.loads(written["seed/population.toml"])["tables"]["post"]["rows"]
    assert rows == {"mean": pytest.approx(7, abs=0.1)}
    assert load_project(tmp_path / "out").about.users_table == 'public."user"'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "init needs a source"),
        (("--database-url", "mysql://root:hush@host/db"), "does not begin with postgresql://"),
    ],
)
def test_a_call_that_is_wrong_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...], said: str, tmp_path: Path, phasegate: CommandLine
) -> None:
    done = phasegate("init", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "hush" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
