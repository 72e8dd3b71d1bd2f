"""The record of the interleaved comparisons on one data set: raw blocks, plans, circumstances."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.planner_settings import PlannerSetting
from phasegate.records.store import Part, Record


class Arm(Part, frozen=True, kw_only=True):
    """One side of a comparison."""

    name: str
    """As `N+1` or `JOIN`."""
    sql: str
    """The statement, or the first of several."""
    block_ns: tuple[float, ...]
    """Geometric mean of the calls of each block, in block order: the paired samples."""
    call_ns: tuple[int, ...]
    """Every timed call, in the order made; each block has `calls_per_block` of them."""
    alone_ns: tuple[int, ...] = ()
    """Timed calls of this arm alone, made after the blocks so that its p95 has a bound: they count
    for its percentiles, never for the ratio, since nothing was measured beside them."""
    calls_per_block: int = 1
    rows: int
    """Rows that a block returned; equal over the arms."""
    plan: str
    """EXPLAIN (ANALYZE, BUFFERS) as text, taken outside the timing; empty where none applies."""
    plan_hash: str
    """Of the plan's shape without costs and counts; a change of it is a change of plan."""
    shared_buffers: int | None
    """Shared blocks hit + read by that EXPLAIN; null where none applies."""
    statements: int
    """Round trips per call: the median over calls."""
    delay_ms: float = 0.0
    """Network delay that was added to each round trip; no processor shortens it."""


class Cost(Part, frozen=True, kw_only=True):
    """What a technique costs, measured on the same data set."""

    name: str
    """As `index size`, `insert slow-down`, `refresh`, `staleness`."""
    value: float
    low: float | None = None
    """Of its 95% interval; null where the value is exact or was measured once."""
    high: float | None = None
    unit: str
    """As `bytes`, `×`, `s`."""
    note: str = ""


class Comparison(Part, frozen=True, kw_only=True):
    """One technique, before against after, on one data set."""

    technique: str
    """The name of its folder in the project's `benchmarks/`: stable, results are kept under it."""
    title: str
    stop: Literal["precise", "budget", "disabled"]
    """Why measuring ended: the interval is as narrow as wanted, or time was up."""
    before: Arm
    after: Arm
    turns: tuple[int, ...] = ()
    """Blocks done at the end of each turn, with other comparisons between two turns; empty in
    records older than this field."""
    costs: tuple[Cost, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know about this comparison on this data set."""


class SelfCheck(Part, frozen=True, kw_only=True):
    """The instrument measured by itself: equal arms, and a slow-down that is known."""

    same: Comparison
    """A/A: one statement against itself, through the whole pipeline."""
    pairs: int
    """A/A comparisons judged: the blocks of `same`, with their signs redrawn at random."""
    false_alarms: int
    """Of `pairs`, in how many a slow-down was seen (`stats.paired.alarms`)."""
    injected: float
    """Slow-down multiplied into recorded blocks, as 1.05."""
    injections: int
    """Comparisons with it."""
    found: int
    """Of `injections`, in how many it was seen."""
    minimal_detectable: float
    """Smallest ratio that these blocks find with power 0.9."""


class Yardstick(Part, frozen=True, kw_only=True):
    """The engine's own fixed statements, asked between the blocks: how fast the machine was."""

    at_s: tuple[float, ...]
    """Of each round, seconds since the first one."""
    times_ns: dict[str, tuple[int, ...]]
    """Of each round, by kind of work (`model.yardstick`)."""
    steal_share: float | None = None
    """Of the processors' time during the session, taken by the hypervisor; null where the machine
    does not tell, or is not the server's."""


class Skipped(Part, frozen=True, kw_only=True):
    """A technique that was not measured."""

    technique: str
    reason: str
    then: str
    """What would enable it; empty where nothing would."""


class BenchmarkRecord(Record, frozen=True, kw_only=True):
    """`bench/<users>.json`. Version 1: first. Version 2: with the yardstick."""

    FORMAT_VERSION: ClassVar[int] = 2
    OLDER_READ: ClassVar[frozenset[int]] = frozenset({1})

    users: int
    seed: int
    sha256: str
    """Of the data set."""
    started_at: str
    """ISO 8601, UTC."""
    server_version: str
    comparisons: tuple[Comparison, ...]
    self_check: SelfCheck | None = None
    """Null where the run was told to leave it out (`-k`, `--benchmark-disable`)."""
    skipped: tuple[Skipped, ...] = ()
    placement: str = ""
    """How client and server processes were placed on cores."""
    planner_settings: tuple[PlannerSetting, ...] | None = None
    """Of the session that measured, and of the API's roles, where they differ from PostgreSQL's
    defaults; null in records older than this field."""
    yardstick: Yardstick | None = None
    """Null in records of version 1, and where the role may make no temporary table."""
