"""Functions of the database: arguments, shapes of answers, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

FUNCTIONS = """
    create function add_up(a int, b int default 10) returns int language sql immutable
        as $$ select a + b $$;
    create function names() returns setof text language sql stable
        as $$ select title from public.tasks order by title $$;
    create function nothing() returns void language sql as $$ select null::void $$;
    create function one_task() returns public.tasks language sql stable
        as $$ select * from public.tasks order by title limit 1 $$;
    create function all_tasks() returns setof public.tasks language sql stable
        as $$ select * from public.tasks $$;
    create function pair(out low int, out high int) language sql immutable
        as $$ select 1, 2 $$;
    create function echo(x jsonb, y text[]) returns jsonb language sql immutable
        as $$ select jsonb_build_array(x, y) $$;
    create function twice(a int) returns int language sql immutable as $$ select 2 * a $$;
    create function twice(a text) returns text language sql immutable as $$ select a || a $$;
    create function note_visit() returns int language sql volatile
        as $$ update public.profiles set name = name where id = auth.uid() returning 1 $$;
    create function teapot() returns text language plpgsql as $$
    begin
        perform set_config('response.status', '418', true);
        perform set_config('response.headers', '[{"x-brewing": "tea"}]', true);
        return 'short and stout';
    end $$;
    create function refuse(state text, what text) returns int language plpgsql as $$
    begin
        raise exception '%', what using errcode = state, detail = 'more', hint = 'less';
    end $$;
    create function owners_only() returns int language sql as $$ select 1 $$;
    revoke all on function owners_only() from public;
"""
DROP = """
    drop function add_up, names, nothing, one_task, all_tasks, pair, echo, twice(int), twice(text),
        note_visit, teapot, refuse, owners_only
"""


@pytest.fixture(scope="module")
def functions(shared_service: Any) -> Iterator[Any]:
    shared_service.execute_and_notice(FUNCTIONS)
    yield shared_service
    shared_service.execute(DROP)


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/rpc/add_up", {"a": 1, "b": 2}, 3),
        ("/rpc/add_up", {"a": 1}, 11),
        ("/rpc/names?limit=2", {}, None),
        ("/rpc/pair", {}, {"low": 1, "high": 2}),
        ("/rpc/pair?select=high", {}, {"high": 2}),
        (
            "/rpc/echo",
            {"x": {"deep": [1, None]}, "y": ["a", "b"]},
            [{"deep": [1, None]}, ["a", "b"]],
        ),
        ("/rpc/one_task?select=title,projects(name)", {}, None),
        ("/rpc/all_tasks?select=title&title=eq.alice 02", {}, [{"title": "alice 02"}]),
        ("/rpc/all_tasks?select=title&order=title.desc&limit=1", {}, [{"title": "alice 30"}]),
    ],
)
def test_answers_have_the_shape_of_what_the_function_returns(
    functions: Any, path: str, body: dict[str, Any], answer: Any
) -> None:
    with functions.client(functions.alice) as client:
        said = client.post(path, json=body)
    assert said.status_code == 200, said.text
    if path.startswith("/rpc/names"):
        assert said.json()[:2] == ["alice 01", "alice 02"]
    elif path.startswith("/rpc/one_task"):
        assert said.json() == {"title": "alice 01", "projects": {"name": "Work"}}
    else:
        assert said.json() == answer


def test_a_function_without_a_result_is_204(functions: Any) -> None:
    with functions.client(functions.alice) as client:
        assert client.post("/rpc/nothing", json={}).status_code == 204


def test_arguments_by_get_come_from_the_query_string(functions: Any) -> None:
    with functions.client(functions.alice, prefer="count=exact") as client:
        assert client.get("/rpc/add_up?a=1&b=2").json() == 3
        assert client.get("/rpc/echo?x={}&y={a,b}").json() == [{}, ["a", "b"]]
        rows = client.get("/rpc/all_tasks?title=like.alice 0*&select=title&limit=2&order=title")
    assert rows.json() == [{"title": "alice 01"}, {"title": "alice 02"}]
    assert (rows.status_code, rows.headers["content-range"]) == (206, "0-1/9")


def test_one_object_of_a_call_is_one_row_or_406(functions: Any) -> None:
    with functions.client(functions.alice, accept="application/vnd.pgrst.object+json") as client:
        one = client.post("/rpc/all_tasks?title=eq.alice 01&select=title", json={})
        many = client.get("/rpc/all_tasks")
        scalar = client.post("/rpc/add_up", json={"a": 1})
        changing = client.post("/rpc/note_visit", json={})
    assert one.json() == {"title": "alice 01"}
    assert (many.status_code, many.json()["code"]) == (406, "PGRST116")
    assert (scalar.json(), changing.json()) == (11, 1)


def test_by_get_a_function_changes_nothing(functions: Any) -> None:
    with functions.client(functions.alice) as client:
        got = client.get("/rpc/note_visit")
        posted = client.post("/rpc/note_visit", json={})
    assert (got.status_code, got.json()["code"]) == (405, "25006")
    assert (posted.status_code, posted.json()) == (200, 1)


def test_a_function_may_set_status_and_headers(functions: Any) -> None:
    with functions.client(functions.alice) as client:
        said = client.post("/rpc/teapot", json={})
    assert (said.status_code, said.json()) == (418, "short and stout")
    assert said.headers["x-brewing"] == "tea"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/rpc/add_up", {}, 404, "PGRST202"),
        ("/rpc/add_up", {"a": 1, "c": 2}, 404, "PGRST202"),
        ("/rpc/add_up", {"a": "x"}, 400, "22P02"),
        ("/rpc/add_up", [1, 2], 404, "PGRST202"),
        ("/rpc/twice", {"a": 1}, 300, "PGRST203"),
        ("/rpc/owners_only", {}, 403, "42501"),
        (
            "/rpc/set_config",
            {"name": "role", "value": "postgres", "is_local": True},
            404,
            "PGRST202",
        ),
        ("/rpc/all_tasks?select=nope", {}, 400, "42703"),
        ("/rpc/a/b", {}, 404, "PGRST125"),
    ],
)
def test_calls_that_fit_no_function_are_refused(
    functions: Any, path: str, body: Any, status: int, code: str
) -> None:
    with functions.client(functions.alice) as client:
        said = client.post(path, json=body)
    assert (said.status_code, said.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("state", "what", "status"),
    [
        ("23503", "x", 409),
        ("23505", "x", 409),
        ("25006", "x", 405),
        ("21000", "x", 500),
        ("21000", "UPDATE requires a WHERE clause", 400),
        ("22023", 'role "x" does not exist', 401),
        ("22023", "x", 400),
        ("28000", "x", 403),
        ("40001", "x", 500),
        ("42501", "x", 403),
        ("42883", "x", 404),
        ("42P01", "x", 404),
        ("42P17", "x", 500),
        ("53100", "x", 503),
        ("53400", "x", 500),
        ("54000", "x", 500),
        ("57014", "x", 500),
        ("08006", "x", 503),
        ("P0001", "x", 400),
        ("P0002", "x", 500),
        ("PT402", "x", 402),
        ("PTABC", "x", 500),
        ("XX000", "x", 500),
        ("HV000", "x", 500),
        ("22P02", "x", 400),
    ],
)
def test_every_state_of_postgres_has_postgrests_status(
    functions: Any, state: str, what: str, status: int
) -> None:
    with functions.client(functions.alice) as client:
        said = client.post("/rpc/refuse", json={"state": state, "what": what})
    assert said.status_code == status
    assert said.json() == {"code": state, "details": "more", "hint": "less", "message": what}


def test_without_privilege_and_without_a_user_the_answer_is_401(functions: Any) -> None:
    with functions.client() as client:
        said = client.post("/rpc/owners_only", json={})
    assert (said.status_code, said.json()["code"]) == (401, "42501")
    assert said.headers["www-authenticate"] == "Bearer"
