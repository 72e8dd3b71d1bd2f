"""No piece of a secret leaves the readers of addresses and keys, whatever somebody pasted."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from phasegate.model.address import Address
from phasegate.model.dsn import Dsn, redact
from phasegate.model.errors import ConfigurationError
from phasegate.model.keys import read_key

PIECE = 4

# Words that no message of ours holds, among what ends an address, a line, or a parser's patience.
LETTERS = "QXZJKVW"
_WORD = st.text(LETTERS, min_size=PIECE, max_size=10)
_ODD = st.text("012@:/?#%&=[],+ \\'\"\r\n\t\x00é中\u200b;$!", max_size=3)
SECRET = st.lists(st.tuples(_ODD, _WORD), min_size=1, max_size=3).map(
    lambda pairs: "".join(odd + word for odd, word in pairs)
)
# The secret stands where an address has its password, or would, were it one.
DSN = st.sampled_from(
    [
        "postgresql://me:{}@host:5432/db",
        "postgresql://me:{}@[::1]/db?sslmode=require",
        "postgresql://me:pw@host/db?password={}",
        "postgresql://me:pw@host/db?pgbouncer=true&sslpassword={}",
        "jdbc:postgresql://host/db?user=me&password={}",
        " 'postgres://:{}@host/db'",
    ]
)
NO_DSN = st.sampled_from(
    ["me:{}@host/db", "host=h password={}", "postgresq://me:{}@host", "psql://{}"]
)
URL = st.sampled_from(
    ["http://u:{}@host", "https://u:{}@host:1/rest/v1", "http://host?apikey={}", "u:{}@host"]
)


def pieces(secret: str) -> set[str]:
    """Every piece of four characters with a letter in it, plain and percent-encoded."""
    both = (secret, quote(secret, safe=""))
    cut = {text[i : i + PIECE] for text in both for i in range(len(text) - PIECE + 1)}
    return {piece for piece in cut if set(LETTERS) & set(piece)}


def everything_said(read: Callable[[], str]) -> str:
    """What `read` returns, or the whole traceback of what it raises."""
    try:
        return read()
    except ConfigurationError as error:
        return "".join(traceback.format_exception(error))


def leaked(secret: str, said: str) -> list[str]:
    return sorted(piece for piece in pieces(secret) if piece in said)


@given(shape=DSN, secret=SECRET)
def test_no_piece_of_a_password_leaves_a_dsn(shape: str, secret: str) -> None:
    text = shape.replace("{}", secret)

    def read() -> str:
        dsn = Dsn.of(text, "DATABASE_URL", {})
        return "\n".join((repr(dsn), dsn.shown, *dsn.remarks))

    assert leaked(secret, everything_said(read) + redact(text)) == []


@given(shape=NO_DSN, secret=SECRET)
def test_no_piece_of_a_password_leaves_what_is_no_dsn(shape: str, secret: str) -> None:
    text = shape.replace("{}", secret)
    said = everything_said(lambda: Dsn.of(text, "DATABASE_URL", {}).url)
    assert "DATABASE_URL cannot be read as an address" in said
    assert leaked(secret, said + redact(text)) == []


@given(secret=SECRET)
def test_an_encoded_password_is_read_and_given_on_whole(secret: str) -> None:
    if "\x00" in secret:
        return
    dsn = Dsn.of(f"postgresql://me:{quote(secret, safe='')}@host/db", "D", {})
    assert dsn.password == secret
    assert Dsn.of(dsn.url, "D", {}).password == secret
    assert leaked(secret, dsn.shown + repr(dsn)) == []


@given(shape=URL, secret=SECRET)
def test_no_piece_of_a_password_leaves_a_url(shape: str, secret: str) -> None:
    def read() -> str:
        address = Address.of(shape.replace("{}", secret), "SUPABASE_URL")
        return repr(address) + address.url

    assert leaked(secret, everything_said(read)) == []


@given(secret=SECRET, before=st.sampled_from(["", " ", "Bearer ", '"']))
def test_no_piece_of_a_key_is_quoted_and_none_that_is_read_breaks_a_head(
    secret: str, before: str
) -> None:
    kept: list[str] = []

    def read() -> str:
        key = read_key(before + secret, "SUPABASE_ANON_KEY")
        kept.append(key.value)
        return repr(key)

    assert leaked(secret, everything_said(read)) == []
    assert all(value.isascii() and value.isprintable() for value in kept)


def test_a_leak_would_be_noticed() -> None:
    assert leaked("QXZJ0", "… XZJ0 …") == ["XZJ0"]
