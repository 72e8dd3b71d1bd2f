"""SQL files cut into statements: nothing in quotes, comments or bodies ends one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from phasegate.adopt.statements import statements_of

# Each is one statement, whatever is inside of it.
STATEMENTS = st.sampled_from(
    [
        "select 1",
        "select 'a;b', 'it''s; fine'",
        r"select E'\';', E'\\'",
        'select "a;""b" from "x;y"',
        "do $$ begin perform 1; end $$",
        "do $a$ begin execute $$ select 1; $$; end $a$",
        "create rule r as on update to t do (select 1; select 2)",
        "create function f() returns int begin atomic\nselect case 1 when 1 then 2 end; end",
        "create or replace procedure p() language sql begin atomic select 1; end",
        "select 1 /* ; /* ; */ ; */ + 2",
        "select 1 -- one; two\n+ 2",
        "select $1, a.b, 1e5 - 2",
        "begin",
        "end",
        "select größe from übung;"[:-1],
    ]
)
BETWEEN = st.sampled_from(
    [";", ";\n", " ;\n\n", ";--> statement-breakpoint\n", "\n--> statement-breakpoint\n"]
)
BEFORE = st.sampled_from(["", "\n", "-- a; comment\n", "/* ; */ ", ";", "\\connect other\n"])


@given(st.lists(st.tuples(BEFORE, STATEMENTS, BETWEEN), max_size=6))
def test_statements_that_are_joined_are_cut_apart_again(parts: list[tuple[str, str, str]]) -> None:
    text, lines = "", []
    for before, statement, between in parts:
        text += before if not before.startswith("\\") or text[-1:] in ("", "\n") else ""
        lines.append(text.count("\n") + 1)
        text += statement + between
    found = list(statements_of(text))
    assert [each.text for each in found] == [statement for _, statement, _ in parts]
    assert [each.line for each in found] == lines


def test_rows_of_a_dump_are_passed_over() -> None:
    text = "copy t from stdin;\n1;2\n'unbalanced\n\\.\n\nselect 1;\n"
    assert [each.text for each in statements_of(text)] == ["copy t from stdin", "select 1"]


def test_the_line_of_a_place_in_a_statement_is_that_of_the_file() -> None:
    (statement,) = statements_of("-- head\n\ncreate table t (\n    a nonsense\n);")
    assert statement.line == 3
    assert statement.line_of(statement.text.index("nonsense") + 1) == 4


@given(st.text(alphabet="ab;'\"$-/*()\\\n E", max_size=40))
def test_no_text_is_lost_or_read_for_ever(text: str) -> None:
    for statement in statements_of(text):
        assert statement.text in text
