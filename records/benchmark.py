"""The record of the interleaved comparisons on one data set: raw blocks, plans, circumstances."""

from __future__ import annotations

from typing import ClassVar, Literal

from records.store import Part, Record


class Arm(Part, frozen=True, kw_only=True):
    """One side of a comparison."""

    name: str
    """As `N+1` or `JOIN`."""
    sql: str
    """The statement, or the first of several."""
    block_ns: tuple[float, ...]
    """Mean time of one call in each block, in block order: the paired samples."""
    call_ns: tuple[int, ...]
    """Every timed call, in the order made."""
    rows: int
    """Rows that a block returned; equal over the arms."""
    plan: str
    """EXPLAIN (ANALYZE, BUFFERS) as text, taken outside the timing; empty where none applies."""
    plan_hash: str
    """Of the plan's shape without costs and counts; a change of it is a change of plan."""
    shared_buffers: int | None
    """Shared blocks hit + read by that EXPLAIN; null where none applies."""
    statements: int
    """Round trips per call."""


class Comparison(Part, frozen=True, kw_only=True):
    """One technique, before against after, on one data set."""

    technique: str
    """Identifier, stable over renames: `join`, `idx_tasks_user_created`, …"""
    title: str
    stop: Literal["precise", "budget", "disabled"]
    """Why measuring ended: the interval is as narrow as wanted, or time was up."""
    before: Arm
    after: Arm


class BenchmarkRecord(Record, frozen=True, kw_only=True):
    """`bench/<users>.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    users: int
    seed: int
    sha256: str
    """Of the data set."""
    started_at: str
    """ISO 8601, UTC."""
    server_version: str
    comparisons: tuple[Comparison, ...]
