"""Hand-made run directories: plausible records, written through `records.store`, no server needed.

Times follow laws that are written down here, so that a test can say what the report must find.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hdrh.histogram import HdrHistogram

from phasegate import report
from phasegate.project import load_project
from phasegate.records import store
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison, Cost, SelfCheck, Skipped
from phasegate.records.load import Cache, Endpoint, LoadRecord, Second, Sessions
from phasegate.records.matrix import Breakpoint, MatrixRecord, Probe
from phasegate.records.perf import PerfRecord, PerfRow
from phasegate.records.project import noted
from phasegate.records.run import Machine, RunRecord, Server, StackPart, Stage
from phasegate.records.sampler import Component, Sample, SamplerRecord, Statement
from phasegate.records.seed import Distribution, Relation, SeedRecord

SIZES = (1_000, 10_000, 100_000)
BLOCKS = 40


@dataclass(frozen=True)
class Law:
    """Before: `at_1k_ms` · k^`growth`; after: before · `ratio_at_1k` · k^`gain`; k = users/1000."""

    technique: str
    title: str
    before: str
    after: str
    at_1k_ms: float
    growth: float
    ratio_at_1k: float
    gain: float
    noise: float = 0.05
    statements: int = 1


LAWS = (
    Law("join", "One JOIN instead of N+1 queries", "N+1", "JOIN", 4.0, 0.02, 0.13, 0.0, 0.05, 21),
    Law("idx_tasks_user_created", "Index on tasks (user_id, created_at)", "no index", "index",
        1.6, 0.98, 0.06, -0.95),
    Law("idx_tasks_project", "Partial index on tasks (project_id)", "no index", "index",
        0.9, 0.8, 0.2, -0.7),
    Law("partitioned_logs_recent", "Logs partitioned by month, recent window", "flat",
        "partitioned", 2.5, 0.9, 0.4, -0.05),
    Law("partitioned_logs_user", "Logs partitioned by month, one user's rows", "flat",
        "partitioned", 0.12, 0.05, 1.9, 0.0),
    Law("matview", "Materialised view instead of live counts", "live", "matview",
        0.7, 0.1, 0.5, -0.02),
    Law("count_planned", "count=planned instead of exact", "exact", "planned", 0.5, 0.02, 1.0, 0.0),
    Law("uuidv7", "Ordered keys (UUIDv7) for inserts", "UUIDv4", "UUIDv7", 0.3, 0.0, 0.97,
        0.0, 0.3),
)  # fmt: skip


COSTS: dict[str, Callable[[int], tuple[Cost, ...]]] = {
    "idx_tasks_user_created": lambda users: (
        Cost(name="index size", value=users * 20 * 40.0, unit="bytes", note="31% of tasks"),
        Cost(name="insert", value=1.12, low=1.08, high=1.17, unit="×", note="with against without"),
    ),
    "matview": lambda users: (
        Cost(name="refresh", value=users * 2e-5, unit="s", note="plain: locks readers out"),
    ),
}


def _arm(name: str, blocks_ns: list[float], rng: random.Random, statements: int) -> Arm:
    calls = [round(block * rng.lognormvariate(0, 0.25)) for block in blocks_ns for _ in range(5)]
    return Arm(
        name=name,
        sql=f"select '{name}' from tasks where user_id = $1 order by created_at desc limit 20",
        block_ns=tuple(blocks_ns),
        call_ns=tuple(calls),
        calls_per_block=5,
        rows=20 * BLOCKS,
        plan="Limit  (cost=0.43..8.45 rows=20 width=64)\n  ->  Index Scan using idx on tasks",
        plan_hash=f"hash of {name}",
        shared_buffers=24,
        statements=statements,
    )


def comparison(law: Law, users: int, blocks: int = BLOCKS) -> Comparison:
    """What `law` gives at `users`, with noise of its own seed."""
    rng = random.Random(f"{law.technique} {users}")
    scale = users / 1000
    before = [
        law.at_1k_ms * scale**law.growth * 1e6 * rng.lognormvariate(0, 0.1) for _ in range(blocks)
    ]
    ratio = law.ratio_at_1k * scale**law.gain
    after = [value * ratio * rng.lognormvariate(0, law.noise) for value in before]
    return Comparison(
        technique=law.technique,
        title=law.title,
        stop="precise",
        before=_arm(law.before, before, rng, law.statements),
        after=_arm(law.after, after, rng, 1),
        costs=COSTS.get(law.technique, lambda users: ())(users),
        notes=("Rows of one user lie together once partitions are clustered.",)
        if law.technique == "partitioned_logs_user"
        else (),
    )


def sha256(users: int) -> str:
    """The made-up digest of a data set."""
    return f"{users:064x}"


def benchmark(users: int, laws: tuple[Law, ...] = LAWS) -> BenchmarkRecord:
    return BenchmarkRecord(
        format_version=BenchmarkRecord.FORMAT_VERSION,
        users=users,
        seed=1,
        sha256=sha256(users),
        started_at="2026-11-22T10:20:00+00:00",
        server_version="PostgreSQL 18.6",
        comparisons=tuple(comparison(law, users) for law in laws),
        self_check=SelfCheck(
            same=comparison(laws[-1], users),
            pairs=200,
            false_alarms=1,
            injected=1.05,
            injections=200,
            found=196,
            minimal_detectable=1.031,
        ),
        skipped=(
            Skipped(
                technique="pooled",
                reason="PgBouncer is not installed",
                then="apt-get install pgbouncer",
            ),
        ),
    )


def endpoint(name: str, median_ms: float, requests: int, seed: str) -> Endpoint:
    """An endpoint whose latencies are log-normal about `median_ms`."""
    rng = random.Random(seed)
    due, sent = HdrHistogram(1, 60_000_000, 3), HdrHistogram(1, 60_000_000, 3)
    for _ in range(requests):
        service_us = median_ms * 1000 * rng.lognormvariate(0, 0.5)
        sent.record_value(round(service_us))
        late_us = rng.expovariate(1 / 900) if rng.random() < 0.97 else rng.uniform(0, 40_000)
        due.record_value(round(service_us + late_us))

    def named(histogram: HdrHistogram) -> dict[str, float]:
        found = {
            f"p{q:g}".replace(".", ""): histogram.get_value_at_percentile(q) / 1000
            for q in (50.0, 90.0, 95.0, 99.0, 99.9)
        }
        return {**found, "max": histogram.get_max_value() / 1000}

    return Endpoint(
        name=name,
        requests=requests,
        failures=requests // 500,
        statuses={"200": requests - requests // 500, "503": requests // 500},
        response_bytes=requests * 2400,
        latency_hdr=due.encode().decode(),
        service_hdr=sent.encode().decode(),
        latency_ms=named(due),
        service_ms=named(sent),
    )


def load(arm: str, level: int, users: int, invalid: tuple[str, ...] = ()) -> LoadRecord:
    """A stage at `level`: slower at lower levels and with more users."""
    stage = f"level-{level}-{users}"
    median_ms = {1: 22.0, 2: 4.0, 3: 3.4}[level] * (users / 1000) ** (0.35 if level == 1 else 0.08)
    rng = random.Random(stage)
    return LoadRecord(
        format_version=LoadRecord.FORMAT_VERSION,
        stage=stage,
        arm=arm,
        level=level,
        users=users,
        target="127.0.0.1",
        started_at="2026-11-22T10:15:00+00:00",
        duration_s=30.0,
        offered_sessions_per_s=users / 30_000,
        achieved_sessions_per_s=users / 30_000 * 0.99,
        dropped_sessions=0,
        schedule_lag_ms_p99=2.1,
        generator_cpu_share_max=0.42,
        invalid=invalid,
        endpoints=(
            endpoint(f"GET tasks ({arm})", median_ms, 800, stage + " get"),
            endpoint("POST task", median_ms * 1.4, 100, stage + " post"),
        ),
        seconds=tuple(
            Second(
                at_s=second,
                requests=30,
                failures=0,
                latency_ms_p50=median_ms * rng.uniform(0.9, 1.1),
                latency_ms_p95=median_ms * rng.uniform(2.0, 2.6) * (9 if 12 <= second < 15 else 1),
                latency_ms_p99=median_ms * rng.uniform(3.0, 4.0) * (12 if 12 <= second < 15 else 1),
            )
            for second in range(30)
        ),
        cache=Cache(hits=1480, misses=905, invalidations=120, saved_bytes=3_552_000)
        if level == 3
        else None,
        actions=(
            endpoint("open list", median_ms * (1.6 if level == 1 else 1.1), 400, stage + " open"),
            endpoint("create task", median_ms * 1.5, 100, stage + " create"),
        ),
        sessions=Sessions(due=120, dropped=1, finished=118, broken=0, cut=1),
        rate_sessions_per_s=users / 30_000,
        modelled_sessions_per_s=users / 30_000,
        seed=1,
    )


def sampled(stage: str, level: int) -> SamplerRecord:
    """What a stage used: level 1 runs a statement per task, and fills every core."""
    return SamplerRecord(
        format_version=SamplerRecord.FORMAT_VERSION,
        stage=stage,
        started_at="2026-11-22T10:15:00+00:00",
        duration_s=30.0,
        interval_s=1.0,
        cores=2,
        memory_bytes=8_000_000_000,
        connections_max=100,
        statements=(
            Statement(
                query_id="1",
                sql="select name, color from projects where id = $1",
                calls=9_000 if level == 1 else 500,
                total_ms=4_000.0,
                mean_ms=4_000 / 9_000,
                rows=9_000 if level == 1 else 500,
                blocks_hit=27_000,
                blocks_read=0,
                temp_blocks_written=0,
            ),
        ),
        samples=tuple(
            Sample(
                at_s=float(second),
                states={"active": 2, "idle": 8},
                waits={"running": 2},
                connections=12,
                components=(
                    Component(
                        name="postgres",
                        cpu_share=1.1,
                        process_cpu_share_max=0.4,
                        memory_bytes=300_000_000,
                    ),
                ),
                machine_cpu_share=0.97 if level == 1 else 0.4,
                memory_available_bytes=5_000_000_000,
                pool_size=10,
                pool_in_use=4,
                pool_waiting=0,
                lag_s=None,
                lag_bytes=None,
            )
            for second in range(5)
        ),
        not_sampled=() if level < 3 else ("replica lag: no replica was started",),
    )


def seeded(users: int) -> SeedRecord:
    return SeedRecord(
        format_version=SeedRecord.FORMAT_VERSION,
        users=users,
        seed=1,
        jobs=2,
        sha256=sha256(users),
        reused=False,
        rows=users * 123,
        wall_s=users / 2500,
        load_wall_s=users / 3000,
        memory_bytes_max=180_000_000,
        relations=tuple(
            Relation(
                name=name,
                rows=users * each,
                table_bytes=40_000 + users * each * width,
                index_bytes={f"{name}_pkey": 16_000 + users * each * 38},
            )
            for name, each, width in (
                ("profiles", 1, 140), ("projects", 2, 110), ("tasks", 20, 130),
                ("activity_logs", 50, 90), ("activity_logs_partitioned", 50, 92),
            )
        ),
        distributions=(
            Distribution(
                name="tasks per user",
                unit="tasks",
                edges=(0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 5000.0),
                counts=tuple(
                    round(users * share)
                    for share in (0.03, 0.07, 0.17, 0.22, 0.23, 0.19, 0.06, 0.029, 0.001)
                ),
            ),
            Distribution(
                name="hour of creation",
                unit="hour of day",
                edges=tuple(float(hour) for hour in range(25)),
                counts=tuple(
                    round(users * 20 / 24 * (1 + 0.8 * (8 <= hour < 19) - 0.7 * (hour < 6)))
                    for hour in range(24)
                ),
            ),
        ),
    )  # fmt: skip


def run_record(**changed: object) -> RunRecord:
    fields: dict[str, object] = {
        "format_version": RunRecord.FORMAT_VERSION,
        "run_id": "2026-11-22T101500Z-100k",
        "started_at": "2026-11-22T10:15:00+00:00",
        "outcome": "complete",
        "users": SIZES[-1],
        "sizes": SIZES,
        "seed": 1,
        "quick": False,
        "phasegate_version": "0.1.0",
        "commit": "1ef970f0c2d54e6c9d0b6b1c0c8c6e5a4f3e2d1c",
        "dirty": False,
        "machine": Machine(
            cpu="AMD EPYC 7763 64-Core Processor",
            cores=2,
            memory_bytes=8_000_000_000,
            kernel="Linux 6.1.0",
            python="3.11.2",
            load_1m=0.42,
        ),
        "server": Server(version="PostgreSQL 18.6", settings={"shared_buffers": "512MB"}),
        "levels": {
            1: (StackPart(name="postgres", outcome="running", note="PostgreSQL 18.6"),),
            3: (
                StackPart(name="pgbouncer", outcome="running", note="PgBouncer 1.18"),
                StackPart(name="replica", outcome="skipped", note="not asked for"),
            ),
        },
        "stages": (
            Stage(name="seed 1k", outcome="done", wall_s=2.4, memory_bytes_max=150_000_000),
            Stage(name="seed 10k", outcome="done", wall_s=8.1, memory_bytes_max=170_000_000),
            Stage(name="seed 100k", outcome="done", wall_s=61.5, memory_bytes_max=180_000_000),
            Stage(name="load", outcome="done", wall_s=94.0, memory_bytes_max=320_000_000),
            Stage(
                name="pooler",
                outcome="skipped",
                wall_s=0.0,
                memory_bytes_max=None,
                note="PgBouncer is not installed: apt-get install pgbouncer",
            ),
            Stage(name="benchmarks", outcome="done", wall_s=150.2, memory_bytes_max=None),
        ),
        "project": noted(load_project()),
    }
    return RunRecord(**{**fields, **changed})  # type: ignore[arg-type]


def matrix_record() -> MatrixRecord:
    """A search at level 2 that ended between two rates, and a cell that could not be driven."""
    return MatrixRecord(
        format_version=MatrixRecord.FORMAT_VERSION,
        head_room=1.3,
        cells=(),
        searched=(
            Probe(
                stage="probe-level-2-100000-1",
                level=2,
                users=SIZES[-1],
                rate_sessions_per_s=12.0,
                verdict="FAIL",
                reasons=("p95 of 900 ms is above 500 ms",),
                latency_ms_p95=900.0,
                clicks=400,
                clicks_failed=0,
                bound_by="processor",
                bound_detail="98% of all cores in use",
                statement=None,
                statement_share=None,
                suspects=(),
            ),
        ),
        breakpoints=(
            Breakpoint(
                level=2,
                users=SIZES[-1],
                sustained_sessions_per_s=10.0,
                failed_sessions_per_s=12.0,
                users_max=300_000,
                ended="bracketed",
                probes=("probe-level-2-100000-1",),
            ),
        ),
        not_measured=("level 3 with a replica: no second data directory",),
    )


def write_run(directory: Path) -> Path:
    """A whole run: three sizes, three levels of load, all laws, perf."""
    store.write(directory / "run.json", run_record())
    for users in SIZES:
        store.write(directory / "seed" / f"{users}.json", seeded(users))
        store.write(directory / "bench" / f"{users}.json", benchmark(users))
        for level, arm in ((1, "n-plus-1"), (2, "embedded"), (3, "embedded+cache")):
            overloaded = level == 1 and users == SIZES[-1]
            invalid = ("achieved 71% of the offered sessions",) if overloaded else ()
            record = load(arm, level, users, invalid)
            store.write(directory / "load" / f"{record.stage}.json", record)
            used = sampled(record.stage, level)
            store.write(directory / "sampler" / f"{record.stage}.json", used)
    probe = msgspec.structs.replace(
        load("embedded", 2, SIZES[-1]), stage="probe-level-2-100000-1", rate_sessions_per_s=12.0
    )
    store.write(directory / "load" / f"{probe.stage}.json", probe)
    store.write(directory / "matrix.json", matrix_record())
    store.write(
        directory / "perf.json",
        PerfRecord(
            format_version=PerfRecord.FORMAT_VERSION,
            rows=(
                PerfRow(
                    name="seeding 10k users against COPY alone", unit="s", ours=8.1, peer=7.0,
                    peer_name="COPY of the same bytes", ratio=1.16, ratio_low=1.12,
                    ratio_high=1.21, repetitions=5, goal="≤ 1.25", holds=True,
                ),
            ),
        ),
    )  # fmt: skip
    return directory


@pytest.fixture(scope="session")
def records_of_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records alone, made once; not to be changed."""
    return write_run(tmp_path_factory.mktemp("records") / "2026-11-22T101500Z-100k")


@pytest.fixture
def whole_run(records_of_a_run: Path, tmp_path: Path) -> Path:
    """A directory with everything that a complete run leaves behind, the test's own."""
    return shutil.copytree(records_of_a_run, tmp_path / records_of_a_run.name)


@pytest.fixture(scope="session")
def built_run(records_of_a_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with its page and charts; not to be changed."""
    place = tmp_path_factory.mktemp("built") / records_of_a_run.name
    directory = shutil.copytree(records_of_a_run, place)
    report.build(directory)
    return directory


@pytest.fixture
def make_record() -> Callable[..., RunRecord]:
    """Builds a RunRecord; keyword arguments replace its fields."""
    return run_record


@pytest.fixture
def slow_actions() -> tuple[Endpoint, ...]:
    """Clicks that miss the SLO of half a second by far."""
    return (endpoint("open list", 900.0, 400, "slow"),)
