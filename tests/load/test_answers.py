"""What an answer of status 200 may still be: pure, by hand and by drawn values."""

from __future__ import annotations

import json
import uuid
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.load.answer_checks import AnswerChecks, Asked
from phasegate.load.answers import (
    SAME_USERS_MIN,
    SameTally,
    graphql_error,
    graphql_operation,
    has_foreign_rows,
    is_cut_short,
    is_short_page,
    owners_pattern,
    same_for_all,
    shows_nothing,
    template,
)
from phasegate.load.counters import EndpointTally, StageTally
from phasegate.load.reads import NotSent, ReadsOnly
from phasegate.load.recorder import Recorder
from phasegate.load.session import Session
from phasegate.load.stages import Stage
from phasegate.load.transport import Answer
from phasegate.load.validity import reasons
from phasegate.model.errors import UsageError
from phasegate.model.verdict import code_of

ME, OTHER = "0198c0de-0000-7000-8000-000000000001", "0198c0de-0000-7000-8000-000000000002"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("body", "nothing"),
    [
        ([], True),
        (None, True),
        ({}, True),
        ([None], True),
        ({"data": {"notes": []}}, True),
        ({"items": [], "total": 0, "page": 1, "next": None}, True),
        ([{"id": 1}], False),
        ({"data": {"notes": [{"id": 1}], "tags": []}}, False),
        ({"name": "Ada", "tags": []}, None),
        ({"unread": 0}, None),
        (7, None),
    ],
)
def test_what_shows_a_user_nothing(body: Any, nothing: bool | None) -> None:
    assert shows_nothing(body) is nothing


@given(JSON)
def test_a_list_with_a_row_in_it_always_shows_something(body: Any) -> None:
    assert shows_nothing([{"id": body}]) is False
    assert shows_nothing({"deep": {"rows": [{"id": body}]}}) is False


@given(st.lists(JSON, min_size=1) | st.dictionaries(st.text(), JSON, min_size=1))
def test_whole_json_is_not_cut_short_and_less_of_it_is(body: Any) -> None:
    text = json.dumps(body).encode()
    assert not is_cut_short(text)
    assert not is_cut_short(b"\n" + text + b"\n")
    assert is_cut_short(text[:-1].rstrip(b"]}"))


@pytest.mark.parametrize(
    ("path", "said", "short"),
    [
        ("/rows?limit=100", b"0-19/500", True),
        ("/rows?limit=20", b"0-19/500", False),
        ("/rows", b"0-999/12000", True),
        ("/rows?limit=100&offset=480", b"480-499/500", False),
        ("/rows?limit=100", b"items 0-19/500", True),
        ("/rows?limit=100", b"0-19/*", False),
        ("/rows?limit=many", b"0-19/500", False),
        ("/rows?limit=100", b"", False),
    ],
)
def test_a_list_is_short_where_more_was_asked_for_and_is_there(
    path: str, said: bytes, short: bool
) -> None:
    assert is_short_page(path, {b"content-range": said}) is short


def test_rows_of_another_user_are_found_by_the_columns_that_hold_whose_they_are() -> None:
    owners = owners_pattern(("user_id", "account"))
    assert owners is not None
    own = json.dumps([{"user_id": ME, "n": 1}, {"user_id": ME.upper(), "by": OTHER}]).encode()
    assert not has_foreign_rows(own, owners, ME)
    assert has_foreign_rows(json.dumps([{"user_id": ME}, {"user_id": OTHER}]).encode(), owners, ME)
    assert has_foreign_rows(b'[{"account" : 8}]', owners, "7")
    assert not has_foreign_rows(b'[{"account":7,"user_id":null}]', owners, "7")
    assert owners_pattern(()) is None


def of(users: int, bodies: int, *, names_user: bool = False) -> SameTally:
    tally = SameTally(names_user=names_user)
    for n in range(users):
        tally.add(str(n), str(n % bodies).encode())
    return tally


def test_the_same_bytes_for_all_are_named_where_answers_should_differ() -> None:
    few, many = SAME_USERS_MIN - 1, SAME_USERS_MIN
    assert same_for_all({"own": of(many, 1, names_user=True), "all": of(many, 2)}) == ("own",)
    assert same_for_all({"own": of(few, 1, names_user=True)}) == ()
    # Nobody's id is asked with: only where no answer of the whole test was another's.
    assert same_for_all({"a": of(many, 1), "b": of(many, 1)}) == ("a", "b")
    assert same_for_all({"a": of(many, 1), "b": of(few, 2)}) == ()
    assert same_for_all({}) == ()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), max_size=80), st.integers(0, 80))
def test_bodies_counted_by_workers_are_those_counted_by_one(
    answers: list[tuple[int, int]], cut: int
) -> None:
    whole, parts = SameTally(), (SameTally(), SameTally())
    for at, (user, body) in enumerate(answers):
        whole.add(str(user), bytes([body]))
        parts[at >= cut].add(str(user), bytes([body]))
    parts[0].merge(parts[1])
    assert parts[0].is_same == whole.is_same
    assert parts[0].bodies == whole.bodies


@pytest.mark.parametrize(
    ("document", "operation"),
    [
        ("{ notes { id } }", ("query", "")),
        ("query Notes($n: Int) { mutation }", ("query", "Notes")),
        ("# mutation Not\nquery { a }", ("query", "")),
        ("fragment F on T { a } mutation Save { save }", ("mutation", "Save")),
        ('query A { a(x: "mutation B {") } mutation B { b }', ("query", "A")),
        ("subscription { s }", ("subscription", "")),
    ],
)
def test_the_operation_of_a_graphql_request_is_found(
    document: str, operation: tuple[str, str]
) -> None:
    assert graphql_operation(json.dumps({"query": document})) == operation


def test_the_operation_that_is_asked_for_counts_and_what_is_no_graphql_does_not() -> None:
    both = {"query": "query A { a } mutation B { b }", "operationName": "B"}
    assert graphql_operation(json.dumps(both)) == ("mutation", "B")
    # One that the document has not may be anything.
    assert graphql_operation(json.dumps({**both, "operationName": "C"})) == ("unknown", "C")
    for body in (None, "", b'{"query": 1}', b"query=a", b'["query"]', b'{"query"'):
        assert graphql_operation(body) is None
    assert graphql_error(b'{"errors":[{"message":"no such field"}]}') == "no such field"
    assert graphql_error(b'{"data":{"errors":[]},"errors":[]}') == ""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/items/41/notes?page=2", "/items/{id}/notes"),
        (f"https://a.example:8443/u/{ME}", "/u/{id}"),
        ("/v2/search", "/v2/search"),
        ("/files/9f8b7c6d5e4f3a2b1c0d", "/files/{id}"),
        ("/a-long-name-of-a-page", "/a-long-name-of-a-page"),
        ("https://a.example", "/"),
    ],
)
def test_a_path_is_named_without_ids(path: str, name: str) -> None:
    assert template(path) == name


@given(st.uuids())
def test_no_uuid_is_left_in_a_name(id_: uuid.UUID) -> None:
    assert str(id_) not in template(f"/users/{id_}/notes/{id_}")


def sent(guard: ReadsOnly, method: str, path: str, body: str | None = None) -> bool:
    try:
        guard.check(method, f"https://api.example{path}", body)
    except NotSent:
        return False
    return True


def test_only_reads_pass_and_what_is_said_to_be_one() -> None:
    guard = ReadsOnly.of("https://api.example/v1", "POST /login, POST  /rpc/*")
    assert sent(guard, "get", "/v1/rows")
    assert sent(guard, "POST", "/v1/login")
    assert sent(guard, "POST", "/v1/rpc/stats?x=1")
    assert not sent(guard, "POST", "/v1/login/forget")
    assert not sent(guard, "DELETE", "/v1/rows/1")
    assert sent(guard, "POST", "/v1/graphql", '{"query": "{ a }"}')
    assert not sent(guard, "POST", "/v1/graphql", '{"query": "mutation { a }"}')
    with pytest.raises(UsageError, match="no method and path"):
        ReadsOnly.of("https://api.example", "login")


def looked(body: bytes, *, path: str = f"/rows?user_id=eq.{ME}", gzip: bool = False) -> list[str]:
    """The reasons that 40 such answers, each to another user, give."""
    recorder, names = Recorder((0.0,)), []
    checks = AnswerChecks(recorder, owners_pattern(("user_id",)))
    headers = {b"content-encoding": b"gzip"} if gzip else {}
    for n in range(40):
        session = Session(None, None, 0.0)  # type: ignore[arg-type] # neither is asked
        mine = body.replace(b"ME", ME.encode()) + b" " * n
        packed = zlib.compress(mine, wbits=31) if gzip else mine
        asked, answer = Asked(path, f"user {n}", ME), Answer(200, packed, headers, 0, 0)
        assert checks.is_due("GET rows", session, answer, is_users=True)
        checks.look(session, "GET rows", answer, asked)
        checks.session_over(session)
    tally = recorder.take()[0]
    tally.endpoints["GET rows"] = EndpointTally(requests=40, statuses={200: 40})
    tally.sessions.due = tally.sessions.finished = 40
    stage = Stage(name="s", users=1, sessions_per_s=4, duration_s=10)
    names = reasons(stage, merged(tally), lasted_s=10, workers_lost=0)
    return [code_of(reason) for reason in names]


def merged(tally: StageTally) -> StageTally:
    whole = StageTally()
    whole.merge(tally)
    return whole


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b'[{"user_id": "ME", "title": "mine"}]', []),
        (b'[{"user_id": "ME"}, {"user_id": "somebody-else"}]', ["answers-foreign"]),
        (b"[]", ["answers-empty"]),
        (b'[{"user_id": "ME"}, {"user_id": "ME", "ti', ["answers-truncated"]),
    ],
)
def test_answers_that_are_none_for_their_user_spoil_a_stage(
    body: bytes, codes: list[str], gzip: bool
) -> None:
    assert looked(body, gzip=gzip) == codes


def test_rows_of_others_are_in_order_where_the_request_names_no_user() -> None:
    assert looked(b'[{"user_id": "somebody-else"}]', path="/feed") == []
