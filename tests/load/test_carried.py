"""What each request of a session carries: headers that the locustfile sets, cookies it is given."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.load.carried import Carried
from phasegate.load.expectations import Fields, GraphQL
from phasegate.load.transport import Answer, header_lines
from phasegate.model.errors import ConfigurationError

NAMES = st.text(string.ascii_letters, min_size=1, max_size=8)
VALUES = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12)


def carried(**given_: str) -> Carried:
    return Carried(dict(given_), header_lines)


def sets(*cookies: str) -> Answer:
    value = "\n".join(cookies).encode()
    return Answer(200, b"", {b"set-cookie": value} if cookies else {}, 0.0, 0.0)


def lines(one: Carried, more: dict[str, str] | None = None) -> list[str]:
    return one.lines(more).decode().strip().split("\r\n")


def test_headers_that_a_session_sets_go_with_every_further_request() -> None:
    one = carried(apikey="k", Authorization="Bearer minted")
    one.headers["authorization"] = "Bearer logged-in"
    assert lines(one) == ["apikey: k", "authorization: Bearer logged-in"]
    del one.headers["APIKEY"]
    one.headers.update({"X-Tenant": "7"})
    assert lines(one) == ["authorization: Bearer logged-in", "X-Tenant: 7"]


def test_a_requests_own_header_replaces_the_sessions() -> None:
    one = carried(Authorization="Bearer minted")
    assert lines(one, {"authorization": "Basic x"}) == ["authorization: Basic x"]
    assert lines(one) == ["Authorization: Bearer minted"]


def test_cookies_are_kept_by_name_until_they_are_taken_back() -> None:
    one = carried()
    one.keep(sets("sid=a1; Path=/; HttpOnly", "theme=dark; SameSite=Lax"))
    assert lines(one) == ["Cookie: sid=a1; theme=dark"]
    one.keep(sets("sid=; Max-Age=0"))
    one.keep(sets("theme=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT"))
    one.keep(sets())
    assert one.lines(None) == b""
    one.set_cookie("sid", "b2")
    assert lines(one, {"Cookie": "mine=1"}) == ["Cookie: mine=1"]
    one.replace({"cookie": "theirs=2"})
    assert lines(one) == ["cookie: theirs=2"]


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_cookies_come_back_as_they_were_set(cookies: dict[str, str]) -> None:
    one = carried()
    one.keep(sets(*(f"{name}={value}; Path=/" for name, value in cookies.items())))
    kept = {name: value for name, value in cookies.items() if name in one.cookies}
    assert one.cookies == kept
    # A cookie may not be named as an attribute of cookies is.
    reserved = {"path", "expires", "domain", "secure", "version", "comment", "max-age", "httponly"}
    assert {name.lower() for name in set(cookies) - set(kept)} <= reserved | {"samesite"}


def test_what_would_end_a_header_is_refused_and_not_quoted() -> None:
    with pytest.raises(ConfigurationError, match="X-Evil contains a line break") as caught:
        carried().headers["X-Evil"] = "secret\r\nHost: other"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"data": {"n": 1}}, ""),
        ({"data": {"n": "x"}}, "an object whose 'n' is a text"),
        ({"data": None, "errors": [{"message": "no"}]}, "a GraphQL error"),
        ([], "a list instead of a GraphQL answer"),
    ],
)
def test_a_graphql_answer_is_its_data_and_no_errors(body: object, problem: str) -> None:
    found = GraphQL(Fields({"n": (int,)})).problem(body)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
