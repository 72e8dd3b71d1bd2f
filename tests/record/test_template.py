"""Paths and queries without their values; whatever a URL is made of."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.record.har import Exchange
from phasegate.record.names import request_name
from phasegate.record.template import Many, Place, path_template, taken_apart

if TYPE_CHECKING:
    from tests.record.conftest import Har

UUIDS = st.uuids().map(str)
IDS = (
    UUIDS | st.integers(0, 10**12).map(str) | st.text("0123456789abcdef", min_size=24, max_size=24)
)
WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=12)


def exchange(path: str, query: str = "", method: str = "GET") -> Exchange:
    return Exchange(
        started_s=0, ended_s=1, method=method, origin="https://a.example", path=path, query=query,
        headers=(), sent_mime="", sent=None, status=200, answer_headers=(), answer_mime="",
        answered=None, kind="", page="", from_cache=False,
    )  # fmt: skip


def put_together(request: object) -> str:
    """The URL again, each value as it was."""
    found = ""
    for piece in request.pieces:  # type: ignore[attr-defined]
        if isinstance(piece, str):
            found += piece
        elif isinstance(piece, Many):
            found += ",".join(quote(str(place.value)) for place in piece.places)
        else:
            found += quote(str(piece.value), safe="")
    return found


@given(parts=st.lists(st.tuples(WORDS, IDS), min_size=1, max_size=4))
def test_ids_are_left_out_and_words_stay(parts: list[tuple[str, str]]) -> None:
    path = "/" + "/".join(f"{word}/{key}" for word, key in parts)
    assert path_template(path) == "/" + "/".join(f"{word}/{{id}}" for word, _ in parts)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/v2/users/17/orders", "/api/v2/users/{id}/orders"),
        ("/v1/cus_Nf8s7d6f5g4h/cards", "/v1/{id}/cards"),
        ("/events/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/events/{id}"),
        ("/invite/ada%40example.com", "/invite/{id}"),
        ("/rest/v1/user_settings", "/rest/v1/user_settings"),
        ("/functions/v1/process-heavy-work", "/functions/v1/process-heavy-work"),
        ("/", "/"),
    ],
)
def test_what_is_an_id(path: str, template: str) -> None:
    assert path_template(path) == template


PATHS = st.lists(st.text(string.ascii_letters + string.digits + "-_.~@", max_size=20), max_size=5)
PAIRS = st.lists(st.tuples(WORDS, st.text(max_size=15)), max_size=5)


@given(segments=PATHS, pairs=PAIRS, postgrest=st.booleans())
def test_a_request_taken_apart_and_put_together_is_the_same(
    segments: list[str], pairs: list[tuple[str, str]], postgrest: bool
) -> None:
    path = "/rest/v1/notes" if postgrest else "/" + "/".join(map(quote, segments))
    request = taken_apart(exchange(path, urlencode(pairs)))
    again, _, query = put_together(request).partition("?")
    assert unquote(again) == unquote(path)
    assert parse_qsl(query, keep_blank_values=True) == pairs


FILTERS = st.tuples(WORDS, st.sampled_from(["eq", "gte", "not.lt", "ilike", "cs"]), UUIDS)


@given(filters=st.lists(FILTERS, min_size=1, max_size=3, unique_by=lambda each: each[0]))
def test_filters_of_postgrest_are_named_without_their_values(
    filters: list[tuple[str, str, str]],
) -> None:
    filters = [(f"x_{column}", operator, value) for column, operator, value in filters]
    query = "&".join(f"{column}={operator}.{value}" for column, operator, value in filters)
    request = taken_apart(exchange("/rest/v1/notes", f"select=*&{query}&limit=3"))
    named = "&".join(f"{column}={operator}.{{{column}}}" for column, operator, _ in filters)
    assert request_name(request) == f"/rest/v1/notes?{named}"


def test_filters_within_or_and_lists_have_places_of_their_own() -> None:
    query = "or=(a.eq.1,b.ilike.*x*)&id=in.(4,5)&gone=is.null"
    request = taken_apart(exchange("/rest/v1/notes", query))
    assert [place.value for place in request.places()] == ["1", "*x*", "4", "5"]
    assert [place.column for place in request.places()] == ["a", "b", "id", "id"]
    assert "gone=is.null" in request_name(request)


def test_headers_that_a_browser_or_proxy_adds_are_not_sent_again(
    har: type[Har], tmp_path: Path
) -> None:
    from phasegate.record.har import read_har

    recording = har()
    dropped = (
        *("X-Client-Info", "User-Agent", "X-Forwarded-For", "Cookie", "X-Api-Key"),
        *("Accept-Language", "Referer", "Sec-Fetch-Mode"),
    )
    sent = {"Prefer": "count=exact", "X-Tenant": "acme", "Accept": "application/json"}
    sent |= {"Accept-Profile": "public"} | dict.fromkeys(dropped, "x")
    recording.add("GET", "/notes", [], at=0, headers=sent)
    (found,) = read_har(recording.write(tmp_path)).exchanges
    assert [place.key for place in taken_apart(found).headers] == ["prefer", "x-tenant"]


def test_the_place_of_a_value_says_what_it_is_called() -> None:
    (place,) = (p for p in taken_apart(exchange("/orders/17/lines")).pieces if isinstance(p, Place))
    assert (place.where, place.key, place.value) == ("path", "orders", "17")
