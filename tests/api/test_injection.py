"""SQL in every position of a request, sent by the one role that no policy holds back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ATTACKS = (
    "'; delete from tasks; --",
    '"; delete from tasks; --',
    "1) or 1=1; drop table tasks; --",
    "$1'; select pg_sleep(10); --",
    "\\'; update tasks set title = 'x'; --",
    "x\0'; delete from tasks",
    'a"."b" from tasks; delete from tasks; --',
    "tasks; set role postgres",
)
POSITIONS = (
    "/{}",
    "/rpc/{}",
    "/tasks?{}=eq.1",
    "/tasks?title={}",
    "/tasks?title=eq.{}",
    "/tasks?title=in.({})",
    '/tasks?title=in.("{}")',
    "/tasks?title=like(any).{{{}}}",
    "/tasks?title=fts({}).x",
    "/tasks?title=fts.{}",
    "/tasks?select={}",
    '/tasks?select="{}"',
    '/tasks?select="{}":title',
    "/tasks?select=title::{}",
    "/tasks?select=*,{}(*)",
    "/tasks?select=*,projects!{}(*)",
    '/tasks?select=*,"{}":projects(*)',
    '/tasks?select=title->>"{}"',
    "/tasks?order={}",
    "/tasks?order=title.{}",
    '/tasks?order="{}".desc',
    "/tasks?limit={}",
    "/tasks?offset={}",
    "/tasks?or=({})",
    "/tasks?or=(title.eq.{})",
    '/tasks?or=("{}".eq.1)',
    "/tasks?projects.{}=eq.1",
    "/rpc/user_stats?{}=1",
    "/rpc/user_stats?select={}",
)


@pytest.mark.parametrize("position", POSITIONS)
def test_sql_in_every_position_of_a_read_changes_nothing(service: Any, position: str) -> None:
    before = service.fingerprint()
    with service.client(apikey=service.service_key()) as client:  # whom no policy holds back
        client.headers["authorization"] = f"Bearer {service.service_key()}"
        for attack in ATTACKS:
            path, _, query = position.partition("?")
            raw = quote(path.format(attack), safe="/")
            raw += f"?{quote(query.format(attack), safe='=(),.*:')}" if query else ""
            answer = client.get(raw)
            assert answer.status_code < 500, (raw, answer.text)
            assert answer.elapsed.total_seconds() < 5
    assert service.fingerprint() == before


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/tasks", {}, {"{}": 1}),
        ("POST", "/tasks?columns={}", {}, {"title": "x"}),
        ("POST", '/tasks?columns="{}"', {}, {"title": "x"}),
        (
            "POST",
            "/tasks?on_conflict={}",
            {"prefer": "resolution=merge-duplicates"},
            {"title": "x"},
        ),
        ("POST", "/tasks", {"content-type": "{}"}, {"title": "x"}),
        ("PATCH", "/tasks?title=eq.{}", {}, {"title": "{}"}),
        ("DELETE", "/tasks?title=eq.{}", {}, None),
        ("DELETE", '/tasks?title=in.("{}")', {}, None),
        ("GET", "/tasks", {"prefer": "{}"}, None),
        ("GET", "/tasks", {"prefer": "timezone={}"}, None),
        ("GET", "/tasks", {"range": "{}"}, None),
        ("GET", "/tasks", {"accept": "{}"}, None),
        ("GET", "/tasks", {"accept-profile": "{}"}, None),
        ("GET", "/tasks", {"x-anything": "{}"}, None),
        ("POST", "/rpc/user_stats", {}, {"{}": 1}),
    ],
)
def test_sql_in_every_position_of_a_change_changes_nothing(
    service: Any, method: str, path: str, headers: dict[str, str], body: Any
) -> None:
    before = service.fingerprint()
    with service.client(apikey=service.service_key()) as client:
        client.headers["authorization"] = f"Bearer {service.service_key()}"
        for attack in ATTACKS:
            sent = {name: given.format(attack.replace("\0", "")) for name, given in headers.items()}
            filled = (
                {name.format(attack): str(given).format(attack) for name, given in body.items()}
                if body
                else None
            )
            where, _, query = path.partition("?")
            raw = where + (f"?{quote(query.format(attack), safe='=(),.')}" if query else "")
            answer = client.request(method, raw, headers=sent, json=filled)
            assert answer.status_code < 500, answer.text
    assert service.fingerprint() == before


finite = st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), finite, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)
columns = st.dictionaries(
    st.sampled_from(["id", "user_id", "project_id", "title", "status", "created_at"]), anything
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([("POST", "/tasks"), ("PATCH", "/tasks?title=eq.x"), ("POST", "/rpc/nosuch")]),
    st.one_of(anything, columns, st.lists(columns, max_size=3)),
)
def test_no_body_makes_the_server_fail(service: Any, route: tuple[str, str], body: Any) -> None:
    before = service.fingerprint()
    with service.client() as client:
        answer = client.request(*route, json=body)
    assert answer.status_code < 500, answer.text
    assert service.fingerprint() == before


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"title":' * 100_000, b"[" * 50_000 + b"]" * 50_000, b"1e999"]
)
def test_a_body_that_nests_without_end_is_refused(service: Any, body: bytes) -> None:
    with service.client(service.alice) as client:
        answer = client.post("/tasks", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")
