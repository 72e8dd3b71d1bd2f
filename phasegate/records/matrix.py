"""The record of the phase matrix: a verdict per level and size, and how far each level goes."""

from __future__ import annotations

from typing import ClassVar, Literal

from phasegate.records.store import Part, Record

Outcome = Literal["PASS", "FAIL", "INVALID"]


class Suspect(Part, frozen=True, kw_only=True):
    """A statement that looks like the N of an N+1."""

    sql: str
    calls_per_click: float
    rows_per_call: float
    time_share: float
    """Of all statements' time, 0..1."""


class Probe(Part, frozen=True, kw_only=True):
    """One stage of load, judged."""

    stage: str
    """Its files: `load/<stage>.json` and `sampler/<stage>.json`."""
    level: int
    users: int
    rate_sessions_per_s: float
    verdict: Outcome
    reasons: tuple[str, ...]
    latency_ms_p95: float | None
    """Of clicks, from due; null without any."""
    clicks: int
    """That the p95 rests on."""
    clicks_failed: int
    bound_by: str | None
    """What ran out, for a FAIL; null where nothing was sampled or nothing was short."""
    bound_detail: str | None
    statement: str | None
    """That used most of the database's time; null where statements were not sampled."""
    statement_share: float | None
    """Of all statements' time, 0..1."""
    suspects: tuple[Suspect, ...]
    latency_ms_p95_high: float | None = None
    """Upper end of the 95% interval of the p95, by order statistics and as if clicks were
    independent: a PASS lies within the objective with it. Null with fewer than 72 clicks, and in
    records older than this field."""
    sessions: int | None = None
    """Sessions that were due, whose clicks these are; null in records older than this field."""
    rate_over_peak: float | None = None
    """The rate over the modelled peak of `users`. Far above 1 where a small population starts too
    few sessions to judge by: more load makes a PASS harder, and a miss there is no FAIL. Null in
    records older than this field."""


class Breakpoint(Part, frozen=True, kw_only=True):
    """How far one level goes on one data set."""

    level: int
    users: int
    """Registered users of the data set that it was searched on."""
    sustained_sessions_per_s: float | None
    """Largest arrival rate that passed; null where none did."""
    failed_sessions_per_s: float | None
    """Smallest one that did not; null where the search ended before one."""
    users_max: int | None
    """Registered users whose modelled peak is the sustained rate; null where none passed."""
    ended: Literal["bracketed", "budget", "generator"]
    """Why the search stopped: narrow enough, no probes left, or the generator is the limit, or
    other programs were (the level goes at least as far as it says)."""
    probes: tuple[str, ...]
    """Their stages, in the order made; the first is the level's cell on this data set."""
    unknown_sessions_per_s: float | None = None
    """Smallest rate that could not be judged, since the generator was the limit or other programs
    had the machine; null where every one could, and in records older than this field."""


class MatrixRecord(Record, frozen=True, kw_only=True):
    """`matrix.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    head_room: float
    """Cells are driven at this multiple of the modelled peak, or above where that is too few
    sessions to judge by."""
    cells: tuple[Probe, ...]
    searched: tuple[Probe, ...]
    """The stages of the breakpoint searches."""
    breakpoints: tuple[Breakpoint, ...]
    not_measured: tuple[str, ...]
    """Cells that could not be driven, with the reason."""
