"""Who the users are, whose rows there are, how many: guessed from shapes as people read them."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from phasegate.adopt.facts import ColumnFacts, SourceFacts, TableFacts
from phasegate.adopt.population import Guess, guess_population
from phasegate.adopt.shape import Check, Column, ForeignKey, Policy, Shape, Table, Type, Unique
from phasegate.model.errors import ConfigurationError

UUID, TEXT, BOOL = Type("uuid", "uuid"), Type("text", "text"), Type("bool", "bool")
MOMENT = Type("timestamptz", "timestamptz")


def table(name: str, *columns: Column, schema: str = "public", **more: Any) -> Table:
    """A table with the primary key `id` before `columns`."""
    key = Unique(f"{name}_pkey", ("id",), is_primary=True)
    every = (Column("id", UUID, not_null=True), *columns)
    return Table((schema, name), columns=every, uniques=(key, *more.pop("uniques", ())), **more)


def key(column: str, target: str, schema: str = "public") -> ForeignKey:
    return ForeignKey(f"{column}_fkey", (column,), (schema, target), ("id",))


def column(name: str, kind: Type = UUID, *, null: bool = False) -> Column:
    return Column(name, kind, not_null=not null)


def guess(*tables: Table, rows: dict[str, float] | None = None, users: str | None = None) -> Guess:
    facts = None
    if rows is not None:
        found = {("public", name): TableFacts(count) for name, count in rows.items()}
        facts = SourceFacts(found, "17.0", datetime(2026, 1, 1, tzinfo=UTC))
    return guess_population(Shape({one.place: one for one in tables}), facts, users)


def declared(found: Guess) -> dict[str, Any]:
    tables: dict[str, Any] = tomllib.loads(found.toml_text())["tables"]
    return tables


AUTH = table("users", column("email", TEXT), schema="auth")
MEMBERS = table("people", column("name", TEXT), foreign_keys=(key("id", "users", "auth"),))
NOTES = table(
    "notes",
    column("writer"),
    foreign_keys=(key("writer", "people"),),
    policies=(Policy("own", "select", "(( SELECT auth.uid() AS uid) = writer)"),),
)


def test_a_table_of_the_app_has_the_users_where_supabase_has_a_row_for_each() -> None:
    found = guess(AUTH, MEMBERS, NOTES)
    assert (found.users_table, found.users_key) == ("public.people", "id")
    assert "1 policy compares what refers to it with auth.uid()" in found.users_reason
    tables = declared(found)
    assert tables["auth.users"]["columns"]["id"] == {"ref": "people.id"}
    assert tables["auth.users"] | {"columns": 0} == {
        "owner": "people", "rows": 1, "when": "with owner", "columns": 0,
    }  # fmt: skip


def test_the_users_are_supabases_where_the_app_has_no_table_of_them() -> None:
    notes = replace(NOTES, foreign_keys=(key("writer", "users", "auth"),))
    found = guess(AUTH, notes)
    assert found.users_table == "auth.users"
    assert declared(found)["notes"]["columns"]["writer"] == {"ref": "auth.users.id"}


def test_another_table_of_users_can_be_asked_for_and_is_looked_for() -> None:
    assert guess(AUTH, MEMBERS, NOTES, users="public.notes").users_table == "public.notes"
    with pytest.raises(ConfigurationError, match="no table 'nobody'"):
        guess(AUTH, MEMBERS, users="nobody")
    with pytest.raises(ConfigurationError, match=r"No table looks like .*--users-table"):
        guess(table("things"))
    with pytest.raises(ConfigurationError, match="no tables"):
        guess()


USERS = table("users", column("email", TEXT))
TEAMS = table("teams", column("name", TEXT))
TEAM_MEMBERS = table(
    "team_members",
    column("team_id"),
    column("user_id"),
    foreign_keys=(key("team_id", "teams"), key("user_id", "users")),
    uniques=(Unique("once", ("team_id", "user_id")),),
)
DOCUMENTS = table(
    "documents",
    column("team_id"),
    column("author"),
    column("made_at", MOMENT),
    foreign_keys=(key("team_id", "teams"), key("author", "users")),
)


def test_rows_of_an_organisation_belong_to_it_and_their_people_are_its_members() -> None:
    tables = declared(
        guess(
            USERS, TEAMS, TEAM_MEMBERS, DOCUMENTS,
            rows={"users": 1000, "teams": 100, "team_members": 1500, "documents": 5000},
        )
    )  # fmt: skip
    assert tables["teams"]["rows"] == {"members_mean": 10.0}
    assert tables["team_members"]["rows"] == {"from_one_mean": 1.5, "memberships_of": "teams"}
    assert (tables["documents"]["owner"], tables["documents"]["rows"]) == ("teams", {"mean": 50.0})
    assert tables["documents"]["columns"]["author"] == {
        "ref": "team_members.user_id", "within": "teams",
    }  # fmt: skip
    assert tables["documents"]["columns"]["made_at"] == "created"


def test_a_list_does_not_grow_and_a_column_named_after_a_table_refers_to_it() -> None:
    kinds = table("kinds", column("name", TEXT), uniques=(Unique("name", ("name",)),))
    visits = table("visits", column("user_id"), column("kind_id"))
    tables = declared(guess(USERS, kinds, visits, rows={"users": 10, "kinds": 7, "visits": 90}))
    assert tables["kinds"]["rows"] == 7
    assert (tables["visits"]["owner"], tables["visits"]["rows"]) == ("users", {"mean": 9.0})
    assert tables["visits"]["columns"]["kind_id"] == {"ref": "kinds.id"}


MOOD = Type("enum", "mood", labels=("good", "bad"))
LISTS = table("lists", column("made_by", null=True), foreign_keys=(key("made_by", "users"),))


def test_a_unique_key_to_rows_that_only_may_be_a_users_makes_them_the_owner() -> None:
    rooms = table("rooms", column("user_id"), foreign_keys=(key("user_id", "users"),))
    notes = table(
        "notes",
        *(column("list_id"), column("sort", MOOD), column("room_id"), column("user_id", null=True)),
        foreign_keys=(key("list_id", "lists"), key("room_id", "rooms"), key("user_id", "users")),
        uniques=(Unique("once", ("list_id", "sort")),),
    )
    found = guess(USERS, LISTS, rooms, notes)
    assert (found.problems, declared(found)["notes"]["owner"]) == ((), "lists")


def test_a_unique_key_goes_before_a_shorter_path_that_a_row_may_lack() -> None:
    pairs = table(
        "pairs",
        *(column("user_id", null=True), column("list_id"), column("sort", MOOD)),
        foreign_keys=(key("user_id", "users"), key("list_id", "lists")),
        uniques=(Unique("once", ("list_id", "sort")),),
    )
    found = guess(USERS, LISTS, pairs)
    assert (found.problems, declared(found)["pairs"]["owner"]) == ((), "lists")


def test_the_row_that_keys_of_several_columns_take_along_is_the_owner() -> None:
    to_user = (key("user_id", "users"),)
    spaces, folders = (
        table(name, column("user_id"), foreign_keys=to_user) for name in ("spaces", "folders")
    )
    forms = table("forms", column("space_id"), foreign_keys=(key("space_id", "spaces"),))
    # Named after the folders, and these come first in it.
    pairs = table(
        "folder_spaces",
        *(column("folder_id"), column("space_id")),
        foreign_keys=(key("folder_id", "folders"), key("space_id", "spaces")),
    )
    pins = table(
        "pins",
        *(column("pair_id"), column("space_id"), column("form_id")),
        foreign_keys=tuple(
            ForeignKey(name, (name, "space_id"), ("public", target), ("id", "space_id"))
            for name, target in (("pair_id", "folder_spaces"), ("form_id", "forms"))
        ),
    )
    found = guess(USERS, folders, spaces, forms, pairs, pins)
    assert (found.problems, declared(found)["folder_spaces"]["owner"]) == ((), "spaces")
    assert declared(found)["pins"]["columns"]["form_id"] == {"ref": "forms.id"}


def test_rows_that_others_refer_to_are_more_the_busier_their_user_is() -> None:
    folders = table("folders", column("user_id"), foreign_keys=(key("user_id", "users"),))
    files = table(
        "files",
        *(column("user_id"), column("folder_id", null=True)),
        foreign_keys=(key("user_id", "users"), key("folder_id", "folders")),
    )
    found = guess(USERS, folders, files, rows={"users": 10, "folders": 20, "files": 90})
    assert declared(found)["folders"]["rows"] == {
        "from_one_mean": 2.0, "max": 24, "follow_activity": 0.5,
    }  # fmt: skip


def test_one_row_an_owner_and_one_default_among_several() -> None:
    settings = table(
        "settings",
        column("user_id"),
        foreign_keys=(key("user_id", "users"),),
        uniques=(Unique("one", ("user_id",)),),
    )
    addresses = table(
        "addresses",
        column("user_id"),
        column("is_default", BOOL),
        foreign_keys=(key("user_id", "users"),),
        uniques=(Unique("main", ("user_id",), where="is_default"),),
    )
    tables = declared(guess(USERS, settings, addresses))
    assert tables["settings"]["rows"] == 1
    assert tables["addresses"]["columns"]["is_default"] == {"by_number": [True, False]}


def test_what_cannot_be_guessed_is_named_with_the_line_to_write() -> None:
    codes = table(
        "codes", column("user_id"), column("code", TEXT), foreign_keys=(key("user_id", "users"),),
        checks=(Check("code_is_ok", "is_ok(code)", ("code",)),),
    )  # fmt: skip
    found = guess(USERS, codes)
    (problem,) = found.problems
    assert (problem.table, problem.column, problem.constraint) == ("codes", "code", "code_is_ok")
    assert "[tables.codes.columns] code = " in str(problem)
    assert "is_ok(code)" in declared(found)["codes"]["columns"]["code"]["todo"]


def test_figures_of_the_source_say_nulls_order_and_length() -> None:
    notes = table(
        "notes", column("user_id"), column("title", TEXT), column("done_at", MOMENT, null=True),
        column("made_at", MOMENT), foreign_keys=(key("user_id", "users"),),
    )  # fmt: skip
    columns = {
        "id": ColumnFacts(0.0, -1.0, 16, 0.99),
        "title": ColumnFacts(0.0, -0.9, 41, 0.0),
        "done_at": ColumnFacts(0.25, -0.7, 8, 0.9),
    }
    facts = SourceFacts(
        {("public", "users"): TableFacts(10), ("public", "notes"): TableFacts(95, columns)},
        "17.0",
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    shape = Shape({one.place: one for one in (USERS, notes)})
    found = declared(guess_population(shape, facts))["notes"]
    assert found["rows"] == {"mean": 9.5}
    assert found["columns"]["id"] == "uuid7"
    assert found["columns"]["done_at"]["happens"] == 0.75
    assert found["columns"]["title"] == {"text": "{catch_phrase} {last_name}"}


def test_a_unique_key_to_rows_that_a_whole_group_shares_is_named_before_the_load() -> None:
    boards = table("boards", column("team_id", null=True), foreign_keys=(key("team_id", "teams"),))
    kinds = table("kinds", column("name", TEXT))
    pins = table(
        "pins", column("board_id", null=True), column("user_id"), column("kind_id"),
        foreign_keys=(key("board_id", "boards"), key("user_id", "users"), key("kind_id", "kinds")),
        uniques=(Unique("once", ("board_id", "kind_id")),),
    )  # fmt: skip
    # Members of one team would pick the same board: each row another of its user's is not enough.
    found = guess(USERS, TEAMS, TEAM_MEMBERS, boards, kinds, pins)
    assert [(one.table, one.column, one.constraint) for one in found.problems] == [
        ("pins", "board_id", "once")
    ]


@pytest.mark.parametrize(("correlation", "wanted"), [(0.99, "snowflake"), (0.1, "identity")])
def test_keys_that_the_app_itself_numbers_lie_as_the_sources_do(
    correlation: float, wanted: str
) -> None:
    logs = replace(
        table("logs", column("user_id"), column("made_at", MOMENT)),
        foreign_keys=(key("user_id", "users"),),
    )
    big = Column("id", Type("int8", "bigint"), not_null=True)
    logs = replace(logs, columns=(big, *logs.columns[1:]))
    columns = {"id": ColumnFacts(0.0, -1.0, 8, correlation)}
    facts = SourceFacts(
        {("public", "users"): TableFacts(10), ("public", "logs"): TableFacts(95, columns)},
        "17.0",
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    shape = Shape({one.place: one for one in (USERS, logs)})
    assert declared(guess_population(shape, facts))["logs"]["columns"]["id"] == wanted


def test_a_key_of_two_columns_picks_one_row_for_both() -> None:
    spaces = table("spaces", column("team_id"), foreign_keys=(key("team_id", "teams"),))
    forms = table(
        "forms",
        column("space_id"),
        foreign_keys=(key("space_id", "spaces"),),
        uniques=(Unique("both", ("id", "space_id")),),
    )
    # The shorter key is true by the longer one: the form's space is a space.
    links = table(
        "links",
        column("team_id"),
        column("space_id"),
        column("form_id"),
        foreign_keys=(
            key("team_id", "teams"),
            ForeignKey("of_form", ("form_id", "space_id"), ("public", "forms"), ("id", "space_id")),
            ForeignKey("of_space", ("space_id",), ("public", "spaces"), ("id",)),
        ),
    )
    found = guess(USERS, TEAMS, TEAM_MEMBERS, spaces, forms, links)
    assert found.problems == ()
    columns = declared(found)["links"]["columns"]
    assert columns["form_id"] == {"ref": "forms.id"}
    assert columns["space_id"] == {"ref": "forms.space_id", "same_as": "form_id"}


def test_a_key_that_would_need_two_owners_to_agree_is_named() -> None:
    spaces = table("spaces", column("team_id"), foreign_keys=(key("team_id", "teams"),))
    forms = table("forms", column("space_id"), foreign_keys=(key("space_id", "spaces"),))
    # A source picks a space of its team; a link belongs to a source, and its form to a space.
    sources = table(
        "sources",
        column("channel_id"),
        column("space_id"),
        foreign_keys=(key("channel_id", "channels"), key("space_id", "spaces")),
        uniques=(Unique("one", ("channel_id",)),),
    )
    channels = table("channels", column("team_id"), foreign_keys=(key("team_id", "teams"),))
    links = table(
        "links",
        column("source_id"),
        column("space_id"),
        column("form_id"),
        foreign_keys=(
            ForeignKey("by", ("source_id", "space_id"), ("public", "sources"), ("id", "space_id")),
            ForeignKey("of_form", ("form_id", "space_id"), ("public", "forms"), ("id", "space_id")),
        ),
        uniques=(Unique("per_source", ("source_id", "space_id")),),
    )
    found = guess(USERS, TEAMS, TEAM_MEMBERS, spaces, forms, channels, sources, links)
    assert [(one.table, one.column, one.constraint) for one in found.problems] == [
        ("links", "form_id", "of_form")
    ]


def test_keys_follow_time_but_for_rows_of_an_event() -> None:
    number = Column("id", Type("int8", "int8"), not_null=True, identity="a")

    def numbered(name: str, owner: str) -> Table:
        made = table(name, column(f"{owner}_id"), foreign_keys=(key(f"{owner}_id", f"{owner}s"),))
        return replace(made, columns=(number, *made.columns[1:]))

    tables = declared(guess(USERS, numbered("visits", "user"), numbered("clicks", "visit")))
    assert (tables["visits"]["rows"], tables["visits"]["columns"]["id"]) == (
        {"mean": 50.0}, "snowflake",
    )  # fmt: skip
    assert (tables["clicks"]["owner"], tables["clicks"]["columns"]["id"]) == ("visits", "identity")
