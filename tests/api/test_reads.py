"""GET and HEAD: the forms that sessions use, and PostgREST's rules for them."""

from __future__ import annotations

from typing import Any

import pytest

LOWER_ABOVE_UPPER = (
    "The lower boundary must be lower than or equal to the upper boundary in the Range header."
)


def test_a_users_newest_tasks_come_as_an_array(service: Any) -> None:
    with service.client(service.alice) as client:
        answer = client.get(
            f"/tasks?select=*&user_id=eq.{service.alice}&order=created_at.desc&limit=20"
        )
    rows = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["content-range"] == "0-19/*"
    assert [row["title"] for row in rows] == [f"alice {n:02}" for n in range(30, 10, -1)]
    assert list(rows[0]) == [
        *("id", "user_id", "project_id", "title", "status", "created_at", "completed_at")
    ]


def test_a_to_one_embed_is_an_object_or_null(service: Any) -> None:
    with service.client(service.alice) as client:
        rows = client.get(
            "/tasks?select=title,projects(name,color)&order=created_at.asc&limit=3"
        ).json()
    assert rows == [
        {"title": "alice 01", "projects": {"name": "Work", "color": "#0000ff"}},
        {"title": "alice 02", "projects": None},
        {"title": "alice 03", "projects": {"name": "Home", "color": "#00ff00"}},
    ]


def test_a_to_many_embed_is_an_array_with_its_own_order_and_limit(service: Any) -> None:
    with service.client(service.alice) as client:
        rows = client.get(
            "/projects?select=name,newest:tasks(title)&order=name.desc"
            "&newest.order=created_at.desc&newest.limit=2"
        ).json()
    assert rows == [
        {"name": "Work", "newest": [{"title": "alice 28"}, {"title": "alice 25"}]},
        {"name": "Home", "newest": [{"title": "alice 30"}, {"title": "alice 27"}]},
    ]


def test_an_inner_embed_leaves_out_rows_without_one_and_counts_without_them(service: Any) -> None:
    with service.client(service.alice, prefer="count=exact") as client:
        answer = client.get("/tasks?select=title,projects!inner(name)&projects.name=eq.Home")
    assert len(answer.json()) == 10
    assert answer.headers["content-range"] == "0-9/10"


def test_a_to_one_embed_can_be_spread(service: Any) -> None:
    with service.client(service.alice) as client:
        rows = client.get(
            "/tasks?select=title,...projects(project:name)&order=created_at.asc&limit=1"
        ).json()
    assert rows == [{"title": "alice 01", "project": "Work"}]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("title=eq.alice 01", 1),
        ("title=neq.alice 01", 29),
        ("title=gt.alice 28", 2),
        ("title=gte.alice 28", 3),
        ("title=lt.alice 03", 2),
        ("title=lte.alice 03", 3),
        ("title=in.(alice 01,alice 02,nobody)", 2),
        ('title=in.("alice 01","a,b")', 1),
        ("title=in.()", 0),
        ("title=not.in.(alice 01)", 29),
        ("title=like.alice 0*", 9),
        ("title=ilike.ALICE 0*", 9),
        ("title=like(any).{alice 01,alice 02}", 2),
        ("title=match.^alice 3", 1),
        ("project_id=is.null", 10),
        ("project_id=not.is.null", 20),
        ("project_id=is.not_null", 20),
        ("projects=is.null&select=id,projects()", 10),
        ("projects=not.is.null&select=id,projects()", 20),
        ("status=eq.done&project_id=is.null", 2),
        ("or=(title.eq.alice 01,title.eq.alice 02)", 2),
        ("not.or=(title.eq.alice 01,title.eq.alice 02)", 28),
        ("and=(status.eq.done,or(title.like.*05,title.like.*10))", 2),
        ('or=(title.in.("alice 01","alice 02"),title.eq.alice 03)', 3),
        ("created_at=gte.2026-02-02T00:00:00Z", 7),
        ("completed_at=isdistinct.2026-03-01T00:00:00Z", 24),
        ("select=title&order=projects(name).desc&select=*", 30),
        ("status=eq.open&status=neq.done", 24),
    ],
)
def test_filters_select_the_rows_they_say(service: Any, filters: str, count: int) -> None:
    if "order=projects" in filters:
        filters = "select=title,projects(name)&order=projects(name).desc"
    with service.client(service.alice, prefer="count=exact") as client:
        answer = client.get(f"/tasks?{filters}")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == count
    assert answer.headers["content-range"].endswith(f"/{count}")


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("order=completed_at.asc.nullslast,title", "alice 05"),
        ("order=completed_at.desc.nullsfirst,title.desc", "alice 29"),
        ("order=title.desc", "alice 30"),
        ("order=title&offset=29", "alice 30"),
    ],
)
def test_order_and_offset(service: Any, query: str, first: str) -> None:
    with service.client(service.alice) as client:
        assert client.get(f"/tasks?select=title&{query}").json()[0]["title"] == first


@pytest.mark.parametrize(
    ("query", "headers", "status", "content_range"),
    [
        ("limit=5", {}, 200, "0-4/*"),
        ("limit=5", {"prefer": "count=exact"}, 206, "0-4/30"),
        ("limit=30", {"prefer": "count=exact"}, 200, "0-29/30"),
        ("limit=5", {"prefer": "count=planned"}, 206, "0-4/"),
        ("limit=5", {"prefer": "count=estimated"}, 206, "0-4/30"),
        ("", {"range": "10-14", "prefer": "count=exact"}, 206, "10-14/30"),
        ("", {"range": "25-99", "prefer": "count=exact"}, 206, "25-29/30"),
        ("limit=3&offset=10", {"range": "11-20"}, 200, "11-12/*"),
        ("limit=0", {"prefer": "count=exact"}, 206, "*/30"),
        ("title=eq.nobody", {"prefer": "count=exact"}, 200, "*/0"),
    ],
)
def test_ranges_and_counts_decide_status_and_content_range(
    service: Any, query: str, headers: dict[str, str], status: int, content_range: str
) -> None:
    with service.client(service.alice, **headers) as client:
        answer = client.get(f"/tasks?{query}")
    assert (answer.status_code, answer.headers["content-range"][: len(content_range)]) == (
        *(status, content_range),
    )


@pytest.mark.parametrize(
    ("query", "headers", "details"),
    [
        (
            "offset=31",
            {"prefer": "count=exact"},
            "An offset of 31 was requested, but there are only 30 rows.",
        ),
        ("limit=-1", {}, "Limit should be greater than or equal to zero."),
        (
            "",
            {"range": "9-5"},
            LOWER_ABOVE_UPPER,
        ),
    ],
)
def test_a_range_without_rows_is_416(
    service: Any, query: str, headers: dict[str, str], details: str
) -> None:
    with service.client(service.alice, **headers) as client:
        answer = client.get(f"/tasks?{query}")
    assert answer.status_code == 416
    assert answer.json() == {
        "code": "PGRST103",
        "details": details,
        "hint": None,
        "message": "Requested range not satisfiable",
    }


def test_head_counts_without_a_body(service: Any) -> None:
    with service.client(service.alice, prefer="count=exact") as client:
        answer = client.head("/tasks?status=eq.done")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-range"].endswith("/6")


def test_one_object_is_one_row_or_406(service: Any) -> None:
    with service.client(service.alice, accept="application/vnd.pgrst.object+json") as client:
        one = client.get("/projects?select=name&name=eq.Home")
        none = client.get("/projects?select=name&name=eq.Nowhere")
        two = client.get("/projects?select=name")
    assert (one.status_code, one.json()) == (200, {"name": "Home"})
    assert one.headers["content-type"].startswith("application/vnd.pgrst.object+json")
    assert none.status_code == two.status_code == 406
    assert none.json() == {
        "code": "PGRST116",
        "details": "The result contains 0 rows",
        "hint": None,
        "message": "Cannot coerce the result to a single JSON object",
    }
    assert two.json()["details"] == "The result contains 2 rows"


def test_casts_aliases_and_json_paths_shape_the_answer(service: Any) -> None:
    with service.client(service.alice) as client:
        row = client.get("/projects?select=label:name,created_at::date&name=eq.Home").json()[0]
    assert row == {"label": "Home", "created_at": "2026-01-02"}


def test_more_rows_than_one_answer_holds_are_cut_as_supabase_cuts_them(service: Any) -> None:
    service.execute(
        "insert into tasks (user_id, title)"
        f" select '{service.carol}', 'many' from generate_series(1, 1005)"
    )
    with service.client(service.carol, prefer="count=exact") as client:
        answer = client.get("/tasks?select=id")
    assert len(answer.json()) == 1000
    assert (answer.status_code, answer.headers["content-range"]) == (206, "0-999/1005")


def test_statistics_are_the_callers_own_by_post_and_by_get(service: Any) -> None:
    with service.client(service.alice) as client:
        posted = client.post("/rpc/user_stats", json={})
        got = client.get("/rpc/user_stats?select=task_count,completed_count")
    assert posted.status_code == got.status_code == 200
    assert posted.json()[0]["user_id"] == service.alice
    assert got.json() == [{"task_count": 30, "completed_count": 6}]


def test_a_table_made_a_moment_ago_is_found(service: Any) -> None:
    service.execute_and_notice("create table fresh (n int); grant select on fresh to authenticated")
    try:
        with service.client(service.alice) as client:
            assert client.get("/fresh?n=eq.1").json() == []
    finally:
        service.execute("drop table fresh")


def test_an_inner_to_many_embed_leaves_out_rows_without_any(service: Any) -> None:
    path = "/projects?select=name,tasks!inner(title)&tasks.title=eq.alice 01"
    with service.client(service.alice, prefer="count=exact") as client:
        answer = client.get(path)
    assert answer.json() == [{"name": "Work", "tasks": [{"title": "alice 01"}]}]
    assert answer.headers["content-range"] == "0-0/1"


def test_embeds_can_be_nested_aliased_and_empty(service: Any) -> None:
    path = (
        "/profiles?select=who:name,work:projects(name,count:tasks(title)),tasks()"
        "&work.name=eq.Home&work.count.limit=1&work.count.order=title"
    )
    with service.client(service.alice) as client:
        rows = client.get(path).json()
    assert rows == [{"who": "Alice", "work": [{"name": "Home", "count": [{"title": "alice 03"}]}]}]


def test_nulls_can_be_stripped(service: Any) -> None:
    accept = "application/vnd.pgrst.object+json;nulls=stripped"
    with service.client(service.alice, accept=accept) as client:
        answer = client.get("/tasks?title=eq.alice 02&select=title,project_id")
    assert answer.json() == {"title": "alice 02"}
    assert answer.headers["content-type"] == (
        "application/vnd.pgrst.object+json; nulls=stripped; charset=utf-8"
    )


def test_columns_may_be_called_anything(service: Any) -> None:
    service.execute_and_notice(
        'create table odd (t int primary key, "body" text, "select" text, "a b" text, "q""q" text);'
        "grant all on odd to authenticated"
    )
    row = {"t": 1, "body": "b", "select": "s", "a b": "c", 'q"q': "d"}
    try:
        with service.client(service.alice, prefer="return=representation") as client:
            written = client.post("/odd", json=row)
            read = client.get('/odd?select="t",body,select,"a b","q\\"q"&"a b"=eq.c&order="q\\"q"')
    finally:
        service.execute("drop table odd")
    assert written.json() == read.json() == [row]
