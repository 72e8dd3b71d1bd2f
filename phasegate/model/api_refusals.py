"""What an answer that no load changes says, what it means, and what to do about it. Pure.

The words are those of PostgREST 14 (`src/library/PostgREST/Error.hs`), of Kong, which the Supabase
CLI's stack has, and of the hosted gateway. Since 2025 a project may sign with keys of its own
(ES256, RS256) and revoke its legacy secret. The local stack trusts that one unless
`auth.signing_keys_path` is set (supabase/cli 1d1e719, pkg/config/config.go, ResolveJWKS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

# A sentence; some gateways answer with a page.
MESSAGE_LENGTH_MAX = 120

NOT_MODIFIED = 304
REDIRECTS = range(300, 400)
FAILS_FROM = 400

UNAUTHORISED = frozenset({401, 403})
RATE_LIMITED = 429
PAUSED = 540
OVER_QUOTA = 402

# Answers about the address, the key, the schema or the project, and not about the load: a server
# that is only overloaded gives none of them. 409, 422 and their like are the application's.
REFUSALS = frozenset(
    {*REDIRECTS, 400, OVER_QUOTA, 404, 405, 406, 410, 414, 415, 431, 451, PAUSED}
) - {NOT_MODIFIED}

# Of a proxy in front that cannot reach the API: under load it may be overload, before it is not.
UNREACHABLE = frozenset({502, 503, 504, *range(520, 531)})

# PostgREST's codes for a token that it does not trust, and for one whose claims are no good.
TOKEN_CODES = ("PGRST300", "PGRST301")
CLAIMS_CODE = "PGRST303"
# PostgreSQL's: the role may not do that, so the key or token itself was accepted.
PERMISSION_CODE = "42501"

TOKEN_ADVICE = (
    "the API does not trust tokens that are signed with SUPABASE_JWT_SECRET: set it to the "  # noqa: S105 - no password
    "project's legacy JWT secret, or to a shared secret among its JWT signing keys (the CLI's "
    "stack: leave auth.signing_keys_path unset); where it signs with ES256 or RS256 alone, give "
    "--users-file with a token for each user"
)
USERS_TOKEN_ADVICE = (
    "the API does not trust the tokens of --users-file: take them from users who signed in to this "  # noqa: S105 - no password
    "project"
)
EXPIRED_ADVICE = "tokens of --users-file have expired, or this machine's clock is wrong: renew them"
KEY_ADVICE = (
    "the gateway refuses SUPABASE_ANON_KEY: set it to the project's publishable key "
    "(sb_publishable_…), or enable its legacy API keys again"
)
OTHER_ADVICE = "the users may not do what the sessions do: look at the tables' grants and policies"

ADDRESS = "--host (or SUPABASE_URL)"
REDIRECT_ADVICE = f"the API is at another address: set {ADDRESS} to the one that it redirects to"
PAGE_ADVICE = (
    f"that is a web page or another program, no API: set {ADDRESS} to the project's API, as "
    "https://<project>.supabase.co"
)
PATH_ADVICE = (
    f"the API knows no such path: set {ADDRESS} to the address before /rest/v1, as "
    "https://<project>.supabase.co"
)
SCHEMA_ADVICE = (
    "the API does not serve a table, column or function that the sessions use: check that this is "
    "the project meant, seed it, and have PostgREST read the schema again (notify pgrst, "
    "'reload schema')"
)
EXPOSED_ADVICE = (
    "the API does not serve the schema or form that was asked for: add `public` to the project's "
    "exposed schemas"
)
PAUSED_ADVICE = "the project is paused: restore it in its dashboard, and wait until it is up"
QUOTA_ADVICE = (
    "the project is restricted, as when a quota is used up: look at the organisation's usage and "
    "its billing"
)
LIMITED_ADVICE = "the API limits the rate of requests: raise its limit, or wait and ask for less"
UNREACHABLE_ADVICE = "what is in front of the API cannot reach it: see that the project is up"
FORM_ADVICE = (
    "the API answers in another form than the sessions expect: check that this is the project "
    "meant, with its schema and its level"
)


class Answer(Protocol):
    """An answer by HTTP, whichever client asked."""

    @property
    def status(self) -> int:
        """0: no answer."""

    @property
    def body(self) -> bytes:
        """As it was sent."""

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """Names in lower case."""

    @property
    def error(self) -> str:
        """Why there was no answer."""

    def json(self) -> Any:
        """The decoded body; ValueError where it is not JSON."""


def is_page(answer: Answer) -> bool:
    """Whether it looks like HTML."""
    return b"html" in answer.headers.get(b"content-type", b"") or answer.body[:1] == b"<"


def redirected_to(answer: Answer) -> str:
    """Where to, without path and credentials, which may hold a secret."""
    parts = urlsplit(answer.headers.get(b"location", b"").decode("latin-1"))
    where = parts.netloc.rpartition("@")[2]
    return f"redirects to {parts.scheme}://{where}" if where else "redirects"


def said(answer: Answer) -> str:
    """Code and message of a refusal, as `PGRST301 JWT expired`; never longer than a sentence."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return answer.error or "no message"
    words = [str(body[name]) for name in ("code", "message", "msg", "error") if body.get(name)]
    return " ".join(" ".join(words).split())[:MESSAGE_LENGTH_MAX] or "no message"


def advice(status: int, message: str) -> str:
    """What to do about an answer of `status`; `message` is what the answer was put into words."""
    if status in UNAUTHORISED:
        return _unauthorised(message)
    if status in REDIRECTS:
        return REDIRECT_ADVICE
    if status < FAILS_FROM:
        return PAGE_ADVICE if message.endswith("instead of JSON") else FORM_ADVICE
    known = {
        OVER_QUOTA: QUOTA_ADVICE,
        PAUSED: PAUSED_ADVICE,
        RATE_LIMITED: LIMITED_ADVICE,
        406: EXPOSED_ADVICE,
    }
    if status in known:
        return known[status]
    if status in UNREACHABLE:
        return UNREACHABLE_ADVICE
    about_schema = message.startswith(("PGRST2", "42", "PGRST1")) and "PGRST125" not in message
    return SCHEMA_ADVICE if about_schema else PATH_ADVICE


def _unauthorised(message: str) -> str:
    lowered = message.lower()
    if "expired" in lowered or message.startswith(CLAIMS_CODE):
        return EXPIRED_ADVICE
    if message.startswith(TOKEN_CODES) or "jw" in lowered or "suitable key" in lowered:
        return TOKEN_ADVICE
    if "api key" in lowered or "credentials" in lowered or message == "no message":
        return KEY_ADVICE
    return OTHER_ADVICE
