"""POST, PATCH, DELETE and upserts: status, headers, bodies, and what is left in the tables."""

from __future__ import annotations

from typing import Any

import pytest

REPRESENTATION = {"prefer": "return=representation"}


def test_an_inserted_row_comes_back_when_asked_for(service: Any) -> None:
    with service.client(service.alice, **REPRESENTATION) as client:
        answer = client.post(
            "/tasks?select=title,status,projects(name)",
            json={
                "user_id": service.alice,
                "title": "new",
                "project_id": "00000000-0000-4000-8000-000000000101",
            },
        )
    assert answer.status_code == 201
    assert answer.json() == [{"title": "new", "status": "open", "projects": {"name": "Home"}}]
    assert answer.headers["preference-applied"] == "return=representation"


def test_an_insert_without_representation_is_201_and_empty(service: Any) -> None:
    with service.client(service.alice) as client:
        answer = client.post("/tasks", json={"user_id": service.alice, "title": "new"})
    assert (answer.status_code, answer.content) == (201, b"")
    assert answer.headers["content-range"] == "*/*"
    assert service.value("select count(*) from tasks where title = 'new'") == 1


def test_headers_only_names_the_new_row(service: Any, new_id: str) -> None:
    with service.client(service.alice, prefer="return=headers-only") as client:
        answer = client.post("/tasks", json={"id": new_id, "user_id": service.alice, "title": "x"})
    assert answer.headers["location"] == f"/tasks?id=eq.{new_id}"


def test_many_rows_are_inserted_at_once_and_counted(service: Any) -> None:
    rows = [{"user_id": service.alice, "title": f"many {n}"} for n in range(50)]
    with service.client(service.alice, prefer="return=minimal,count=exact") as client:
        answer = client.post("/tasks", json=rows)
    assert (answer.status_code, answer.headers["content-range"]) == (201, "*/50")
    assert service.value("select count(*) from tasks where title like 'many %'") == 50


def test_rows_with_different_keys_need_columns(service: Any) -> None:
    rows = [{"user_id": service.alice, "title": "a"}, {"user_id": service.alice, "status": "done"}]
    with service.client(service.alice) as client:
        refused = client.post("/tasks", json=rows)
        rows[1]["title"] = "b"
        taken = client.post(
            "/tasks?columns=user_id,title,status",
            json=rows,
            headers={"prefer": "missing=default"},
        )
    assert refused.json()["message"] == "All object keys must match"
    assert (refused.status_code, taken.status_code) == (400, 201)
    assert service.value("select status from tasks where title = 'a'") == "open"


def test_an_empty_object_is_a_row_of_defaults_and_an_empty_array_none(service: Any) -> None:
    with service.client(service.alice) as client:
        assert client.post("/tasks", json=[]).status_code == 201
        refused = client.post("/tasks", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")  # a row of nobody


def test_a_patch_changes_what_the_filters_let_through(service: Any) -> None:
    with service.client(service.alice) as client:
        silent = client.patch("/tasks?title=eq.alice 01", json={"status": "done"})
        shown = client.patch(
            "/tasks?title=eq.alice 02&select=title,status",
            json={"status": "done"},
            headers={"prefer": "return=representation,count=exact"},
        )
        none = client.patch("/tasks?title=eq.nobody", json={"status": "done"})
        nothing = client.patch("/tasks?title=eq.alice 03", json={}, headers=REPRESENTATION)
    assert (silent.status_code, silent.content) == (204, b"")
    assert silent.headers["content-range"] == "0-0/*"
    assert (shown.status_code, shown.json()) == (200, [{"title": "alice 02", "status": "done"}])
    assert shown.headers["content-range"] == "0-0/1"
    assert (none.status_code, none.headers["content-range"]) == (204, "*/*")
    assert (nothing.status_code, nothing.json()) == (200, [])
    assert service.value("select count(*) from tasks where status = 'done'") == 8


def test_a_delete_removes_what_the_filters_let_through(service: Any) -> None:
    with service.client(service.alice) as client:
        silent = client.delete("/tasks?title=eq.alice 01")
        shown = client.delete("/tasks?title=eq.alice 02&select=title", headers=REPRESENTATION)
    assert (silent.status_code, silent.content) == (204, b"")
    assert (shown.status_code, shown.json()) == (200, [{"title": "alice 02"}])
    assert service.value("select count(*) from tasks") == 33


@pytest.mark.parametrize(("method", "verb"), [("PATCH", "UPDATE"), ("DELETE", "DELETE")])
def test_a_change_of_every_row_must_be_asked_for(service: Any, method: str, verb: str) -> None:
    with service.client(service.alice) as client:
        answer = client.request(method, "/tasks", json={"status": "done"})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        f"{verb} requires a WHERE clause",
    )
    assert service.value("select count(*) from tasks where status = 'open'") == 29


def test_an_upsert_inserts_or_merges_and_says_which(service: Any, new_id: str) -> None:
    task = {"id": new_id, "user_id": service.alice, "title": "first"}
    merge = {"prefer": "resolution=merge-duplicates,return=representation"}
    with service.client(service.alice) as client:
        inserted = client.post("/tasks", json=task, headers=merge)
        merged = client.post(
            "/tasks?on_conflict=id", json={**task, "title": "second"}, headers=merge
        )
        ignored = client.post(
            "/tasks",
            json={**task, "title": "third"},
            headers={"prefer": "resolution=ignore-duplicates,return=representation"},
        )
    assert (inserted.status_code, inserted.json()[0]["title"]) == (201, "first")
    assert (merged.status_code, merged.json()[0]["title"]) == (200, "second")
    assert (ignored.status_code, ignored.json()) == (201, [])
    assert service.value(f"select title from tasks where id = '{new_id}'") == "second"


def test_a_change_of_more_than_one_row_as_one_object_is_undone(service: Any) -> None:
    single = {"accept": "application/vnd.pgrst.object+json", **REPRESENTATION}
    with service.client(service.alice, **single) as client:
        answer = client.patch("/tasks?status=eq.open", json={"status": "done"})
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST116")
    assert service.value("select count(*) from tasks where status = 'done'") == 6


def test_a_change_of_more_rows_than_max_affected_is_undone(service: Any) -> None:
    with service.client(service.alice, prefer="handling=strict,max-affected=5") as client:
        answer = client.delete("/tasks?status=eq.done")
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST124")
    assert service.value("select count(*) from tasks where status = 'done'") == 6


@pytest.mark.parametrize(
    ("table", "row", "status", "code"),
    [
        ("tasks", {"project_id": "00000000-0000-4000-8000-00000000dead"}, 403, "42501"),
        ("projects", {"id": "00000000-0000-4000-8000-000000000101"}, 409, "23505"),
        ("tasks", {"title": None}, 400, "23502"),
        ("tasks", {"nope": 1}, 400, "PGRST204"),
        ("tasks", {"created_at": "yesterday-ish"}, 400, "22007"),
    ],
)
def test_constraints_answer_with_their_own_code(
    service: Any, table: str, row: dict[str, Any], status: int, code: str
) -> None:
    whole = {
        "tasks": {"user_id": service.alice, "title": "x"},
        "projects": {
            "user_id": service.alice,
            "name": "x",
            "color": "#000000",
            "created_at": "2026-01-01Z",
        },
    }[table]
    with service.client(service.alice) as client:
        answer = client.post(f"/{table}", json={**whole, **row})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()) == ["code", "details", "hint", "message"]


def test_a_missing_parent_is_409(service: Any, new_id: str) -> None:
    with service.client(apikey=service.service_key()) as client:
        client.headers["authorization"] = f"Bearer {service.service_key()}"
        answer = client.post("/tasks", json={"user_id": new_id, "title": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")


def test_a_put_makes_or_replaces_the_row_that_it_names(service: Any, new_id: str) -> None:
    task = {"id": new_id, "user_id": service.alice, "title": "put"}
    with service.client(service.alice, **REPRESENTATION) as client:
        made = client.put(f"/tasks?id=eq.{new_id}&select=title", json=task)
        replaced = client.put(
            f"/tasks?id=eq.{new_id}&select=title", json={**task, "title": "again"}
        )
        silent = client.put(f"/tasks?id=eq.{new_id}", json=task, headers={"prefer": ""})
    assert (made.status_code, made.json()) == (201, [{"title": "put"}])
    assert (replaced.status_code, replaced.json()) == (200, [{"title": "again"}])
    assert (silent.status_code, silent.content) == (204, b"")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 405, "PGRST105"),
        ("?title=eq.put", 405, "PGRST105"),
        ("?id=gt.{id}", 405, "PGRST105"),
        ("?id=eq.{id}&title=eq.put", 405, "PGRST105"),
        ("?id=eq.{id}&or=(id.eq.{id},id.is.null)", 405, "PGRST105"),
        ("?id=eq.{id}&limit=1", 400, "PGRST114"),
        ("?id=eq.00000000-0000-4000-8000-000000001001", 400, "PGRST115"),
    ],
)
def test_a_put_that_does_not_name_its_row_changes_nothing(
    service: Any, new_id: str, query: str, status: int, code: str
) -> None:
    before = service.fingerprint()
    task = {"id": new_id, "user_id": service.alice, "title": "put"}
    with service.client(service.alice) as client:
        answer = client.put("/tasks" + query.format(id=new_id), json=task)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert service.fingerprint() == before
