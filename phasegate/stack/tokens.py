"""Tokens as Supabase Auth issues them: HS256, signed with the project's JWT secret.

Pure: reads the clock, writes nothing. Load generators mint their users' tokens with it, since
sign-in is limited by IP address.
"""

from __future__ import annotations

import time
import uuid

import jwt

ALGORITHM = "HS256"
AUDIENCE = "authenticated"
"""Of users' tokens, and the role that they act in."""

LIFETIME_S = 3600
"""Supabase Auth's default (`JWT_EXP`)."""

KEY_LIFETIME_S = 10 * 365 * 86400
"""API keys live as long as the project: Supabase issues them for ten years."""


def mint(secret: str, user_id: str, *, lifetime_s: int = LIFETIME_S) -> str:
    """A token that makes its bearer that user for `lifetime_s` seconds."""
    now = int(time.time())
    claims = {
        "sub": user_id,
        "role": AUDIENCE,
        "aud": AUDIENCE,
        "iss": "phasegate",
        "iat": now,
        "exp": now + lifetime_s,
        "session_id": str(uuid.uuid4()),
    }
    return jwt.encode(claims, secret, ALGORITHM)


def mint_key(secret: str, role: str = "anon") -> str:
    """The API key of `role`, `anon` or `service_role`: the `apikey` header of every request."""
    now = int(time.time())
    claims = {"iss": "phasegate", "role": role, "iat": now, "exp": now + KEY_LIFETIME_S}
    return jwt.encode(claims, secret, ALGORITHM)


REFRESH_AUDIENCE = "refresh"
"""Of refresh tokens: not a user's audience, so the API refuses one as a bearer token."""


def mint_refresh(secret: str, user_id: str, *, lifetime_s: int) -> str:
    """A token that buys a user a new session."""
    now = int(time.time())
    claims = {"sub": user_id, "aud": REFRESH_AUDIENCE, "iat": now, "exp": now + lifetime_s}
    return jwt.encode(claims, secret, ALGORITHM)


def subject_of_refresh(secret: str, token: str) -> str | None:
    """The user whose refresh token this is; None where it is none, or no longer."""
    try:
        claims = jwt.decode(token, secret, [ALGORITHM], audience=REFRESH_AUDIENCE)
    except jwt.PyJWTError:
        return None
    subject = claims.get("sub")
    return subject if isinstance(subject, str) else None
