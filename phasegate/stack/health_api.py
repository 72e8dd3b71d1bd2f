"""The health of an API, by HTTP: ours, any Supabase project's, or one that says when it is ready.

Reads one to four routes; writes nothing.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phasegate.model.address import Address
from phasegate.model.api_refusals import (
    FAILS_FROM,
    KEY_ADVICE,
    PAGE_ADVICE,
    PAUSED,
    PERMISSION_CODE,
    REDIRECTS,
    UNAUTHORISED,
    UNREACHABLE,
    advice,
    is_page,
    redirected_to,
    said,
)
from phasegate.model.keys import read_key
from phasegate.stack.checks import Check, failed

# A check that takes longer has found something; an hourly job must not hang on it.
TIMEOUT_S = 5.0

# PostgREST's for a root that is closed, as it often is: that it says so proves that it lives.
CLOSED_CODES = ("PGRST126", PERMISSION_CODE)
NO_ANSWER = "The API does not answer: {}"
NO_JSON = "a web page instead of JSON"


NAMES = ("api", "auth", "pool", "replica_serving")


def api_checks(
    url: str | None, anon_key: str | None, ready: str | None = None
) -> tuple[Check, ...]:
    """Ask the API at `url`; None skips each question.

    Args:
        url: of the API.
        anon_key: the project's public key, where it has one.
        ready: path that answers below 400 where the API is well; None asks Supabase's routes.

    Raises:
        ConfigurationError: `url` is not an http(s) address, or the key cannot be sent.
    """
    if url is None:
        return _skipped(NAMES, "No URL was given")
    address = Address.of(url)
    key = read_key(anon_key or "", "The API key").value
    headers = {"apikey": key, "Authorization": f"Bearer {key}"} if key else {}

    def get(path: str) -> Answer:
        return _get(address, path, headers)

    if ready is not None:
        return (_ready(get, ready), *_skipped(NAMES[1:], "This API is not Supabase's"))
    return (_api(get), _auth(get), *_own_api(get))


def _skipped(names: Sequence[str], said: str) -> tuple[Check, ...]:
    return tuple(Check(name=name, outcome="skipped", said=said) for name in names)


@dataclass(frozen=True)
class Answer:
    """Of one GET."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    took_ms: float = 0.0
    error: str = ""

    def json(self) -> Any:
        """See `model.api_refusals.Answer`."""
        return json.loads(self.body)

    def object(self) -> dict[str, Any]:
        """The body where it is a JSON object; empty where it is none."""
        try:
            body = self.json()
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


def _get(address: Address, path: str, headers: dict[str, str]) -> Answer:
    """The answer to one GET.

    Raises:
        OSError, http.client.HTTPException: there is none.
    """
    kind = http.client.HTTPSConnection if address.is_tls else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT_S)
    began = time.perf_counter()
    try:
        connection.request("GET", address.prefix + path, headers=headers)
        found = connection.getresponse()
        body = found.read()
    finally:
        connection.close()
    took_ms = (time.perf_counter() - began) * 1e3
    names = {
        name.lower().encode("latin-1"): value.encode("latin-1", "replace")
        for name, value in found.getheaders()
    }
    return Answer(found.status, body, names, took_ms)


Get = Callable[[str], Answer]


def _refused(name: str, who: str, answer: Answer) -> Check | None:
    """The check where `answer` is none that a project which is up gives; None where it is one."""
    status, message = answer.status, said(answer)
    if status in REDIRECTS:
        what = redirected_to(answer)
    elif is_page(answer):
        what, message = "is a web page", NO_JSON
    elif status < FAILS_FROM or message.startswith(CLOSED_CODES):
        return None
    else:
        what = message
    # The key is all that is sent, so it is the key that is refused.
    then = KEY_ADVICE if status in UNAUTHORISED else advice(status, message)
    if status >= http.client.INTERNAL_SERVER_ERROR and status not in {*UNREACHABLE, PAUSED}:
        then = "look at its logs"
    return failed(name, f"{who} answers {status} ({what}): {then}")


def _ready(get: Get, path: str) -> Check:
    """Whether an API of any kind is ready, as `[api] ready` has it: whatever it says."""
    try:
        answer = get(path)
    except (OSError, http.client.HTTPException) as error:
        return failed("api", NO_ANSWER.format(error or type(error).__name__))
    if answer.status >= FAILS_FROM:
        return failed("api", f"The API answers {answer.status} to GET {path}: look at its logs")
    return _answers("api", answer)


def _answers(name: str, answer: Answer, version: str = "") -> Check:
    took_ms = answer.took_ms
    said = f"{version}, {took_ms:.0f} ms" if version else f"answers in {took_ms:.0f} ms"
    return Check(name=name, outcome="ok", said=said, value=took_ms, unit="ms")


def _api(get: Get) -> Check:
    try:
        answer = get("/rest/v1/")
    except (OSError, http.client.HTTPException) as error:
        return failed("api", NO_ANSWER.format(error or type(error).__name__))
    return _refused("api", "The API", answer) or _answers("api", answer)


def _auth(get: Get) -> Check:
    try:
        # Not /health, which there is none of; and this one names no status, only its version.
        answer = get("/auth/v1/health")
    except (OSError, http.client.HTTPException) as error:
        return failed("auth", f"Auth does not answer: {error or type(error).__name__}")
    refused = _refused("auth", "Auth", answer)
    if refused is not None:
        return refused
    version = answer.object().get("version")
    if answer.status != http.client.OK or version is None:
        return failed("auth", f"Auth answers {answer.status} without its version: {PAGE_ADVICE}")
    return _answers("auth", answer, f"version {str(version)[:40]}")


def _own_api(get: Get) -> tuple[Check, ...]:
    """What only phasegate's own API tells: its pool, and whether its replica serves."""
    try:
        answer = get("/ready")
    except (OSError, http.client.HTTPException):
        answer = Answer(0, b"")
    body = answer.object()
    pool = body.get("pool")
    if answer.status != http.client.OK or not isinstance(pool, dict):
        return _skipped(NAMES[2:], "Only phasegate's own API tells")
    waiting = int(pool["waiting"])
    said = f"{pool['in_use']} of {pool['size']} connections in use, {waiting} requests wait"
    saturated = Check(
        name="pool",
        outcome="failed" if waiting else "ok",
        said=said,
        value=waiting,
        unit="requests",
        limit=0,
    )
    return saturated, _replica_serving(body.get("replica"))


def _replica_serving(state: object) -> Check:
    if state is None:
        return Check(name="replica_serving", outcome="skipped", said="The API has no replica")
    if state != "serving":
        return failed("replica_serving", "The replica is away; its reads go to the primary")
    return Check(name="replica_serving", outcome="ok", said="The replica serves reads")
