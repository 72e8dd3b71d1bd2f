"""The tables behind the charts: the same figures, as text. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from report.effects import CALLS_FOR_P95, Effect, Technique
from report.traffic import StageTraffic
from report.words import milliseconds, plain, significant, size, speed, users


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
    return significant(found.estimate, 3), f"{low} to {high}", speed(found.estimate)


def ratios(techniques: tuple[Technique, ...]) -> Table:
    """After/before with its interval, per technique and size."""
    rows = []
    for technique in techniques:
        for effect in technique.effects:
            blocks = len(effect.comparison.before.block_ns)
            rows.append(
                (
                    plain(technique.title),
                    users(effect.users),
                    *_interval(effect),
                    effect.outcome,
                    f"{blocks} ({effect.comparison.stop})",
                )
            )
    head = ("Technique", "Users", "Ratio", "95% interval", "Means", "Outcome", "Blocks")
    return Table(head, tuple(rows))


def growth(techniques: tuple[Technique, ...]) -> Table:
    """p95 of both arms per technique and size."""
    rows = []
    for technique in techniques:
        for effect in technique.effects:
            before, after = effect.comparison.before, effect.comparison.after
            few = "" if effect.calls >= CALLS_FOR_P95 else ", no upper bound"
            rows.append(
                (
                    plain(technique.title),
                    users(effect.users),
                    f"{plain(before.name)}: {milliseconds(effect.before_ms_p95)}",
                    f"{plain(after.name)}: {milliseconds(effect.after_ms_p95)}",
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


def _buffers(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _percentile(found: dict[float, float], percentile: float) -> str:
    return milliseconds(found[percentile]) if found else "–"


def load(stages: tuple[StageTraffic, ...]) -> Table:
    """What each stage of load was offered, answered and how late."""
    rows = tuple(
        (
            f"{plain(stage.arm)}, {users(stage.users)} users",
            str(stage.level),
            f"{stage.requests:,}",
            "–" if stage.error_share is None else f"{stage.error_share:.2%}",
            *(_percentile(stage.latency_ms, q) for q in (50.0, 95.0, 99.0)),
            *(_percentile(stage.service_ms, q) for q in (50.0, 95.0, 99.0)),
            f"{stage.achieved_sessions_per_s:.2f} of {stage.offered_sessions_per_s:.2f}",
            "INVALID: " + "; ".join(plain(reason) for reason in stage.invalid)
            if stage.invalid
            else "counts",
        )
        for stage in stages
    )
    head = (
        "Stage",
        "Level",
        "Requests",
        "Failed",
        "p50 from due",
        "p95",
        "p99",
        "p50 from sent",
        "p95",
        "p99",
        "Sessions/s",
        "Judged",
    )
    return Table(head, rows)


def cache(stages: tuple[StageTraffic, ...]) -> Table:
    """Hits, misses, invalidations and bytes saved."""
    rows = tuple(
        (
            f"{plain(stage.arm)}, {users(stage.users)} users",
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
