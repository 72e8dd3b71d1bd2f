"""Heavy work with a real worker process: once, whatever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from phasegate.model.errors import CannotMeasure
from phasegate.project import load_project
from phasegate.stack import job_queue
from phasegate.stack.background import arrange, background_of
from phasegate.stack.job_queue import Job
from phasegate.stack.levels import apply_level
from phasegate.stack.worker import ATTEMPTS_MAX, Worker, running_worker, start_worker, stop_worker

On = Callable[..., Any]
JOB = "process-heavy-task"
HEARTBEAT_S = 1.0  # short, so that a killed worker is missed within the test's patience


@pytest.fixture(scope="session")
def alice(alice: uuid.UUID) -> str:
    return str(alice)


@pytest.fixture(scope="session")
def bob(bob: uuid.UUID) -> str:
    return str(bob)


@pytest.fixture(scope="session")
def carol(carol: uuid.UUID) -> str:
    return str(carol)


@pytest.fixture
def queue(app: str) -> str:
    """DSN of an application that accepts jobs."""
    arrange(app, background_of(load_project(), {"jobs"}))
    return app


@pytest.fixture(scope="module")
def served(
    shared_app: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Worker]]:
    """An application whose worker runs, for all tests that let it live."""
    arrange(shared_app, background_of(load_project(), {"jobs"}))
    log = tmp_path_factory.mktemp("worker") / "w.log"
    with running_worker(shared_app, log, heartbeat_timeout_s=HEARTBEAT_S) as running:
        yield shared_app, running


def accept(sql_on: On, dsn: str, user: str, task: str | None = None, wait_ms: int = 0) -> str:
    accepted = sql_on(dsn, lambda c: job_queue.accept(c, JOB, user, task, wait_ms))
    assert isinstance(accepted, str)
    return accepted


def status(sql_on: On, dsn: str, user: str, task: str) -> Job:
    found = sql_on(dsn, lambda c: job_queue.status(c, JOB, user, task))
    assert isinstance(found, Job)
    return found


def until_done(sql_on: On, dsn: str, user: str, task: str, timeout_s: float = 30) -> Job:
    deadline = time.monotonic() + timeout_s
    while (found := status(sql_on, dsn, user, task)).status == "processing":
        assert time.monotonic() < deadline, "still processing"
        time.sleep(0.05)
    return found


def kill(worker: Worker) -> None:
    process = psutil.Process(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    process.wait(5)


def test_work_is_accepted_at_once_and_done_once(
    served: tuple[str, Worker], sql_on: On, alice: str
) -> None:
    queue, _ = served
    task = accept(sql_on, queue, alice)
    done = until_done(sql_on, queue, alice, task)
    assert (done.status, done.runs) == ("done", 1)
    assert done.result["tasks"]["total"] == 2
    assert done.result["tasks"]["completed"] == 1
    assert done.finished_at is not None
    assert done.finished_at >= done.accepted_at


def test_without_a_worker_it_waits_and_is_reported_as_processing(
    queue: str, sql_on: On, alice: str
) -> None:
    task = accept(sql_on, queue, alice)
    found = status(sql_on, queue, alice, task)
    assert (found.status, found.runs, found.result) == ("processing", 0, None)


def test_a_foreign_task_is_neither_accepted_nor_shown(
    queue: str, sql_on: On, alice: str, bob: str
) -> None:
    bobs = sql_on(
        queue, lambda c: c.fetchval("select id::text from tasks where user_id = $1 limit 1", bob)
    )
    assert sql_on(queue, lambda c: job_queue.accept(c, JOB, alice, bobs)) is None
    assert sql_on(queue, lambda c: job_queue.accept(c, JOB, alice, str(uuid.uuid4()))) is None
    assert sql_on(queue, lambda c: c.fetchval("select count(*) from queue.pgqueuer")) == 0
    task = accept(sql_on, queue, bob, bobs)
    assert task == bobs
    assert sql_on(queue, lambda c: job_queue.status(c, JOB, alice, task)) is None


def test_asking_twice_while_it_is_under_way_is_asking_once(
    queue: str, sql_on: On, alice: str
) -> None:
    own = sql_on(
        queue, lambda c: c.fetchval("select id::text from tasks where user_id = $1", alice)
    )
    assert accept(sql_on, queue, alice, own) == accept(sql_on, queue, alice, own) == own
    assert sql_on(queue, lambda c: c.fetchval("select count(*) from queue.pgqueuer")) == 1


def test_a_task_that_is_done_can_be_asked_for_again(
    served: tuple[str, Worker], sql_on: On, alice: str
) -> None:
    queue, _ = served
    own = sql_on(
        queue, lambda c: c.fetchval("select id::text from tasks where user_id = $1", alice)
    )
    for times in (1, 2):
        accept(sql_on, queue, alice, own)
        assert until_done(sql_on, queue, alice, own).runs == times


def test_a_transaction_that_rolls_back_leaves_no_job(queue: str, sql_on: On, alice: str) -> None:
    async def work(connection: asyncpg.Connection) -> int:
        transaction = connection.transaction()
        await transaction.start()
        await job_queue.accept(connection, JOB, alice, None)
        await transaction.rollback()
        return int(await connection.fetchval("select count(*) from queue.pgqueuer"))

    assert sql_on(queue, work) == 0


@pytest.mark.parametrize("after_s", [0.05, 0.4])
def test_a_worker_killed_in_the_middle_loses_nothing_and_does_nothing_twice(
    queue: str, sql_on: On, alice: str, tmp_path: Path, after_s: float
) -> None:
    tasks = [accept(sql_on, queue, alice, wait_ms=300) for _ in range(6)]
    first = start_worker(queue, tmp_path / "first.log", heartbeat_timeout_s=HEARTBEAT_S)
    time.sleep(after_s)
    kill(first)
    before = [status(sql_on, queue, alice, task) for task in tasks]
    assert any(found.status == "processing" for found in before)
    with running_worker(queue, tmp_path / "second.log", heartbeat_timeout_s=HEARTBEAT_S):
        done = [until_done(sql_on, queue, alice, task) for task in tasks]
    assert [found.runs for found in done] == [1] * len(tasks)


def test_a_job_delivered_twice_is_done_once(queue: str, sql_on: On, alice: str) -> None:
    task = accept(sql_on, queue, alice)

    async def twice(connection: asyncpg.Connection) -> list[bool]:
        return [await job_queue.finish(connection, JOB, task) for _ in range(2)]

    assert sql_on(queue, twice) == [True, False]
    assert status(sql_on, queue, alice, task).runs == 1


def test_two_workers_at_the_same_task_do_it_once(queue: str, sql_on: On, alice: str) -> None:
    task = accept(sql_on, queue, alice)

    async def both(connection: asyncpg.Connection) -> bool:
        other = await asyncpg.connect(queue)
        try:
            transaction = other.transaction()
            await transaction.start()
            assert await job_queue.finish(other, JOB, task)
            await connection.execute("set lock_timeout = '200ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await job_queue.finish(connection, JOB, task)  # it waits for the first one
            await transaction.commit()
            return await job_queue.finish(connection, JOB, task)
        finally:
            await other.close()

    assert sql_on(queue, both) is False
    assert status(sql_on, queue, alice, task).runs == 1


def test_the_worker_survives_the_loss_of_every_connection(
    served: tuple[str, Worker], sql_on: On, alice: str
) -> None:
    queue, worker = served
    tasks = [accept(sql_on, queue, alice, wait_ms=300) for _ in range(3)]
    time.sleep(0.1)
    sql_on(
        queue,
        lambda c: c.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        ),
    )
    done = [until_done(sql_on, queue, alice, task, timeout_s=15) for task in tasks]
    assert [(found.status, found.runs) for found in done] == [("done", 1)] * 3
    assert psutil.pid_exists(worker.pid)


NEVER_DONE = """
create or replace function phasegate_stack.refuse() returns trigger language plpgsql as
$$ begin raise 'not today'; end $$;
create trigger never_done before update on phasegate_stack.jobs
for each row when (new.status = 'done') execute function phasegate_stack.refuse();
"""


def test_work_that_fails_by_itself_is_told_to_its_user(
    served: tuple[str, Worker], sql_on: On, alice: str
) -> None:
    dsn, worker = served

    async def accept_for_a_last_attempt(connection: asyncpg.Connection) -> str | None:
        async with connection.transaction():
            task = await job_queue.accept(connection, JOB, alice, None)
            await connection.execute("update queue.pgqueuer set attempts = $1", ATTEMPTS_MAX - 1)
        return task

    sql_on(dsn, lambda c: c.execute(NEVER_DONE))
    try:
        task = sql_on(dsn, accept_for_a_last_attempt)
        assert until_done(sql_on, dsn, alice, task).status == "failed"
    finally:
        sql_on(dsn, lambda c: c.execute("drop trigger never_done on phasegate_stack.jobs"))
    assert psutil.pid_exists(worker.pid)


def test_a_user_who_leaves_takes_their_work_along(
    served: tuple[str, Worker], sql_on: On, carol: str, bob: str
) -> None:
    queue, _ = served
    task = accept(sql_on, queue, carol, wait_ms=400)
    sql_on(queue, lambda c: c.execute("delete from profiles where id = $1", carol))
    assert sql_on(queue, lambda c: job_queue.status(c, JOB, carol, task)) is None
    assert until_done(sql_on, queue, bob, accept(sql_on, queue, bob)).status == "done"


def test_no_user_may_reach_the_queue_or_the_tasks(
    queue: str, sql_on: On, as_user: On, alice: str
) -> None:
    async def reach(connection: asyncpg.Connection, statement: str) -> None:
        async with connection.transaction():
            await as_user(connection, alice)
            await connection.fetch(statement)

    for statement in (
        "select * from phasegate_stack.jobs",
        "select * from queue.pgqueuer",
        "select phasegate_stack.finish_job('process-heavy-task', 'x')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            sql_on(queue, lambda c, s=statement: reach(c, s))


def test_what_lost_its_job_is_queued_again(queue: str, sql_on: On, alice: str) -> None:
    task = accept(sql_on, queue, alice)
    sql_on(
        queue,
        lambda c: c.execute(
            "delete from queue.pgqueuer;"
            "update phasegate_stack.jobs set accepted_at = now() - interval '5 minutes'"
        ),
    )
    assert sql_on(queue, job_queue.adopt_orphans) == 1
    assert sql_on(queue, job_queue.adopt_orphans) == 0
    key = sql_on(queue, lambda c: c.fetchval("select dedupe_key from queue.pgqueuer"))
    assert key == f"{JOB}/{task}"


AGE = "select extract(epoch from now() - refreshed_at) from phasegate_stack.refreshes"
TWO_HOURS_AGO = "update phasegate_stack.refreshes set refreshed_at = now() - interval '2 hours'"


def test_the_worker_refreshes_the_statistics_when_it_starts_late_and_on_its_schedule(
    app: str, sql_on: On, tmp_path: Path
) -> None:
    apply_level(app, 3)
    sql_on(app, lambda c: c.execute(TWO_HOURS_AGO))
    every_second = start_worker(app, tmp_path / "w.log", refresh_cron="* * * * * *")
    try:
        assert sql_on(app, lambda c: c.fetchval(AGE)) < 60
        sql_on(app, lambda c: c.execute(TWO_HOURS_AGO))
        deadline = time.monotonic() + 20
        while sql_on(app, lambda c: c.fetchval(AGE)) > 60:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        stop_worker(every_second)


@pytest.mark.integration
def test_a_worker_without_a_database_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        CannotMeasure, match=r"worker on postgresql://me@127\.0\.0\.1:1/x"
    ) as caught:
        start_worker("postgresql://me:hush@127.0.0.1:1/x", tmp_path / "w.log", start_timeout_s=2)
    assert "hush" not in str(caught.value)
    assert "hush" not in (tmp_path / "w.log").read_text()


def test_the_dsn_is_in_neither_the_command_line_nor_the_log(
    served: tuple[str, Worker], sql_on: On, alice: str
) -> None:
    queue, worker = served
    until_done(sql_on, queue, alice, accept(sql_on, queue, alice))
    assert queue not in " ".join(psutil.Process(worker.pid).cmdline())
    assert queue not in worker.log.read_text()


def test_stopping_a_worker_twice_is_fine_and_a_stranger_is_left_alone(
    app: str, tmp_path: Path
) -> None:
    worker = start_worker(app, tmp_path / "w.log")
    stop_worker(worker)
    stop_worker(worker)
    assert not psutil.pid_exists(worker.pid)
    stop_worker(Worker(os.getpid(), worker.log))  # the number was given to another program


CALLER = """
import sys, time
from pathlib import Path
from phasegate.stack.worker import start_worker
print(start_worker(sys.stdin.readline().strip(), Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


def test_a_worker_ends_when_whoever_started_it_is_killed(app: str, tmp_path: Path) -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path / "w.log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(job_queue.__file__).parents[1],
    )
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.write(f"{app}\n")
    caller.stdin.flush()
    worker = psutil.Process(int(caller.stdout.readline()))
    caller.kill()
    caller.wait()
    worker.wait(10)
