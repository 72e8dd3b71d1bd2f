"""Whole levels: for the length of a block, and up until they are taken down."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from phasegate.api import Api
from phasegate.levels import runner as running
from phasegate.levels import up_down as local
from phasegate.levels.kept import Kept
from phasegate.levels.runner import RunningLevel, running_level
from phasegate.model import catalogue
from phasegate.model.errors import CannotMeasure, ConfigurationError, Refused, UsageError
from phasegate.project import ENGINE_PARTS, ApiFile, load_project
from phasegate.stack import job_queue
from phasegate.stack.cache import cache_dir, locked, occupant_of
from phasegate.stack.compute import find_compute
from phasegate.stack.health import check
from phasegate.stack.levels import current_level, present_parts
from phasegate.stack.pgbouncer_install import find_pgbouncer
from phasegate.stack.postgres import PostgresServer, running_postgres, start_postgres, stop_postgres
from phasegate.stack.replica import PRIMARY_SETTINGS, measure_lag, start_replica
from phasegate.stack.tokens import mint

pytestmark = pytest.mark.integration

On = Callable[..., Any]
# Processes are killed here, never the machine: what is written stays written without fsync too.
SMALL = {"shared_buffers": "64MB", "fsync": "off"}
TASKS = "/rest/v1/tasks?select=title"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as name:
        path = Path(name)
        path.chmod(0o755)  # as root, the servers run as another user
        yield path


@pytest.fixture(scope="module")
def server(home: Path, fill_app: Callable[[str], None], sql_on: On) -> Iterator[PostgresServer]:
    """A server of this file's own, since levels restart it, with an application on it."""
    with running_postgres(home / "data", settings=SMALL) as running_server:
        sql_on(running_server.dsn(), lambda c: c.execute("create database app"))
        fill_app(running_server.dsn("app"))
        yield running_server


def tasks_of(api: Api, secret: str, user: uuid.UUID) -> int:
    headers = {"apikey": api.anon_key, "authorization": f"Bearer {mint(secret, str(user))}"}
    answer = httpx.get(api.url + TASKS, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    return len(answer.json())


def outcomes(level: RunningLevel) -> dict[str, str]:
    return {part.name: part.outcome for part in level.parts}


def setting(sql_on: On, server: PostgresServer, name: str) -> str:
    return str(sql_on(server.dsn(), lambda c: c.fetchval("select current_setting($1)", name)))


@pytest.mark.parametrize("level", [1, 2])
def test_the_lower_levels_are_a_server_and_an_api_with_a_connection_for_each_request(
    home: Path, server: PostgresServer, sql_on: On, alice: uuid.UUID, level: int
) -> None:
    pid = (server.data_dir / "postmaster.pid").read_text().split()[0]
    with running_level(server, server.dsn("app"), level, folder=home / "up") as running_one:
        indexes = {"idx_tasks_user_created", "idx_tasks_project"} if level == 2 else set()
        expected = dict.fromkeys(("rls_uid", *indexes), "in place")
        assert outcomes(running_one) == {"postgres": "running", "api": "running", **expected}
        assert "a connection for each request" in running_one.parts[-1].note
        assert current_level(server.dsn("app")) == level
        assert tasks_of(running_one.api, running_one.jwt_secret, alice) == 2
    # The same server all along: nothing about these levels needs a restart.
    assert (server.data_dir / "postmaster.pid").read_text().split()[0] == pid


def test_level_3_is_all_of_its_parts_and_leaves_the_server_as_it_was(
    home: Path, server: PostgresServer, sql_on: On, alice: uuid.UUID
) -> None:
    assert setting(sql_on, server, "wal_level") == "minimal"
    with running_level(server, server.dsn("app"), 3, folder=home / "up") as level:
        project = load_project()
        expected = dict.fromkeys(("postgres", "api", *ENGINE_PARTS), "running")
        in_place = ("rls_uid", "idx_tasks_user_created", "idx_tasks_project", "user_stats")
        expected |= dict.fromkeys(in_place, "in place")
        processes = {"postgres", "replica", "worker", "api"}
        if find_pgbouncer() is None:
            expected["pooler"] = "skipped"
        else:
            processes.add("pgbouncer")
        assert outcomes(level) == expected
        assert set(expected) - {"postgres", "api"} == project.parts_of(3) - {*project.client_parts}
        assert set(level.pids) == processes
        assert all(psutil.pid_exists(pid) for pid in level.pids.values())
        assert setting(sql_on, server, "wal_level") == "replica"
        assert tasks_of(level.api, level.jwt_secret, alice) == 2
        assert level.replica_dsn is not None
        assert sql_on(level.replica_dsn, lambda c: c.fetchval("select pg_is_in_recovery()"))
        found = check(level.api.url, level.dsn, anon_key=level.api.anon_key)
        assert [one for one in found if one.outcome == "failed"] == []
        assert {one.name: one.outcome for one in found}["replica_lag"] == "ok"
    assert setting(sql_on, server, "wal_level") == "minimal"
    assert not psutil.pid_exists(level.api.pid)
    assert [path.name for path in (home / "up").glob("replica*")] == []


def test_the_next_stack_keeps_the_replica_and_another_level_takes_it_away(
    home: Path, server: PostgresServer, sql_on: On
) -> None:
    with Kept() as kept:
        with running_level(server, server.dsn("app"), 3, folder=home / "up", kept=kept) as first:
            pids = first.pids
        assert not psutil.pid_exists(pids["api"])
        sql_on(first.dsn, lambda c: c.execute("create table written_between as select 1 as i"))
        with running_level(server, server.dsn("app"), 3, folder=home / "up", kept=kept) as second:
            same = {name for name, pid in second.pids.items() if pid == pids[name]}
            assert same == {"postgres", "replica"}
            assert second.replica_dsn is not None
            # It has caught up.
            sql_on(second.replica_dsn, lambda c: c.fetch("select * from written_between"))
        with running_level(server, server.dsn("app"), 2, folder=home / "up", kept=kept):
            assert setting(sql_on, server, "wal_level") == "minimal"
            assert [path.name for path in (home / "up").glob("replica*")] == []
        with running_level(server, server.dsn("app"), 3, folder=home / "up", kept=kept) as third:
            assert "replica" in third.pids
    assert setting(sql_on, server, "wal_level") == "minimal"
    assert [path.name for path in (home / "up").glob("replica*")] == []


def test_single_parts_are_started_as_a_level_is(
    home: Path, server: PostgresServer, sql_on: On, alice: uuid.UUID
) -> None:
    parts = {"rls_uid", "idx_tasks_project", "refresh"}
    with running_level(server, server.dsn("app"), parts, folder=home / "up") as stack:
        assert outcomes(stack) == {
            "postgres": "running", "api": "running", "refresh": "running",
            "rls_uid": "in place", "idx_tasks_project": "in place",
        }  # fmt: skip
        assert set(stack.pids) == {"postgres", "worker", "api"}
        assert stack.level == 1  # the highest whose parts are all there
        assert present_parts(stack.dsn) - {"jobs"} == parts  # the worker makes its queue
        assert tasks_of(stack.api, stack.jwt_secret, alice) == 2


def test_every_part_of_level_3_finds_back_to_a_postgres_that_was_killed(
    home: Path, server: PostgresServer, sql_on: On, alice: uuid.UUID
) -> None:
    job, user = "process-heavy-task", str(alice)

    def accept() -> str:
        return str(sql_on(level.dsn, lambda c: job_queue.accept(c, job, user, None)))

    def done(task: str) -> bool:
        found = sql_on(level.dsn, lambda c: job_queue.status(c, job, user, task))
        return bool(found.status == "done")

    def until(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def answers() -> bool:
        headers = {
            "apikey": level.api.anon_key,
            "authorization": f"Bearer {mint(level.jwt_secret, str(alice))}",
        }
        return httpx.get(level.api.url + TASKS, headers=headers, timeout=20).status_code == 200

    with running_level(server, server.dsn("app"), 3, folder=home / "up") as level:
        task = accept()
        until(lambda: done(task))
        postmaster = psutil.Process(level.pids["postgres"])
        backends = postmaster.children()
        postmaster.kill()
        psutil.wait_procs([postmaster, *backends], timeout=10)
        start_postgres(server.data_dir, port=server.port, settings=level.server.settings)
        until(answers)
        again = accept()
        until(lambda: done(again))
        assert level.replica_dsn is not None
        until(lambda: measure_lag(level.dsn, str(level.replica_dsn)).streaming)
        assert psutil.pid_exists(level.pids["worker"])


def test_what_this_machine_cannot_have_is_named_with_the_command(
    home: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch, alice: uuid.UUID
) -> None:
    monkeypatch.setattr(running, "find_pgbouncer", lambda: None)
    monkeypatch.setattr(running, "install_pgbouncer", lambda: None)
    with running_level(server, server.dsn("app"), 3, folder=home / "up", replica=False) as level:
        skipped = {part.name: part.note for part in level.skipped}
        assert set(skipped) == {"pooler", "replica"}
        assert "no PgBouncer on this machine; try: " in skipped["pooler"]
        assert "straight to PostgreSQL" in level.parts[-1].note
        assert tasks_of(level.api, level.jwt_secret, alice) == 2


def test_a_compute_size_is_in_force_and_says_what_it_is_not(
    home: Path, server: PostgresServer, sql_on: On, alice: uuid.UUID
) -> None:
    nano = find_compute(catalogue.load(), "nano")
    with running_level(server, server.dsn("app"), 2, folder=home / "up", compute=nano) as level:
        assert setting(sql_on, server, "max_connections") == "60"
        assert "not emulated: the API: PostgREST shares" in level.parts[0].note
        assert tasks_of(level.api, level.jwt_secret, alice) == 2
        assert GROUP not in groups_of(level.pids["api"])
    assert setting(sql_on, server, "max_connections") == "100"


def test_an_api_on_the_databases_machine_shares_the_limits_of_its_size(
    home: Path, server: PostgresServer
) -> None:
    nano, project = find_compute(catalogue.load(), "nano"), load_project()
    shared = replace(project, api=ApiFile(on_database_machine=True))
    with running_level(
        server, server.dsn("app"), 2, folder=home / "up", compute=nano, project=shared
    ) as level:
        note = level.parts[0].note
        assert "the API" not in note
        assert "Supabase's other services take of its memory" in note
        if GROUP in groups_of(level.pids["postgres"]):  # else there is no right to make one
            assert GROUP in groups_of(level.pids["api"])


GROUP = "/phasegate-"


def groups_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")


def test_an_error_inside_the_block_stops_everything_too(home: Path, server: PostgresServer) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        running_level(server, server.dsn("app"), 2, folder=home / "up") as level,
    ):
        raise ZeroDivisionError
    assert not psutil.pid_exists(level.api.pid)


def test_an_unknown_level_starts_nothing(home: Path, server: PostgresServer) -> None:
    before = {process.pid for process in psutil.Process().children()}
    with (
        pytest.raises(UsageError, match="no stack level 9"),
        running_level(server, server.dsn("app"), 9, folder=home / "up"),
    ):
        pass
    assert {process.pid for process in psutil.Process().children()} == before


def test_a_server_whose_replica_was_killed_with_it_starts_again_with_minimal_wal(
    home: Path,
) -> None:
    data = home / "crashed"
    primary = start_postgres(data, settings={**SMALL, **PRIMARY_SETTINGS})
    try:
        replica = start_replica(primary, home / "crashed-replica")
        for folder in (replica.server.data_dir, data):
            postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split()[0]))
            postmaster.kill()
            postmaster.wait(5)
        start_postgres(data, settings=SMALL)
    finally:
        stop_postgres(data)


# ------------------------------------------------------------------------------------ up and down


@pytest.fixture
def cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of this test's own, with nothing up at the end."""
    monkeypatch.setenv("PHASEGATE_CACHE_DIR", str(home / "cache"))
    yield cache_dir()
    local.down()


@pytest.fixture
def prepare(fill_app: Callable[[str], None], sql_on: On) -> Callable[[PostgresServer], str]:
    def made(server: PostgresServer) -> str:
        there = "select count(*) from pg_database where datname = 'app'"
        if not sql_on(server.dsn(), lambda c: c.fetchval(there)):
            sql_on(server.dsn(), lambda c: c.execute("create database app"))
            fill_app(server.dsn("app"))
        return server.dsn("app")

    return made


Prepare = Callable[[PostgresServer], str]


def test_a_level_that_is_up_answers_is_stated_and_comes_down(
    cache: Path, prepare: Prepare, alice: uuid.UUID
) -> None:
    state = local.up(level=3, prepare=prepare)
    assert local.state() == state
    assert state.complete
    assert state.url is not None
    assert state.anon_key is not None
    assert tasks_of(Api(state.url, state.anon_key, 0), state.jwt_secret, alice) == 2
    mode = (local.home() / "state.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert state.jwt_secret not in repr(state)

    stopped = local.down()
    assert {one.name for one in stopped} >= {"api", "worker", "replica", "postgres"}
    assert [one for one in stopped if one.lives()] == []
    assert local.state() is None
    assert local.down() == ()


def test_nothing_else_may_use_the_cluster_while_a_level_is_up(
    cache: Path, prepare: Prepare
) -> None:
    local.up(level=1, prepare=prepare)
    with (
        pytest.raises(Refused, match=r"in use by the stack .*Nothing was started.*phasegate down"),
        locked(cache, "phasegate run"),
    ):
        pass
    with pytest.raises(Refused, match="phasegate down"):
        local.up(level=2, prepare=prepare)
    local.down()
    with locked(cache, "phasegate run"):
        pass


def test_what_a_reboot_left_behind_is_seen_as_stale_and_cleared_away(
    cache: Path, prepare: Prepare
) -> None:
    first = local.up(level=1, prepare=prepare)
    for process in first.processes:
        os.kill(process.pid, signal.SIGKILL)
        psutil.Process(process.pid).wait(5)
    assert occupant_of(cache) is None
    assert local.state() is None
    second = local.up(level=1, prepare=prepare)
    assert second.url != first.url or second.started_at >= first.started_at
    assert second.dead() == ()


def test_a_level_with_a_dead_part_is_stated_and_still_comes_down(
    cache: Path, prepare: Prepare
) -> None:
    up = local.up(level=1, prepare=prepare)
    (api,) = (one.pid for one in up.processes if one.name == "api")
    os.kill(api, signal.SIGKILL)
    psutil.Process(api).wait(5)
    found = local.state()
    assert found is not None
    assert found.dead() == ("api",)
    assert {one.name for one in local.down()} == {"postgres"}


def test_an_up_that_fails_leaves_nothing_running(cache: Path) -> None:
    def failing(_: PostgresServer) -> str:
        raise CannotMeasure("the seeder gave up")

    with pytest.raises(CannotMeasure, match="gave up"):
        local.up(level=1, prepare=failing)
    assert not (local.cluster_dir() / "postmaster.pid").exists()
    assert local.state() is None


def test_a_port_that_is_taken_takes_the_whole_level_back(
    cache: Path, prepare: Prepare, server: PostgresServer
) -> None:
    with pytest.raises(Refused, match=f"Port {server.port} "):
        local.up(level=1, prepare=prepare, port=server.port)
    assert not (local.cluster_dir() / "postmaster.pid").exists()


def test_a_state_file_that_was_edited_is_named(cache: Path) -> None:
    local.home().mkdir(exist_ok=True)
    (local.home() / "state.json").write_text('{"format_version": 1, "level": "three"}')
    try:
        with pytest.raises(ConfigurationError, match=r"state\.json is not a whole State"):
            local.down()
    finally:
        (local.home() / "state.json").unlink()


UP_FROM_A_SHELL = """
import sys
from phasegate.levels import up_down as local
local.up(level=1, prepare=lambda server: server.dsn("app"))
print("up", flush=True)
"""


def test_the_command_that_brought_it_up_can_end_and_lets_go_of_its_pipe(
    cache: Path, prepare: Prepare
) -> None:
    local.up(level=1, prepare=prepare)
    local.down()
    # A pipe that is still held by a part of the level would keep this waiting.
    done = subprocess.run(
        [sys.executable, "-c", UP_FROM_A_SHELL],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(local.__file__).parents[2],
    )
    assert done.stdout == "up\n"
    time.sleep(0.2)
    found = local.state()
    assert found is not None
    assert found.dead() == ()
