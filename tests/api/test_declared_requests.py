"""A project's requests, filled with drawn values and asked of a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phasegate.api import Api
from phasegate.api.declared_requests import Client, check_places
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.project import FollowUp, RequestFile

pytestmark = pytest.mark.integration

DRAWN = {"buyer": "a b+c", "n": "7"}


class Shop(ThreadingHTTPServer):
    """Answers rows to whatever is asked, and notes it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, str, str, str | None]] = []
        self.rows: object = [{"no": 1}, {"no": 2}, {"no": 1}, {"no": None}]


class Answering(BaseHTTPRequestHandler):
    server: Shop

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        token = self.headers["authorization"]
        self.server.asked.append((self.command, self.path, sent, token))
        raw = json.dumps(self.server.rows).encode()
        self.send_response(400 if "refuse" in self.path else 200)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the server's own names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(shop: Shop) -> Iterator[Client]:
    made = Client(Api(f"http://127.0.0.1:{shop.server_port}", "key", 0))
    yield made
    made.close()


def test_drawn_values_are_quoted_in_a_path_and_stand_in_a_body_as_they_are(
    shop: Shop, client: Client
) -> None:
    body = {"who": "{buyer}", "of": ["{n}", 3], "kept": "{{n}}"}
    request = RequestFile(title="t", method="POST", path="/o?b=eq.{buyer}&c=cs.{{x}}", body=body)
    client.carry_out(request, "token", DRAWN)
    ((method, path, sent, token),) = shop.asked
    assert (method, path, token) == ("POST", "/o?b=eq.a%20b%2Bc&c=cs.{x}", "Bearer token")
    assert json.loads(sent) == {"who": "a b+c", "of": ["7", 3], "kept": "{n}"}
    own = RequestFile(title="t", path="/o", headers={"Authorization": "Key of {buyer}"})
    client.carry_out(own, "token", DRAWN)
    assert shop.asked[-1][3] == "Key of a b+c"


def test_a_request_follows_for_each_value_of_the_answer_once(shop: Shop, client: Client) -> None:
    then = (FollowUp(each="no", method="DELETE", path="/o/{no}?b={n}"),)
    client.carry_out(RequestFile(title="t", path="/o", then=then), "token", DRAWN)
    asked = [(method, path) for method, path, _, _ in shop.asked]
    assert asked == [("GET", "/o"), ("DELETE", "/o/1?b=7"), ("DELETE", "/o/2?b=7")]


@pytest.mark.parametrize("rows", [{"message": "no"}, [{"id": 1}], None])
def test_an_answer_without_the_rows_cannot_be_measured(
    shop: Shop, client: Client, rows: object
) -> None:
    shop.rows = rows
    then = (FollowUp(each="no", path="/o/{no}"),)
    with pytest.raises(CannotMeasure, match="GET /o does not answer rows with 'no'"):
        client.carry_out(RequestFile(title="t", path="/o?x=1", then=then), "token", DRAWN)


def test_a_refusal_cannot_be_measured_and_quotes_no_value(client: Client) -> None:
    with pytest.raises(CannotMeasure, match=r"GET /refuse is answered 400\. Correct that request"):
        client.carry_out(RequestFile(title="t", path="/refuse?b={buyer}"), "token", DRAWN)


def test_a_column_that_nobody_draws_is_named_before_anything_is_asked() -> None:
    then = (FollowUp(each="no", path="/o/{no}", body={"a": ["{missing}"]}),)
    check_places("orders", RequestFile(title="t", path="/o?b={buyer}"), {"buyer"})
    with pytest.raises(ConfigurationError, match=r"requests\.orders: there is no column 'buyer'"):
        check_places("orders", RequestFile(title="t", path="/o?b={buyer}"), {"n"})
    with pytest.raises(ConfigurationError, match=r"orders\.then: there is no column 'missing'"):
        check_places("orders", RequestFile(title="t", path="/o", then=then), {"n"})
