"""The background worker: does jobs from the queue, and the chores that have a schedule.

Reads its settings from the environment; writes what `stack.job_queue` and the SQL functions of
level 3 write, and its log. A process of its own: `python -m phasegate.stack.worker`. It may be
killed at any time: what it was doing is rolled back, and handed to the next worker once its
heart-beat has stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
import psutil
from pgqueuer import PgQueuer
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job, Schedule

from phasegate.model.errors import CannotMeasure
from phasegate.stack import job_queue
from phasegate.stack.database import connected, driver_arguments, redact
from phasegate.stack.partitions import maintain_on
from phasegate.stack.processes import end

VARIABLE = "PHASEGATE_WORKER_SETTINGS"
READY = "ready"
START_TIMEOUT_S = 20.0
# A job in its last statement is let finish; then it is cut off and done again later.
STOP_TIMEOUT_S = 10.0
POLL_S = 0.05
CALLER_POLL_S = 0.5

# A worker that has not been heard of for so long is taken for dead. Heart-beats come twice in that
# time, so a stop of several seconds (a checkpoint, a paused container) is no death.
HEARTBEAT_TIMEOUT_S = 10.0
# At a time: jobs shall not push the short requests off both cores.
CONCURRENCY = 2
# pgqueuer wants room for two batches in what it may hold at a time.
BATCH_SIZE = 1
# Attempts at a job that fails by itself, before its user is told.
ATTEMPTS_MAX = 5
RETRY_DELAY_S = 1.0
# Between attempts to reach a database that is away.
RECONNECT_DELAY_S = (0.1, 5.0)

REFRESH_CRON = "* * * * *"  # looks for views that are due
PARTITIONS_CRON = "17 3 * * *"  # once a day, at an hour when nobody is there
ORPHANS_CRON = "* * * * *"

log = logging.getLogger("phasegate.worker")


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told."""

    dsn: str
    """Straight to the server: LISTEN does not work through a transaction pool."""
    heartbeat_timeout_s: float = HEARTBEAT_TIMEOUT_S
    concurrency: int = CONCURRENCY
    refresh_cron: str = REFRESH_CRON
    """When views that are due are looked for: five fields, or six with seconds."""
    caller_pid: int | None = None
    """Process whose end is this worker's end too; null for one that outlives its caller."""


@dataclass(frozen=True)
class Worker:
    """A running worker."""

    pid: int
    log: Path


class _Chores:
    """What the queue and the schedule call. Connections come from `pool`, one for each piece."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def job(self, job: Job) -> None:
        """Do one job; a database that goes away means again, not failed."""
        name, task = job.entrypoint, (job.payload or b"").decode()
        try:
            async with self._pool.acquire() as connection:
                wait_ms = await job_queue.wait_of(connection, name, task)
            if wait_ms is None:
                return  # done already: this is a second delivery
            await asyncio.sleep(wait_ms / 1000)
            async with self._pool.acquire() as connection:
                await job_queue.finish(connection, name, task)
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
            raise RetryRequested(timedelta(seconds=RETRY_DELAY_S), "database away") from error
        except asyncpg.PostgresError as error:
            if job.attempts + 1 < ATTEMPTS_MAX:
                raise RetryRequested(timedelta(seconds=RETRY_DELAY_S), str(error)) from error
            log.exception("%s %s failed for good", name, task)
            async with self._pool.acquire() as connection:
                await job_queue.give_up(connection, name, task)

    async def refresh(self, _: Schedule | None = None) -> None:
        """Refresh the views that are due, also those whose hour was missed while no worker ran."""
        async with self._pool.acquire() as connection:
            if await connection.fetchval("select to_regclass('phasegate_stack.refreshes') is null"):
                return
            due = await connection.fetch(
                "select view from phasegate_stack.refreshes"
                " where refreshed_at <= now() - make_interval(secs => every_s) order by view"
            )
            for row in due:
                try:
                    await connection.fetchval(
                        "select phasegate_stack.refresh_view($1)", row["view"]
                    )
                except asyncpg.SyntaxOrAccessError:  # as for a view without a unique index
                    log.exception("%s cannot be refreshed", row["view"])

    async def partitions(self, _: Schedule | None = None) -> None:
        """One round of partition maintenance, where this database has partitions to look after."""
        async with self._pool.acquire() as connection:
            await maintain_on(connection)

    async def orphans(self, _: Schedule | None = None) -> None:
        """Queue again what lost its job."""
        async with self._pool.acquire() as connection:
            await job_queue.adopt_orphans(connection)


async def _serve(settings: WorkerSettings, stopping: asyncio.Event) -> None:
    """Work until told to stop, or until the connection is lost."""
    async with (
        connected(settings.dsn) as connection,
        asyncpg.create_pool(
            **driver_arguments(settings.dsn), min_size=1, max_size=settings.concurrency + 1
        ) as pool,
    ):
        await job_queue.install_on(connection)
        chores = _Chores(pool)
        await chores.partitions()
        await chores.refresh()
        queue = job_queue.queries(connection)
        worker = PgQueuer(queue.driver, channel=job_queue.QUEUE.channel, queries=queue)
        for name in await job_queue.queued_jobs(connection):
            worker.entrypoint(name, accepts_context=False)(chores.job)
        for name, cron, chore in (
            ("refresh_views", settings.refresh_cron, chores.refresh),
            ("maintain_partitions", PARTITIONS_CRON, chores.partitions),
            ("adopt_orphans", ORPHANS_CRON, chores.orphans),
        ):
            worker.schedule(name, cron, clean_old=True, accepts_context=False)(chore)
        stopper = asyncio.create_task(_stop_when(stopping, worker))
        log.info(READY)
        try:
            await worker.run(
                # What a dead worker left is only seen by looking: no notification tells of it.
                dequeue_timeout=timedelta(seconds=settings.heartbeat_timeout_s / 2),
                batch_size=BATCH_SIZE,
                max_concurrent_tasks=max(settings.concurrency, 2 * BATCH_SIZE),
                heartbeat_timeout=timedelta(seconds=settings.heartbeat_timeout_s),
                shutdown_on_listener_failure=True,
            )
        finally:
            stopper.cancel()


async def _stop_when(stopping: asyncio.Event, worker: PgQueuer) -> None:
    await stopping.wait()
    worker.shutdown.set()


async def _stop_with_caller(stopping: asyncio.Event, caller_pid: int | None) -> None:
    """Stop once the caller is gone: killed, it can no longer stop us."""
    while caller_pid is None or os.getppid() == caller_pid:  # noqa: ASYNC110 - raises no event
        await asyncio.sleep(CALLER_POLL_S)
    stopping.set()


async def _serve_for_ever(settings: WorkerSettings) -> None:
    """`_serve` again and again, for as long as the database goes away and comes back."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    watch = loop.create_task(_stop_with_caller(stopping, settings.caller_pid))
    shortest_s, longest_s = RECONNECT_DELAY_S
    delay_s = shortest_s
    while not stopping.is_set():
        began = time.monotonic()
        try:
            await _serve(settings, stopping)
        except Exception as error:  # a worker that ends leaves everybody's work undone
            # Of a lost connection asyncpg tells in many ways, an InternalClientError among them.
            log.warning("%s: %s", type(error).__name__, error)
            if time.monotonic() - began > longest_s:
                delay_s = shortest_s  # it had worked for a while
            try:
                await asyncio.wait_for(stopping.wait(), delay_s)
            except TimeoutError:
                delay_s = min(2 * delay_s, longest_s)
    watch.cancel()


def start_worker(
    dsn: str,
    log_path: Path,
    *,
    heartbeat_timeout_s: float = HEARTBEAT_TIMEOUT_S,
    refresh_cron: str = REFRESH_CRON,
    start_timeout_s: float = START_TIMEOUT_S,
    outlives_caller: bool = False,
) -> Worker:
    """Start a worker; `stop_worker` ends it, and so does the end of this process.

    Args:
        dsn: of the database, straight to the server and not through a pooler.
        log_path: file that it writes its log to.
        heartbeat_timeout_s: seconds of silence after which its work is given to another.
        refresh_cron: when views that are due are looked for.
        start_timeout_s: seconds until it counts as not starting.
        outlives_caller: whether it goes on when this process ends.

    Raises:
        CannotMeasure: it is not ready in time; the end of its log is quoted.
    """
    settings = WorkerSettings(
        dsn=dsn,
        heartbeat_timeout_s=heartbeat_timeout_s,
        refresh_cron=refresh_cron,
        caller_pid=None if outlives_caller else os.getpid(),
    )
    pid_path = log_path.with_suffix(".pid")
    with suppress(OSError, ValueError):  # left behind by a run that was killed
        stop_worker(Worker(int(pid_path.read_text(encoding="ascii")), log_path))
    log_path.unlink(missing_ok=True)
    with log_path.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "phasegate.stack.worker"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # Ctrl-C is for us: we stop it in order
            env={**os.environ, VARIABLE: msgspec.json.encode(settings).decode()},
        )
    pid_path.write_text(str(process.pid), encoding="ascii")
    try:
        _await_readiness(process, dsn, log_path, start_timeout_s)
    except BaseException:  # Ctrl-C included: nobody else knows of it yet
        process.kill()
        process.wait()
        raise
    return Worker(process.pid, log_path)


def _await_readiness(
    process: subprocess.Popen[bytes], dsn: str, log_path: Path, timeout_s: float
) -> None:
    deadline = time.monotonic() + timeout_s
    while f" {READY}\n" not in (said := log_path.read_text("utf-8", "replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = " / ".join(said.splitlines()[-3:])
            raise CannotMeasure(
                f"The worker on {redact(dsn)} does not start: {tail}",
                then="Mend what it names, then start again",
            )
        time.sleep(POLL_S)


def stop_worker(worker: Worker) -> None:
    """Stop `worker`, letting it finish what it has in hand for a while; none is fine too."""
    with suppress(psutil.Error):
        process = psutil.Process(worker.pid)
        if "phasegate.stack.worker" in process.cmdline():  # else the number was given away since
            end(process, timeout_s=STOP_TIMEOUT_S)


@contextmanager
def running_worker(
    dsn: str, log_path: Path, *, heartbeat_timeout_s: float = HEARTBEAT_TIMEOUT_S
) -> Iterator[Worker]:
    """As `start_worker`, stopped at the end, also after an error."""
    worker = start_worker(dsn, log_path, heartbeat_timeout_s=heartbeat_timeout_s)
    try:
        yield worker
    finally:
        stop_worker(worker)


def main() -> None:
    """The worker's process."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO)
    settings = msgspec.json.decode(os.environ.pop(VARIABLE), type=WorkerSettings)
    asyncio.run(_serve_for_ever(settings))


if __name__ == "__main__":
    main()
