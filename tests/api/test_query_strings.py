"""Any query string is a query or one of PostgREST's errors, and never more than a query."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasegate.api import scanner
from phasegate.api.catalogue import Catalogue, ColumnType, Relation, Relationship
from phasegate.api.compiler import Wanted, read
from phasegate.api.errors import ApiError
from phasegate.api.parameters import parse, shape, split
from phasegate.api.query import ROOT, Compare, Condition, Field, In, Is, Logic, Value
from phasegate.api.statement import Values, array_literal

SPECIAL = [
    *"\"'\\();,.:!*%&|<>-=~{}[]@# \t\n\0é😀",
    *("--", "/*", "$1", "::", "->>", "->", "select", "order", "or", "and", "not.", "in.", "eq."),
    *("is.null", "tasks", "projects", "title", "limit", "offset", "data", "inner", "..."),
    "count()",
]
KEYS = [
    *("select", "order", "limit", "offset", "or", "and", "not.or", "title", "id", "columns"),
    *("projects.name", "projects.order", "projects.or", "on_conflict", "data->>a", "projects"),
]
fragment = st.one_of(st.sampled_from(SPECIAL), st.text(max_size=4))
text = st.lists(fragment, max_size=12).map("".join)
key = st.one_of(st.sampled_from(KEYS), text)
value = st.one_of(
    text,
    st.tuples(
        st.sampled_from(["eq.", "in.", "in.(", "is.", "not.eq.", "like.", "fts(", "("]), text
    ).map("".join),
)

_COLUMNS = {
    name: ColumnType(name, f'"pg_catalog"."{kind}"', None, kind == "json")
    for name, kind in {"id": "uuid", "title": "text", "data": "json", "project_id": "uuid"}.items()
}
_NAMED = {"id": _COLUMNS["id"], "name": ColumnType("name", "text", None, is_json=False)}
TASKS, PROJECTS = Relation("tasks", _COLUMNS, ("id",)), Relation("projects", _NAMED, ("id",))
CATALOGUE = Catalogue(
    {"tasks": TASKS, "projects": PROJECTS},
    {
        ("tasks", "projects"): (
            Relationship(
                *("fk", "tasks", "projects", (("project_id", "id"),)),
                to_one=True,
                cardinality="many-to-one",
            ),
        ),
        ("projects", "tasks"): (
            Relationship(
                *("fk", "projects", "tasks", (("id", "project_id"),)),
                to_one=False,
                cardinality="one-to-many",
            ),
        ),
    },
    {},
    {},
)


def _query_string(pairs: list[tuple[str, str]]) -> bytes:
    return "&".join(f"{quote(name)}={quote(given)}" for name, given in pairs).encode()


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(key, value), max_size=4))
def test_any_pairs_are_a_statement_or_an_error_of_the_caller(
    pairs: list[tuple[str, str]],
) -> None:
    raw = _query_string(pairs)
    try:
        found = split(raw)
        statement = read(parse(found), TASKS, CATALOGUE, Wanted()).main
        bound = statement.bind(Values(shape(found).values, 20, 0))
    except ApiError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert 400 <= refused.status < 500
        return
    # One placeholder to a parameter, and nothing else but placeholders where values would be.
    assert len(bound) == len(statement.sources)
    assert all(f"${number}::" in statement.sql for number in range(1, len(bound) + 1))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_query_or_pgrst1xx(raw: bytes) -> None:
    code = "PGRST1"
    try:
        parse(split(raw))
    except ApiError as error:
        code = error.code
    assert code.startswith("PGRST1")


@settings(max_examples=300, deadline=None)
@given(given_value=text)
def test_a_filters_value_never_reaches_the_statement(given_value: str) -> None:
    probe = f"probe{given_value}probe"
    found = split(_query_string([("title", f"eq.{probe}")]))
    statement = read(parse(found), TASKS, CATALOGUE, Wanted()).main
    assert "probe" not in statement.sql
    assert probe in statement.bind(Values(shape(found).values, 20, 0))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(key, value), max_size=3), st.lists(text, min_size=1, max_size=3))
def test_requests_of_one_shape_have_one_statement(
    pairs: list[tuple[str, str]], other_values: list[str]
) -> None:
    plain = [("title", "eq.first"), ("id", "in.(a)")]
    found = split(_query_string([*pairs, *plain]))
    other = split(_query_string([*pairs, ("title", f"eq.{other_values[0]}"), ("id", "in.(b,c)")]))
    assert shape(found).key == shape(other).key
    try:
        first = read(parse(found), TASKS, CATALOGUE, Wanted()).main
    except ApiError:
        with pytest.raises(ApiError):
            read(parse(other), TASKS, CATALOGUE, Wanted())
        return
    assert first.sql == read(parse(other), TASKS, CATALOGUE, Wanted()).main.sql
    bound = first.bind(Values(shape(other).values, 20, 0))
    assert other_values[0] in bound
    assert '{"b","c"}' in bound


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1))
def test_a_quoted_list_gives_back_its_elements(items: list[str]) -> None:
    quoted = ('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items)
    assert scanner.elements(f"({','.join(quoted)})") == items


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"id=eq.1", (ROOT, Condition(Field("id"), Compare("eq", Value("1", 0))))),
        (b"id=not.is.null", (ROOT, Condition(Field("id"), Is("null"), negated=True))),
        (b"id=in.(a,%22b,c%22)", (ROOT, Condition(Field("id"), In(Value('(a,"b,c")', 0))))),
        (b"p.id=eq.1", (("p",), Condition(Field("id"), Compare("eq", Value("1", 0))))),
        (
            b"not.or=(a.eq.1,b.in.(2,3))",
            (
                ROOT,
                Logic(
                    "or",
                    (
                        Condition(Field("a"), Compare("eq", Value("1"))),
                        Condition(Field("b"), In(Value("(2,3)"))),
                    ),
                    negated=True,
                ),
            ),
        ),
        (
            b"or=(a.like(any).{x*,y*},b.is.true)",
            (
                ROOT,
                Logic(
                    "or",
                    (
                        Condition(Field("a"), Compare("like", Value("{x*,y*}"), "any")),
                        Condition(Field("b"), Is("true")),
                    ),
                ),
            ),
        ),
    ],
)
def test_filters_are_read_as_postgrest_reads_them(raw: bytes, where: Any) -> None:
    assert parse(split(raw)).where == (where,)


def test_nesting_is_bounded() -> None:
    deep = f"or={'(and(' * 500}id.eq.1{'))' * 500}"
    embeds = f"select={'projects(tasks(' * 500}id{'))' * 500}"
    for raw in (deep, "or=" + "(or(" * 5000, embeds):
        with pytest.raises(ApiError, match="failed to parse"):
            parse(split(raw.encode()))


def test_an_array_literal_survives_quotes_and_backslashes() -> None:
    assert array_literal(['a"b', "c\\d", ""]) == '{"a\\"b","c\\\\d",""}'


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(key, value), max_size=3))
def test_no_query_string_makes_the_server_fail(service: Any, pairs: list[tuple[str, str]]) -> None:
    with service.client(service.alice) as client:
        answer = client.get(f"/tasks?{_query_string(pairs).decode()}")
    assert answer.status_code < 500, (pairs, answer.text)


def test_more_values_than_a_statement_carries_are_the_callers_mistake() -> None:
    terms = ",".join(f"title.eq.{number}" for number in range(40_000))
    with pytest.raises(ApiError) as refused:
        read(parse(split(f"or=({terms})".encode())), TASKS, CATALOGUE, Wanted())
    assert (refused.value.status, refused.value.code) == (400, "54000")
