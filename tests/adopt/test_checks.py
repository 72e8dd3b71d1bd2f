"""CHECK expressions, as PostgreSQL writes them, turned into what a column may hold."""

from __future__ import annotations

import pytest

from phasegate.adopt.checks import alternatives
from phasegate.adopt.expressions import Condition, Unreadable
from phasegate.adopt.limits import solve
from phasegate.adopt.shape import Check, Column, Table, Type


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
         [[("status", "in", ("a", "b"), "")]]),
        ("((price > (0)::numeric) AND (price <= '-90'::integer))",
         [[("price", "low", 0, ">"), ("price", "high", -90, "<=")]]),
        ("(char_length((name)::text) >= 3)", [[("name", "length", 3, ">=")]]),
        ("(length(TRIM(BOTH FROM name)) > 0)", [[("name", "length", 0, ">")]]),
        ("((code)::text ~ '^[A-Z]{2}[0-9]+$'::text)",
         [[("code", "pattern", "^[A-Z]{2}[0-9]+$", "")]]),
        ("(email ~~ '%@%'::text)", [[("email", "pattern", "^.*@.*$", "")]]),
        ("((ends_at IS NULL) OR (ends_at > starts_at))",
         [[("ends_at", "null", True, "")], [("ends_at", "order", "starts_at", ">")]]),
        ("((a = 1) OR (a = 2))", [[("a", "in", (1, 2), "")]]),
        ("(NOT (a AND b))", [[("a", "in", (False,), "")], [("b", "in", (False,), "")]]),
        ("((a IS NOT NULL) <> (b IS NOT NULL))",
         [[("a", "null", False, ""), ("b", "null", True, "")],
          [("a", "null", True, ""), ("b", "null", False, "")]]),
        ("(num_nonnulls(a, b) = 1)",
         [[("a", "null", False, ""), ("b", "null", True, "")],
          [("a", "null", True, ""), ("b", "null", False, "")]]),
        ("(amount = ((qty)::numeric * price))", [[("amount", "product", ("qty", "price"), "")]]),
        ("((birth)::date < (CURRENT_DATE - '18 years'::interval))", [[("birth", "now", -1, "<")]]),
        ("(EXTRACT(year FROM d) > (1900)::numeric)", [[("d", "low", "1901-01-01", ">=")]]),
        ('("Full Name" <> \'\'::text)', [[("Full Name", "not in", ("",), "")]]),
        ("(upper(during) > lower(during))", [[]]),
        ("(lower((email)::text) = (email)::text)", [[("email", "case", "lower", "")]]),
    ],
)  # fmt: skip
def test_a_check_is_read(text: str, expected: list[list[tuple[object, ...]]]) -> None:
    assert alternatives(text) == [tuple(Condition(*one) for one in way) for way in expected]


@pytest.mark.parametrize("text", ["is_ok(a)", "((a % 2) = 0)", "(a ->> 'x') = 'y'", "(((("])
def test_what_is_not_understood_is_said(text: str) -> None:
    with pytest.raises(Unreadable):
        alternatives(text)


def _table(*checks: str, null: str = "") -> Table:
    names = ("a", "b", "c")
    columns = tuple(Column(name, Type("int4", "int4"), not_null=name != null) for name in names)
    return Table(
        ("public", "t"),
        columns=columns,
        checks=tuple(Check(f"check {place}", text, ("a",)) for place, text in enumerate(checks)),
    )


def test_all_checks_of_a_table_hold_together() -> None:
    solved = solve(_table("a in (1, 2, 3)", "a > 1", "a <> 3", "a = 1 and b = 5 or b >= 9"))
    assert solved.unsolved == ()
    assert solved.limits["a"].values == (2,)
    assert (solved.limits["b"].low, solved.limits["b"].values) == (9, None)
    assert solved.sources["b"] == ("check 3",)


def test_a_value_is_preferred_to_a_null() -> None:
    assert solve(_table("a is null or b > 0", null="a")).limits == {
        "b": solve(_table("b > 0")).limits["b"]
    }


def test_a_check_that_contradicts_another_is_named() -> None:
    (found,) = solve(_table("a > 5", "b > 0", "a < 3")).unsolved
    assert (found[0].name, found[1:]) == ("check 2", ("a", "cannot hold"))
