from __future__ import annotations

import pytest

from phasegate.model.address import Address, is_ipv6_only, without_credentials
from phasegate.model.dsn import EXAMPLE as DSN_EXAMPLE
from phasegate.model.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "url", "remarks"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", 0),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", 0),
        ("https://name.supabase.co/", "https://name.supabase.co", 0),
        ("HTTPS://h/base//", "https://h/base", 0),
        ("http://[::1]:8000/x", "http://[::1]:8000/x", 0),
        (" https://h \r\n", "https://h", 1),
        ("'https://h'", "https://h", 1),
        ("https://me:hush@h:1", "https://h:1", 1),
        ("https://h/rest/v1/", "https://h", 1),
    ],
)
def test_a_url_is_read_as_its_writer_meant_it(text: str, url: str, remarks: int) -> None:
    address = Address.of(text, "SUPABASE_URL")
    assert address.url == url
    assert Address.of(url).url == url
    assert len(address.remarks) == remarks
    assert "hush" not in repr(address)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://u:Hush/ret@host", "there is an @ after the host"),
        ("http://u:Hu@sh@host", "it holds more than one @"),
        ("http://u:Hush#@host", "there is an @ after the host"),
        ("http://h?apikey=Hush", "it holds a ?"),
        ("ftp://Hush", "it does not begin with http"),
        ("http://u:Hush", "the port is not a number"),
        ("http://:80", "it names no host"),
        ("http://ho\r\nHush", "there is a control character"),
    ],
)
def test_what_is_no_url_is_described_and_never_quoted(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Address.of(text, "SUPABASE_URL")
    assert caught.value.what.startswith(f"SUPABASE_URL cannot be read as an address: {why}")
    assert "Hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_host_of_ipv6_alone_is_known() -> None:
    assert is_ipv6_only("2001:db8::1")
    assert not is_ipv6_only("127.0.0.1")
    assert not is_ipv6_only("no-such-host.invalid")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("There is no run 'postgresql:/u:Hush@h/db', neither", "There is no run '(an', neither"),
        ("No 'https://u:Hu sh@Hush@h:1/x'.", "No '(an'."),
        ("to postgresql://me@h:1/db: no", "to postgresql://me@h:1/db: no"),
        ("Write it as http://127.0.0.1:8000 or so", "Write it as http://127.0.0.1:8000 or so"),
    ],
)
def test_an_address_that_was_given_as_something_else_is_not_shown(said: str, shown: str) -> None:
    expected = shown.replace("(an", "(an address, which is not shown)")
    assert without_credentials(said) == expected


def test_the_example_of_an_address_is_shown_whole() -> None:
    said = f"Write it as {DSN_EXAMPLE}, not as postgresql://me:Secret@host:5432/name"
    shown = without_credentials(said)
    assert DSN_EXAMPLE in shown
    assert "Secret" not in shown
