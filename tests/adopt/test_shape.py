"""What the catalogues say of a schema, read back."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from phasegate.adopt.shape import Shape, read_shape
from phasegate.stack.postgres import PostgresServer

SCHEMA = """
create schema auth;
create table auth.users (id uuid primary key, email text);
create schema "Shop";
create type mood as enum ('good', 'so so', 'bad');
create type pair as (low int, high numeric(5, 2));
create domain posint as int check (value > 0);
create domain percent as posint not null default 5 check (value <= 100);
create table orgs (id bigserial primary key, name varchar(40) not null unique);
create table "Shop"."Order" (
    id int generated always as identity primary key,
    "user" uuid not null references auth.users on delete cascade,
    org_id bigint references orgs deferrable,
    parent int references "Shop"."Order",
    m mood not null default 'good',
    moods mood[],
    p percent,
    price numeric(10, 2) check (price > 0),
    total numeric generated always as (price * 2) stored,
    code char(3),
    tags varchar(8)[],
    during tstzrange,
    ends pair,
    bits bit(4),
    deleted_at timestamptz,
    constraint spanned check (price < 100 or org_id is null),
    unique (org_id, code),
    exclude using gist (during with &&)
);
create unique index lowered on "Shop"."Order" (lower(code), org_id) where deleted_at is null;
alter table "Shop"."Order" enable row level security;
create function auth.uid() returns uuid language sql as 'select null::uuid';
create policy own on "Shop"."Order" for select using ("user" = (select auth.uid()));
create table logs (id int, at timestamptz not null) partition by range (at);
create table logs_2024 partition of logs for values from ('2024-01-01') to ('2025-01-01');
create table logs_rest partition of logs default;
create view seen as select * from orgs;
create table base (a int);
create table heir (b int) inherits (base);
create function nothing() returns trigger language plpgsql as 'begin return new; end';
create trigger touch before update on orgs for each row execute function nothing();
"""


@pytest.fixture(scope="module")
def shape(postgres: PostgresServer) -> Shape:
    async def make() -> Shape:
        server = await asyncpg.connect(postgres.dsn())
        await server.execute("create database shape")
        try:
            connection = await asyncpg.connect(postgres.dsn("shape"))
            try:
                await connection.execute(SCHEMA)
                return await read_shape(connection, ["public", "Shop"])
            finally:
                await connection.close()
        finally:
            await server.execute("drop database shape with (force)")
            await server.close()

    return asyncio.run(make())


def test_tables_of_the_schemas_and_those_they_refer_to(shape: Shape) -> None:
    assert set(shape.tables) == {
        ("Shop", "Order"), ("auth", "users"), ("public", "base"), ("public", "heir"),
        ("public", "logs"), ("public", "orgs"),
    }  # fmt: skip
    assert shape.views == (("public", "seen"),)
    assert shape.tables["public", "heir"].inherits == (("public", "base"),)
    assert shape.tables["public", "orgs"].triggers == ("touch",)


def test_a_column_has_its_type_without_the_domains_and_their_checks(shape: Shape) -> None:
    columns = shape.tables["Shop", "Order"].by_name
    percent = columns["p"]
    assert (percent.type.name, percent.not_null, percent.default) == ("int4", True, "5")
    assert [check.sql for check in percent.type.checks] == [
        "((VALUE)::integer <= 100)",
        "(VALUE > 0)",
    ]
    assert (columns["price"].type.precision, columns["price"].type.scale) == (10, 2)
    assert columns["m"].type.labels == ("good", "so so", "bad")
    assert columns["moods"].type.element is not None
    assert columns["moods"].type.element.labels == ("good", "so so", "bad")
    assert columns["tags"].type.element is not None
    assert columns["tags"].type.element.length_max == 8
    assert columns["code"].type.length_max == 3
    assert columns["bits"].type.length_max == 4
    assert columns["during"].type.subtype is not None
    assert columns["during"].type.subtype.name == "timestamptz"
    assert [(name, kind.name) for name, kind in columns["ends"].type.fields] == [
        ("low", "int4"), ("high", "numeric"),
    ]  # fmt: skip
    assert columns["total"].generated
    assert columns["id"].is_numbered
    assert shape.tables["public", "orgs"].by_name["id"].is_numbered
    assert not columns["price"].is_numbered


def test_keys_checks_and_what_excludes(shape: Shape) -> None:
    table = shape.tables["Shop", "Order"]
    found = {unique.columns: unique for unique in table.uniques if not unique.expressions}
    assert table.primary is not None
    assert table.primary.columns == ("id",)
    assert found["org_id", "code"].where == ""
    lowered = next(unique for unique in table.uniques if unique.name == "lowered")
    assert set(lowered.columns) == {"org_id", "code"}
    assert "lower" in lowered.expressions[0]
    assert lowered.where == "(deleted_at IS NULL)"
    keys = {key.columns: key for key in table.foreign_keys}
    assert keys["user",].table == ("auth", "users")
    assert keys["user",].on_delete == "c"
    assert keys["org_id",].deferrable
    assert keys["parent",].table == ("Shop", "Order")
    checks = {check.name: check for check in table.checks}
    assert set(checks["spanned"].columns) == {"price", "org_id"}
    (exclusion,) = table.exclusions
    assert exclusion.elements == (("during", "&&"),)
    assert not any("during" in unique.columns for unique in table.uniques)


def test_policies_and_partitions(shape: Shape) -> None:
    (policy,) = shape.tables["Shop", "Order"].policies
    assert (policy.command, shape.tables["Shop", "Order"].row_security) == ("select", True)
    assert "auth.uid()" in policy.using
    logs = shape.tables["public", "logs"]
    assert logs.partition_columns == ("at",)
    assert logs.partition_by == "RANGE (at)"
    assert "DEFAULT" in logs.partitions
