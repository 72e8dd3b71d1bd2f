"""A database is looked at without being changed, and what cannot be told is not made up."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec
import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.project import About
from phasegate.stack import inspect
from phasegate.stack.database import execute, fetch
from phasegate.stack.inspect import look_at


def as_role(dsn: str, role: str, password: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


APP = About(name="app", title="App", users_table="public.profiles")

PROFILES = "create table profiles (id uuid primary key default gen_random_uuid())"


def test_partitions_and_their_indexes_are_summed_under_their_table(database: str) -> None:
    execute(
        database,
        "create table log (id int, at int, primary key (id, at)) partition by range (at)",
        "create table log_1 partition of log for values from (0) to (100)",
        "create table log_2 partition of log for values from (100) to (200)",
        "insert into log select n, n % 200 from generate_series(1, 4000) as n",
        "analyze log",
    )
    found, acting = look_at(database, APP)
    (log,) = found.relations
    assert (log.name, log.rows, set(log.index_bytes)) == ("log", 4000, {"log_pkey"})
    assert log.table_bytes > 4000 * 28
    assert (found.users_table, found.registered_users, acting) == (None, None, None)


def test_users_are_counted_and_those_asked_for_are_looked_up(database: str) -> None:
    execute(database, PROFILES, "insert into profiles select from generate_series(1, 7)")

    ids = [str(row["id"]) for row in fetch(database, "select id from profiles")]
    someone_else = "00000000-0000-4000-8000-000000000000"
    found, acting = look_at(database, APP, [*ids, someone_else])
    assert (found.users_table, found.registered_users) == ("public.profiles", 7)
    assert (found.counted, acting) == ("counted", 7)


def test_supabases_own_table_of_users_goes_before_the_applications(database: str) -> None:
    execute(
        database,
        PROFILES,
        "create schema auth",
        "create table auth.users (id uuid default gen_random_uuid())",
        "insert into auth.users select from generate_series(1, 3)",
    )
    assert look_at(database, APP)[0].registered_users == 3


def test_a_projects_own_table_of_users_is_read_under_its_own_names(database: str) -> None:
    execute(
        database,
        'create schema "The Shop"',
        'create table "The Shop"."Buyers" ("No." bigint primary key)',
        'insert into "The Shop"."Buyers" select generate_series(1, 5)',
    )
    shop = About(name="s", title="S", users_table='"The Shop"."Buyers"', users_key="No.")
    found, acting = look_at(database, shop, ["2", "5", "6"])
    assert (found.users_table, found.registered_users) == ('"The Shop"."Buyers"', 5)
    assert acting == 2
    other = About(name="s", title="S", users_table='"The Shop"."Sellers"')
    assert look_at(database, other)[0].users_table is None


def test_a_count_that_takes_too_long_becomes_the_planners_estimate(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        database, PROFILES, "insert into profiles select from generate_series(1, 200000)",
        "analyze profiles",
    )  # fmt: skip
    monkeypatch.setattr(inspect, "COUNT_TIMEOUT", "1ms")
    found, _ = look_at(database, APP)
    assert found.counted == "estimated"
    assert found.registered_users == pytest.approx(200_000, rel=0.05)


def test_a_role_that_row_level_security_shows_less_to_is_refused_rather_than_believed(
    database: str,
) -> None:
    execute(
        database,
        PROFILES,
        "insert into profiles select from generate_series(1, 7)",
        "alter table profiles enable row level security",
        "drop role if exists inspector",
        "create role inspector login password 'not-to-be-shown'",
        "grant select on profiles to inspector",
    )
    try:
        with pytest.raises(CannotMeasure, match="row-level security") as caught:
            look_at(as_role(database, "inspector", "not-to-be-shown"), APP)
        assert "not-to-be-shown" not in caught.value.sentence()
    finally:
        execute(database, "drop owned by inspector", "drop role inspector")


@pytest.mark.integration
def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(CannotMeasure, match="Cannot connect") as caught:
        look_at("postgresql://me:not-to-be-shown@127.0.0.1:9/app", APP)
    assert "not-to-be-shown" not in caught.value.sentence()


def test_policies_are_asked_for_in_the_projects_schemas_and_lookup_tables_told_apart(
    database: str,
) -> None:
    execute(
        database,
        "do $$ begin create role authenticated; exception when duplicate_object then null; end $$",
        "create schema shop",
        "grant usage on schema shop to authenticated",
        "create table shop.currencies (code text primary key)",
        "create table shop.regions (id uuid primary key, name text)",
        "create table shop.notes (line text, of_user uuid)",
        "create table shop.prices (currency text references shop.currencies)",
        "create table shop.basket (line text)",
        "create table elsewhere (line text)",
        "grant select on all tables in schema shop, public to authenticated",
        "grant insert on shop.basket to authenticated",
    )
    assert inspect.unguarded(database, ["public"]) == ()
    (sentence,) = inspect.unguarded(database, ["shop"])
    assert "off on shop.basket, shop.notes, shop.prices: alter table shop.basket enable" in sentence
    found, _ = look_at(database, msgspec.structs.replace(APP, schemas=("shop",)))
    (warning,) = found.lookups
    assert "reads all of shop.currencies, shop.regions: " in warning
