"""Files of people: read as they are, or named with line and next step."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.model.read_file import as_record, read_text, read_toml

UNTOUCHED = "Nothing was started"


def test_what_windows_writes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "phasegate.toml"
    file.write_bytes("\ufeff[slo]\r\np95_ms = 50\r\n".encode())
    assert read_text(file, untouched=UNTOUCHED) == "[slo]\np95_ms = 50\n"
    assert read_toml(file, untouched=UNTOUCHED) == {"slo": {"p95_ms": 50}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[slo]\np95_ms = fast\n", r"x\.toml is not valid TOML: .*at line 2.*quotes"),
        (b"a = 1\na = 2\n", r"x\.toml is not valid TOML: .*at line 2.*once"),
        (b"a = 1\nb = '\xe9'\n", r"x\.toml, line 2, is not UTF-8 \(byte 11\).*Save it as UTF-8"),
        (None, r"Cannot read x\.toml: No such file.*may read it"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_what_to_do(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "x.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_toml(file, "x.toml", untouched=UNTOUCHED)
    assert caught.value.untouched == UNTOUCHED


class Column(msgspec.Struct, forbid_unknown_fields=True):
    share: float = 0.0


class Table(msgspec.Struct, forbid_unknown_fields=True):
    columns: dict[str, Column | str] = {}
    costs: list[Column] = []


class File(msgspec.Struct, forbid_unknown_fields=True):
    tables: dict[str, Table]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"a": {}, "b": {"column": 1}}, "tables.b: Object contains unknown field `column`"),
        ({"a": {}, "b": 3}, "tables.b: Expected `object`, got `int`"),
        (
            {"a": {"columns": {"x": "y", "z": {"share": "half"}}}, "b": {}},
            "tables.a.columns.z.share: Expected `float`, got `str`",
        ),
        ({"a": {"costs": [{}, {"of": 1}]}}, "tables.a.costs[1]: Object contains unknown field"),
    ],
)
def test_a_key_that_is_wrong_is_named_with_the_tables_that_it_is_in(
    tables: object, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        as_record({"tables": tables}, File, "x.toml", untouched=UNTOUCHED, then="See x.md")
    assert caught.value.what.startswith(f"x.toml: {said}")
