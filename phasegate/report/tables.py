"""The tables behind the charts: the same figures, as text. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from phasegate.records.project import ProjectNote
from phasegate.records.seed import SeedRecord
from phasegate.report.effects import Bounds, Effect, Technique
from phasegate.report.format import milliseconds, plain, significant, size, speed, users
from phasegate.report.headline import needed_from, on_sizes
from phasegate.report.traffic import StageTraffic
from phasegate.report.yardstick import Elsewhere
from phasegate.stats.quantile import CALLS_MIN

ON_SIZES = "On compute sizes, credits used up, a core of theirs taken for a reference core"


@dataclass(frozen=True)
class Table:
    """Header and rows; the first column is the row's name, the others are figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _interval(effect: Effect) -> tuple[str, str, str]:
    found = effect.ratio
    if found is None:
        return "–", "too few blocks", effect.outcome
    low, high = significant(found.low, 3), significant(found.high, 3)
    words = {"same": "no difference", "cannot tell": "cannot tell"}
    means = words.get(effect.outcome, speed(found.estimate))
    return significant(found.estimate, 3), f"{low} to {high}", means


def needed(techniques: tuple[Technique, ...]) -> Table:
    """The advice for each technique, and N* with its interval: here, and on other cores."""
    others = any(t.elsewhere for t in techniques)
    rows = tuple(
        (
            plain(t.title),
            t.advice,
            needed_from(t.crossed) if t.crossed else "nothing was timed",
            *((_on_others(t.elsewhere)) if others else ()),
            "–" if t.helps_from is None else f"{users(t.helps_from)} users on",
            milliseconds(t.slo_ms_p95),
            _rests_on(t),
        )
        for t in techniques
    )
    head = (
        "Technique",
        "Advice",
        "Old way breaks its SLO" + (", on this machine" if others else ""),
        *(("On the reference core", ON_SIZES) if others else ()),
        "Helps from",
        "SLO (p95)",
        "Calls behind the interval",
    )
    return Table(head, rows)


def _on_others(found: Elsewhere | None) -> tuple[str, str]:
    """N* on the reference core, and on the compute sizes."""
    return (needed_from(found.reference), on_sizes(found)) if found else ("–", "–")


def _rests_on(technique: Technique) -> str:
    """The calls behind N*'s interval, and what it means where they are few."""
    crossed = technique.crossed
    if crossed is None:
        return "–"
    if not crossed.few_calls:
        return f"{crossed.calls}"
    return f"{crossed.calls}, too few for a p95 alone: other statements' calls count as well"


def costs(techniques: tuple[Technique, ...], project: ProjectNote) -> Table:
    """What each technique costs: as measured at the largest size, else in the project's words."""
    rows = []
    for technique in techniques:
        declared = project.techniques.get(technique.technique)
        if not technique.largest.comparison.costs and declared is not None:
            rows.append((plain(technique.title), "not measured", "–", "", plain(declared.cost)))
        for index, cost in enumerate(technique.largest.comparison.costs):
            spread = ""
            if cost.low is not None and cost.high is not None:
                spread = f"{_amount(cost.low, cost.unit)} to {_amount(cost.high, cost.unit)}"
            rows.append(
                (
                    "" if index else plain(technique.title),  # once for all of its costs
                    plain(cost.name),
                    _amount(cost.value, cost.unit),
                    spread,
                    plain(cost.note),
                )
            )
    return Table(("Technique", "Cost", "Measured", "95% interval", "Note"), tuple(rows))


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return size(value)
    return f"{significant(value, 3)}{'' if unit == '×' else ' '}{plain(unit, 20)}"


def ratios(techniques: tuple[Technique, ...], *, largest_only: bool = False) -> Table:
    """After/before with its interval, per technique and size, or at the largest size alone."""
    rows = []
    for technique in techniques:
        for effect in technique.effects[-1:] if largest_only else technique.effects:
            blocks = len(effect.comparison.before.block_ns)
            rows.append(
                (
                    plain(technique.title),
                    users(effect.users),
                    *_interval(effect),
                    f"{blocks} ({effect.comparison.stop})",
                )
            )
    head = ("Technique", "Users", "Ratio", "95% interval", "Means", "Blocks")
    return Table(head, tuple(rows))


def growth(techniques: tuple[Technique, ...]) -> Table:
    """p95 of both arms per technique and size, each with its interval."""
    rows = []
    for technique in techniques:
        for effect in technique.effects:
            before, after = effect.comparison.before, effect.comparison.after
            few = "" if effect.calls >= CALLS_MIN else ", no upper bound"
            before_in, after_in = effect.before_ms_p95_bounds, effect.after_ms_p95_bounds
            rows.append(
                (
                    plain(technique.title),
                    users(effect.users),
                    f"{plain(before.name)}: {_p95(effect.before_ms_p95, before_in)}",
                    f"{plain(after.name)}: {_p95(effect.after_ms_p95, after_in)}",
                    f"{before.statements} → {after.statements}",
                    f"{_buffers(before.shared_buffers)} → {_buffers(after.shared_buffers)}",
                    f"{effect.calls}{few}",
                )
            )
    head = (
        "Technique",
        "Users",
        "p95 before",
        "p95 after",
        "Statements per call",
        "Blocks read",
        "Calls",
    )
    return Table(head, tuple(rows))


def _p95(found_ms: float, bounds_ms: Bounds) -> str:
    """With its 95% interval, or the half of it that there is."""
    low, high = bounds_ms
    upper = f" to {milliseconds(high)}" if math.isfinite(high) else " or more"
    return f"{milliseconds(found_ms)} ({milliseconds(low)}{upper})"


def _buffers(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _percentile(found: dict[float, float], percentile: float) -> str:
    return milliseconds(found[percentile]) if found else "–"


def load(stages: tuple[StageTraffic, ...]) -> Table:
    """What each stage of load was offered, answered and how late."""
    rows = tuple(
        (
            f"{plain(stage.name)}, {users(stage.users)} users",
            str(stage.level),
            f"{stage.events:,} {stage.counted}",
            "–" if stage.error_share is None else f"{stage.error_share:.2%}",
            *(_percentile(stage.latency_ms, q) for q in (50.0, 95.0, 99.0)),
            *(_percentile(stage.service_ms, q) for q in (50.0, 95.0, 99.0)),
            f"{stage.achieved_sessions_per_s:.2f} of {stage.offered_sessions_per_s:.2f}",
            ": ".join(
                filter(
                    None,
                    (
                        str(stage.judgement.verdict),
                        "; ".join(plain(reason) for reason in stage.judgement.reasons),
                    ),
                )
            ),
        )
        for stage in stages
    )
    head = (
        "Stage",
        "Level",
        "Counted",
        "Failed",
        "p50 from due",
        "p95",
        "p99",
        "p50 from sent",
        "p95",
        "p99",
        "Sessions/s",
        "Verdict",
    )
    return Table(head, rows)


def cache(stages: tuple[StageTraffic, ...]) -> Table:
    """Hits, misses, invalidations and bytes saved."""
    rows = tuple(
        (
            f"{plain(stage.name)}, {users(stage.users)} users",
            "–" if stage.hit_ratio is None else f"{stage.hit_ratio:.1%}",
            f"{stage.cache.hits:,}",
            f"{stage.cache.misses:,}",
            f"{stage.cache.invalidations:,}",
            size(stage.cache.saved_bytes),
        )
        for stage in stages
        if stage.cache is not None
    )
    head = ("Stage", "Hit ratio", "Hits", "Misses", "Invalidations", "Bytes saved")
    return Table(head, rows)


def shares(stages: tuple[StageTraffic, ...], slo_ms: float) -> Table:
    """The percent of each stage that was answered within the SLO's time and its multiples."""
    limits = (slo_ms / 10, slo_ms / 2, slo_ms, slo_ms * 2)
    rows = tuple(
        (
            f"{plain(stage.name)}, {users(stage.users)} users",
            *(
                f"{max((q for ms, q in stage.curve if ms <= limit), default=0.0):g}%"
                for limit in limits
            ),
        )
        for stage in stages
        if stage.curve
    )
    return Table(("Stage", *(f"within {milliseconds(limit)}" for limit in limits)), rows)


def seconds(stages: tuple[StageTraffic, ...]) -> Table:
    """The median and the worst second of each stage, by p95."""
    rows = []
    for stage in stages:
        found = sorted(
            (second.latency_ms_p95, second.at_s)
            for second in stage.seconds
            if second.latency_ms_p95 is not None
        )
        if not found:
            continue
        silent = len(stage.seconds) - len(found)
        rows.append(
            (
                f"{plain(stage.name)}, {users(stage.users)} users",
                milliseconds(found[len(found) // 2][0]),
                f"{milliseconds(found[-1][0])} at second {found[-1][1]}",
                str(silent),
            )
        )
    return Table(
        ("Stage", "p95 of the median second", "Worst second", "Seconds unanswered"), tuple(rows)
    )


def relations(record: SeedRecord) -> Table:
    """Rows and bytes of every table."""
    rows = tuple(
        (
            plain(relation.name),
            f"{relation.rows:,}",
            size(relation.table_bytes),
            size(sum(relation.index_bytes.values())),
            size((relation.table_bytes + sum(relation.index_bytes.values())) / record.users),
        )
        for relation in record.relations
    )
    return Table(("Table", "Rows", "Table size", "Index size", "Per user"), rows)
