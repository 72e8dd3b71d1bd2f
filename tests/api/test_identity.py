"""Who may ask at all: keys and tokens."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx
import jwt
import pytest

from phasegate.stack.tokens import mint, mint_key

OTHER = "another secret of at least thirty-two bytes"


def _unsigned(claims: dict[str, Any], algorithm: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."


def _claims(user: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"sub": user, "role": "authenticated", "aud": "authenticated", "exp": now + 60}
    return {**claims, **changes}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda s: mint(s.secret, s.alice, lifetime_s=-1), "JWT expired"),
        (lambda s: mint(OTHER, s.alice), "No suitable key or wrong key type"),
        (lambda s: mint(s.secret, s.alice)[:-3] + "AAA", "No suitable key or wrong key type"),
        (lambda s: _unsigned(_claims(s.alice), "none"), None),
        (lambda s: _unsigned(_claims(s.alice), "None"), None),
        (lambda s: _unsigned(_claims(s.alice), "HS256"), "No suitable key or wrong key type"),
        (lambda s: jwt.encode(_claims(s.alice), s.secret, "HS384"), None),
        (lambda s: jwt.encode(_claims(s.alice, aud="else"), s.secret), "JWT not in audience"),
        (lambda s: jwt.encode(_claims(s.alice, aud=["else"]), s.secret), "JWT not in audience"),
        (lambda s: jwt.encode(_claims(s.alice, aud="refresh"), s.secret), "JWT not in audience"),
        (
            lambda s: jwt.encode(_claims(s.alice, nbf=int(time.time()) + 600), s.secret),
            "JWT not yet valid",
        ),
        (lambda s: jwt.encode(_claims(s.alice, exp="soon"), s.secret), None),
        (lambda s: "nonsense", "Expected 3 parts in JWT; got 1"),
        (lambda s: "a.b.c", "JWT couldn't be decoded"),
        (lambda s: "é.é.é", "JWT couldn't be decoded"),
    ],
)
def test_a_token_that_is_not_right_is_401_and_pgrst301(
    service: Any, made: Any, message: str | None
) -> None:
    bearer = f"Bearer {made(service)}".encode("latin-1")
    with service.client() as client:
        for path in ("/tasks", "/rpc/user_stats", "/nosuch"):
            answer = client.get(path, headers={b"authorization": bearer})
            assert answer.status_code == 401
            assert answer.json()["code"] == "PGRST301"
            assert message is None or answer.json()["message"] == message
            assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_a_known_token_is_refused_once_it_has_expired(service: Any) -> None:
    token = mint(service.secret, service.alice, lifetime_s=2)
    with service.client() as client:
        headers = {"authorization": f"Bearer {token}"}
        assert client.get("/tasks", headers=headers).status_code == 200
        time.sleep(2.1)
        assert client.get("/tasks", headers=headers).json()["message"] == "JWT expired"


def test_a_role_that_is_not_the_apis_is_401_though_the_token_is_signed(service: Any) -> None:
    for role in ("postgres", "authenticator", "pg_read_all_data", "no such", "", 7):
        token = jwt.encode(_claims(service.alice, role=role), service.secret)
        with service.client() as client:
            answer = client.get("/tasks", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "22023")


@pytest.mark.parametrize("path", ["/rest/v1/tasks", "/auth/v1/health", "/functions/v1/hello-world"])
def test_every_route_asks_for_the_projects_key(service: Any, path: str) -> None:
    bearer = {"authorization": f"Bearer {mint(service.secret, service.alice)}"}
    without = httpx.get(service.api.url + path, headers=bearer)
    foreign = httpx.get(service.api.url + path, headers={**bearer, "apikey": mint_key(OTHER)})
    assert without.status_code == foreign.status_code == 401
    assert without.json()["message"] == "No API key found in request"


def test_the_key_alone_is_the_anonymous_role_or_the_services(service: Any) -> None:
    tasks = f"{service.api.url}/rest/v1/tasks?select=id"
    anonymous = httpx.get(tasks, headers={"apikey": service.api.anon_key})
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "42501")  # nothing is granted
    assert len(httpx.get(tasks, headers={"apikey": service.service_key()}).json()) == 35


def test_the_auth_health_route_answers_as_supabase_auth_does(service: Any) -> None:
    answer = httpx.get(
        f"{service.api.url}/auth/v1/health", headers={"apikey": service.api.anon_key}
    )
    assert answer.status_code == 200
    assert set(answer.json()) == {"version", "name", "description"}


def test_a_refresh_token_opens_nothing_by_itself(service: Any) -> None:
    headers = {"apikey": service.api.anon_key}
    url = f"{service.api.url}/auth/v1/token?grant_type=password"
    body = {"email": f"{service.alice}@phasegate.local", "password": "phasegate-local"}
    session = httpx.post(url, headers=headers, json=body).json()
    bearer = {**headers, "authorization": f"Bearer {session['refresh_token']}"}
    refused = httpx.get(f"{service.api.url}/rest/v1/tasks", headers=bearer)
    swapped = httpx.post(
        f"{service.api.url}/auth/v1/token?grant_type=refresh_token",
        headers=headers,
        json={"refresh_token": session["access_token"]},
    )
    assert (refused.status_code, swapped.status_code) == (401, 400)
