"""Addresses and what they have in common: where a server is, and where a text stops being one.

Reads text that a user pasted: an address may hold a password, so what cannot be read is described
and never quoted, not even in part. `model.dsn` reads databases' addresses on top of this,
`model.keys` what is sent beside them. Imports nothing but the standard library: the scripts of the
hourly workflows install nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote

from phasegate.model.errors import ConfigurationError

PERCENT_ENCODE = (
    "Percent-encode each special character of user name and password: @ is %40, : %3A, / %2F, "
    "? %3F, # %23, % %25, a blank %20. This asks for the password, unseen, and prints it encoded: "
    "python3 -c 'from getpass import getpass; from urllib.parse import quote; "
    'print(quote(getpass(), safe=""))\''
)
UNREAD = "Nothing was sent, and none of it is shown"

QUOTES = "\"'`"
PORT_MAX = 65_535

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://")
_NAME_OF_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?")
# Up to the last @: a password may hold one. Paths have lost one of the two slashes.
# Not those of our own example (`model.dsn`).
_CREDENTIALS = re.compile(
    r"\b(?!postgresql://user:password@host:)[A-Za-z][A-Za-z0-9+.-]*:/+[^\s@/:]*:[^\n]*@[^\s'\",;)]*"
)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


def refuse(name: str, why: str, then: str = PERCENT_ENCODE) -> NoReturn:
    """Say why the text of `name` is no address, without a piece of it.

    Raises:
        ConfigurationError: always; no cause is chained to it, since that would quote the text.
    """
    raise ConfigurationError(
        f"{name} cannot be read as an address: {why}", untouched=UNREAD, then=then
    ) from None


def bare(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` without blanks, line breaks and quotes around it, and words for what was left out."""
    words = []
    stripped = text.strip(" \t\r\n")
    if stripped != text:
        broken = "\r" in text or "\n" in text
        words.append("a line break" if broken else "a blank")
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in QUOTES:
        stripped = stripped[1:-1].strip(" \t\r\n")
        words.append("quotes")
    return stripped, tuple(words)


def left_out(name: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """What to tell of `bare`: one sentence, or none."""
    return (f"{name}: {' and '.join(words)} around it left out",) if words else ()


def first_unprintable(text: str) -> str | None:
    """What kind the first character is that no address and no key holds; None without any."""
    for character in text:
        category = unicodedata.category(character)
        if category == "Cc":
            return "a control character (a line break, say)"
        if category[0] == "C":
            return "an invisible character"
        if category[0] == "Z":
            return "a blank"
    return None


@dataclass(frozen=True)
class Split:
    """An address taken apart. Nothing is decoded yet, but for the host."""

    scheme: str
    user: str | None
    password: str | None
    host: str
    """Without brackets; empty where none is named; a folder with a socket begins with a slash."""
    port: int | None
    path: str
    """From its slash on."""
    query: str


def split(text: str, name: str, example: str) -> Split:
    """Take the address in `text` apart.

    Args:
        text: after `bare`.
        name: of the setting that holds it, for the messages.
        example: how it should look.

    Raises:
        ConfigurationError: it is none; the message describes what is wrong and quotes nothing.
    """
    then = f"Write it as {example}"
    if not text:
        refuse(name, "it is empty", then)
    if (kind := first_unprintable(text)) is not None:
        refuse(name, f"there is {kind} inside", f"Copy it again, in one piece. {PERCENT_ENCODE}")
    found = _SCHEME.match(text)
    if found is None:
        refuse(name, "it does not begin with a scheme and ://", then)
    authority, path, query = _parts(text[found.end() :], name)
    credentials, at, place = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    host, port = _place(place, name)
    return Split(
        scheme=found[1].lower(),
        user=user if at else None,
        password=password if colon else None,
        host=host,
        port=port,
        path=path,
        query=query,
    )


def _parts(rest: str, name: str) -> tuple[str, str, str]:
    """Authority, path and query of what follows the scheme; each `@` is where it should be."""
    end = re.search(r"[/?#]", rest)
    authority, behind = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if "@" in behind:
        refuse(
            name,
            "there is an @ after the host; that happens when the password has a /, ? or #",
        )
    if authority.count("@") > 1:
        refuse(name, "it holds more than one @")
    if "#" in behind:
        refuse(name, "it holds a #")
    if _BAD_ESCAPE.search(rest):
        refuse(name, "a % is not followed by two hexadecimal digits")
    path, _, query = behind.partition("?")
    return authority, path, query


def _place(place: str, name: str) -> tuple[str, int | None]:
    """Host and port of the part behind the credentials."""
    if place.startswith("["):
        inside, bracket, rest = place[1:].partition("]")
        if not bracket or not _is_ipv6(inside) or (rest and not rest.startswith(":")):
            refuse(name, "the text in brackets is not an IPv6 address")
        return unquote(inside), _port(rest[1:], name)
    if "," in place:
        refuse(name, "it names several hosts", "Name one: the primary")
    host, colon, port = place.partition(":")
    if ":" in port:
        refuse(
            name,
            "the host holds more than one colon",
            f"Write an IPv6 address in brackets, as [::1]. {PERCENT_ENCODE}",
        )
    return host_of(host, name), _port(port, name) if colon else None


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(unquote(text))
    except ValueError:
        return False
    return True


def host_of(text: str, name: str) -> str:
    """A host as an address or a parameter names it, decoded.

    Raises:
        ConfigurationError: no host is called so.
    """
    host = decoded(text, name, "the host")
    if not host or host.startswith("/") or _is_ipv6(host) or _NAME_OF_HOST.fullmatch(host):
        return host
    refuse(name, "the host has characters that host names cannot have")


def _port(text: str, name: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= PORT_MAX):
        refuse(name, f"the port is not a number from 1 to {PORT_MAX}")
    return int(text)


def port_of(text: str, name: str) -> int | None:
    """A port as an address or a parameter names it; None for an empty one.

    Raises:
        ConfigurationError: it is no port.
    """
    return _port(text, name)


def decoded(text: str, name: str, part: str, *, secret: bool = False) -> str:
    """`text` without its percent-encoding.

    Raises:
        ConfigurationError: that is no UTF-8, or holds a character that only a secret may hold.
    """
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        refuse(name, f"the percent-encoding of {part} is not UTF-8")
    if not secret and any(unicodedata.category(character)[0] == "C" for character in plain):
        refuse(name, f"{part} holds a control character")
    return plain


def bracketed(host: str) -> str:
    """`host` as it stands in an address: percent-encoded, an IPv6 address in brackets."""
    return f"[{quote(host, safe=':')}]" if ":" in host else quote(host, safe="")


def is_loopback(host: str) -> bool:
    """Whether a server of that host is on this machine: by name, by number or by socket."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("", "localhost") or host.startswith("/")


POOLER_HINT = (
    "That host has an IPv6 address only, and this machine has no way there: use the pooler's "
    "address, which has IPv4 (Supabase: Connect, Session pooler: "
    "aws-….pooler.supabase.com, port 5432, user postgres.PROJECT)"
)


def is_ipv6_only(host: str) -> bool:
    """Whether all addresses of `host` are IPv6. Asks the resolver; False where it knows none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(family == socket.AF_INET6 for family, *_ in found)


def without_credentials(text: str) -> str:
    """`text` of an error, where an address with a password in it is not shown.

    The last wall, for what was given as something else (a file, a run, a number) and is quoted by
    whoever could make nothing of it.
    """
    return _CREDENTIALS.sub("(an address, which is not shown)", text)


EXAMPLE = "http://127.0.0.1:8000 or https://name.supabase.co"
DEFAULT_PORTS = {"http": 80, "https": 443}
# What people copy along from an example of a request; every path of ours begins behind it.
REST_PATHS = ("/rest/v1", "/auth/v1", "/functions/v1")


@dataclass(frozen=True)
class Address:
    """Where an API is."""

    host: str
    port: int
    is_tls: bool
    prefix: str
    """Path before `/rest`, without a slash at its end."""
    header: str
    """As the Host header has it."""
    remarks: tuple[str, ...] = ()
    """What was passed over, in sentences for the user."""

    @classmethod
    def of(cls, url: str, name: str = "The host's URL") -> Address:
        """The address in `url`; `name` is the setting's that holds it.

        Raises:
            ConfigurationError: it is no address of an API; nothing of it is quoted.
        """
        text, words = bare(url)
        remarks = list(left_out(name, words))
        then = f"Write it as {EXAMPLE}"
        parts = split(text if "://" in text else f"http://{text}", name, EXAMPLE)
        if parts.scheme not in DEFAULT_PORTS:
            refuse(name, "it does not begin with http:// or https://", then)
        if not parts.host or parts.host.startswith("/"):
            refuse(name, "it names no host", then)
        if parts.query:
            refuse(name, "it holds a ?", then)
        if parts.user is not None:
            remarks.append(f"{name}: user name and password in it are not sent, and left out")
        prefix = decoded(parts.path, name, "the path").rstrip("/")
        for known in REST_PATHS:
            if prefix.endswith(known):
                prefix = prefix.removesuffix(known)
                remarks.append(f"{name}: {known} at its end is left out; it is added where needed")
        header = bracketed(parts.host) + ("" if parts.port is None else f":{parts.port}")
        return cls(
            host=parts.host,
            port=parts.port or DEFAULT_PORTS[parts.scheme],
            is_tls=parts.scheme == "https",
            prefix=quote(prefix),
            header=header,
            remarks=tuple(remarks),
        )

    @property
    def url(self) -> str:
        """The address again, without what was passed over; fit for logs and process lists."""
        return f"{'https' if self.is_tls else 'http'}://{self.header}{self.prefix}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return is_loopback(self.host)
