from __future__ import annotations

import pytest

from phasegate.model.errors import ConfigurationError
from phasegate.model.keys import read_key

KEY = "eyJhbGciOi.abc-_.def="


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (KEY, ()),
        (f" {KEY}", ("K: a blank around the key left out",)),
        (f"{KEY}\r\n", ("K: a line break around the key left out",)),
        (f"'{KEY}'", ("K: quotes around the key left out",)),
        (f"Bearer {KEY}", ("K: 'Bearer' around the key left out",)),
        (
            f'"bearer  {KEY}"\n',
            ("K: a line break and quotes and 'Bearer' around the key left out",),
        ),
    ],
)
def test_what_stands_around_a_key_is_left_out_with_a_word(text: str, said: tuple[str, ...]) -> None:
    key = read_key(text, "K")
    assert key.value == KEY
    assert key.remarks == said
    assert KEY not in repr(key)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Hu\r\nX-Evil: 1\r\nsh", "a line break"),
        ("Hush\nHush", "a line break"),
        ("Hush\x00Hush", "a control character"),
        ("Hush\x7f", "a control character"),
        ("Hush\u00e9", "a character that is not ASCII"),
        ("\ufeffHush", "a character that is not ASCII"),
        ("\u201cHush\u201d", "a character that is not ASCII"),
    ],
)
def test_what_no_head_of_a_request_may_hold_is_refused_unquoted(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_key(text, "SUPABASE_ANON_KEY")
    assert caught.value.what == f"SUPABASE_ANON_KEY contains {why}, which no key has"
    assert "Hush" not in str(caught.value)


def test_no_key_is_no_error() -> None:
    assert not read_key(" \n", "K")
