"""Real connections, against a PostgreSQL and a PgBouncer that refuse."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from phasegate.compare.libpq import Session
from phasegate.compare.technique import Arm, Parameters
from phasegate.compare.technique_folders import body_of
from phasegate.model.errors import CannotMeasure
from phasegate.model.serverless import Clients, Way
from phasegate.records.serverless import AGREES_WITHIN
from phasegate.serverless import climb as climbing
from phasegate.serverless.climb import Aim, Climbed, climb, rehearsed
from phasegate.serverless.pool import ConnectionRefused, Pool, as_refusal
from phasegate.serverless.target import ROLE, logged_in, reached
from phasegate.stack.database import apply_sql
from phasegate.stack.pgbouncer import find_pgbouncer, running_pgbouncer
from phasegate.stack.pgbouncer_console import admin
from phasegate.stack.pgbouncer_install import install_command
from phasegate.stack.postgres import PostgresServer, running_postgres

pytestmark = pytest.mark.integration

MAX_CONNECTIONS, OTHERS = 24, 3
STRAIGHT = Way(MAX_CONNECTIONS - 3 - OTHERS)
POOLED = Way(20, pool=5)
needs_pgbouncer = pytest.mark.skipif(
    find_pgbouncer() is None, reason=f"no PgBouncer on this machine: {install_command()}"
)
WAYS = [
    pytest.param(STRAIGHT, id="straight"),
    pytest.param(POOLED, id="pooled", marks=needs_pgbouncer),
]
LIMITS = {STRAIGHT: "max_connections", POOLED: "max_client_conn"}
WHO = "select current_user, auth.uid()::text = $1"
ARM = Arm("as the user", WHO, body_of(WHO, ("sub",)))
USER = Parameters(("sub",), ("00000000-0000-4000-8000-000000000001",))
EACH = Clients(requests_per_user_s=1.0, request_s=0.06, query_s=0.005)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    settings = {"max_connections": str(MAX_CONNECTIONS), "shared_buffers": "32MB"}
    with tempfile.TemporaryDirectory(prefix="phasegate-test-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # as root, the server runs as another user
        with running_postgres(home / "data", settings=settings) as running:
            apply_sql(running.dsn(), "supabase")
            yield running


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture
def to(server: PostgresServer, way: Way) -> Iterator[str]:
    """Where functions connect to."""
    folder = server.data_dir.with_name("pooler")
    with (
        logged_in(server.dsn()) as login,
        reached(login, way, others=OTHERS, folder=folder) as dsn,
    ):
        yield dsn


@pytest.fixture(autouse=True)
def _quick_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing, "STEP_S", 0.5)
    monkeypatch.setattr(climbing, "RAMP_STEP_S", 0.1)


def aim(to: str, way: Way) -> Aim:
    return Aim(EACH, way, to, ARM, [USER], idle_timeout_s=10.0, freezes=True, kept_s=60.0, seed="")


def climbed(to: str, way: Way) -> Climbed:
    found = climb(aim(to, way))
    with ExitStack() as undo:  # what it held is free again
        for _ in range(way.limit):
            undo.callback(Session(to).close)
    return found


def test_the_limit_is_met_at_the_connection_after_the_last_one(to: str, way: Way) -> None:
    opened: list[int] = []
    pool = Pool(to, way.limit + 1, 10.0, opened.append)
    try:
        taken = [pool.take() for _ in range(way.limit)]
        with pytest.raises(ConnectionRefused) as refused:
            pool.take()
        assert refused.value.limit == LIMITS[way]
        assert ROLE not in refused.value.said
        for each in taken:
            pool.give_back(each)
        assert pool.take() is taken[-1]
        pool.give_back(taken[-1])
    finally:
        pool.close()
    assert sum(opened) == 0
    assert len(opened) == 2 * way.limit


def test_users_rise_until_the_server_refuses_and_the_model_says_where(to: str, way: Way) -> None:
    found = climbed(to, way)
    assert found.limit == LIMITS[way]
    assert found.connections == way.limit
    assert found.users is not None
    # One climb of half-second steps on a machine that others use: chance is a sixth to either side.
    assert found.users == pytest.approx(found.modelled.estimate, rel=0.45)


@pytest.mark.alone  # where other programs make requests long, the model rightly says less
def test_a_limit_that_is_not_the_servers_is_found_out(server: PostgresServer) -> None:
    wrong = Way(4 * STRAIGHT.limit)
    with logged_in(server.dsn()) as login:
        found = climb(aim(login, wrong))
    assert found.limit == "max_connections"
    assert found.users is not None
    assert found.modelled.low is not None
    assert found.users < found.modelled.low
    assert found.users < (1 - AGREES_WITHIN) * found.modelled.estimate


@pytest.mark.parametrize("freezes", [True, False])
def test_an_idle_connection_is_closed_in_time_unless_its_instance_is_frozen(
    server: PostgresServer, freezes: bool
) -> None:
    with logged_in(server.dsn()) as login:
        wanted = replace(aim(login, STRAIGHT), idle_timeout_s=0.3, freezes=freezes)
        with climbing._Drive(wanted, EACH) as drive:
            drive.step(40.0, 1.0)  # two or three under way in the mean
            busy = drive.open
            drive.step(2.0, 1.2)
            assert not drive.over
            assert busy >= 3
            # One may be closed as it thaws, or be in use.
            assert drive.open >= busy - 1 if freezes else drive.open <= 1


def test_statements_are_those_of_the_user_and_a_fault_of_theirs_is_no_refusal(
    server: PostgresServer,
) -> None:
    with logged_in(server.dsn()) as login:
        assert 0 < rehearsed(aim(login, STRAIGHT)) < 1
        pool = Pool(login, 1, 10.0, lambda _: None)
        connection = pool.take()
        connection.execute("begin")
        connection.become(USER.sub)
        assert connection.once(WHO, USER.sub)() == [("authenticated", "t")]
        connection.execute("rollback")
        faulty = Arm("faulty", "select 1 / 0", body_of("select 1 / 0", ()))
        with pytest.raises(CannotMeasure, match="division by zero") as failed:
            connection.carry_out(faulty, USER)
        assert not isinstance(failed.value, ConnectionRefused)
        pool.give_back(connection)  # in a failed transaction: it is not used again
        fresh = pool.take()
        assert fresh is not connection
        pool.give_back(fresh)
        pool.close()
    owner = Session(server.dsn())
    try:
        assert owner.once("select to_regrole($1)", ROLE).column(0) == [None]
    finally:
        owner.close()


@needs_pgbouncer
def test_a_pooler_whose_connections_are_all_in_use_refuses_after_its_time(
    server: PostgresServer,
) -> None:
    folder = server.data_dir.with_name("pooler")
    with (
        logged_in(server.dsn()) as login,
        running_pgbouncer(folder, login, pool_size=1) as pooler,
    ):
        admin(pooler, "SET query_wait_timeout = 1")
        pool = Pool(pooler.dsn, 2, 10.0, lambda _: None)
        try:
            first, second = pool.take(), pool.take()
            first.execute("begin")
            with pytest.raises(ConnectionRefused) as refused:
                second.carry_out(ARM, USER)
            assert (refused.value.limit, refused.value.said) == ("query_wait_timeout",) * 2
            for each in (first, second):
                pool.give_back(each)
        finally:
            pool.close()


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("connection failed: FATAL: sorry, too many clients already", "max_connections"),
        ('FATAL: too many connections for role "app"', "role"),
        ("FATAL: password authentication failed", None),
    ],
)
def test_a_refusal_is_told_from_other_faults(said: str, limit: str | None) -> None:
    found = as_refusal(CannotMeasure(said))
    assert (found.limit if isinstance(found, ConnectionRefused) else None) == limit
