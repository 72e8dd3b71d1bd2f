"""No user reads or writes another's row, whatever the route."""

from __future__ import annotations

from typing import Any

import pytest

TABLES = ("profiles", "projects", "tasks", "activity_logs", "activity_logs_partitioned")
READS = (
    *(f"/{table}?select=*" for table in TABLES),
    *(f"/{table}?select=*&limit=1000&offset=0" for table in TABLES),
    "/profiles?select=*,tasks(*),projects(*),activity_logs(*)",
    "/projects?select=*,profiles(*),tasks(*,profiles(*))",
    "/tasks?select=*,projects(*),profiles(*)",
    "/tasks?select=*,projects!inner(*)",
    "/tasks?select=*,...profiles(name)",
    "/activity_logs?select=*,profiles(*)",
    "/tasks?user_id=eq.{alice}",
    "/tasks?or=(user_id.eq.{alice},user_id.eq.{bob})",
    "/tasks?not.user_id=eq.{bob}&user_id=not.eq.{bob}",
    "/profiles?id=eq.{alice}&select=*,tasks(*)",
    "/rpc/user_stats",
    "/rpc/user_stats?user_id=eq.{alice}",
)


@pytest.mark.parametrize("path", READS)
def test_reads_show_nothing_of_another_user(service: Any, path: str) -> None:
    path = path.format(alice=service.alice, bob=service.bob)
    with service.client(service.bob, prefer="count=exact") as client:
        answer = client.get(path)
    assert answer.status_code in (200, 206, 400), answer.text
    assert "alice" not in answer.text.lower()
    assert service.alice not in answer.text
    assert service.carol not in answer.text


@pytest.mark.parametrize("path", READS)
def test_reads_show_nothing_at_all_to_who_has_not_signed_in(service: Any, path: str) -> None:
    path = path.format(alice=service.alice, bob=service.bob)
    with service.client(prefer="count=exact") as client:
        answer = client.get(path)
    if answer.status_code == 200:
        assert answer.json() == []
        assert answer.headers["content-range"] == "*/0"
    else:
        assert answer.status_code in (400, 401), answer.text


@pytest.mark.parametrize("table", TABLES)
def test_counts_know_of_own_rows_alone(service: Any, table: str) -> None:
    own = "id" if table == "profiles" else "user_id"
    seen = service.value(f"select count(*) from {table} where {own} = '{service.bob}'")
    with service.client(service.bob, prefer="count=exact") as client:
        assert client.head(f"/{table}").headers["content-range"].rpartition("/")[2] == str(seen)


WRITES = (
    ("PATCH", "/tasks?user_id=eq.{alice}", {"title": "mine now"}),
    ("PATCH", "/tasks?user_id=eq.{bob}", {"user_id": "{alice}"}),
    ("PATCH", "/projects?name=eq.Home", {"name": "mine now"}),
    ("PATCH", "/profiles?id=eq.{alice}", {"name": "mine now"}),
    ("PATCH", "/activity_logs?id=gt.0", {"action": "never happened"}),
    ("PATCH", "/tasks?user_id=eq.{bob}", {"project_id": "{project}"}),
    ("DELETE", "/tasks?user_id=eq.{alice}", None),
    ("DELETE", "/tasks?id=not.is.null&user_id=neq.{bob}", None),
    ("DELETE", "/projects?user_id=eq.{alice}", None),
    ("DELETE", "/profiles?id=eq.{alice}", None),
    ("DELETE", "/activity_logs?id=gt.0", None),
    ("POST", "/tasks", {"user_id": "{alice}", "title": "for you"}),
    ("POST", "/tasks", [{"user_id": "{bob}", "title": "x"}, {"user_id": "{alice}", "title": "y"}]),
    ("POST", "/tasks", {"user_id": "{bob}", "title": "x", "project_id": "{project}"}),
    ("POST", "/activity_logs", {"id": 9, "user_id": "{alice}", "action": "x", "created_at": "now"}),
    ("POST", "/profiles?on_conflict=id", {"id": "{alice}", "name": "x", "locale": "x"}),
    ("POST", "/tasks?on_conflict=id", {"id": "{task}", "user_id": "{bob}", "title": "taken"}),
    ("PUT", "/tasks?id=eq.{task}", {"id": "{task}", "user_id": "{bob}", "title": "taken"}),
    ("POST", "/tasks?on_conflict=id", {"id": "{task}", "user_id": "{alice}", "title": "taken"}),
)


def _filled(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in value]
    return value.format(**names) if isinstance(value, str) else value


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_writes_change_nothing_of_another_user(
    service: Any, method: str, path: str, body: Any, signed_in: bool
) -> None:
    names = {
        "alice": service.alice,
        "bob": service.bob,
        "project": "00000000-0000-4000-8000-000000000101",
        "task": "00000000-0000-4000-8000-000000001001",
    }
    before = service.fingerprint()
    prefer = "return=representation,resolution=merge-duplicates"
    with service.client(service.bob if signed_in else None, prefer=prefer) as client:
        answer = client.request(method, path.format(**names), json=_filled(body, names))
    assert answer.status_code in (200, 201, 400, 401, 403, 409), answer.text
    assert answer.status_code in (400, 401, 403, 409) or answer.json() == []
    assert service.fingerprint() == before


def test_a_partition_is_no_way_around_its_tables_policies(service: Any) -> None:
    with service.client(service.bob) as client:
        assert client.get("/activity_logs_rest").status_code == 404


def test_only_schema_public_is_served(service: Any) -> None:
    with service.client(service.bob) as client:
        for path in ("/users", "/pg_authid", "/auth.users", "/private.user_stats"):
            assert client.get(path).status_code == 404
        refused = client.get("/user_stats", headers={"accept-profile": "private"})
    assert (refused.status_code, refused.json()["code"]) == (406, "PGRST106")


def test_nothing_of_a_request_stays_on_the_connection_for_the_next(service: Any) -> None:
    seen = []
    for user in (service.alice, None, service.bob, service.alice, service.carol, None) * 4:
        with service.client(user) as client:
            answer = client.get("/tasks?select=id")
        seen.append(len(answer.json()) if answer.status_code == 200 else answer.status_code)
    assert seen == [30, 401, 5, 30, 0, 401] * 4
