"""What is refused, with PostgREST's status, code and body."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        (
            "/nosuch",
            404,
            "PGRST205",
            "Could not find the table 'public.nosuch' in the schema cache",
        ),
        ("/tasks/1", 404, "PGRST125", "Invalid path specified in request URL"),
        ("/", 404, "PGRST126", "Root endpoint metadata is disabled"),
        (
            "/tasks?id=noop.1",
            400,
            "PGRST100",
            '"failed to parse filter (noop.1)" (line 1, column 1)',
        ),
        (
            "/tasks?select=id[0]",
            400,
            "PGRST100",
            '"failed to parse select parameter (id[0])" (line 1, column 3)',
        ),
        ("/tasks?select=count()", 400, "PGRST123", "Use of aggregate functions is not allowed"),
        ("/tasks?select=id.max()", 400, "PGRST123", "Use of aggregate functions is not allowed"),
        ("/tasks?order=id.sideways", 400, "PGRST100", None),
        ("/tasks?id=in.(1", 400, "PGRST100", None),
        ("/tasks?or=(id.eq.1", 400, "PGRST100", None),
        ("/tasks?or=der.eq.1", 400, "PGRST100", None),
        ("/tasks?id=is.nothing", 400, "PGRST100", None),
        ("/tasks?%ff=eq.1", 400, "PGRST100", None),
        ("/tasks?nope=eq.1", 400, "42703", "column tasks.nope does not exist"),
        ("/tasks?select=nope", 400, "42703", "column tasks.nope does not exist"),
        ("/tasks?order=nope", 400, "42703", "column tasks.nope does not exist"),
        ("/tasks?id=eq.1", 400, "22P02", 'invalid input syntax for type uuid: "1"'),
        ("/tasks?title=fts(klingon).a", 400, "42704", None),
        ("/tasks?select=id::nope", 400, "42704", 'type "nope" does not exist'),
        (
            "/tasks?select=*,nosuch(*)",
            400,
            "PGRST200",
            "Could not find a relationship between 'tasks' and 'nosuch' in the schema cache",
        ),
        (
            "/tasks?projects.name=eq.x",
            400,
            "PGRST108",
            "'projects' is not an embedded resource in this request",
        ),
        (
            "/tasks?select=p:projects(*)&projects.name=eq.x",
            400,
            "PGRST108",
            "'projects' is not an embedded resource in this request",
        ),
        (
            "/tasks?select=projects(*)&projects=eq.1",
            400,
            "PGRST120",
            "Bad operator on the 'projects' embedded resource",
        ),
        (
            "/projects?select=*,tasks(*)&order=tasks(title)",
            400,
            "PGRST118",
            "A related order on 'tasks' is not possible",
        ),
        ("/projects?select=...tasks(*)", 400, "PGRST127", "Feature not implemented"),
        (
            "/rpc/nosuch",
            404,
            "PGRST202",
            "Could not find the function public.nosuch without parameters in the schema cache",
        ),
        (
            "/rpc/user_stats?a=1",
            404,
            "PGRST202",
            "Could not find the function public.user_stats(a) in the schema cache",
        ),
    ],
)
def test_a_form_that_is_unknown_gets_postgrests_own_error(
    service: Any, path: str, status: int, code: str, message: str | None
) -> None:
    with service.client(service.alice) as client:
        answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()) == ["code", "details", "hint", "message"]
    assert message is None or answer.json()["message"] == message
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("TRACE", "/tasks", {}, 405, "PGRST117"),
        ("PATCH", "/rpc/user_stats", {}, 405, "PGRST101"),
        ("GET", "/tasks", {"accept": "text/csv"}, 406, "PGRST107"),
        ("GET", "/tasks", {"accept-profile": "private"}, 406, "PGRST106"),
        ("POST", "/tasks", {"content-profile": "auth"}, 406, "PGRST106"),
        ("GET", "/tasks", {"prefer": "handling=strict,anything"}, 400, "PGRST122"),
    ],
)
def test_methods_and_headers_that_are_unknown_are_refused(
    service: Any, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    with service.client(service.alice, **headers) as client:
        answer = client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[{]", b"nonsense", b'{"title": "\xff"}', b'{"title": 1}}', b"\x00", b'"\\ud800'],
)
def test_malformed_json_is_pgrst102(service: Any, body: bytes) -> None:
    with service.client(service.alice) as client:
        answer = client.post("/tasks", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


def test_two_foreign_keys_to_one_table_must_be_told_apart(service: Any) -> None:
    service.execute_and_notice(
        "create table handovers (id int primary key,"
        " giver uuid constraint handovers_giver references profiles,"
        " taker uuid constraint handovers_taker references profiles);"
        "grant select on handovers to authenticated"
    )
    try:
        with service.client(service.alice) as client:
            unclear = client.get("/handovers?select=profiles(name)")
            named = client.get("/handovers?select=profiles!handovers_giver(name)")
            by_column = client.get("/handovers?select=profiles!taker(name)")
    finally:
        service.execute("drop table handovers")
    assert (unclear.status_code, unclear.json()["code"]) == (300, "PGRST201")
    assert [relationship["cardinality"] for relationship in unclear.json()["details"]] == [
        "many-to-one",
        "many-to-one",
    ]
    assert (named.status_code, by_column.status_code) == (200, 200)


def test_a_similar_name_is_suggested(service: Any) -> None:
    with service.client(service.alice) as client:
        assert client.get("/task").json()["hint"] == "Perhaps you meant the table 'public.tasks'"
        assert (
            client.get("/rpc/user_stat").json()["hint"]
            == "Perhaps you meant to call the function public.user_stats"
        )
