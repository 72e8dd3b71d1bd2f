"""What of a recording is somebody's: the signed-in user, and secrets that no file may hold. Pure.

Secrets are known by where they stand (a header, a field's name), by how they look, and by being
equal to one that was found elsewhere in the recording.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from phasegate.record.har import Exchange, decoded

JWT = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
EMAIL = re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_KNOWN = re.compile(
    r"\b(?:sb[ap]?_|sk[-_]|pk[-_]|rk_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abps]-|AKIA|AIza|ya29\.|whsec_"
    r"|SG\.|key-|Bearer |Basic )[\w.+/=-]{8,}"
)

SOMEONE = "someone@example.com"
"""In place of anybody's address."""

SECRET_NAME = re.compile(
    r"passw|passwd|\bpwd\b|passphrase|secret|token|api[-_]?key|^key$|authori[sz]ation|cookie|csrf|xsrf|otp$"
    r"|credential|signature|^sig$|session[-_]?id|^sid$|jwt|private|verifier|challenge|nonce|^code$"
    r"|\bpin$|card[-_]?number|\bcvc$|\bcvv$|iban|ssn",
    re.IGNORECASE,
)
# Names that only look so: how many, which kind, where a page begins.
_HARMLESS_NAME = re.compile(
    r"(token|key)s?_?(count|limit|type|name)|max_?tokens|page[-_]?token|next[-_]?token",
    re.IGNORECASE,
)

_PASSWORD_NAME = re.compile(r"passw|passwd|\bpwd\b|passphrase|secret", re.IGNORECASE)
# What no word is: letters and digits mixed, or long without a blank.
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])\S{10,}|\S{24,}")

CREDENTIAL_HEADERS = frozenset(
    {
        "authorization", "apikey", "cookie", "set-cookie", "proxy-authorization", "x-api-key",
        "x-auth-token", "x-access-token", "x-amz-security-token",
    }
)  # fmt: skip

# Shorter ones are too likely to be a part of any text; a whole value is compared at any length.
SECRET_LENGTH_MIN = 6

_OWN_ID_KEYS = tuple(map(re.compile, ("sub", "id", r"uid|user_?[iI]d")))
_OWN_ANSWERS = re.compile(
    r"/(me|user|whoami|profile|account|session|current[-_]?user|self)/?$", re.IGNORECASE
)
# Claims that say nothing of a person.
_COMMON_CLAIMS = frozenset({"authenticated", "anon", "email", "password", "aal1", "aal2", "bearer"})


@dataclass
class Person:
    """Who is signed in, as the recording tells it.

    Attributes:
        ids: the user's id, as tokens and answers about oneself carry it.
        emails: the user's.
        claims: other texts of the token that tell who it is: names, handles, phone numbers.
    """

    ids: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    claims: set[str] = field(default_factory=set)


def subject_of(exchange: Exchange) -> str:
    """The `sub` of the request's token; empty where it has none that says it."""
    claims = _claims(exchange.header("authorization").rpartition(" ")[2])
    return str(claims.get("sub") or "")


def person_of(exchanges: Iterable[Exchange]) -> Person:
    """Who these requests were sent as."""
    person = Person()
    for exchange in exchanges:
        for claims in _tokens(exchange):
            _learn(person, claims)
        answer = exchange.answer
        if not isinstance(answer, dict):
            continue
        about = answer.get("user") if isinstance(answer.get("user"), dict) else None
        if about is not None and "token" in "".join(answer).lower():
            _learn(person, about)
        elif exchange.method == "GET" and _OWN_ANSWERS.search(exchange.path):
            inner = about or answer.get("data")
            _learn(person, inner if isinstance(inner, dict) else answer)
    return person


def _tokens(exchange: Exchange) -> Iterator[dict[str, Any]]:
    texts = [value for name, value in exchange.headers if name in CREDENTIAL_HEADERS]
    texts += [exchange.sent or "", exchange.answered or "" if "token" in exchange.path else ""]
    for text in texts:
        for token in JWT.findall(text):
            claims = _claims(token)
            if claims.get("sub"):
                yield claims


def _learn(person: Person, about: Mapping[str, Any]) -> None:
    ids = [
        value
        for wanted in _OWN_ID_KEYS
        for key, value in about.items()
        if wanted.fullmatch(key) and isinstance(value, str | int) and not isinstance(value, bool)
    ]
    person.ids.update(str(value) for value in ids[:1] if str(value))
    for key, value in _leaves(about):
        if not isinstance(value, str):
            continue
        if EMAIL.fullmatch(value):
            person.emails.add(value.lower())
        elif _tells_who(key, value):
            person.claims.add(value)


def _tells_who(key: str, value: str) -> bool:
    named = re.search(r"name|phone|handle|nick|avatar|picture", key, re.IGNORECASE)
    return bool(named) and len(value) > 2 and value.lower() not in _COMMON_CLAIMS


def _claims(token: str) -> dict[str, Any]:
    """Of a JSON web token, unchecked; empty where it is none."""
    if not JWT.fullmatch(token):
        return {}
    payload = token.split(".")[1]
    try:
        text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("utf-8")
    except ValueError:
        return {}
    found = decoded(text)
    return found if isinstance(found, dict) else {}


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret."""
    return bool(SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def looks_secret(value: str) -> bool:
    """Whether a text is a token or key by its looks."""
    return bool(JWT.search(value) or _KNOWN.search(value))


def secrets_of(exchanges: Iterable[Exchange]) -> frozenset[str]:
    """Every secret that a recording shows: headers, cookies, fields and parameters named so."""
    found: set[str] = set()
    for exchange in exchanges:
        for name, value in (*exchange.headers, *exchange.answer_headers):
            if name in ("cookie", "set-cookie"):
                found.update(_cookies(value, first_only=name == "set-cookie"))
            elif name in CREDENTIAL_HEADERS or is_secret_name(name):
                found.add(value.rpartition(" ")[2])
        named = list(parse_qsl(exchange.query, keep_blank_values=False))
        named += _fields(exchange.sent, exchange.sent_mime)
        named += _fields(exchange.answered, "json")
        for name, value in named:
            if isinstance(value, str) and _is_secret(name, value):
                found.add(value)
        for text in (exchange.query, exchange.path, exchange.sent or ""):
            found.update(JWT.findall(unquote(text)))
    return frozenset(value for value in found if value)


def _is_secret(name: str, value: str) -> bool:
    if _PASSWORD_NAME.search(name) or looks_secret(value):
        return True
    return is_secret_name(name) and bool(_RANDOM.fullmatch(value))


def _cookies(header: str, *, first_only: bool) -> Iterator[str]:
    for line in header.split("\n"):
        for pair in line.split(";")[: 1 if first_only else None]:
            value = pair.partition("=")[2].strip()
            if _RANDOM.fullmatch(value):
                yield from (value, unquote(value))


def _fields(body: str | None, mime: str) -> Iterator[tuple[str, Any]]:
    value = decoded(body)
    if isinstance(value, dict | list):
        yield from _leaves(value)
    elif body and "json" not in mime:
        for pair in body.split("&"):
            name, _, text = pair.partition("=")
            yield unquote_plus(name), unquote_plus(text)


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar of a JSON value, with the key that it is called by."""
    waiting = [(key, value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend((str(name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((key, inner) for inner in value)
        else:
            yield key, value


def without(text: str, secrets: frozenset[str], replaced_by: str) -> str:
    """`text` with every secret, token and e-mail address in it replaced: the last wall."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SECRET_LENGTH_MIN and secret in text:
            text = text.replace(secret, replaced_by)
    text = JWT.sub(replaced_by, _KNOWN.sub(replaced_by, text))
    return EMAIL.sub(lambda found: found[0] if found[0] == SOMEONE else SOMEONE, text)
