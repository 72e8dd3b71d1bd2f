from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from phasegate.api import Api, running_api
from phasegate.model.errors import ConfigurationError
from phasegate.stack import health_api, health_database
from phasegate.stack.health import Check, check, github_annotations, is_healthy
from phasegate.stack.levels import apply_level
from phasegate.stack.partitions import maintain
from phasegate.stack.postgres import PostgresServer

On = Callable[..., Any]
SECRET = "a secret of at least thirty-two bytes"  # noqa: S105 - of this test run alone


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    assert len({one.name for one in checks}) == len(checks)
    return {one.name: one for one in checks}


@pytest.fixture
def level_3(app: str, sql_on: On) -> str:
    """DSN of an application at level 3, looked after."""
    sql_on(
        app,
        lambda c: c.execute(
            "create table activity_logs_partitioned_default"
            " partition of activity_logs_partitioned default"
        ),
    )
    apply_level(app, 3)
    maintain(app)
    return app


@pytest.fixture(scope="module")
def api(shared_app: str) -> Iterator[Api]:
    with running_api(shared_app, jwt_secret=SECRET, pool_size=3) as running:
        yield running


def test_a_stack_that_is_well_has_no_failed_check(api: Api, level_3: str) -> None:
    checks = check(api.url, level_3, anon_key=api.anon_key)
    found = by_name(checks)
    assert [one for one in checks if one.outcome == "failed"] == []
    assert is_healthy(checks)
    assert github_annotations(checks) == ()
    for name in ("api", "auth", "pool", "database", "connections", "refresh_age"):
        assert found[name].outcome == "ok", found[name]
    for name in ("default_partition", "partitions_ahead", "queue_age"):
        assert found[name].outcome == "ok", found[name]
    for name in ("replica_lag", "replica_serving"):
        assert found[name].outcome == "skipped"
        assert "no replica" in found[name].said


def test_below_level_3_its_parts_are_skipped_with_the_reason(app: str) -> None:
    found = by_name(check(None, app))
    for name in ("refresh_age", "default_partition", "partitions_ahead"):
        assert found[name].outcome == "skipped"
        assert "none of phasegate's" in found[name].said
    assert found["api"].said == "No URL was given"


def test_an_old_statistics_view_fails(level_3: str, sql_on: On) -> None:
    sql_on(
        level_3,
        lambda c: c.execute(
            "update phasegate_stack.refreshes set refreshed_at = now() - interval '3 hours'"
        ),
    )
    found = by_name(check(None, level_3))["refresh_age"]
    assert (found.outcome, found.limit) == ("failed", 7200.0)
    assert found.said.startswith("private.user_stats was refreshed 180 min ago")


def test_rows_in_default_fail(level_3: str, sql_on: On) -> None:
    sql_on(
        level_3,
        lambda c: c.execute(
            "insert into activity_logs_partitioned"
            " select 1, id, 'x', '2099-01-01' from profiles limit 1"
        ),
    )
    found = by_name(check(None, level_3))["default_partition"]
    assert (found.outcome, found.value) == ("failed", 1.0)


def test_partitions_that_end_with_this_month_fail(level_3: str, sql_on: On) -> None:
    # pg_partman 4 counts from this very moment: late in a month it makes one more than asked for.
    assert by_name(check(None, level_3))["partitions_ahead"].value in (3, 4)
    sql_on(
        level_3,
        lambda c: c.execute(
            """
            do $$
            declare late regclass;
            begin
                for late in
                    select partition from phasegate_stack.partitions_of('activity_logs_partitioned')
                    where month > now()
                loop
                    execute format('drop table %s', late);
                end loop;
            end $$
            """
        ),
    )
    found = by_name(check(None, level_3))["partitions_ahead"]
    assert (found.outcome, found.value) == ("failed", 0.0)


def test_a_job_that_nobody_does_fails(level_3: str, sql_on: On) -> None:
    sql_on(
        level_3,
        lambda c: c.execute(
            "insert into phasegate_stack.jobs"
            " (job, task_id, named, owner, status, wait_ms, accepted_at)"
            " select job, gen_random_uuid(), false, id, 'processing', 0,"
            " now() - interval '5 minutes' from profiles, phasegate_stack.queued_jobs"
        ),
    )
    found = by_name(check(None, level_3))["queue_age"]
    assert found.outcome == "failed"
    assert found.said == "3 jobs wait, the oldest for 300 s"


def test_a_replication_slot_without_its_replica_fails() -> None:
    row: dict[str, Any] = {"slots": 1, "slots_inactive": 1, "replicas": 0}
    found = health_database._replica_lag(row)
    assert found.outcome == "failed"
    assert "a replica has stopped" in found.said


@pytest.mark.parametrize(
    ("lag_s", "outcome"), [(None, "ok"), (0.3, "ok"), (10.0, "ok"), (10.1, "failed")]
)
def test_lag_fails_beyond_its_limit_and_no_lag_at_all_is_fine(
    lag_s: float | None, outcome: str
) -> None:
    row: dict[str, Any] = {
        "slots": 1,
        "slots_inactive": 0,
        "replicas": 1,
        "lag_s": lag_s,
        "lag_bytes": None,
    }
    assert health_database._replica_lag(row).outcome == outcome


def test_too_few_connections_left_fail() -> None:
    row = {"connections_max": 103, "connections_reserved": 3, "connections": 81}
    found = health_database._connections(row)
    assert (found.outcome, found.value) == ("failed", 0.81)
    assert health_database._connections({**row, "connections": 80}).outcome == "ok"


def test_an_exhausted_pool_fails_by_its_waiting_requests() -> None:
    pool = {"size": 2, "in_use": 2, "waiting": 5}
    saturated, _ = health_api._own_api(
        lambda _: health_api.Answer(200, json.dumps({"status": "ok", "pool": pool}).encode())
    )
    assert (saturated.outcome, saturated.value) == ("failed", 5.0)


@pytest.mark.integration
def test_an_unreachable_database_fails_once_and_the_rest_is_skipped() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        dsn = f"postgresql://me:hush@127.0.0.1:{held.getsockname()[1]}/x"
        checks = check(None, dsn)
    assert [one.name for one in checks if one.outcome == "failed"] == ["database"]
    assert "hush" not in str(checks)
    (line,) = github_annotations(checks)
    assert line.startswith("::error title=phasegate health (database)::Cannot connect")


@pytest.mark.integration
def test_an_unreachable_api_fails_and_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_api, "TIMEOUT_S", 0.3)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()  # it accepts, and never answers
        began = time.monotonic()
        found = by_name(check(f"http://127.0.0.1:{mute.getsockname()[1]}"))
        assert time.monotonic() - began < 3
    assert (found["api"].outcome, found["auth"].outcome) == ("failed", "failed")


@pytest.fixture
def hosted() -> Iterator[str]:
    """The routes of a hosted project as they answer without and with its key, without /ready."""

    class Hosted(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("apikey") == "anon"
            body: dict[str, Any] = {"message": "No API key found in request"}
            status = 401
            if self.path == "/ready":
                status, body = 404, {"message": "no Route matched with those values"}
            elif allowed and self.path == "/auth/v1/health":
                status, body = 200, {"version": "v2.1", "name": "GoTrue", "description": "…"}
            elif allowed:
                status, body = 404, {"code": "PGRST126", "message": "closed"}
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hosted) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.integration
def test_a_hosted_project_is_well_with_its_key_and_tells_no_pool(hosted: str) -> None:
    found = by_name(check(hosted, anon_key="anon"))
    assert (found["api"].outcome, found["auth"].outcome) == ("ok", "ok")
    assert found["pool"].said == "Only phasegate's own API tells"


@pytest.mark.integration
def test_a_hosted_project_without_its_key_says_which_variable_is_missing(hosted: str) -> None:
    found = by_name(check(hosted))
    assert found["api"].outcome == "failed"
    assert "SUPABASE_ANON_KEY" in found["api"].said


PAGE = b"<!doctype html><html><title>Log in</title></html>"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (402, {}, b'{"message":"exceed_egress_quota"}', "when a quota is used up"),
        (540, {}, b'{"message":"project paused"}', "the project is paused: restore it"),
        (429, {}, b"{}", "limits the rate of requests"),
        (503, {}, PAGE, "what is in front of the API cannot reach it"),
        (500, {}, b"{}", "look at its logs"),
        (200, {}, PAGE, "that is a web page or another program, no API"),
        (200, {"content-type": "text/html; charset=utf-8"}, b"hello", "no API"),
        (404, {}, b'{"message":"no Route matched with those values"}', "knows no such path"),
        (404, {}, b'{"code":"PGRST125","message":"Invalid path"}', "address before /rest/v1"),
        (301, {"location": "https://u:hush@real.example/x?y=hush"}, b"", "https://real.example"),
        (401, {}, b'{"code":"PGRST301","message":"JWSError"}', "SUPABASE_ANON_KEY"),
    ],
)
def test_what_no_project_that_is_up_answers_fails_with_its_cause(
    status: int, headers: dict[str, str], body: bytes, said: str
) -> None:
    with answering(status, headers, body) as url:
        found = by_name(check(url, anon_key="anon"))
    for name in ("api", "auth"):
        assert found[name].outcome == "failed"
        assert str(status) in found[name].said
        assert said in found[name].said
        assert "hush" not in found[name].said


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"swagger":"2.0"}'),
        (404, b'{"code":"PGRST126","message":"closed"}'),
        (403, b'{"code":"42501","message":"permission denied"}'),
    ],
)
def test_a_root_that_is_open_or_closed_to_the_key_is_an_api_that_lives(
    status: int, body: bytes
) -> None:
    with answering(status, {}, body) as url:
        assert by_name(check(url, anon_key="anon"))["api"].outcome == "ok"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "outcome", "said"),
    [
        (200, "ok", "answers in"),
        (302, "ok", "answers in"),
        (503, "failed", "The API answers 503 to GET /healthz: look at its logs"),
    ],
)
def test_an_api_of_another_kind_is_well_where_its_own_path_says_so(
    status: int, outcome: str, said: str
) -> None:
    with answering(status, {}, PAGE) as url:
        found = by_name(check(url, ready="/healthz"))
    assert found["api"].outcome == outcome
    assert found["api"].said.startswith(said)
    assert {found[name].outcome for name in ("auth", "pool", "replica_serving")} == {"skipped"}


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """A server that gives every request the same answer; its URL."""

    class Same(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Same) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_role_with_few_rights_gets_reasons_instead_of_errors(
    level_3: str, postgres: PostgresServer, sql_on: On
) -> None:
    sql_on(
        level_3,
        lambda c: c.execute("drop role if exists looker; create role looker login password 'look'"),
    )
    try:
        dsn = level_3.replace(f"postgres:{postgres.password}", "looker:look")
        found = by_name(check(None, dsn))
        assert found["database"].outcome == "ok"
        for name in ("refresh_age", "default_partition", "queue_age"):
            assert found[name].outcome == "skipped"
            assert found[name].said == "This role lacks the right to read it"
    finally:
        sql_on(level_3, lambda c: c.execute("drop role looker"))


def test_annotations_keep_to_one_line() -> None:
    nasty = Check(name="api", outcome="failed", said="a\nb 100%\r::error::c")
    assert github_annotations((nasty,)) == (
        "::error title=phasegate health (api)::a%0Ab 100%25%0D::error::c",
    )


def test_nothing_to_check_and_a_strange_address_are_wrong_calls() -> None:
    with pytest.raises(ConfigurationError, match="nothing to check"):
        check(None)
    with pytest.raises(ConfigurationError, match="does not begin with http:// or https://"):
        check("ftp://example.org")
