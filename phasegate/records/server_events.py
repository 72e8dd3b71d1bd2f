"""What a server did beside its statements while it was watched: events, rhythms, growth.

Parts of the sampler's record, where a stage is long enough to meet them (`--soak`).
"""

from __future__ import annotations

from typing import Literal

from phasegate.records.store import Part

EventKind = Literal[
    "checkpoint",
    "autovacuum",
    "autoanalyze",
    "vacuum",
    "analyze",
    "refresh",
    "maintenance",
    "lock",
    "job",
    "reconnect",
]
"""`maintenance`: REINDEX, CREATE INDEX, ALTER, TRUNCATE and their like; `lock`: sessions that wait
for one that holds a lock; `job`: of pg_cron; `reconnect`: new connections where they are else
kept."""


class ServerEvent(Part, frozen=True, kw_only=True):
    """Something that took the server a while, or happened at one moment."""

    kind: EventKind
    what: str
    """Table, view, job or command, without a value of any row; empty where the kind says all."""
    begin_s: float
    """Seconds since sampling began."""
    end_s: float | None
    """Null where only one moment of it is known."""
    within_s: float = 0.0
    """It may have begun so much earlier: it was seen by a counter, between two looks."""
    detail: str = ""


class Rhythm(Part, frozen=True, kw_only=True):
    """Something that the server or a part of the stack does again and again by its settings."""

    kind: EventKind
    what: str
    every_s: float | None
    """Null where it goes by need or by a calendar."""
    said_by: str
    """The setting that says so."""


class Growth(Part, frozen=True, kw_only=True):
    """What only grows in time, at one look."""

    wal_bytes: int | None
    """Written since the server was made (its insert position); null on a replica."""
    size_bytes: int
    """Of the database."""
    dead_rows: int
    """Of its tables, by the server's own statistics."""
