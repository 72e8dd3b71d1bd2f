"""Which of a recording's exchanges are the API's, and which are left out, with the reason. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from phasegate.model.errors import ConfigurationError
from phasegate.record.har import EXPORT, NOTHING, Exchange, decoded, is_json

FETCHED = {"", "xhr", "fetch", "other"}
"""Chrome's words for what a script asked for; other browsers do not say."""

# What an app sends of its users elsewhere: never the API under test, however much JSON it answers.
_ANALYTICS = re.compile(
    r"google-analytics|googletagmanager|doubleclick|googleapis\.com|gstatic|segment\.(io|com)|sentry"
    r"|posthog|mixpanel|amplitude|hotjar|datadoghq|intercom|facebook|fullstory|logrocket|clarity\.ms"
    r"|plausible|newrelic|nr-data|bugsnag|launchdarkly|statsig|cloudflareinsights|vercel-insights"
    r"|vitals\.vercel|stripe\.(com|network)|recaptcha|hcaptcha|onesignal|heapanalytics|matomo"
    r"|rudderstack|optimizely|growthbook|userpilot|appcues|honeycomb|rollbar|umami",
    re.IGNORECASE,
)
_ANALYTICS_PATH = re.compile(
    r"/(_vercel/(insights|speed-insights)|_next/|cdn-cgi/|__webpack|@vite|sockjs-node|hot-update"
    r"|api/event$|collect$|beacon$|rum$|envelope/?$)",
    re.IGNORECASE,
)
_STATIC_MIME = re.compile(
    r"^(image|font|video|audio)/|javascript|ecmascript|text/(css|html)|wasm|manifest|font-",
    re.IGNORECASE,
)
_STATIC_PATH = re.compile(
    r"\.(js|mjs|css|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp4|webm|mp3|wasm|html?"
    r"|webmanifest)$",
    re.IGNORECASE,
)
# Routes that give out a token: phasegate makes each user's own.
SIGNS_IN = re.compile(
    r"/(token|log-?in|sign-?in|sign-?up|register|log-?out|sign-?out|refresh(-?token)?|otp|verify"
    r"|recover|session|sessions|authorize|callback|magic-?link)/?$",
    re.IGNORECASE,
)
# Bodies that hold one of these sign somebody in.
_PASSWORD = re.compile(r"[\"&?]?(password|passwd|pwd|refresh_token|otp)[\"=]", re.IGNORECASE)
_AUTH_PREFIX = re.compile(r"/auth/v\d+/")


@dataclass(frozen=True)
class Selected:
    """The requests to write."""

    host: str
    """The API's origin."""
    exchanges: tuple[Exchange, ...]
    signing_in: tuple[Exchange, ...]
    """Left out, yet their answers tell who the user is."""
    left_out: dict[str, int]
    """By reason: how many."""


def select(exchanges: Iterable[Exchange], host: str | None) -> Selected:
    """The API's requests.

    Args:
        exchanges: all of them.
        host: the API's, as `api.example.com` or an address; guessed where None: the one that
            answers scripts in JSON the most.

    Raises:
        ConfigurationError: no host answers in JSON, or `host` is not in the recording.
    """
    exchanges = tuple(exchanges)
    chosen = _guess(exchanges) if host is None else _named(exchanges, host)
    kept: list[Exchange] = []
    signing_in: list[Exchange] = []
    left_out: Counter[str] = Counter()
    for exchange in exchanges:
        reason = _why_not(exchange, chosen)
        if exchange.origin == chosen and signs_in(exchange):
            signing_in.append(exchange)
            left_out["sign-in and sign-out: each user gets a token of their own"] += 1
        elif reason:
            left_out[reason] += 1
        else:
            kept.append(exchange)
    if not kept:
        raise ConfigurationError(
            f"The recording has no request of {chosen} that could be sent again",
            untouched=NOTHING,
            then="Record a visit with clicks in it, or name the API's host: --host",
        )
    return Selected(chosen, tuple(kept), tuple(signing_in), dict(left_out))


def signs_in(exchange: Exchange) -> bool:
    """Whether it gives out, renews or ends a session of a user's."""
    if exchange.method not in ("POST", "PUT", "DELETE") or not SIGNS_IN.search(exchange.path):
        return False
    if _AUTH_PREFIX.search(exchange.path):
        return True
    answers_token = "token" in (exchange.answered or "").lower()
    sets_cookie = any(name == "set-cookie" for name, _ in exchange.answer_headers)
    return bool(_PASSWORD.search(exchange.sent or "")) or answers_token or sets_cookie


def _why_not(exchange: Exchange, chosen: str) -> str:
    """Why a request is left out; empty where it is not."""
    status, sent_mime = exchange.status, exchange.sent_mime.lower()
    reasons = (
        (_is_websocket(exchange), "web sockets"),
        (exchange.origin != chosen, "other hosts"),
        (exchange.method in ("OPTIONS", "CONNECT", "TRACE"), "preflights"),
        (_ANALYTICS_PATH.search(exchange.path), "analytics and the dev server's own"),
        (_is_stream(exchange), "streams of events"),
        (_is_static(exchange), "pages and static files"),
        (exchange.from_cache, "answered by the browser's cache"),
        (sent_mime.startswith("multipart/"), "uploads (multipart)"),
        (not _is_understood(exchange), "bodies that are neither JSON nor a form"),
        (status == 0, "not answered in the recording"),
        (status >= 400, "refused in the recording (status 400 and above)"),
        (300 <= status < 400 and status != 304, "redirected in the recording"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _is_websocket(exchange: Exchange) -> bool:
    return exchange.kind == "websocket" or exchange.origin.startswith(("ws:", "wss:"))


def _is_stream(exchange: Exchange) -> bool:
    return exchange.kind == "eventsource" or "event-stream" in exchange.answer_mime.lower()


def _is_understood(exchange: Exchange) -> bool:
    """Whether its body, if any, can be written as a literal."""
    if not exchange.sent or "x-www-form-urlencoded" in exchange.sent_mime.lower():
        return True
    value = decoded(exchange.sent)
    return isinstance(value, dict | list) or (value is not None and is_json(exchange.sent_mime))


def _is_static(exchange: Exchange) -> bool:
    if exchange.method not in ("GET", "HEAD") or exchange.is_json:
        return False
    if exchange.kind not in FETCHED:
        return True
    return bool(_STATIC_MIME.search(exchange.answer_mime) or _STATIC_PATH.search(exchange.path))


def _guess(exchanges: Iterable[Exchange]) -> str:
    found: Counter[str] = Counter()
    for exchange in exchanges:
        asked_by_script = exchange.is_json and exchange.kind in FETCHED
        if asked_by_script and exchange.method != "OPTIONS" and not _third_party(exchange):
            authorized = exchange.header("authorization") or exchange.header("apikey")
            found[exchange.origin] += 3 if authorized else 1
    if not found:
        raise ConfigurationError(
            "No host of the recording answers in JSON, so none is taken for the API",
            untouched=NOTHING,
            then=f"Name it: --host. {EXPORT}",
        )
    return found.most_common(1)[0][0]


def _third_party(exchange: Exchange) -> bool:
    return bool(_ANALYTICS.search(exchange.origin))


def _named(exchanges: tuple[Exchange, ...], host: str) -> str:
    wanted = host.strip().lower().rstrip("/")
    address = urlsplit(wanted if "://" in wanted else f"//{wanted}")
    found = Counter(
        exchange.origin
        for exchange in exchanges
        if wanted == exchange.origin
        or address.netloc
        in (exchange.origin.partition("://")[2], urlsplit(exchange.origin).hostname)
    )
    if not found:
        hosts = Counter(
            exchange.origin for exchange in exchanges if exchange.is_json or exchange.answered
        )
        there = ", ".join(name for name, _ in hosts.most_common(5)) or "none that answers in JSON"
        raise ConfigurationError(
            "--host: the recording has no request to that host",
            untouched=NOTHING,
            then=f"Name one of its hosts: {there}",
        )
    return found.most_common(1)[0][0]
