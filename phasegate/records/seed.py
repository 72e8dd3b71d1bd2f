"""The record of a data set: what was loaded, how fast, and how it is distributed."""

from __future__ import annotations

from typing import ClassVar

from phasegate.records.store import Part, Record


class Relation(Part, frozen=True, kw_only=True):
    """One table as it lies on disk after the load."""

    name: str
    rows: int
    table_bytes: int
    """Heap and TOAST; partitions are summed."""
    index_bytes: dict[str, int]
    """By index name; the partitions of one index are summed under the parent's name."""


class Distribution(Part, frozen=True, kw_only=True):
    """Counts per bin; `len(edges) == len(counts) + 1`."""

    name: str
    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class SeedRecord(Record, frozen=True, kw_only=True):
    """`seed/<users>.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    users: int
    seed: int
    jobs: int
    sha256: str
    """Of the data, independent of jobs, machine and Python's hash seed."""
    reused: bool
    """True where an earlier data set of the same key was found and nothing was loaded."""
    rows: int
    """Over all tables, those that stand twice too."""
    wall_s: float
    load_wall_s: float | None
    """Generating and COPY alone, without keys, indexes, ANALYZE; null where reused."""
    memory_bytes_max: int | None
    """Peak resident memory of the seeder's processes; null where reused."""
    relations: tuple[Relation, ...]
    distributions: tuple[Distribution, ...]
