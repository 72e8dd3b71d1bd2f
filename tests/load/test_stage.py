"""A stage as users run it: locust in a child process against a real server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from phasegate.load.arrivals import START_DELAY_S
from phasegate.load.run import Target, run_stage
from phasegate.load.settings import LOCAL_JWT_SECRET
from phasegate.model.errors import ConfigurationError
from phasegate.model.verdict import code_of
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.histogram import Histogram, merged
from phasegate.records.load import LoadRecord

LOCUSTFILE = load_project().locustfile

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from tests.loadtests.conftest import Busy, TinyServer

Start = Callable[..., "TinyServer"]


def stage(server: TinyServer, out: Path, **changes: object) -> LoadRecord:
    asked: dict[str, object] = {
        "stage": "s",
        "project": load_project(),
        "level": 2,
        "users": 1000,
        "seed": 1,
        "duration_s": 2.0,
        "arrival_rate_per_s": 30.0,
        "out": out,
        "warm_up_s": 0.0,
        "enough_sessions": False,
    }
    return run_stage(server.target, **{**asked, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("added", "arm"),
    [("n-plus-1", "n-plus-1"), ("embedded", "embedded"), ("cache", "embedded+cache")],
)
def test_every_count_agrees_with_the_servers(
    added: str, arm: str, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    record = stage(server, tmp_path, added=(added,))
    assert record.arm == arm
    counted = server.counted()
    requests: dict[str, int] = {}
    size: dict[str, int] = {}
    for endpoint in record.endpoints:
        name = endpoint.name.partition(" (")[0]
        requests[name] = requests.get(name, 0) + endpoint.requests
        size[name] = size.get(name, 0) + endpoint.response_bytes
        assert sum(endpoint.statuses.values()) == endpoint.requests
        for encoded in (endpoint.latency_hdr, endpoint.service_hdr):
            assert Histogram.decode(encoded).total == endpoint.requests
    assert sum(endpoint.failures for endpoint in record.endpoints) == 0
    removals = counted["requests"].pop("DELETE tasks", 0)  # after the stage, not part of it
    counted["bytes"].pop("DELETE tasks", 0)
    assert requests == counted["requests"]
    assert size == counted["bytes"]
    assert sum(second.requests for second in record.seconds) == sum(requests.values())
    assert record.rows_created == record.rows_removed > 0
    assert removals > 0
    assert counted["tasks_left"] == 0
    assert record.sessions is not None
    assert record.sessions.due == record.sessions.finished > 20


def test_the_cache_saves_the_requests_that_it_says(tiny_server: Start, tmp_path: Path) -> None:
    plain = stage(tiny_server(), tmp_path)
    cached = stage(tiny_server(), tmp_path, added=("cache",))

    def lists(record: LoadRecord) -> int:
        return sum(e.requests for e in record.endpoints if e.name.startswith("GET tasks"))

    assert cached.cache is not None
    assert plain.cache is None
    assert cached.cache.hits > 0
    assert lists(cached) == cached.cache.misses
    # Both met the same sessions of the same users; whether a last click was due before the end
    # hangs on how quick the answers before it were.
    assert lists(plain) == pytest.approx(cached.cache.hits + cached.cache.misses, rel=0.03)


def test_a_conditional_client_saves_bytes_but_no_request_behind_a_gateway_that_adds_etags(
    tiny_server: Start, etag_gateway: Callable[[str], TinyServer], tmp_path: Path
) -> None:
    # Lists change with what their user writes, so pages at hand go stale as in life.
    behind = tiny_server("--remembers")
    gateway = etag_gateway(behind.url)
    record = stage(gateway, tmp_path, added=("conditional",))
    counted = gateway.counted()
    (lists,) = (e for e in record.endpoints if e.name == "GET tasks (conditional)")
    assert record.cache is not None
    assert lists.statuses["304"] == counted["unchanged"] == record.cache.hits > 20
    assert record.cache.saved_bytes == counted["saved_bytes"] > 0
    assert lists.requests == record.cache.hits + record.cache.misses
    # Asked with a tag of before a write, and answered with the page of after it.
    assert counted["changed"] > 5
    assert lists.statuses["200"] == record.cache.misses >= counted["changed"]
    # The bytes are saved on the way, not the work behind the gateway.
    requests = behind.counted()["requests"]
    assert requests["GET tasks"] == lists.requests
    assert "not-served" not in {code_of(reason) for reason in record.invalid}


def test_a_server_without_etags_makes_the_conditional_arm_invalid(
    tiny_server: Start, tmp_path: Path
) -> None:
    record = stage(tiny_server(), tmp_path, added=("conditional",), duration_s=1.0)
    (reason,) = (said for said in record.invalid if code_of(said) == "not-served")
    assert "the server sent no ETag" in reason
    assert "put a gateway that adds them in front" in reason


def test_no_request_is_sent_after_the_end(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    # ActingUsers think for seconds, so that most sessions are in the middle when the stage is over.
    record = stage(server, tmp_path, think_time_scale=1.0)
    counted = server.counted()
    over = datetime.fromisoformat(record.started_at).timestamp() + START_DELAY_S
    over += record.duration_s
    # The removal of rows alone comes after it. Clocks and a click at the very end take a moment.
    assert over - 1 < counted["last_at"] < over + 0.25
    time.sleep(1.0)
    assert server.counted()["requests"] == counted["requests"]


def test_connections_are_kept(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    record = stage(server, tmp_path)
    assert record.connections == "keep-alive"
    assert sum(endpoint.requests for endpoint in record.endpoints) > 100
    assert record.connections_opened is not None
    assert record.connections_opened < 40
    # The removal of rows, after the stage, may open some more; the question opened one.
    assert record.connections_opened <= server.counted()["connections"] - 1 < 40


def test_what_a_server_hangs_up_on_is_sent_again_or_a_failure_and_counted(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server("--answers-per-connection", "8")
    record = stage(server, tmp_path, duration_s=3.0)
    hung_up = server.counted()["hung_up"]
    assert record.requests_resent == hung_up["GET"] > 10
    failures = {endpoint.name: endpoint.failures for endpoint in record.endpoints}
    assert sum(failures.values()) == hung_up["POST"] + hung_up.get("PATCH", 0) > 0
    assert not any(failed for name, failed in failures.items() if name.startswith("GET"))
    answered = sum(endpoint.requests - endpoint.failures for endpoint in record.endpoints)
    requests = server.counted()["requests"]
    assert answered == sum(requests.values()) - requests.get("DELETE tasks", 0)


def test_a_connection_is_opened_for_each_request_where_that_is_asked_for(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    record = stage(server, tmp_path, connections="per-request")
    assert record.connections == "per-request"
    requests = sum(endpoint.requests for endpoint in record.endpoints)
    assert requests == record.connections_opened > 100
    counted = server.counted()
    of_the_load = counted["connections"] - 1 - sum(counted["preflight"].values())
    assert of_the_load == sum(counted["requests"].values())
    assert requests == of_the_load - counted["requests"]["DELETE tasks"]


@pytest.mark.alone
def test_a_server_frozen_for_3_of_15_seconds_gives_a_p99_of_2_seconds(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()

    def freeze() -> None:
        while not server.counted()["requests"]:
            time.sleep(0.1)
        time.sleep(5)
        os.kill(server.process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(server.process.pid, signal.SIGCONT)

    freezer = threading.Thread(target=freeze)
    freezer.start()
    record = stage(server, tmp_path, duration_s=15.0)
    freezer.join()
    assert record.duration_s == 15.0
    overall = merged(Histogram.decode(action.latency_hdr) for action in record.actions)
    assert overall.total > 1000
    assert (overall.percentile_ms(99) or 0) >= 2000
    # Every session begins with it, so a fifth of them was due in the freeze. A click that follows
    # others meets it less often: people whose page does not come click no further.
    p99 = {action.name: action.latency_ms["p99"] for action in record.actions}
    assert p99["open list"] >= 2000
    slow = [second.at_s for second in record.seconds if (second.latency_ms_p99 or 0) > 800]
    assert 3 <= len(slow) <= 4, "the freeze must be visible in the seconds that it lasted"
    assert slow == list(range(slow[0], slow[0] + len(slow)))


@pytest.mark.parametrize(
    ("status", "code"), [(401, "authorisation"), (403, "authorisation"), (429, "rate-limited")]
)
def test_refusals_make_a_stage_invalid(
    status: int, code: str, tiny_server: Start, tmp_path: Path
) -> None:
    told = ("--status", str(status), "--after", "10")
    record = stage(tiny_server(*told), tmp_path, duration_s=1.0)
    (reason,) = (said for said in record.invalid if code_of(said) == code)
    if code == "authorisation":
        assert f"({status} as told): " in reason


def test_a_server_that_goes_away_gives_failures_not_silence(
    tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()

    def kill_under_load() -> None:
        while sum(server.counted()["requests"].values()) < 30:
            time.sleep(0.05)
        server.process.kill()

    killer = threading.Thread(target=kill_under_load)
    killer.start()
    record = stage(server, tmp_path, duration_s=4.0)
    killer.join()
    for endpoint in record.endpoints:
        assert endpoint.failures == endpoint.statuses.get("0", 0)
    assert sum(endpoint.failures for endpoint in record.endpoints) > 20


def test_secrets_reach_neither_the_log_nor_the_record(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    stage(server, tmp_path, duration_s=1.0)
    for path in tmp_path.iterdir():
        content = path.read_text(encoding="utf-8")
        assert server.target.jwt_secret not in content
        assert server.target.anon_key not in content


def test_an_address_that_is_none_is_named_with_the_log(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="wrote no record: --host cannot be read"):
        run_stage(
            Target("ftp://x", "key", "secret"),
            stage="s",
            project=load_project(),
            level=2,
            users=10,
            seed=1,
            duration_s=1,
            arrival_rate_per_s=1,
            out=tmp_path,
        )


def locust(
    *arguments: str, environment: dict[str, str], timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments]
    return subprocess.run(
        command,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )


def test_locust_alone_runs_users_as_with_any_locustfile(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    done = locust(
        *("--headless", "--host", server.url, "-u", "5", "-r", "5", "-t", "3s"),
        *("--think-time-scale", "0.05", "--out", str(tmp_path)),
        environment=server.environment,
    )
    assert "tasks (embedded)" in done.stderr
    assert "0(0.00%)" in done.stderr
    record = store.read(tmp_path / "closed.json", LoadRecord)
    assert record.rate_sessions_per_s is None
    assert "closed-model" in {code_of(reason) for reason in record.invalid}
    assert sum(server.counted()["requests"].values()) > 20


@pytest.mark.parametrize(
    ("secret", "is_trusted"),
    [(LOCAL_JWT_SECRET, True), ("a-shared-secret-that-is-not-the-default-one", False)],
)
def test_the_supabase_clis_stack_is_driven_by_name_or_says_that_it_signs_with_other_keys(
    secret: str, is_trusted: bool, tiny_server: Start, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 54321)) == 0:
            pytest.skip("port 54321 is taken, maybe by a stack of the Supabase CLI")
    server = tiny_server("--port", "54321", "--trusts", secret)
    done = locust(
        *("--headless", "--target", "supabase-local", "--arrival-rate", "20"),
        *("--stage-duration", "1.5", "--think-time-scale", "0.05"),
        *("--out", str(tmp_path), "--stage-name", "s"),
        environment={n: v for n, v in os.environ.items() if not n.startswith("SUPABASE_")},
    )
    assert server.url.endswith(":54321")
    assert "POST tasks" in server.counted()["requests"] or not is_trusted
    if is_trusted:
        record = store.read(tmp_path / "s.json", LoadRecord)
        assert "authorisation" not in {code_of(said) for said in record.invalid}
        assert all(endpoint.failures == 0 for endpoint in record.endpoints)
    else:
        assert done.returncode == 3
        assert not server.counted()["requests"]
        assert "401 PGRST301 No suitable key or wrong key type" in done.stderr
        assert "auth.signing_keys_path" in done.stderr
        assert "--users-file" in done.stderr


def test_tags_choose_the_sessions(tiny_server: Start) -> None:
    server = tiny_server()
    done = locust(
        *("--headless", "--host", server.url, "--arrival-rate", "30", "--stage-duration", "1"),
        *("--think-time-scale", "0.05", "--tags", "read"),
        environment=server.environment,
    )
    assert done.returncode in (0, 3), done.stderr  # 3 on a machine that is busy otherwise
    assert "stage open: " in done.stderr
    assert "POST tasks" not in server.counted()["requests"]


def test_two_workers_give_the_sum_of_their_parts(tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    record = stage(server, tmp_path, processes=2)
    counted = server.counted()["requests"]
    assert record.workers == 2
    assert record.workers_lost == 0
    assert sum(endpoint.requests for endpoint in record.endpoints) == sum(
        count for name, count in counted.items() if not name.startswith("DELETE")
    )


@pytest.mark.parametrize("missing", ["SUPABASE_ANON_KEY", "SUPABASE_JWT_SECRET"])
def test_a_missing_secret_gives_one_line(missing: str, tiny_server: Start) -> None:
    server = tiny_server()
    environment = {name: v for name, v in server.environment.items() if name != missing}
    done = locust("--headless", "--host", server.url, "-t", "1s", environment=environment)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "locust.main" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"{missing} is not set in the environment. No request was sent.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("processes", [1, 2])
def test_no_request_exceeds_the_budget(processes: int, tiny_server: Start, tmp_path: Path) -> None:
    server = tiny_server()
    arguments = ["--headless", "--host", server.url, "--arrival-rate", "40"]
    arguments += ["--stage-duration", "20", "--think-time-scale", "0.05", "--tags", "read"]
    arguments += ["--request-budget", "61", "--out", str(tmp_path), "--stage-name", "s"]
    if processes > 1:
        arguments += ["--processes", str(processes)]
    began_s = time.monotonic()
    done = locust(*arguments, environment=server.environment)
    assert time.monotonic() - began_s < 20
    assert done.returncode == 3
    assert "budget of 61 requests is spent" in done.stderr
    record = store.read(tmp_path / "s.json", LoadRecord)
    counted = server.counted()
    before = sum(counted["preflight"].values())
    assert sum(endpoint.requests for endpoint in record.endpoints) == 61 - before
    assert sum(counted["requests"].values()) == 61 - before
    assert "interrupted" in {code_of(reason) for reason in record.invalid}


@pytest.mark.parametrize(
    ("level", "clicks", "log"),
    [
        ("2", {"heavy work (sync)"}, "GET activity_logs (primary)"),
        ("3", {"heavy work (accepted)"}, "GET activity_logs (replica)"),
    ],
)
def test_heavy_work_and_analytics_take_the_levels_way(
    level: str, clicks: set[str], log: str, tiny_server: Start, tmp_path: Path
) -> None:
    server = tiny_server()
    done = locust(
        *("--headless", "--host", server.url, "--arrival-rate", "20", "--stage-duration", "2"),
        *("--think-time-scale", "0.05", "--tags", "heavy", "analytics", "--level", level),
        *("--out", str(tmp_path), "--stage-name", "s"),
        environment=server.environment,
    )
    assert done.returncode in (0, 3), done.stderr
    record = store.read(tmp_path / "s.json", LoadRecord)
    actions = {action.name: action for action in record.actions}
    assert {name for name in actions if name.startswith("heavy")} == clicks
    assert log in {endpoint.name for endpoint in record.endpoints}
    if level == "3":
        # Accepted at once; done when it was asked after for the second time.
        (done_later,) = record.completions
        # Work that is still under way when the stage ends is not waited for.
        assert 0 < done_later.requests <= actions["heavy work (accepted)"].requests
        assert done_later.latency_ms["p50"] > 450
        assert actions["heavy work (accepted)"].latency_ms["p50"] < 225


def test_the_exit_code_is_the_verdict(tiny_server: Start, busy: Busy) -> None:
    slow = tiny_server("--delay-ms", "700")
    arguments = ["--headless", "--host", slow.url, "--arrival-rate", "30", "--stage-duration", "2"]
    done = locust(*arguments, "--think-time-scale", "0.05", environment=slow.environment)
    if done.returncode == 3 and "schedule-lag" in done.stderr:
        busy.skip_or_fail()
    assert done.returncode == 1, done.stderr
    assert "stage open: FAIL" in done.stderr
    assert "is above 500 ms" in done.stderr
