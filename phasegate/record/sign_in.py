"""How the recorded user signed in, where phasegate cannot sign the token itself. Pure.

Supabase's tokens are minted for each user from the project's secret. Any other API is asked for
one: its own log-in is sent in `on_start`, and what it answered goes with every request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phasegate.record.har import Exchange
from phasegate.record.personal import Person, is_secret_name
from phasegate.record.sources import leaves
from phasegate.record.template import JsonPath, Request, taken_apart

_SUPABASE = re.compile(r"/auth/v\d+/")
_WHO = re.compile(r"user|login|mail|account|ident", re.IGNORECASE)


@dataclass(frozen=True)
class SignIn:
    """The request that signs in, and what of its answer is sent from then on."""

    request: Request
    header: str
    """That later requests had: `Authorization`, `Cookie`."""
    prefix: str
    """In front of the token: `Bearer `."""
    path: JsonPath | None
    """To the token in the answer; None: the cookie that the answer set."""


def sign_in_of(
    signing_in: Sequence[Exchange], exchanges: Sequence[Exchange], person: Person
) -> SignIn | None:
    """The log-in to be sent for each user; None where tokens are minted, or none was recorded.

    Args:
        signing_in: requests that sign in, out, or renew.
        exchanges: the visit's own, which show what was sent afterwards.
        person: gets to know the name that was signed in with.
    """
    for exchange in signing_in:
        if exchange.method != "POST" or _SUPABASE.search(exchange.path):
            continue
        request = taken_apart(exchange)
        if not any(re.search("passw|pwd", place.key, re.IGNORECASE) for place in request.places()):
            continue
        found = _by_token(request, exchanges) or _by_cookie(request, exchanges)
        if found is not None:
            person.claims.update(
                str(place.value)
                for place in request.places()
                if _WHO.search(place.key) and not is_secret_name(place.key)
            )
            return found
    return None


def _by_token(request: Request, exchanges: Sequence[Exchange]) -> SignIn | None:
    """The token of the answer that a header of later requests had."""
    tokens = {
        value: path
        for path, value in leaves(request.exchange.answer)
        if isinstance(value, str) and is_secret_name(str(path[-1]))
    }
    for exchange in exchanges:
        for name, value in exchange.headers:
            token = value.rpartition(" ")[2]
            if token in tokens:
                prefix = re.match("[A-Za-z]* ?", value.removesuffix(token))
                kind = prefix[0] if prefix else ""
                return SignIn(request, name.title(), kind, tokens[token])
    return None


def _by_cookie(request: Request, exchanges: Sequence[Exchange]) -> SignIn | None:
    """The cookie that the answer set and later requests sent."""
    pairs = {
        value.partition(";")[0].strip()
        for name, value in request.exchange.answer_headers
        if name == "set-cookie"
    }
    sent = {pair.strip() for exchange in exchanges for pair in exchange.header("cookie").split(";")}
    return SignIn(request, "Cookie", "", None) if pairs & sent else None
