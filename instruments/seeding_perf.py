"""The seeder's speed beside its limit and its peers: rows of `python -m instruments perf`.

Makes databases of its own on the server, measures, and drops them. The arms of a repetition follow
one another, each after a checkpoint, and its ratios are taken within the repetition.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import msgspec

from instruments.perf_row import perf_row
from phasegate.model.errors import CannotMeasure
from phasegate.records.perf import PerfRow
from phasegate.seeding.build_indexes import finish
from phasegate.seeding.dataset_spec import DatasetSpec, dataset_spec
from phasegate.seeding.prepare import prepare
from phasegate.seeding.process_pool import run_crew, shares
from phasegate.seeding.schema import Schema
from phasegate.seeding.template_database import ensure_dataset
from phasegate.seeding.worker import job_of
from phasegate.stack.database import connected, execute, run
from phasegate.stack.postgres import PostgresServer, run_program

DATABASE = "phasegate_seed_perf"
PEER_DATABASE = "phasegate_seed_perf_peer"

USERS = 100_000
"""What `make run` seeds: the ratio at a small size would be one of start-up times."""
JOBS = 2
REPETITIONS = 5
SEED = 1

PGBENCH_SCALE = 20
"""2 million accounts: as many as there are tasks."""
FAKER_ROWS = 3000
"""Half a second of Faker at work."""
REUSE_USERS = 10_000

OVERHEAD_MAX = 1.25
"""Making rows may cost a quarter of what COPY takes for them."""
PGBENCH_MIN = 1.2
FAKER_MIN = 20.0
MEMORY_MAX_MB = 400.0
REUSE_MAX_S = 5.0


@dataclass(frozen=True)
class _Repetition:
    """Seconds of each arm, and what the seeder's processes took."""

    load_s: float
    whole_s: float
    limit_s: float
    pgbench_s: float
    pgbench_plain_s: float
    rows: int
    memory_bytes: int


def rows(server: PostgresServer) -> Iterator[PerfRow]:
    """The seeder's figures on `server`, which should do nothing else meanwhile."""
    spec = dataset_spec(USERS, SEED)
    try:
        fresh(server, DATABASE)
        schema = run(prepared(server, spec))
        with closing(Limit(server.dsn(DATABASE), spec, schema)) as limit:
            done = [_repetition(server, spec, limit) for _ in range(REPETITIONS)]
        yield perf_row(
            "seed: generate + COPY, against COPY alone",
            "s",
            [one.load_s for one in done],
            [one.limit_s for one in done],
            "COPY of the same bytes, encoded beforehand, over the same connections",
            f"≤ {OVERHEAD_MAX:g}",
        )
        yield perf_row(
            "seed: whole load with keys, foreign keys, ANALYZE",
            "rows/s",
            [one.rows / one.whole_s for one in done],
            [_pgbench_rows() / one.pgbench_s for one in done],
            f"pgbench -i --foreign-keys at scale {PGBENCH_SCALE}",
            f"≥ {PGBENCH_MIN:g}",
        )
        yield perf_row(
            "seed: the same, against a load that checks no foreign keys",
            "rows/s",
            [one.rows / one.whole_s for one in done],
            [_pgbench_rows() / one.pgbench_plain_s for one in done],
            f"pgbench -i at scale {PGBENCH_SCALE}",
            f"≥ {PGBENCH_MIN:g}",
        )
        faker = [_faker_rows_per_s(server, spec) for _ in range(REPETITIONS)]
        yield perf_row(
            "seed: whole load, against Faker per row",
            "rows/s",
            [one.rows / one.whole_s for one in done],
            faker,
            "a Faker call per text and executemany, no keys",
            f"≥ {FAKER_MIN:g}",
        )
        yield perf_row(
            f"seed: peak memory of all processes, {USERS:,} users",
            "MB",
            [one.memory_bytes / 1e6 for one in done],
            [MEMORY_MAX_MB] * REPETITIONS,
            "the limit",
            "≤ 1",
        )
        yield perf_row(
            f"seed: {REUSE_USERS:,} users seeded before are ready",
            "s",
            _reuse_s(server),
            [REUSE_MAX_S] * REPETITIONS,
            "the limit",
            "≤ 1",
        )
    finally:
        execute(
            server.dsn(),
            *(f"drop database if exists {name} with (force)" for name in (DATABASE, PEER_DATABASE)),
        )


def _repetition(server: PostgresServer, spec: DatasetSpec, limit: Limit) -> _Repetition:
    fresh(server, DATABASE)
    run(prepared(server, spec))
    limit_s = limit.load_s()

    fresh(server, DATABASE)
    schema = run(prepared(server, spec))
    started = time.perf_counter()
    tally = run_crew(
        server.dsn(DATABASE), spec, schema, jobs=JOBS, on_rows=lambda table, count: None
    )
    load_s = time.perf_counter() - started
    asyncio.run(finish(server.dsn(DATABASE), spec, schema))
    whole_s = time.perf_counter() - started

    # With foreign keys, as our tables have them, both do the same kinds of work.
    pgbench_s = _pgbench_s(server, "--foreign-keys")
    pgbench_plain_s = _pgbench_s(server)
    total = sum(tally.rows.values())
    return _Repetition(
        load_s, whole_s, limit_s, pgbench_s, pgbench_plain_s, total, tally.memory_bytes_max
    )


def _pgbench_s(server: PostgresServer, *options: str) -> float:
    """Seconds of pgbench's own initialisation."""
    fresh(server, PEER_DATABASE)
    environment = server.libpq_environment(PEER_DATABASE)
    started = time.perf_counter()
    run_program("pgbench", "-i", "-q", *options, "-s", str(PGBENCH_SCALE), env=environment)
    return time.perf_counter() - started


def _pgbench_rows() -> int:
    """Accounts, tellers and branches of pgbench's tables."""
    return PGBENCH_SCALE * (100_000 + 10 + 1)


class Limit:
    """The processes that load bytes encoded beforehand, over the same connections."""

    def __init__(self, dsn: str, spec: DatasetSpec, schema: Schema) -> None:
        self._processes = []
        for lanes in shares(JOBS, spec, schema):
            process = subprocess.Popen(
                [sys.executable, "-c", "from instruments.copy_baseline import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self._processes.append(process)
            _say(process, msgspec.json.encode(job_of(dsn, spec, schema, lanes)))
        for process in self._processes:
            _hear(process, b"ready")

    def load_s(self) -> float:
        """Load, and return the seconds that took."""
        started = time.perf_counter()
        for process in self._processes:
            _say(process, b"load")
        for process in self._processes:
            _hear(process, b"done")
        return time.perf_counter() - started

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.wait()


def _say(process: subprocess.Popen[bytes], line: bytes) -> None:
    if process.stdin is not None:
        process.stdin.write(line + b"\n")
        process.stdin.flush()


def _hear(process: subprocess.Popen[bytes], wanted: bytes) -> None:
    heard = process.stdout.readline() if process.stdout is not None else b""
    if heard != wanted + b"\n":
        raise CannotMeasure(f"A process of the limit said {heard!r} instead of {wanted!r}")


async def prepared(server: PostgresServer, spec: DatasetSpec) -> Schema:
    """The tables of `spec`, made in `DATABASE`, which is empty."""
    async with connected(server.dsn(DATABASE)) as connection:
        return await prepare(connection, spec, DATABASE, ours=False)


def _faker_rows_per_s(server: PostgresServer, spec: DatasetSpec) -> float:
    """What the obvious script reaches: Faker for each text, executemany for the rows."""
    from faker import Faker

    async def work() -> float:
        async with connected(server.dsn(DATABASE)) as connection:
            await prepare(connection, spec, DATABASE, ours=False)
            faker = Faker(spec.population.declared.file.locales[0])
            faker.seed_instance(SEED)
            started = time.perf_counter()
            tasks = [
                (
                    faker.uuid4(cast_to=None),
                    faker.uuid4(cast_to=None),
                    faker.sentence(nb_words=5),
                    faker.date_time_this_year(),
                )
                for _ in range(FAKER_ROWS)
            ]
            await connection.executemany(
                "insert into public.tasks (id, user_id, title, created_at) values ($1, $2, $3, $4)",
                [(one, two, title, moment.astimezone()) for one, two, title, moment in tasks],
            )
            return FAKER_ROWS / (time.perf_counter() - started)

    fresh(server, DATABASE)
    return run(work())


def _reuse_s(server: PostgresServer) -> list[float]:
    """Seconds until a data set that was seeded before is ready."""
    ensure_dataset(server, users=REUSE_USERS, seed=SEED, jobs=JOBS)
    found = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        ensure_dataset(server, users=REUSE_USERS, seed=SEED, jobs=JOBS)
        found.append(time.perf_counter() - started)
    return found


def fresh(server: PostgresServer, name: str) -> None:
    """An empty database, and nothing left to be written from before."""
    execute(
        server.dsn(),
        f"drop database if exists {name} with (force)",
        f"create database {name} template template0",
        "checkpoint",
    )
