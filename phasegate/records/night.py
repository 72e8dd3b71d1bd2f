"""The record of one night: HEAD against the pinned baseline, series by series, and what moved.

One file a night in `results/history/`, kept for years: small (no raw calls), and free of secrets,
addresses and rows of user data. `SeriesRecord` is what `phasegate history --json` prints of them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from phasegate.records.run import Machine, Server
from phasegate.records.store import Part, Record

FindingKind = Literal["slower", "drift", "plan", "buffers", "statements"]


class Ratios(Part, frozen=True, kw_only=True):
    """One measurement of a series: HEAD's times and the baseline's, block by block."""

    logs: tuple[float, ...]
    """ln(HEAD ÷ baseline) of each block, in block order: the paired samples."""
    calls_per_block: int
    estimate: float
    """Hodges-Lehmann ratio HEAD ÷ baseline; 1.05 is 5% slower (`stats.paired`)."""
    low: float | None
    """Lower bound of its 99% interval; null where there are too few blocks for one."""
    high: float | None
    """Upper bound of it; null as `low`."""


class Evidence(Part, frozen=True, kw_only=True):
    """What the server did for one call, almost free of noise."""

    plan_hash: str
    """Of the plan's shape; empty where none applies."""
    shared_buffers: int | None
    """Shared blocks hit + read, by one EXPLAIN (ANALYZE, BUFFERS) or all statements of a request;
    null where neither applies."""
    statements: int
    """Round trips, or statements that reached the server, per call or request."""


class Series(Part, frozen=True, kw_only=True):
    """One thing measured on both commits: an arm of a technique, or a kind of request."""

    id: str
    """Stable over renames; results are kept under it: `sql/<technique>/after`, `api/<request>`."""
    name: str
    """As shown tonight."""
    ratios: Ratios | None
    """Null where it was not measured; `note` says why."""
    confirmation: Ratios | None = None
    """The second measurement, in fresh processes; null where the first gave no cause for one."""
    head: Evidence | None = None
    baseline: Evidence | None = None
    note: str = ""
    """Why it was not measured (`nothing differs`, `not in the baseline`, …); else empty."""


class Circumstances(Part, frozen=True, kw_only=True):
    """How quiet the machine was, and how well the instrument measured itself."""

    steal_share: float | None
    """Share of processor time taken by other tenants of the host; null where not readable."""
    busy_share: float | None
    """Processor time of processes other than ours ÷ all of it; null where not readable."""
    load_1m: float
    """1-minute load average when measuring began."""
    same: tuple[Ratios, ...]
    """A/A: HEAD against HEAD, through the whole pipeline."""
    false_alarms: int
    """Alarms in comparisons redrawn from `same` (`stats.self_check`)."""
    pairs: int
    """Such comparisons."""
    found: int
    """Of the injected slow-downs of 5%, how many were seen."""
    injections: int
    quarantine: tuple[str, ...]
    """Why this night does not count, in words; empty where it does."""


class Finding(Part, frozen=True, kw_only=True):
    """Something that moved, and that somebody should look at."""

    kind: FindingKind
    """Slower than the baseline and confirmed; a change point in the series of nights; a signal of
    the server's."""
    series: str
    ratio: float | None
    """HEAD ÷ baseline, or after ÷ before the change point; null where only a plan changed."""
    low: float | None
    """Lower 99% bound of `ratio`; null where it has none."""
    high: float | None
    since: str
    """Night in which it was first seen, or in which the drift began."""
    text: str
    """One sentence with the figures."""


class LevelChange(Part, frozen=True, kw_only=True):
    """A change point of one series, as the detectors saw it on this night (`stats.drift`)."""

    series: str
    night: str
    """First night of the new level."""
    before: float
    after: float
    """Levels, HEAD ÷ baseline."""
    pvalue: float
    detector: str
    """`otava`, or `raised` for a slope."""


class NightRecord(Record, frozen=True, kw_only=True):
    """`results/history/<night>.json`. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    night: str
    """Identifier, as `2026-11-22T021500Z`: the start, so that names sort by time."""
    started_at: str
    """ISO 8601, UTC."""
    wall_s: float
    phasegate_version: str
    commit: str
    """HEAD."""
    dirty: bool
    """Whether the checkout differed from that commit."""
    baseline: str
    """As it was named: a tag, a branch, a commit."""
    baseline_commit: str | None
    """Null where it could not be found or built; `notes` says why."""
    machine: Machine
    server: Server | None
    users: int
    """Registered users of the data set."""
    seed: int
    sha256: str
    """Of the data set."""
    circumstances: Circumstances | None
    """Null where nothing was measured."""
    series: tuple[Series, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know of this night."""
    commits: tuple[str, ...] = ()
    """Suspects: short hash and subject of the commits between baseline and HEAD that touched what
    is measured, newest first (`nightly.suspects`); empty where that was not looked up."""
    files_changed: dict[str, int] = msgspec.field(default_factory=dict)
    """Files that differ between baseline and HEAD, per folder under test, as `stack/sql`: 3."""
    changes: tuple[LevelChange, ...] = ()
    """Change points known on this night, over all nights comparable with it; slower and faster."""


class SeriesNight(Part, frozen=True, kw_only=True):
    """One night of one series."""

    night: str
    ratio: float | None
    """HEAD ÷ baseline; null where it was not measured."""
    low: float | None
    """Lower 99% bound of the first measurement; null without one, as `high`."""
    high: float | None
    counts: bool
    """False where the night was quarantined."""
    findings: tuple[FindingKind, ...]
    note: str
    """Why it was not measured."""


class SeriesNights(Part, frozen=True, kw_only=True):
    """A series."""

    id: str
    name: str
    nights: tuple[SeriesNight, ...]
    """In order; of a list of all series, the newest alone."""
    changes: tuple[LevelChange, ...]
    """Change points, in order."""


class SeriesRecord(Record, frozen=True, kw_only=True):
    """One series, or all. Version 1: first."""

    FORMAT_VERSION: ClassVar[int] = 1

    nights: int
    """In the history."""
    damaged: tuple[str, ...]
    """Files that do not count, each with its reason."""
    series: tuple[SeriesNights, ...]
