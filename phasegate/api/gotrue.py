"""`/auth/v1`: as much of Supabase Auth as its client needs to sign in.

A stand-in. The seeded users have no passwords, so everybody signs in with e-mail address
`<user id>@phasegate.local` and the one password of the settings. What is issued is real: tokens
signed with the project's secret, which PostgREST's rules then check.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs

from phasegate.api import errors
from phasegate.api.catalogue import quoted
from phasegate.api.database import Database
from phasegate.api.http import Answer, Request, json_answer
from phasegate.api.identity import Identity, Tokens
from phasegate.api.settings import ApiSettings
from phasegate.project import About
from phasegate.stack import tokens

EMAIL_DOMAIN = "phasegate.local"
REFRESH_LIFETIME_S = 30 * 86400
"""A refresh token here is a token too, with another audience, so it opens nothing by itself."""

HEALTH = {"version": "phasegate", "name": "GoTrue", "description": "stand-in for Supabase Auth"}

_INVALID_TEXT = "22P02"


def _user_exists(about: About) -> str:
    """The user of key $1, a text: their key, and when they came (1970 where nobody knows).

    $2 is the key's name. A record of the table's own gives the text the key's type, so that
    its index is used.
    """
    table = about.users_table  # checked to be a name, quoted where it must be
    key = quoted(about.users_key)
    named = f"(json_populate_record(null::{table}, json_build_object($2::text, $1::text))).{key}"
    return (
        f"select u.{key}::text,"  # noqa: S608 - quoted names of the project's file
        " to_json(coalesce((to_json(u) ->> 'created_at')::timestamptz, to_timestamp(0))) #>> '{}'"
        f" from {table} as u where u.{key} = {named}"
    )


class Auth:
    """The routes under `/auth/v1`."""

    def __init__(self, settings: ApiSettings, checker: Tokens, about: About) -> None:
        self._settings = settings
        self._user_exists = _user_exists(about)
        self._users_key = about.users_key
        self._checker = checker

    async def answer(
        self, request: Request, identity: Identity, database: Database, path: str
    ) -> Answer:
        """Answer `request` for what follows `/auth/v1/`."""
        route = (request.method, path)
        if route == ("GET", "health"):
            return json_answer(200, HEALTH)
        if route == ("POST", "token"):
            return await self._token(request, database)
        if route == ("GET", "user"):
            return await self._user(identity, database)
        if route == ("POST", "logout"):
            return Answer(204)
        return _refused(404, "not_found", f"No route {request.method} /auth/v1/{path}")

    async def _token(self, request: Request, database: Database) -> Answer:
        granted = parse_qs(request.query.decode("latin-1")).get("grant_type", [""])[0]
        body = _object(request)
        if granted == "password":
            subject = self._by_password(body)
        elif granted == "refresh_token":
            subject = self._by_refresh_token(str(body.get("refresh_token", "")))
        else:
            return _refused(400, "validation_failed", "unsupported_grant_type")
        user = None if subject is None else await self._found(subject, database)
        if user is None:
            return _refused(400, "invalid_credentials", "Invalid login credentials")
        return json_answer(200, self._session(user))

    def _by_password(self, body: dict[str, Any]) -> str | None:
        local, _, domain = str(body.get("email", "")).partition("@")
        if domain != EMAIL_DOMAIN or body.get("password") != self._settings.password:
            return None
        return local or None

    def _by_refresh_token(self, token: str) -> str | None:
        return tokens.subject_of_refresh(self._settings.jwt_secret, token)

    async def _user(self, identity: Identity, database: Database) -> Answer:
        subject = identity.subject
        user = None if subject is None else await self._found(subject, database)
        if user is None:
            return _refused(403, "bad_jwt", "invalid claim: missing sub claim")
        return json_answer(200, user)

    async def _found(self, subject: str, database: Database) -> dict[str, Any] | None:
        """The user as Supabase Auth describes one; it asks as itself, above row-level security."""
        try:
            async with database.owner() as connection:
                row = await connection.fetchrow(self._user_exists, subject, self._users_key)
        except errors.ApiError as error:
            if error.code != _INVALID_TEXT:
                raise
            return None  # nothing that could be anybody's key
        return None if row is None else _described(row[0], row[1])

    def _session(self, user: dict[str, Any]) -> dict[str, Any]:
        secret, subject = self._settings.jwt_secret, user["id"]
        return {
            "access_token": tokens.mint(secret, subject),
            "token_type": "bearer",
            "expires_in": tokens.LIFETIME_S,
            "expires_at": int(time.time()) + tokens.LIFETIME_S,
            "refresh_token": tokens.mint_refresh(secret, subject, lifetime_s=REFRESH_LIFETIME_S),
            "user": user,
        }


def _object(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise errors.invalid_body("Empty or invalid json")
    return body


def _described(subject: str, created_at: str) -> dict[str, Any]:
    return {
        "id": subject,
        "aud": tokens.AUDIENCE,
        "role": tokens.AUDIENCE,
        "email": f"{subject}@{EMAIL_DOMAIN}",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {},
        "identities": [],
        "created_at": created_at,
        "updated_at": created_at,
        "is_anonymous": False,
    }


def _refused(status: int, code: str, message: str) -> Answer:
    return json_answer(status, {"code": status, "error_code": code, "msg": message})
