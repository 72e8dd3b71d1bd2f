"""Who asks: from the headers of a request to a role and claims.

Reads the JWT secret from the settings; writes nothing. Tokens whose signature was checked are
remembered, as PostgREST does, because users send the same one again and again; their expiry is
checked every time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec

from phasegate.api import errors
from phasegate.api.catalogue import ROLES
from phasegate.stack.tokens import ALGORITHM, AUDIENCE

SKEW_S = 30
"""A token may come from a clock that is ahead by this much (PostgREST's allowedSkewSeconds), which
is as patient with expiry; here issuer and checker share a clock, so expired is expired."""

REMEMBERED_TOKENS_MAX = 20_000
"""About 20 MB; a run at 100k users has a few thousand of them active at a time."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`claims` as JSON, the way PostgreSQL gets them."""

    role: str
    claims: str
    subject: str | None
    expires_at: float
    not_before: float

    @property
    def anonymous(self) -> bool:
        """Whether the asker has not signed in."""
        return self.role == "anon"


class Tokens:
    """The check of tokens signed with one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._known: dict[str, Identity] = {}

    def identity(self, token: str) -> Identity:
        """Whom `token` makes its bearer.

        Raises:
            ApiError: 401, for whatever reason it is not accepted.
        """
        found = self._known.get(token)
        if found is None:
            found = _identity(_claims(token, self._secret))
            if len(self._known) >= REMEMBERED_TOKENS_MAX:
                del self._known[next(iter(self._known))]
            self._known[token] = found
        now = time.time()
        if now >= found.expires_at:
            raise errors.invalid_token("JWT expired")
        if now + SKEW_S < found.not_before:
            raise errors.invalid_token("JWT not yet valid")
        return found


def _claims(token: str, secret: str) -> dict[str, Any]:
    if not token:
        raise errors.invalid_token("Empty JWT is sent in Authorization header")
    parts = token.count(".") + 1
    if parts != 3:
        raise errors.invalid_token(f"Expected 3 parts in JWT; got {parts}")
    try:
        # The signature alone: claims are checked below, with PostgREST's rules and words.
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            options={
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_aud": False,
                "verify_sub": False,
            },
        )
    except jwt.InvalidSignatureError as error:
        raise errors.invalid_token(
            "No suitable key or wrong key type", "None of the keys was able to decode the JWT"
        ) from error
    except jwt.InvalidAlgorithmError as error:
        raise errors.invalid_token("Wrong or unsupported encoding algorithm", str(error)) from error
    except jwt.PyJWTError as error:
        raise errors.invalid_token("JWT couldn't be decoded", str(error)) from error
    return claims


def _seconds(claims: Mapping[str, Any], name: str, missing: float) -> float:
    value = claims.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise errors.invalid_token(f"The JWT '{name}' claim must be a number")
    return float(value)


def _identity(claims: dict[str, Any]) -> Identity:
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if listed is not None and not isinstance(listed, list):
        raise errors.invalid_token("The JWT 'aud' claim must be a string or an array of strings")
    if listed and AUDIENCE not in listed:
        raise errors.invalid_token("JWT not in audience")
    role = claims.get("role", "anon")
    if role not in ROLES:
        raise errors.unknown_role(str(role))
    subject = claims.get("sub")
    return Identity(
        role,
        msgspec.json.encode({**claims, "role": role}).decode(),
        subject if isinstance(subject, str) else None,
        _seconds(claims, "exp", float("inf")),
        max(_seconds(claims, "nbf", 0), _seconds(claims, "iat", 0)),
    )


def identify(headers: Mapping[bytes, bytes], tokens: Tokens) -> Identity:
    """Who sends these headers: the gateway's check of `apikey`, then PostgREST's of the token.

    Raises:
        ApiError: 401.
    """
    key = headers.get(b"apikey")
    if key is None:
        raise errors.no_api_key()
    own = tokens.identity(key.decode("latin-1"))
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer":
        return own
    return tokens.identity(token.strip().decode("latin-1"))
