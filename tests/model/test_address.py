from __future__ import annotations

import socket

import pytest

from phasegate.model.address import Address, ipv6_hint
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


def has_a_way_to(host: str) -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 5432))
        except OSError:
            return False
    return True


def test_a_host_of_ipv6_alone_gets_the_poolers_address_where_there_is_no_ipv6() -> None:
    documented = "2001:db8::1"  # RFC 3849: routed nowhere, so this sends nothing anywhere
    assert ("pooler.supabase.com" in ipv6_hint(documented, 5432)) is not has_a_way_to(documented)
    assert ipv6_hint("127.0.0.1", 5432) == ""
    assert ipv6_hint("", None) == ""
