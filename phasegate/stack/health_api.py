"""The health of an API, by HTTP: ours or any Supabase project's.

Reads four routes; writes nothing.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from phasegate.model.address import Address
from phasegate.model.keys import read_key
from phasegate.stack.checks import Check, failed

# A check that takes longer has found something; an hourly job must not hang on it.
TIMEOUT_S = 5.0


def api_checks(url: str | None, anon_key: str | None) -> tuple[Check, ...]:
    """Ask the API at `url`; None skips each question.

    Raises:
        ConfigurationError: `url` is not an http(s) address, or the key cannot be sent.
    """
    if url is None:
        return tuple(
            Check(name=name, outcome="skipped", said="No URL was given")
            for name in ("api", "auth", "pool", "replica_serving")
        )
    address = Address.of(url)
    key = read_key(anon_key or "", "The API key").value
    headers = {"apikey": key, "Authorization": f"Bearer {key}"} if key else {}

    def get(path: str) -> tuple[int, Any, float]:
        return _get(address, path, headers)

    return (_api(get), _auth(get), *_own_api(get))


def _get(address: Address, path: str, headers: dict[str, str]) -> tuple[int, Any, float]:
    """Status, body as JSON (None where it is none) and milliseconds of one GET.

    Raises:
        OSError, http.client.HTTPException: there is no answer.
    """
    kind = http.client.HTTPSConnection if address.is_tls else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=TIMEOUT_S)
    began = time.perf_counter()
    try:
        connection.request("GET", address.prefix + path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    took_ms = (time.perf_counter() - began) * 1e3
    try:
        return answer.status, json.loads(body), took_ms
    except ValueError:
        return answer.status, None, took_ms


Get = Callable[[str], tuple[int, Any, float]]


def _api(get: Get) -> Check:
    try:
        status, body, took_ms = get("/rest/v1/")
    except (OSError, http.client.HTTPException) as error:
        return failed("api", f"The API does not answer: {error or type(error).__name__}")
    code = body.get("code") if isinstance(body, dict) else None
    if status == http.client.UNAUTHORIZED:
        return failed("api", "The API refuses the key (401): check SUPABASE_ANON_KEY")
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return failed("api", f"The API answers {status} {code or ''}".rstrip())
    # Its root is often closed (404, PGRST126); that it says so proves that it lives.
    return Check(
        name="api", outcome="ok", said=f"answers in {took_ms:.0f} ms", value=took_ms, unit="ms"
    )


def _auth(get: Get) -> Check:
    try:
        # Not /health, which there is none of; and this one names no status, only its version.
        status, body, took_ms = get("/auth/v1/health")
    except (OSError, http.client.HTTPException) as error:
        return failed("auth", f"Auth does not answer: {error or type(error).__name__}")
    if status != http.client.OK or not isinstance(body, dict) or "version" not in body:
        return failed("auth", f"Auth answers {status}")
    return Check(
        name="auth",
        outcome="ok",
        said=f"version {str(body['version'])[:40]}, {took_ms:.0f} ms",
        value=took_ms,
        unit="ms",
    )


def _own_api(get: Get) -> tuple[Check, ...]:
    """What only phasegate's own API tells: its pool, and whether its replica serves."""
    try:
        status, body, _ = get("/ready")
    except (OSError, http.client.HTTPException):
        status, body = 0, None
    pool = body.get("pool") if isinstance(body, dict) else None
    if status != http.client.OK or not isinstance(body, dict) or not isinstance(pool, dict):
        said = "Only phasegate's own API tells"
        return (
            Check(name="pool", outcome="skipped", said=said),
            Check(name="replica_serving", outcome="skipped", said=said),
        )
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
