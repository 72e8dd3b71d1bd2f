"""The official Python client, unchanged, does what the sessions do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from postgrest.exceptions import APIError
from supabase import Client, create_client
from supabase_auth.errors import AuthApiError

from phasegate.api.settings import SIGN_IN_PASSWORD

# The client's own use of its parts, which is not ours to change.
pytestmark = pytest.mark.filterwarnings("ignore:The '.*' parameter is deprecated")


@pytest.fixture
def client(service: Any) -> Iterator[Client]:
    """Alice's, signed in with her e-mail address and password."""
    made = create_client(service.api.url, service.api.anon_key)
    made.auth.sign_in_with_password(
        {"email": f"{service.alice}@phasegate.local", "password": SIGN_IN_PASSWORD}
    )
    yield made
    made.auth.sign_out()


def test_signing_in_makes_the_client_its_user(client: Client, service: Any) -> None:
    user = client.auth.get_user()
    assert user is not None
    assert user.user.id == service.alice
    session = client.auth.refresh_session().session
    assert session is not None
    assert session.expires_in == 3600


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("{alice}@phasegate.local", "wrong"),
        ("{alice}@example.org", SIGN_IN_PASSWORD),
        ("00000000-0000-4000-8000-0000000000ff@phasegate.local", SIGN_IN_PASSWORD),
        ("' or 1=1 --@phasegate.local", SIGN_IN_PASSWORD),
    ],
)
def test_a_wrong_sign_in_is_refused(service: Any, email: str, password: str) -> None:
    made = create_client(service.api.url, service.api.anon_key)
    credentials = {"email": email.format(alice=service.alice), "password": password}
    with pytest.raises(AuthApiError, match="Invalid login credentials"):
        made.auth.sign_in_with_password(credentials)


def test_select_with_an_embedded_project(client: Client, service: Any) -> None:
    answer = (
        client.table("tasks")
        .select("title, projects(name, color)")
        .eq("user_id", service.alice)
        .order("created_at", desc=True)
        .limit(2)
        .execute()
    )
    assert answer.data == [
        {"title": "alice 30", "projects": {"name": "Home", "color": "#00ff00"}},
        {"title": "alice 29", "projects": None},
    ]


def test_every_filter_of_the_sessions(client: Client) -> None:
    def titles(query: Any) -> list[str]:
        return [row["title"] for row in query.order("title").execute().data]

    def tasks() -> Any:
        return client.table("tasks").select("title")

    every = [f"alice {n:02}" for n in range(1, 31)]
    assert titles(tasks().eq("title", "alice 01")) == every[:1]
    assert titles(tasks().neq("title", "alice 01")) == every[1:]
    assert titles(tasks().gt("title", "alice 28")) == every[28:]
    assert titles(tasks().gte("title", "alice 28")) == every[27:]
    assert titles(tasks().lt("title", "alice 03")) == every[:2]
    assert titles(tasks().lte("title", "alice 03")) == every[:3]
    assert titles(tasks().in_("title", ["alice 01", "alice 03", "a,b", 'quote"d'])) == [
        *("alice 01", "alice 03")
    ]
    assert titles(tasks().is_("project_id", "null")) == every[1::3]
    assert titles(tasks().not_.is_("project_id", "null").lt("title", "alice 04")) == [
        *("alice 01", "alice 03")
    ]
    assert titles(tasks().like("title", "%3%").lt("title", "alice 20")) == ["alice 03", "alice 13"]
    assert titles(tasks().ilike("title", "ALICE 0%")) == every[:9]
    assert titles(tasks().or_("title.eq.alice 01,and(title.gt.alice 28,status.eq.open)")) == [
        *("alice 01", "alice 29")
    ]
    assert titles(tasks().match({"status": "done", "title": "alice 05"})) == ["alice 05"]


def test_ranges_counts_and_single_rows(client: Client) -> None:
    tasks = client.table("tasks")
    page = tasks.select("title", count="exact").order("title").range(5, 9).execute()
    assert [row["title"] for row in page.data] == [f"alice {n:02}" for n in range(6, 11)]
    assert page.count == 30
    assert tasks.select("*", count="exact", head=True).execute().count == 30
    planned = tasks.select("id", count="planned").limit(1).execute().count
    assert planned is not None
    assert planned >= 1
    assert tasks.select("id", count="estimated").limit(1).execute().count == 30
    offset = tasks.select("title").order("title").limit(1).offset(29).execute()
    assert offset.data == [{"title": "alice 30"}]
    one = tasks.select("title").eq("title", "alice 01").single().execute()
    assert one.data == {"title": "alice 01"}
    assert tasks.select("title").eq("title", "nobody").maybe_single().execute() is None
    with pytest.raises(APIError) as refused:
        tasks.select("title").single().execute()
    assert refused.value.code == "PGRST116"


def test_rows_are_inserted_changed_upserted_and_deleted(
    client: Client, service: Any, new_id: str
) -> None:
    tasks = client.table("tasks")
    mine = {"user_id": service.alice}
    one = tasks.insert({**mine, "id": new_id, "title": "one"}).execute()
    assert one.data[0]["title"] == "one"
    many = tasks.insert([{**mine, "title": "two"}, {**mine, "title": "three"}]).execute()
    assert [row["title"] for row in many.data] == ["two", "three"]
    done = tasks.update({"status": "done"}).eq("id", new_id).execute()
    assert done.data[0]["status"] == "done"
    put = tasks.upsert([{**mine, "id": new_id, "title": "one again"}]).execute()
    assert put.data[0]["title"] == "one again"
    ignored = tasks.upsert(
        {**mine, "id": new_id, "title": "no"}, on_conflict="id", ignore_duplicates=True
    ).execute()
    assert ignored.data == []
    gone = tasks.delete().in_("title", ["one again", "two", "three"]).execute()
    assert len(gone.data) == 3
    silent = tasks.insert({**mine, "title": "quiet"}, returning="minimal").execute()
    assert silent.data == []
    assert service.value("select count(*) from tasks where title = 'quiet'") == 1


def test_functions_of_the_database_and_of_the_edge(client: Client, service: Any) -> None:
    stats = client.rpc("user_stats", {}).execute()
    assert stats.data[0]["user_id"] == service.alice
    assert client.rpc("user_stats", {}, get=True).execute().data == stats.data
    said = client.functions.invoke("hello-world", {"body": {"name": "Functions"}})
    assert said == b'{"message":"Hello Functions!"}'


def test_errors_arrive_as_postgrests_own(client: Client, service: Any) -> None:
    with pytest.raises(APIError) as refused:
        client.table("tasks").insert({"user_id": service.bob, "title": "not mine"}).execute()
    assert refused.value.code == "42501"
    with pytest.raises(APIError) as unknown:
        client.table("nosuch").select("*").execute()
    assert unknown.value.code == "PGRST205"
