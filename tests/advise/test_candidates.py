"""What is proposed, from statements and schemas that are written here. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from phasegate.advise.access import accesses
from phasegate.advise.candidate import Candidate
from phasegate.advise.draws import Users, path_to_users
from phasegate.advise.indexes import missing_indexes
from phasegate.advise.policies import asked_once, merged, overlapping
from phasegate.advise.rewrites import rewrites
from phasegate.advise.schema import Column, ForeignKey, Function, Index, Policy, Schema, Table, sql
from phasegate.advise.statements import Seen
from phasegate.advise.unused import droppable
from phasegate.advise.world import World
from phasegate.project import read_techniques

ROOT = Path(__file__).parents[2]
OWN = "(owner_id = ( SELECT auth.uid() AS uid))"

PAGE = (
    'with pgrst_source as (select "orders".* from "public"."orders" as "orders"'
    ' where "orders"."owner_id" = ($3::text)::pg_catalog.uuid order by "orders"."made_at" desc'
    " limit $1::bigint offset $2::bigint) select null::bigint, count(_postgrest_t),"
    " coalesce(json_agg(_postgrest_t), '[]')::text,"
    " nullif(current_setting('response.headers', true), '')"
    " from (select * from pgrst_source) as _postgrest_t"
)
BY_KEY = (
    'with pgrst_source as (select "shops"."name" as "name" from "public"."shops" as "shops"'
    ' where "shops"."id" = ($3::text)::pg_catalog.uuid limit $1::bigint offset $2::bigint)'
    " select null::bigint, count(_postgrest_t) from (select * from pgrst_source) as _postgrest_t"
)


def columns(**types: str) -> dict[str, Column]:
    return {name: Column(name, kind, nullable=False) for name, kind in types.items()}


def table(name: str, fields: dict[str, Column], *indexes: Index, **more: object) -> Table:
    plain: dict[str, object] = {
        "schema": "public", "name": name, "rows": 1000.0, "bytes": 1, "guarded": False,
        "partitioned": False, "columns": fields, "primary": ("id",),
        "indexes": (btree(f"{name}_pkey", "id", is_unique=True, of_constraint=True), *indexes),
    }  # fmt: skip
    return Table(**{**plain, **more})  # type: ignore[arg-type]


def btree(name: str, *keys: str, **more: object) -> Index:
    down = more.pop("descending", (False,) * len(keys))
    return Index("public", name, "btree", keys, down, **more)  # type: ignore[arg-type]


USERS_TABLE = table("people", columns(id="uuid", name="text"))
SHOPS = table("shops", columns(id="uuid", name="text"))


def orders(*indexes: Index, **more: object) -> Table:
    fields = columns(
        id="uuid", owner_id="uuid", shop_id="uuid", made_at="timestamp with time zone", note="text"
    )
    keys = (
        ForeignKey("o", ("owner_id",), "public.people", ("id",)),
        ForeignKey("s", ("shop_id",), "public.shops", ("id",)),
    )
    return table("orders", fields, *indexes, **{"foreign": keys, **more})


def world(*tables: Table, statements: Sequence[Seen] = (), **functions: Function) -> World:
    schema = Schema({each.key: each for each in (USERS_TABLE, SHOPS, *tables)}, functions)
    types = {seen.text: ("text",) * seen.parameters for seen in statements}
    return World(schema, Users("public.people", "id"), tuple(statements), types, {})


def ids(found: object) -> list[str]:
    return [each.id for each in found]  # type: ignore[attr-defined]


def asked(text: str, calls: int = 10, *values: str) -> Seen:
    return Seen(text, calls, 100.0 * calls, values=(values,) if values else ())


def test_an_index_has_what_is_equal_first_and_then_the_order_also_in_postgrest_s_shape() -> None:
    found = list(missing_indexes(world(orders(), statements=[asked(PAGE)])))
    assert found[0].id == "idx_orders_owner_id_made_at"
    assert "on public.orders (owner_id, made_at desc);" in found[0].files["migration.sql"]
    assert "lock_timeout" in found[0].files["migration.sql"]


@pytest.mark.parametrize(
    "index",
    [
        btree("x", "owner_id", "made_at", descending=(False, True)),
        btree("x", "owner_id", "made_at", "note"),
    ],
)
def test_an_index_that_serves_both_ways_is_not_proposed_again(index: Index) -> None:
    found = missing_indexes(world(orders(index), statements=[asked(PAGE)]))
    assert "idx_orders_owner_id_made_at" not in ids(found)


def test_a_look_up_by_primary_key_needs_nothing_and_a_reference_without_index_is_named() -> None:
    found = list(missing_indexes(world(orders(), statements=[asked(BY_KEY)])))
    assert ids(found) == ["idx_orders_owner_id", "idx_orders_shop_id"]
    assert found[0].calls == 0
    assert "no statement seen deletes from public.people" in found[0].note


def test_the_policy_s_own_comparison_is_one_of_the_statement_s() -> None:
    policy = Policy("own", "all", ("authenticated",), OWN, None)
    guarded = orders(guarded=True, policies=(policy,))
    seen = asked("select id from orders order by made_at desc limit 5")
    (access,) = accesses(seen, world(guarded).schema)
    assert access.columns("=") == ("owner_id",)
    assert access.columns("=", policy=False) == ()


def test_a_gin_index_under_row_security_comes_with_the_reason_why_it_will_not_be_used() -> None:
    fields = {**orders().columns, "tags": Column("tags", "jsonb")}
    guarded = orders(guarded=True, columns=fields)
    found = list(
        missing_indexes(world(guarded, statements=[asked("select 1 from orders where tags @> $1")]))
    )
    assert found[0].id == "idx_orders_tags_gin"
    assert "not leakproof" in found[0].note


def test_a_deep_page_goes_on_after_a_row_and_a_shallow_one_is_left_alone() -> None:
    deep = asked(PAGE, 10, "20", "400", "a")
    shallow = asked(PAGE, 10, "20", "0", "a")
    assert "offset" in [each.kind for each in rewrites(world(orders(), statements=[deep]))]
    assert "offset" not in [each.kind for each in rewrites(world(orders(), statements=[shallow]))]


def test_look_ups_by_key_as_often_as_a_list_are_one_statement(tmp_path: Path) -> None:
    found = [
        each
        for each in rewrites(world(orders(), statements=[asked(PAGE), asked(BY_KEY, 40)]))
        if each.kind == "N+1"
    ]
    assert ids(found) == ["embed_shops_in_orders"]
    assert found[0].one_by_one == "shop_id"
    seldom = [asked(PAGE, 50), asked(BY_KEY, 10)]
    assert not [each for each in rewrites(world(orders(), statements=seldom)) if each.kind == "N+1"]
    found[0].write(tmp_path)
    assert read_techniques(tmp_path)["embed_shops_in_orders"].client


def test_every_proposed_folder_is_a_technique_that_the_project_can_read(tmp_path: Path) -> None:
    here = world(orders(btree("unused", "note")), statements=[asked(PAGE, 10, "20", "400", "a")])
    made: list[Candidate] = [*missing_indexes(here), *rewrites(here), *droppable(here)]
    assert len(made) >= 4
    for each in made:
        each.write(tmp_path)
    assert set(read_techniques(tmp_path)) == set(ids(made))


def test_only_what_nothing_needs_can_be_dropped() -> None:
    used = btree("used", "made_at", scans=3)
    unique = btree("unique", "note", is_unique=True)
    reference = btree("reference", "shop_id")
    twin = btree("twin", "shop_id", scans=9)
    found = {each.id: each.kind for each in droppable(world(orders(used, unique, reference, twin)))}
    assert found == {"drop_reference": "duplicate index"}


def test_without_an_index_what_asks_for_its_column_is_read_and_what_writes_the_row_is_its_cost(
    tmp_path: Path,
) -> None:
    by_shop = asked("select note from public.orders where shop_id = $1", 3, "7")
    dearer = asked("select note from public.orders where owner_id = $1", 90, "7")
    writer = asked("insert into public.orders (id, note) values ($1, $2)", 5, "7", "a")
    twin = btree("twin", "shop_id", scans=9, definition="CREATE INDEX twin ON orders (shop_id)")
    indexed = orders(btree("shop", "shop_id", scans=2), twin)
    (found,) = droppable(world(indexed, statements=[dearer, by_shop, writer]))
    assert found.seen is by_shop
    folder = read_techniques(found.write(tmp_path).parent)["drop_shop"]
    assert by_shop.text in folder.sql("before.sql")
    assert writer.text in folder.sql("insert.sql")
    assert [(each.probe, each.title) for each in folder.file.costs] == [
        ("relation_size", "index size"), ("write_slow_down", "insert"),
    ]  # fmt: skip
    (unread,) = droppable(world(indexed, statements=[writer]))
    assert (unread.seen, unread.note) == (None, "no statement that was seen reads the table")


@pytest.mark.parametrize(
    ("using", "after"),
    [
        ("(owner_id = auth.uid())", "(owner_id = (SELECT auth.uid()))"),
        (OWN, None),
        ("(shop_of() = shop_id)", "((SELECT shop_of()) = shop_id)"),
        (
            "(EXISTS ( SELECT 1 FROM shops WHERE (shops.id = auth.uid())))",
            "(EXISTS(SELECT 1 FROM shops WHERE (shops.id = (SELECT auth.uid()))))",
        ),
    ],
)
def test_a_policy_asks_once_what_does_not_depend_on_the_row(using: str, after: str | None) -> None:
    function = Function("public", "shop_of", "select null::uuid", (), "", 0, True, True)
    here = world(orders(), shop_of=function)
    altered = asked_once(Policy("p", "all", ("public",), using, None), orders(), here.schema)
    assert (altered.using if altered else None) == after


def test_a_function_asked_for_each_row_becomes_a_list_asked_once() -> None:
    body = (
        "select exists (select from public.orders where shop_id = shop and owner_id = auth.uid())"
    )
    function = Function("private", "buys_at", body, ("shop",), "shop uuid", 1, True, True)
    here = world(orders(), buys_at=function)
    policy = Policy("p", "select", ("authenticated",), "private.buys_at(id)", None)
    altered = asked_once(policy, SHOPS, here.schema)
    assert altered is not None
    assert altered.using == "id IN (SELECT private.buys_at_all())"
    assert "returns setof uuid" in altered.needs[0]
    assert "security definer" in altered.needs[0]


def test_policies_that_overlap_become_one_of_each_command_and_open_nothing_more() -> None:
    policies = (
        Policy("all", "all", ("authenticated",), "a", "b"),
        Policy("read", "select", ("authenticated",), "c", None),
        Policy("other role", "select", ("anon",), "d", None),
    )
    both = orders(policies=policies)
    forward, back = merged(both, overlapping(both))
    said = "\n".join(forward)
    assert "for select to authenticated\n    using ((a) or (c))" in said
    assert "for delete to authenticated\n    using ((a));" in said
    assert "for update to authenticated\n    using ((a))\n    with check ((b))" in said
    assert "anon" not in said
    assert 'create policy "all" on public.orders for all' in "\n".join(back)


def test_the_way_to_the_users_goes_down_through_memberships_too() -> None:
    member = table(
        "members", columns(id="uuid", person_id="uuid", shop_id="uuid"),
        foreign=(
            ForeignKey("p", ("person_id",), "public.people", ("id",)),
            ForeignKey("s", ("shop_id",), "public.shops", ("id",)),
        ),
    )  # fmt: skip
    way = path_to_users(world(member).schema, "public.shops", Users("public.people", "id"))
    assert way is not None
    assert [(step.table, step.many) for step in way] == [
        ("public.members", True),
        ("public.people", False),
    ]


@pytest.mark.parametrize(
    ("sql", "column", "expected"),
    [
        (
            "select id from orders where seen_at > $1",
            Column("seen_at", "timestamp with time zone", correlation=0.99),
            "using brin (seen_at)",
        ),
        (
            "select id from orders order by place <=> $1 limit 5",
            Column("place", "vector(3)"),
            "using hnsw (place vector_cosine_ops)",
        ),
        (
            "select id from orders where labels && $1",
            Column("labels", "text[]", is_array=True),
            "using gin (labels)",
        ),
        (
            "select id from orders where gone_at is null and note = $1",
            Column("gone_at", "date", null_share=0.8),
            "(note) where gone_at is null",
        ),
    ],
)
def test_each_kind_of_comparison_has_its_kind_of_index(
    sql: str, column: Column, expected: str
) -> None:
    fields = {**orders().columns, column.name: column}
    found = list(missing_indexes(world(orders(columns=fields), statements=[asked(sql)])))
    assert any(expected in each.files["migration.sql"] for each in found)


def test_the_task_app_s_log_goes_into_months_by_the_very_statements_of_a_candidate() -> None:
    """A project's own files are written out: what is mended in one must be mended in the other."""
    said = {"schema": "public", "table": "activity_logs", "column": "created_at", "keys": "id"}
    made = re.sub(r"@(\w+)@", lambda found: said[found[1]], sql("by_month"))
    own = (ROOT / "benchmarks/logs_window/migration.sql").read_text(encoding="utf-8")
    own = own.replace("activity_logs_id_created_at", "activity_logs_by_month_key")
    assert _statements_in(own) == _statements_in(made)


def _statements_in(text: str) -> list[str]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("--")]


def test_an_index_of_a_partitioned_table_is_not_taken_for_unused() -> None:
    parted = orders(btree("by_note", "note"), partitioned=True)
    assert ids(droppable(world(parted))) == []
