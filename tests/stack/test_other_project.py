"""A project unlike the task app: what it declares runs beside its tables, under its own names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from phasegate.api import Api, running_api
from phasegate.model.errors import ConfigurationError
from phasegate.project import VARIABLE, Project, load_project
from phasegate.stack.background import arrange, background_of
from phasegate.stack.database import apply_sql
from phasegate.stack.health import check
from phasegate.stack.partitions import state_on
from phasegate.stack.tokens import mint
from phasegate.stack.worker import running_worker

On = Callable[..., Any]
SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone
INVOICE = "/functions/v1/send-invoice"

# Users are numbered, in a table and a schema of another name.
SHOP = {
    "phasegate.toml": """
[project]
name = "shop"
title = "A shop"
users_table = "shop.buyers"
users_key = "buyer_no"

[[levels]]
title = "all"
parts = ["jobs", "refresh", "partition_upkeep"]

[jobs.send-invoice]
title = "an invoice"
work = "jobs/invoice.sql"
owns = "jobs/whose.sql"

[jobs.count-all]
title = "how much was bought"
work = "jobs/count.sql"
""",
    "jobs/invoice.sql": """-- Also sent: whatever it takes.
update shop.purchases set is_billed = true where purchase_no = $2::bigint;
select json_build_object('buyer', $1, 'cents', p.cents)
from shop.purchases as p where p.purchase_no = $2::bigint;
""",
    "jobs/whose.sql": """
select purchase_no from shop.purchases where purchase_no = $2::bigint and buyer = $1
""",
    "jobs/count.sql": "select to_jsonb(count(*)) from shop.purchases where buyer = $1",
    "benchmarks/turnover/technique.toml": """
title = "Turnover kept ready"
cost = "it is old"
[refresh]
view = "shop.turnover"
every_s = 600.0
""",
    "benchmarks/turnover/client.sql": "-- Made by hand.",
    "benchmarks/visits_by_month/technique.toml": """
title = "Visits by month"
cost = "months must be made ahead"
[partitions]
parent = "shop.visits"
ahead_months = 2
""",
    "benchmarks/visits_by_month/client.sql": "-- Made by hand.",
}
TABLES = """
create schema shop;
create table shop.buyers (buyer_no bigint generated always as identity primary key, since date);
create table shop.purchases (
    purchase_no bigint generated always as identity primary key,
    buyer bigint not null references shop.buyers (buyer_no),
    cents integer not null, is_billed boolean not null default false
);
create materialized view shop.turnover as
    select buyer, sum(cents) as cents from shop.purchases group by buyer;
create unique index on shop.turnover (buyer);
create table shop.visits (at timestamptz not null, buyer bigint) partition by range (at);
insert into shop.buyers (since) values ('2025-01-01'), ('2025-02-01');
insert into shop.purchases (buyer, cents) values (1, 250), (1, 399), (2, 100);
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = write(tmp_path / "shop", SHOP)
    monkeypatch.setenv(VARIABLE, str(folder))
    return load_project()


@pytest.fixture
def sold(database: str, sql_on: On) -> str:
    """DSN of the shop's database."""
    apply_sql(database, "supabase")
    sql_on(database, lambda c: c.execute(TABLES))
    return database


@pytest.fixture
def api(shop: Project, sold: str, tmp_path: Path) -> Iterator[Api]:
    arrange(sold, background_of(shop, {"jobs"}))
    with (
        running_worker(sold, tmp_path / "w.log", heartbeat_timeout_s=1),
        running_api(sold, jwt_secret=SECRET, pool_size=2) as running,
    ):
        yield running


def client_of(api: Api, buyer: str) -> httpx.Client:
    token = mint(SECRET, buyer)
    return httpx.Client(
        base_url=api.url, headers={"apikey": api.anon_key, "authorization": f"Bearer {token}"}
    )


def until_done(client: httpx.Client, task: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (found := client.get(f"{INVOICE}?taskId={task}").json())["status"] == "processing":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(found)


def test_a_job_is_accepted_done_and_told_under_the_projects_own_names(
    api: Api, sold: str, sql_on: On
) -> None:
    with client_of(api, "1") as client:
        answer = client.post(INVOICE, json={"taskId": " 2 "})
        assert (answer.status_code, answer.json()) == (
            202,
            {"status": "processing", "taskId": "2"},  # as its table has it
        )
        done = until_done(client, "2")
        assert (done["status"], done["runs"]) == ("done", 1)
        assert done["result"] == {"buyer": 1, "cents": 399}
        counted = client.post("/functions/v1/count-all-sync")
        assert (counted.status_code, counted.json()["result"]) == (200, 2)
        assert client.post("/functions/v1/process-heavy-task").status_code == 404
    billed = "select array_agg(purchase_no) from shop.purchases where is_billed"
    assert sql_on(sold, lambda c: c.fetchval(billed)) == [2]


def test_what_is_anothers_or_cannot_be_named_is_a_404(api: Api) -> None:
    with client_of(api, "2") as client:
        for path in (INVOICE, f"{INVOICE}-sync"):
            assert client.post(path, json={"taskId": "1"}).status_code == 404
            assert client.post(path, json={"taskId": "99"}).status_code == 404
            assert client.post(path, json={"taskId": "x"}).status_code == 400
        # It declares nothing that would say whose an id is.
        assert client.post("/functions/v1/count-all", json={"taskId": "3"}).status_code == 404
    with client_of(api, "1") as client:
        task = client.post(INVOICE, json={"taskId": "1"}).json()["taskId"]
        assert until_done(client, task)["status"] == "done"
    with client_of(api, "2") as client:
        assert client.get(f"{INVOICE}?taskId={task}").status_code == 404


def test_its_users_sign_in(api: Api) -> None:
    with client_of(api, "1") as client:
        signed_in = client.post(
            "/auth/v1/token?grant_type=password",
            json={"email": "2@phasegate.local", "password": "phasegate-local"},
        )
        assert signed_in.status_code == 200
        assert signed_in.json()["user"]["id"] == "2"
        for nobody in ("3", "x", ""):
            refused = client.post(
                "/auth/v1/token?grant_type=password",
                json={"email": f"{nobody}@phasegate.local", "password": "phasegate-local"},
            )
            assert refused.json()["error_code"] == "invalid_credentials"


def test_its_views_are_refreshed_and_its_partitions_made_and_health_tells_of_both(
    shop: Project, sold: str, sql_on: On, tmp_path: Path
) -> None:
    # pg_partman makes partitions at once; our own functions, when they are first called.
    arrange(sold, background_of(shop, shop.parts_of(1)), use_partman=False)
    late = "update phasegate_stack.refreshes set refreshed_at = now() - interval '21 minutes'"
    sql_on(sold, lambda c: c.execute(late))
    before = {one.name: one for one in check(None, sold)}
    assert (before["refresh_age"].outcome, before["refresh_age"].limit) == ("failed", 1200.0)
    assert before["refresh_age"].said == "shop.turnover was refreshed 21 min ago"
    assert before["partitions_ahead"].said.startswith("this month has no partition")
    filled = "select array_agg(cents order by buyer) from shop.turnover"
    assert sql_on(sold, lambda c: c.fetchval(filled)) is None
    with running_worker(sold, tmp_path / "w.log", heartbeat_timeout_s=1):
        after = {one.name: one for one in check(None, sold)}
    assert sql_on(sold, lambda c: c.fetchval(filled)) == [649, 100]
    assert (after["refresh_age"].outcome, after["partitions_ahead"].value) == ("ok", 2.0)
    assert after["queue_age"].said == "0 jobs wait, the oldest for 0 s"


def test_what_a_stack_no_longer_has_is_taken_back(shop: Project, sold: str, sql_on: On) -> None:
    arrange(sold, background_of(shop, shop.parts_of(1)))
    (state,) = sql_on(sold, state_on)
    assert state.parent == "shop.visits"
    arrange(sold, background_of(shop, {"partition_upkeep"}))
    gone = (
        "select to_regclass('phasegate_stack.refreshes') is null"
        " and to_regclass('phasegate_stack.queued_jobs') is null"
    )
    queue = "select to_regnamespace('queue')::text"
    assert sql_on(sold, lambda c: c.fetchval(gone))
    assert sql_on(sold, lambda c: c.fetchval(queue)) == "queue"
    arrange(sold, background_of(shop, ()))
    assert sql_on(sold, state_on) == ()
    assert sql_on(sold, lambda c: c.fetchval(queue)) is None


def test_what_is_declared_but_was_never_made_is_left_alone(
    shop: Project, sold: str, sql_on: On
) -> None:
    sql_on(
        sold, lambda c: c.execute("drop table shop.visits; drop materialized view shop.turnover")
    )
    arrange(sold, background_of(shop, shop.parts_of(1)))
    found = {one.name: one.outcome for one in check(None, sold)}
    assert (found["refresh_age"], found["partitions_ahead"]) == ("skipped", "skipped")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("turnover", "[refresh]\nview = 'shop.v'\nevery_s = 1.0", "`every_s` must be 60 or more"),
        ("turnover", "[refresh]\nview = 'v'\nevery_s = 600.0", "`view` must be `schema.view`"),
        ("turnover", "[refresh]\nview = 'shop.v'", "missing required field `every_s`"),
        ("visits_by_month", "[partitions]\nparent = 'v; x'", "`parent` must be `schema.table`"),
        ("visits_by_month", "[partitions]\nparent = 'a.b'\nkeep_months = 0", "must be 1 or more"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_file_and_key(
    shop: Project, file: str, text: str, said: str
) -> None:
    name = f"benchmarks/{file}/technique.toml"
    write(shop.root, {name: f"title = 't'\ncost = 'c'\n{text}"})
    with pytest.raises(ConfigurationError) as caught:
        load_project()
    assert caught.value.what.startswith(f"{name}: ")
    assert said in caught.value.what


@pytest.mark.parametrize("table", ["buyers", "shop.Buyers", "shop.buyers; drop", 'shop."b"x"'])
def test_a_table_of_users_that_is_no_name_is_refused(shop: Project, table: str) -> None:
    text = SHOP["phasegate.toml"].replace('"shop.buyers"', f"'{table}'")
    write(shop.root, {"phasegate.toml": text})
    with pytest.raises(
        ConfigurationError, match=r"phasegate\.toml: project: `users_table` must be"
    ):
        load_project()


def test_a_statement_that_is_wrong_is_named_and_changes_nothing(
    shop: Project, sold: str, sql_on: On
) -> None:
    write(shop.root, {"jobs/count.sql": "select to_jsonb(count(*)) from shop.purchase"})
    with pytest.raises(ConfigurationError, match=r"count-all.*shop\.purchase\b.*Nothing was"):
        arrange(sold, background_of(load_project(), {"jobs"}))
    assert sql_on(sold, lambda c: c.fetchval("select to_regnamespace('phasegate_stack')")) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[jobs.Send]\ntitle = 't'\nwork = 'jobs/count.sql'", "`jobs.Send` must be named with"),
        ("[jobs.a-sync]\ntitle = 't'\nwork = 'jobs/count.sql'", "not end with -sync"),
        ("[jobs.a]\ntitle = 't'", "missing required field `work`"),
        ("[jobs.a]\ntitle = 't'\nwork = 'jobs/count.sql'\nowner = 'x'", "unknown field `owner`"),
        (
            "[jobs.a]\ntitle = 't'\nwork = 'no.sql'",
            "Cannot read no.sql (phasegate.toml: jobs.a.work)",
        ),
        ("[jobs.a]\ntitle = 't'\nwork = '../a.sql'", "jobs.a.work: ../a.sql lies outside"),
    ],
)
def test_a_job_that_cannot_be_is_refused_with_file_and_key(
    shop: Project, line: str, said: str
) -> None:
    write(shop.root, {"phasegate.toml": SHOP["phasegate.toml"] + line})
    with pytest.raises(ConfigurationError) as caught:
        load_project()
    assert "phasegate.toml: " in caught.value.what
    assert said in caught.value.what
