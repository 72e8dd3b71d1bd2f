"""What an answer of 401 or 403 says, and what to do about it. Pure.

The words are those of PostgREST 14 (`src/library/PostgREST/Error.hs`), of Kong, which the Supabase
CLI's stack has, and of the hosted gateway. Since 2025 a project may sign with keys of its own
(ES256, RS256) and revoke its legacy secret. The local stack trusts that one unless
`auth.signing_keys_path` is set (supabase/cli 1d1e719, pkg/config/config.go, ResolveJWKS).
"""

from __future__ import annotations

from phasegate.load.transport import Answer

# A sentence; some gateways answer with a page.
MESSAGE_LENGTH_MAX = 120
# Different ones that are counted: more would be one for each request, by its number or its time.
MESSAGES_MAX = 5

REFUSED = frozenset({401, 403})

# PostgREST's codes for a token that it does not trust, and for one whose claims are no good.
TOKEN_CODES = ("PGRST300", "PGRST301")
CLAIMS_CODE = "PGRST303"

TOKEN_ADVICE = (
    "the API does not trust tokens that are signed with SUPABASE_JWT_SECRET: set it to the "  # noqa: S105 - no password
    "project's legacy JWT secret, or to a shared secret among its JWT signing keys (the CLI's "
    "stack: leave auth.signing_keys_path unset); where it signs with ES256 or RS256 alone, give "
    "--users-file with a token for each user"
)
EXPIRED_ADVICE = "tokens of --users-file have expired, or this machine's clock is wrong: renew them"
KEY_ADVICE = (
    "the gateway refuses SUPABASE_ANON_KEY: set it to the project's publishable key "
    "(sb_publishable_…), or enable its legacy API keys again"
)
OTHER_ADVICE = "the users may not do what the sessions do: look at the tables' grants and policies"


def said(answer: Answer) -> str:
    """Code and message of a refusal, as `PGRST301 JWT expired`; never longer than a sentence."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "no message"
    words = [str(body[name]) for name in ("code", "message", "msg") if body.get(name)]
    return " ".join(words)[:MESSAGE_LENGTH_MAX] or "no message"


def advice(message: str) -> str:
    """What to do about a refusal that `said` put into words."""
    lowered = message.lower()
    if "expired" in lowered or message.startswith(CLAIMS_CODE):
        return EXPIRED_ADVICE
    if message.startswith(TOKEN_CODES) or "jw" in lowered or "suitable key" in lowered:
        return TOKEN_ADVICE
    if "api key" in lowered or "credentials" in lowered or message == "no message":
        return KEY_ADVICE
    return OTHER_ADVICE
