"""What is written of a recording: clicks, names, loops, and where each value comes from."""

from __future__ import annotations

import json
import re
import string
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phasegate.model.errors import ConfigurationError, Refused
from phasegate.record import record, write_locustfile

if TYPE_CHECKING:
    from tests.record.conftest import Har

ShopVisit = Callable[..., "Har"]
Written = Callable[["Har"], str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The text that is written of a recording; it is Python."""

    def text(recording: Har) -> str:
        found = record([recording.write(tmp_path)]).text
        compile(found, "locustfile.py", "exec")
        return found

    return text


def test_a_visit_is_written_as_a_person_would(
    shop_visit: ShopVisit, written: Written, golden: object
) -> None:
    golden.check("locustfile.py", written(shop_visit()))  # type: ignore[attr-defined]


def test_an_n_plus_1_is_named(shop_visit: ShopVisit, tmp_path: Path) -> None:
    found = record([shop_visit().write(tmp_path)])
    name = "/rest/v1/comments?note_id=eq.{note_id}"
    assert found.findings[0] == f'5 × GET {name} in one click ("open notes"): N+1'


def test_what_is_no_request_of_the_api_is_left_out_with_the_reason(
    shop_visit: ShopVisit, tmp_path: Path
) -> None:
    remarks = "\n".join(record([shop_visit().write(tmp_path)]).remarks)
    assert "4 left out: other hosts" in remarks
    assert "1 left out: preflights" in remarks
    assert "1 left out: sign-in and sign-out" in remarks


def test_the_host_may_be_named(har: type[Har], tmp_path: Path) -> None:
    recording = har()
    for number in range(3):
        recording.add("GET", "/notes", [{"id": 1}], at=number)
    recording.add("GET", "https://other.example/things", [{"id": 1}], at=9)
    path = recording.write(tmp_path)
    assert record([path]).host == har.api
    assert record([path], host="other.example").host == "https://other.example"
    with pytest.raises(ConfigurationError, match=r"api\.shop\.example"):
        record([path], host="nowhere.example")


# Clicks.


def test_an_idle_gap_begins_a_click_and_is_its_think_time(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/notes", [{"id": 1}], at=0, took_ms=400)
    recording.add("GET", "/tags", [{"id": 2}], at=0.8)
    recording.add("GET", "/plans", [{"id": 3}], at=5.02)
    text = written(recording)
    assert re.findall(r"self\.click\(\"([^\"]+)\"", text) == ["open notes", "open plans"]
    assert re.findall(r"self\.think_s = (\S+)", text) == ["4.2"]


def test_another_page_begins_a_click(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/notes", [{"id": 1}], at=0)
    recording.add("GET", "/plans", [{"id": 3}], at=0.1, page="page_2")
    assert written(recording).count("self.click(") == 2


def test_two_users_are_two_visits_and_the_same_visit_twice_is_one_of_twice_the_weight(
    har: type[Har], tmp_path: Path
) -> None:
    import jwt

    recordings = []
    for number in range(3):
        token = jwt.encode({"sub": str(uuid.UUID(int=number + 1))}, "x" * 32)
        recording = har(token=token)
        recording.add("GET", "/notes", [{"id": 1}], at=number * 60)
        if number == 2:
            recording.add("GET", "/plans", [{"id": 1}], at=number * 60 + 9)
        recordings.append(recording)
    recordings[0].entries += recordings[1].entries
    paths = [recordings[0].write(tmp_path), recordings[2].write(tmp_path, "Buy a plan.har")]
    text = record(paths).text
    assert re.findall(r"@task\((\d)\)\n    def (\w+)", text) == [
        ("2", "visit"),
        ("1", "buy_a_plan"),
    ]


# Values.


def test_the_users_own_id_and_address_are_the_drawn_users(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", f"/users/{har.me}/notes?email={quote(har.mail)}", [{"id": 1}], at=0)
    text = written(recording)
    assert 'f"/users/{self.user.id}/notes?email={self.user.id}%40phasegate.local"' in text
    assert 'name="/users/{id}/notes?email={email}"' in text


def test_a_value_of_an_earlier_answer_is_taken_from_it(har: type[Har], written: Written) -> None:
    recording = har()
    page = {
        "data": {"items": [{"id": n, "owner": {"key": f"k-{n}-aB3dE5fG7h"}} for n in (7, 8, 9)]}
    }
    recording.add("GET", "/api/orders", page, at=0)
    recording.add("GET", "/api/orders/8", {"id": 8, "total": 3}, at=5)
    recording.add("GET", "/api/owners?key=k-8-aB3dE5fG7h", [{"id": 1}], at=10)
    text = written(recording)
    assert "item = pick(self.rng, order['data']['items'], \"id\", \"owner\")" in text
    assert "f\"/api/orders/{item['id']}\"" in text
    assert "{quote(str(item['owner']['key']), safe='')}" in text
    assert 'name="/api/orders/{id}"' in text


def test_a_number_is_no_id_because_it_is_equal_to_one(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/orders", [{"id": 20, "count": 20}], at=0)
    recording.add("GET", "/orders?limit=20&status=1", [{"id": 20}], at=5)
    assert '"/orders?limit=20&status=1"' in written(recording)


def test_a_page_is_asked_for_behind_the_last_row(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/rest/v1/notes?limit=5&id=not.is.null", har.notes, at=0)
    last = quote(har.notes[-1]["created_at"])
    recording.add("GET", f"/rest/v1/notes?created_at=lt.{last}&limit=5", [], at=5)
    text = written(recording)
    assert "last_note = notes[-1] if notes else None" in text
    assert "&created_at=lt." not in text
    assert "created_at=lt.{quote(str(last_note['created_at']), safe='')}" in text


def test_what_a_visit_created_is_what_it_goes_on_with(har: type[Har], written: Written) -> None:
    recording = har()
    made = {"id": "99999999-0000-4000-8000-000000000001", "status": "open"}
    recording.add("POST", "/rest/v1/notes", [made], at=0, status=201, sent={"status": "open"})
    recording.add("GET", "/rest/v1/notes", [*har.notes, made], at=5)
    recording.add("PATCH", f"/rest/v1/notes?id=eq.{made['id']}", [], at=9, sent={"status": "done"})
    text = written(recording)
    assert 'note = pick(self.rng, notes, "id")' in text
    assert "f\"/rest/v1/notes?id=eq.{note['id']}\"" in text
    assert "self.created(f\"/rest/v1/notes?id=eq.{row['id']}\")" in text
    assert "@writes" in text


def test_an_id_that_the_client_makes_is_made_anew(har: type[Har], written: Written) -> None:
    recording = har()
    own = "aaaaaaaa-1111-4222-8333-444444444444"
    recording.add("POST", "/rest/v1/notes", status=201, at=0, sent={"id": own, "status": "open"})
    recording.add("GET", f"/rest/v1/notes?id=eq.{own}", [{"id": own}], at=5)
    text = written(recording)
    assert own not in text
    assert text.count("uuid.UUID(int=") == 1
    assert 'f"/rest/v1/notes?id=eq.{new_id}"' in text
    assert 'self.created(f"/rest/v1/notes?id=eq.{new_id}")' in text


def test_what_no_answer_names_is_removed_by_its_owner_and_text(
    har: type[Har], written: Written
) -> None:
    recording = har()
    body = {"user_id": har.me, "title": "a note to oneself"}
    recording.add("POST", "/rest/v1/notes", at=0, status=201, sent=body)
    path = "/rest/v1/notes?user_id=eq.{self.user.id}&title=like.phasegate%20load%20test*"
    text = written(recording)
    assert "self.created(" in text
    assert f'f"{path}"' in text


def test_a_row_that_was_there_is_not_removed(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/rest/v1/notes", har.notes, at=0)
    row = {"id": har.notes[0]["id"], "status": "done"}
    recording.add(
        "POST", "/rest/v1/notes?select=*", [row], at=5, sent=row,
        headers={"Prefer": "resolution=merge-duplicates,return=representation"},
    )  # fmt: skip
    assert "self.created(" not in written(recording)


def test_what_lies_below_another_row_is_removed_there(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/orders", [{"id": 7}, {"id": 8}], at=0)
    recording.add("POST", "/orders/8/lines", {"id": 70}, at=5, status=201, sent={"size": "L"})
    text = written(recording)
    assert "self.created(f\"/orders/{order['id']}/lines/{line['id']}\")" in text


def test_a_list_of_ids_is_made_of_the_answer(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/rest/v1/notes?select=id,author_id", har.notes, at=0)
    recording.add("GET", "/rest/v1/authors?id=in.(41,40)", [{"id": 40}, {"id": 41}], at=0.05)
    ids = [note["id"] for note in har.notes]
    recording.add("POST", "/rest/v1/rpc/read_counts", [{"n": 1}], at=5, sent={"note_ids": ids})
    text = written(recording)
    assert 'note["author_id"] for note in notes if note["author_id"] is not None' in text
    assert "f\"/rest/v1/authors?id=in.({','.join(map(str, wanted))})\"" in text
    assert '"note_ids": list([note["id"] for note in notes if note["id"] is not None])' in text


def test_a_loop_over_distinct_values_asks_for_each_once(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/notes", har.notes, at=0)
    for number, author in enumerate((41, 40)):
        recording.add("GET", f"/authors/{author}", {"id": author}, at=0.05 + number / 100)
    text = written(recording)
    assert "for author_id in dict.fromkeys(" in text
    assert 'f"/authors/{author_id}"' in text


def test_a_date_is_relative_to_now(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/notes?since=2026-11-20T09:30:00Z&day=2026-11-27", [{"id": 1}], at=0)
    text = written(recording)
    assert 'f"/notes?since={moment(days=-7)}&day={day()}"' in text
    assert "since: relative to now" in text


def test_a_key_that_no_answer_named_is_drawn(har: type[Har], tmp_path: Path) -> None:
    recording = har()
    stranger = "12121212-0000-4000-8000-121212121212"
    recording.add("GET", f"/rest/v1/notes?author=eq.{stranger}", [{"id": 1}], at=0)
    recording.add("GET", "/orders/4711", {"id": 4711}, at=5)
    found = record([recording.write(tmp_path)])
    assert stranger not in found.text
    assert '"/rest/v1/notes?select=author&limit=100"' in found.text
    assert 'self.drawn_orders = self.rng.choice(["4711"])' in found.text
    assert len(found.findings) == 2


def test_a_graphql_operation_is_named_and_reads_unless_it_is_a_mutation(
    har: type[Har], written: Written
) -> None:
    recording = har()
    query = "query Notes($first: Int) {\n  notes(first: $first) { id }\n}"
    sent = {"operationName": "Notes", "query": query, "variables": {"first": 5}}
    recording.add("POST", "/graphql", {"data": {"notes": [{"id": 7}]}}, at=0, sent=sent)
    text = written(recording)
    assert 'name="/graphql Notes"' in text
    assert json.dumps(query) in text
    assert "@writes" not in text
    sent = {"query": "mutation Drop($id: ID!) { drop(id: $id) }", "variables": {"id": 7}}
    recording.add("POST", "/graphql", {"data": {"drop": True}}, at=5, sent=sent)
    text = written(recording)
    assert '"variables": {"id": note_2["id"]}' in text
    assert "@writes" in text


def test_a_form_is_sent_as_one(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("POST", "/orders", {"id": 7}, at=0, sent="size=L&comment=be+quick", form=True)
    assert 'data={"size": "L", "comment": "phasegate load test"}' in written(recording)


# Secrets.

PASSWORD = "Enchantress-of-Number-1843"  # noqa: S105 - of nobody
REFRESH = "r3fresh-t0ken-of-ada"
CSRF = "csrf-7f3a9b2c1d"
PLANTED = {
    "sid": "s3ssion-c00kie-value", "apikey": "anon-key-1234567890", "x_api": "live_9f8e7d6c5b4a",
    "card": "4242424242424242", "hook": "whsec_abcdef123456", "otp": "481516",
}  # fmt: skip


def secretive(har: type[Har]) -> Har:
    """A visit with a secret wherever one can be."""
    recording = har()
    cookies = {"Cookie": f"sid={PLANTED['sid']}; theme=dark", "X-CSRF-Token": CSRF}
    signed = {"access_token": har.access_token, "refresh_token": REFRESH,
              "user": {"id": har.me, "email": har.mail}}  # fmt: skip
    recording.add(
        "POST", "/auth/v1/token?grant_type=password", signed, at=0,
        sent={"email": har.mail, "password": PASSWORD},
    )  # fmt: skip
    recording.entries[-1]["response"]["headers"].append(
        {"name": "Set-Cookie", "value": f"sid={PLANTED['sid']}; HttpOnly"}
    )
    recording.add("POST", "/login", at=0.1, sent=f"user=ada&password={PASSWORD}", form=True)
    recording.add("GET", f"/feed?access_token={har.access_token}&page=1", [{"id": 1}], at=1,
                  headers=cookies)  # fmt: skip
    recording.add("GET", f"/files/{har.access_token}/a.json", [{"id": 1}], at=2)
    recording.add(
        "POST", "/change-password", {"ok": True}, at=3, headers=cookies,
        sent={"old_password": PASSWORD, "password": "n3w", "otp": PLANTED["otp"]},
    )  # fmt: skip
    recording.add(
        "POST", "/profile", {"ok": True}, at=4, headers={"X-Api-Key": PLANTED["x_api"]},
        sent={"email": har.mail, "note": f"my mail is {har.mail}", "hook": PLANTED["hook"],
              "cardNumber": PLANTED["card"], "full_name": "Ada Byron", "refresh": REFRESH,
              "friends": {"charles@babbage.example": {"mail": "charles@babbage.example"}}},
    )  # fmt: skip
    recording.add("POST", "/renew", {"ok": True}, at=5, sent=f"refresh_token={REFRESH}", form=True)
    recording.add("GET", f"/invite?mail={quote('charles@babbage.example')}", [{"id": 1}], at=6)
    return recording


def test_no_secret_reaches_any_file(har: type[Har], tmp_path: Path) -> None:
    path = secretive(har).write(tmp_path)
    project = tmp_path / "project"
    found = write_locustfile([path], project / "loadtests" / "locustfile.py")
    texts = [each.read_text(encoding="utf-8") for each in project.rglob("*") if each.is_file()]
    assert len(texts) == 1
    compile(texts[0], "locustfile.py", "exec")
    shown = "\n".join((*texts, *found.findings, *found.remarks))
    payload = har.access_token.split(".")[1]
    planted = [*PLANTED.values(), PASSWORD, REFRESH, CSRF, har.access_token, payload, har.mail]
    planted += ["charles@babbage", "Ada Byron", '"n3w"', "theme=dark"]
    assert [secret for secret in planted if secret in shown] == []
    assert "/auth/v1/token" not in shown
    assert 'PASSWORD = os.environ["PASSWORD"]' in shown


def test_a_visit_without_a_token_says_how_users_sign_in(har: type[Har], tmp_path: Path) -> None:
    recording = har(token="")
    recording.add("GET", "/notes", [{"id": 1}], at=0)
    (told,) = record([recording.write(tmp_path)]).remarks
    assert "--users-file" in told


RANDOM = st.text(string.ascii_letters + string.digits + "-_", min_size=16, max_size=40).filter(
    lambda text: re.search(r"\d", text) and re.search("[A-Za-z]", text)
)
MAIL = st.from_regex(r"[a-z]{6,12}\.[a-z]{4,9}@[a-z]{6,12}\.(com|org)", fullmatch=True)


def plant(recording: Har, where: str, secret: str, at: float) -> None:
    """A request that carries `secret` somewhere."""
    encoded = quote(secret, safe="")
    urls = {
        "jwt in a query": f"/feed?jwt={encoded}",
        "token in a query": f"/feed?access_token={encoded}",
        "token in a path": f"/reset/{encoded}",
        "mail in a query": f"/find?q={encoded}",
        "mail in a path": f"/people/{encoded}",
        "mail in a filter": f"/rest/v1/p?mail=eq.{encoded}",
    }
    headers = {
        "authorization": {"Authorization": f"Bearer {secret}"}, "apikey": {"apikey": secret},
        "cookie": {"Cookie": f"a=b; sid={secret}"}, "own header": {"X-Session-Token": secret},
    }  # fmt: skip
    bodies: dict[str, object] = {
        "password in JSON": {"password": secret}, "refresh token": {"refresh_token": secret},
        "deep in JSON": {"a": [{"b": {"client_secret": secret}}]}, "mail in JSON": {"to": secret},
        "mail as a key": {secret: 1}, "mail in a text": {"note": f"write to {secret}, please"},
    }  # fmt: skip
    if where == "password in a form":
        sent = urlencode({"user": "x", "password": secret})
        recording.add("POST", "/orders", {"ok": 1}, at=at, sent=sent, form=True)
    elif where in bodies:
        recording.add("POST", "/orders", {"ok": 1}, at=at, sent=bodies[where])
    else:
        url = urls.get(where, "/feed")
        recording.add("GET", url, [{"id": 1}], at=at, headers=headers.get(where))
        answers = {"set-cookie": {"name": "Set-Cookie", "value": f"sid={secret}; Secure"}}
        if where in answers:
            recording.entries[-1]["response"]["headers"].append(answers[where])
            recording.add("GET", "/feed", [], at=at + 1, headers={"X-Copy": secret})


SECRETS = st.sampled_from(
    ["jwt in a query", "token in a query", "token in a path", "authorization", "apikey", "cookie",
     "own header", "password in JSON", "refresh token", "deep in JSON", "password in a form",
     "set-cookie"]
)  # fmt: skip
MAILS = st.sampled_from(
    ["mail in a query", "mail in a path", "mail in a filter", "mail in JSON", "mail as a key",
     "mail in a text"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    planted=st.lists(st.tuples(SECRETS, RANDOM) | st.tuples(MAILS, MAIL), min_size=1, max_size=6)
)
def test_no_planted_secret_is_ever_written(
    har: type[Har], tmp_path_factory: pytest.TempPathFactory, planted: list[tuple[str, str]]
) -> None:
    recording = har()
    recording.add("GET", "/orders", [{"id": 5}], at=0)
    for number, (where, secret) in enumerate(planted):
        plant(recording, where, secret, at=5.0 + 5 * number)
    found = record([recording.write(tmp_path_factory.mktemp("planted"))])
    compile(found.text, "locustfile.py", "exec")
    shown = "\n".join((found.text, *found.findings, *found.remarks))
    assert not [(where, secret) for where, secret in planted if secret in shown]


def test_a_token_that_an_answer_gave_is_taken_from_it(har: type[Har], written: Written) -> None:
    recording = har()
    recording.add("GET", "/uploads/new", {"upload_token": "up-5f6a7b8c9d0e"}, at=0)
    recording.add("GET", "/uploads?token=up-5f6a7b8c9d0e", [{"id": 1}], at=5)
    text = written(recording)
    assert "up-5f6a" not in text
    assert "{quote(str(new['upload_token']), safe='')}" in text


# Writing.


def test_a_locustfile_that_is_there_is_never_written_over(
    shop_visit: ShopVisit, tmp_path: Path
) -> None:
    target = tmp_path / "loadtests" / "locustfile.py"
    path = shop_visit().write(tmp_path)
    write_locustfile([path], target)
    written = target.read_text(encoding="utf-8")
    write_locustfile([path], target)  # says the same
    edited = written.replace("open notes", "see what is new")
    target.write_text(edited, encoding="utf-8")
    with pytest.raises(Refused, match="--output") as refused:
        write_locustfile([path], target)
    assert target.read_text(encoding="utf-8") == edited
    (difference,) = refused.value.__notes__
    assert '-        with self.click("see what is new"' in difference
    assert '+        with self.click("open notes"' in difference
