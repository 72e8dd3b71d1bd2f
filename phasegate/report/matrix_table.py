"""The phase matrix: stack level × registered users → PASS, FAIL or INVALID, and why. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from phasegate.model.verdict import Verdict
from phasegate.records.matrix import Breakpoint
from phasegate.records.project import ProjectNote
from phasegate.report.format import milliseconds, plain, rounded, significant, users
from phasegate.report.resource_usage import StageUse
from phasegate.report.run_files import Run
from phasegate.report.traffic import StageTraffic
from phasegate.report.yardstick import Machine, cell_on_reference, users_on_reference


@dataclass(frozen=True)
class Cell:
    """One field of the matrix; `verdict` is None where nothing was driven."""

    verdict: Verdict | None
    latency: str
    """As `p95 17 ms`; empty where nothing was answered."""
    basis: str
    """What the p95 rests on, and up to where it may be; empty where nothing was answered."""
    reasons: tuple[str, ...]
    sources: tuple[str, ...]
    elsewhere: str = ""
    """The p95 on reference cores; empty where that is not known."""


@dataclass(frozen=True)
class Row:
    """A stack level."""

    level: int
    title: str
    """As the project has it; may be empty."""
    arms: str
    cells: tuple[Cell, ...]
    held: str
    """Up to how many registered users it held, as far as that was searched; may be empty."""


@dataclass(frozen=True)
class Matrix:
    """Levels by sizes."""

    sizes: tuple[str, ...]
    rows: tuple[Row, ...]


EMPTY = Cell(None, "", "", (), ())

OVER_PEAK_SAID = 2.0
"""From this multiple of the modelled peak on, a cell says how far above it was driven."""


def _distance_from_peak(stage: StageTraffic) -> float:
    """How far a stage's arrival rate lies from the modelled peak; unknown counts as on it."""
    return abs(math.log(stage.head_room)) if stage.head_room else 0.0


def chosen(stages: tuple[StageTraffic, ...], level: int, size: int) -> StageTraffic | None:
    """The stage that speaks for a cell: the one driven nearest to the modelled peak."""
    found = [stage for stage in stages if (stage.level, stage.users) == (level, size)]
    return min(found, key=_distance_from_peak, default=None)


def _cell(stage: StageTraffic | None, uses: dict[str, StageUse], machine: Machine | None) -> Cell:
    if stage is None:
        return EMPTY
    latency = f"p95 {milliseconds(stage.latency_ms[95.0])}" if stage.latency_ms else ""
    reasons = tuple(plain(reason, 160) for reason in stage.judgement.reasons)
    sources: tuple[str, ...] = (stage.source,)
    use = uses.get(stage.stage)
    if use is not None and stage.judgement.verdict is Verdict.FAIL:
        reasons += (use.reason,)
        sources += (use.source,)
    busy = use.machine_cpu_share if use else None
    elsewhere = (
        cell_on_reference(stage.latency_ms[95.0], stage.latency_ms_p95_high, busy, machine)
        if latency
        else ""
    )
    return Cell(stage.judgement.verdict, latency, _basis(stage), reasons, sources, elsewhere)


def _basis(stage: StageTraffic) -> str:
    if not stage.latency_ms:
        return ""
    said = f"{stage.events:,} {stage.counted} of {stage.sessions:,.0f} sessions"
    if stage.latency_ms_p95_high is not None:
        said = f"at most {milliseconds(stage.latency_ms_p95_high)} by {said}"
    if stage.head_room is not None and stage.head_room >= OVER_PEAK_SAID:
        said += f", at {stage.head_room:,.0f}× the peak"
    return said


def _held(run: Run, level: int, machine: Machine | None) -> str:
    """How far a level was found to go; empty where that was not searched."""
    said = []
    for found in run.matrix.breakpoints if run.matrix else ():
        if found.level != level:
            continue
        data = f"on the data of {users(found.users)}"
        if found.users_max is None or found.sustained_sessions_per_s is None:
            said.append(f"sustained no rate that was tried {data}")
            continue
        peak = users(rounded(found.users_max))
        rate = significant(found.sustained_sessions_per_s)
        least = "" if found.failed_sessions_per_s else "at least "
        held = f"sustains {least}{rate} sessions/s, the peak of {peak} users, {data}"
        there = users_on_reference(found.users_max, machine)
        said.append(held + _end(found) + (f"; {there}" if there else ""))
    return "; ".join(said)


def _end(found: Breakpoint) -> str:
    """Where a search ended above what was sustained."""
    if found.ended == "generator" and found.unknown_sessions_per_s is not None:
        limit = significant(found.unknown_sessions_per_s)
        return f" (at {limit} the load generator was the limit, or other programs)"
    if found.failed_sessions_per_s is not None:
        return f" (not {significant(found.failed_sessions_per_s)})"
    return ""


def matrix(
    run: Run,
    project: ProjectNote,
    stages: tuple[StageTraffic, ...],
    uses: tuple[StageUse, ...],
    machine: Machine | None = None,
) -> Matrix:
    """Every level and size that was driven; a FAIL names what ran out, where it was sampled."""
    by_stage = {use.stage.stage: use for use in uses}
    sizes = sorted({stage.users for stage in stages})
    rows = []
    for level in sorted({stage.level for stage in stages}):
        arms = dict.fromkeys(
            plain(stage.arm, 40) for stage in stages if stage.level == level and stage.arm
        )
        cells = tuple(_cell(chosen(stages, level, size), by_stage, machine) for size in sizes)
        known = level <= len(project.levels)
        title = plain(project.levels[level - 1].title, 80) if known else ""
        rows.append(Row(level, title, ", ".join(arms), cells, _held(run, level, machine)))
    return Matrix(tuple(users(size) for size in sizes), tuple(rows))
