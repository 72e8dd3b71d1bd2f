"""What declarations may not say: one line with file and key, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from phasegate.model.errors import CannotMeasure, ConfigurationError, ExitCode
from phasegate.project import SeedFolder
from phasegate.seeding import describe, seed_database

Query = Callable[..., list[asyncpg.Record]]

CLUB = Path(__file__).with_name("club")


def edited(tmp_path: Path, file: str, old: str, new: str) -> SeedFolder:
    """The club with one thing said otherwise."""
    for path in CLUB.rglob("*"):
        if path.suffix in {".toml", ".sql", ".py"}:
            text = path.read_text("utf-8")
            if path.name == file:
                assert old in text
                text = text.replace(old, new, 1)
            copy = tmp_path / path.relative_to(CLUB)
            copy.parent.mkdir(exist_ok=True, parents=True)
            copy.write_text(text, encoding="utf-8")
    return SeedFolder(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("days = 200", "day = 200", r"unknown field `day`"),
        ("days = 200", "days = 20", r"`days` must be 28 to 730"),
        ('owner = "orgs"', 'owner = "org"', r"tables.rooms.owner: there is no table 'org'"),
        ('owner = "orgs"', 'owner = "countries"', r"'orgs' and 'rooms' share no owner"),
        ('owner = "memberships"', 'owner = "billing.lines"', r"owner: a cycle: .*posts"),
        ('owner = "memberships"\n', "", r"tables.posts.owner: is missing"),
        ('is_admin = { share = 0.1 }', 'is_admin = { odds = 0.1 }', r"unknown field `odds`"),
        ("share = 0.1 ", "share = 0.1, value = 1 ", r"give one of .*not share and value"),
        ('id = "uuid4"', 'id = "uuid5"', r"`columns.id`: 'uuid5' is none of uuid4, uuid7"),
        ('id = "uuid4"', 'id = "created"', r"columns.id: the users' key"),
        ('{ ref = "orgs.id" }', '{ ref = "orgs.key" }', r"ref: 'orgs' has no column 'key'"),
        ('"countries.code"', '"Members.id", within = "posts"', r"'posts' is not above both"),
        ('{ value = "reader" }', '{ copy = "status" }', r"'posts' has no column 'status'"),
        ('after = "created", median', 'after = "updated", median', r"a cycle: posts.updated →"),
        ('after = "updated"', 'after = "body"', r"deleted.after: 'body' is no moment"),
        ("{mark}, {word}", "{marc}, {word}", r"Faker .* has no words for en_US"),
        ('function = "shout"', 'function = "cry"', r"columns.py has no function 'cry'"),
        ('"countries.code"', '"countries.code", within = "*"', r"are nobody's: leave `within` out"),
        ('{ ref = "orgs.id" }', '{ ref = "orgs.id", unique = "owner" }', r"all have the same one"),
        ('{ share = 0.1 }', '{ share = 0.1, unique = true }', r"`unique` is for choice, uniform"),
        ('{ share = 0.1 }', '{ choice = [1], unique = "owner" }', r"'Members' has no owner"),
        ('normal = [70.0, 10.0]', 'normal = [70.0, 10.0], base = "gone"',
         r"has no column 'gone'"),
        ('rows = 20', 'rows = 20\nskip = true', r"rooms, posts, .* need rows of skipped tables"),
        ('same_as = "room_org"', 'same_as = "org_id"', r"'org_id' has no `ref` to 'rooms'"),
        ('memberships_of = "orgs"', 'memberships_of = "rooms"', r"there are no groups 'rooms'"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_one_line_with_its_key(
    tmp_path: Path, database: str, query: Query, old: str, new: str, said: str
) -> None:
    project = edited(tmp_path, "population.toml", old, new)
    with pytest.raises(ConfigurationError, match=said) as refused:
        seed_database(database, users=10, seed=1, project=project)
    assert refused.value.exit_code is ExitCode.WRONG_CALL
    assert refused.value.sentence().startswith("seed/population.toml: ")
    assert "\n" not in refused.value.sentence()
    assert query(database, "select from pg_namespace where nspname = 'phasegate'") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[tables.countries]", "[tables.lands]", r"tables.lands: seed/schema.sql makes no table"),
        ('slug = {', 'slogan = {', r"columns.slogan: 'orgs' has no such column in seed/schema.sql"),
        ('body = { text = "{mark}, {word} {last_name}" }\n', "", r"'body' must not be null"),
        ('born = {', 'words = { value = "x" }\nborn = {', r"'Members' has no such column"),
        ('made = "created"\n\n[tables.comments]', 'made = { value = "soon" }\n\n[tables.comments]',
         r"lines.columns.made: 'soon' is no timestamp"),
        ('{ value = "reader" }', '{ value = "guest" }', r"'guest' is none of the labels owner"),
        ('is_admin = { share = 0.1 }', 'is_admin = { uniform = [0, 1] }', r"bool takes no number"),
        ('is_admin = { share = 0.1 }', 'is_admin = { share = 0.1, null_share = 0.1 }',
         r"is_admin: may be null, and the schema takes no null there"),
        ('name = { choice = ["Acme", "Bärenbau"] }', 'name = { text = "{catch_phrase} {bs}" }',
         r"orgs.columns.name: a text may have \d+ characters, and the column takes 80"),
        ("uniform = [100, 100000]", 'text = "a"', r"cents: a column of type int8 takes no text"),
        ("[30.0, 0.5]", "[30.0, 4]", r"price: numbers up to \S+ do not fit into numeric"),
        ('facts = { json', 'words = { value = "x" }\nfacts = { json', r"fills that column"),
    ],
)  # fmt: skip
def test_what_the_schema_does_not_have_is_named_before_the_first_row(
    tmp_path: Path, database: str, query: Query, old: str, new: str, said: str
) -> None:
    population = "population.toml"
    project = edited(tmp_path, population, old, new)
    if "lands" in new:
        path = project.folder / population
        path.write_text(path.read_text().replace("tables.countries", "tables.lands"))
        path.write_text(path.read_text().replace("countries.code", "lands.code"))
    with pytest.raises(ConfigurationError, match=said) as refused:
        seed_database(database, users=10, seed=1, project=project)
    assert "\n" not in refused.value.sentence()
    assert query(database, "select from pg_namespace where nspname = 'phasegate'") == []
    assert query(database, "select from pg_class where relname = 'Members'") == []


def test_a_schema_that_the_server_refuses_is_named_with_its_file(
    tmp_path: Path, database: str
) -> None:
    project = edited(tmp_path, "schema.sql", "create table orgs", "create tabel orgs")
    with pytest.raises(ConfigurationError, match=r"^seed/schema.sql, line \d+: syntax error"):
        seed_database(database, users=10, seed=1, project=project)


def test_a_function_that_fails_to_load_is_named_with_its_file(
    tmp_path: Path, database: str
) -> None:
    project = edited(tmp_path, "columns.py", "import numpy as np", "import numpi as np")
    with pytest.raises(ConfigurationError, match=r"seed/columns.py cannot be run: ModuleNotFound"):
        seed_database(database, users=10, seed=1, project=project)


def test_a_project_without_a_population_says_which_file_is_missing(tmp_path: Path) -> None:
    project = edited(tmp_path, "population.toml", "days", "days")
    (project.folder / "population.toml").unlink()
    with pytest.raises(ConfigurationError, match=r"Cannot read seed/population.toml"):
        describe(10, 1, project=project)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("add primary key (code)", "add primary kee (code)", "syntax error"),
        (
            "check (created <= updated",
            "check (created < updated",
            "check constraint .* is violated",
        ),
        ("unique (slug)", "unique (name)", "could not create unique index"),
    ],
)
def test_a_key_that_the_rows_do_not_satisfy_is_named_and_nothing_uses_the_data(
    tmp_path: Path, database: str, query: Query, old: str, new: str, said: str
) -> None:
    project = edited(tmp_path, "keys.sql", old, new)
    with pytest.raises(CannotMeasure, match=rf"seed/keys.sql: .*{said}"):
        seed_database(database, users=200, seed=1, project=project)
    assert query(database, "select state from phasegate.dataset")[0]["state"] == "loading"
