from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from phasegate.advise.candidate import toml
from phasegate.advise.statements import parsed, read_log

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=30)


def test_a_logged_statement_keeps_its_text_over_several_lines_and_its_values() -> None:
    log = "\n".join(
        [
            "phasegate 7 42 LOG:  duration: 0.1 ms  execute __x__: select *",
            "\tfrom t where a = $1 and b = $2",
            "phasegate 7 42 DETAIL:  Parameters: $1 = 'it''s, $2 = ''x''', $2 = NULL",
            "another program's line",
        ]
    )
    found = read_log(log)["42"]
    assert found.text == "select *\nfrom t where a = $1 and b = $2"
    assert found.values == [("it's, $2 = 'x'", None)]


def test_claims_and_tokens_are_never_kept() -> None:
    log = "\n".join(
        [
            "phasegate 7 1 LOG:  duration: 0.1 ms  execute s: select set_config('role', $1, true)",
            "phasegate 7 1 DETAIL:  Parameters: $1 = 'Bearer secret'",
            "phasegate 7 2 LOG:  duration: 0.1 ms  execute s: select 1",
        ]
    )
    found = read_log(log)
    assert list(found) == ["2"]
    assert "secret" not in repr(found)


@given(st.lists(st.none() | TEXT, min_size=1, max_size=5))
def test_any_values_come_back_from_the_log_as_they_were_sent(values: list[str | None]) -> None:
    shown = ", ".join(
        f"${n} = " + ("NULL" if value is None else "'" + value.replace("'", "''") + "'")
        for n, value in enumerate(values, 1)
    )
    log = (
        "phasegate 7 9 LOG:  duration: 1 ms  execute s: select 1\n"
        f"phasegate 7 9 DETAIL:  Parameters: {shown}"
    )
    assert read_log(log)["9"].values == [tuple(values)]


def test_parameters_side_by_side_are_not_taken_for_a_quoted_text() -> None:
    tree = parsed("select 1 from t where a in ($1,$2) and b @@ to_tsquery($3,$4)")
    assert tree is not None
    assert parsed("select from where (") is None


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), TEXT | st.booleans(), max_size=5)
)
def test_a_technique_is_written_as_toml_that_reads_the_same(plain: dict[str, object]) -> None:
    tables = {**plain, "zbefore": {"title": 'no "index"'}, "zcosts": [{"n": 1}, {"n": 2}]}
    assert tomllib.loads(toml(tables)) == tables
