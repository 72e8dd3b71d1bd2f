"""What the records say about each stack level: its bytes, its traffic, what it held.

Takes records and stages, returns `phases.capacity.Profile`s; reads no file, draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from phases.capacity import Fit, Profile, Span, fit
from phases.cell import Verdict
from records.benchmark import BenchmarkRecord
from records.seed import SeedRecord
from report.run_files import Run
from report.traffic import StageTraffic

FLAT_LOGS = "activity_logs"
PARTITIONED_LOGS = "activity_logs_partitioned"
PARTITIONED_FROM_LEVEL = 3
"""The seeded data holds both, to compare them; an app has one. Level 3 brings the partitions."""

ADDED_BYTES = {
    ("idx_tasks_user_created", "index size"): 2,
    ("idx_tasks_project", "index size"): 2,
    ("user_stats", "view size"): 3,
}
"""Costs of techniques that lie on disk, and the stack level that brings them."""

LEVELS = (1, 2, 3)


def belongs(relation: str, level: int) -> bool:
    """Whether an app at this level has the relation."""
    if relation == PARTITIONED_LOGS:
        return level >= PARTITIONED_FROM_LEVEL
    return relation != FLAT_LOGS or level < PARTITIONED_FROM_LEVEL


def parts(seeds: Iterable[SeedRecord], level: int) -> dict[str, list[tuple[int, float]]]:
    """Bytes of every table and index of a level, by name, at each size."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in seeds:
        for relation in record.relations:
            if not belongs(relation.name, level):
                continue
            found.setdefault(relation.name, []).append((record.users, relation.table_bytes))
            for index, size in relation.index_bytes.items():
                found.setdefault(index, []).append((record.users, size))
    return found


def added(benchmarks: Iterable[BenchmarkRecord], level: int) -> dict[str, list[tuple[int, float]]]:
    """Bytes that the techniques of a level add, by technique, at each size."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in benchmarks:
        for comparison in record.comparisons:
            for cost in comparison.costs:
                since = ADDED_BYTES.get((comparison.technique, cost.name))
                if cost.unit == "bytes" and since is not None and level >= since:
                    found.setdefault(comparison.technique, []).append((record.users, cost.value))
    return found


def database(run: Run, level: int) -> Fit | None:
    """The fit of a level's whole database; None without a data set.

    The sizes of techniques are added where they were measured at every size of the data.
    """
    if not run.seeds:
        return None
    totals = dict.fromkeys(run.seeds, 0.0)
    for points in parts(run.seeds.values(), level).values():
        for users, size in points:
            totals[users] += size
    for points in added(run.benchmarks.values(), level).values():
        if {users for users, _ in points} >= set(totals):
            for users, size in points:
                if users in totals:
                    totals[users] += size
    return fit(list(totals.items()))


def _per_session(stages: list[StageTraffic], amounts: list[float]) -> Span | None:
    """Amount per session over all stages, and the range over single ones."""
    sessions = sum(stage.sessions for stage in stages)
    if not sessions:
        return None
    each = [
        amount / stage.sessions
        for stage, amount in zip(stages, amounts, strict=True)
        if stage.sessions
    ]
    seen = (min(each), max(each)) if len(each) > 1 else (None, None)
    return Span(sum(amounts) / sessions, *seen)


def _held(stages: list[StageTraffic]) -> float | None:
    """Most registered users whose modelled peak was held."""
    passed = [
        stage.users * (stage.head_room or 1.0)
        for stage in stages
        if stage.judgement.verdict is Verdict.PASS
    ]
    return max(passed, default=None)


def profiles(run: Run, stages: tuple[StageTraffic, ...]) -> tuple[Profile, ...]:
    """A profile per stack level; parts that were not measured are None."""
    found = []
    for level in LEVELS:
        mine = [stage for stage in stages if stage.level == level]
        egress = _per_session(mine, [float(stage.response_bytes) for stage in mine])
        requests = _per_session(mine, [float(stage.requests) for stage in mine])
        answered = sum(stage.requests for stage in mine if stage.service_s is not None)
        busy_s = sum(stage.requests * (stage.service_s or 0.0) for stage in mine)
        found.append(
            Profile(
                level=level,
                database=database(run, level),
                egress_bytes_per_session=egress,
                requests_per_session=requests.estimate if requests else None,
                service_s=busy_s / answered if answered else None,
                held_users=_held(mine),
                cores=run.run.machine.cores,
            )
        )
    return tuple(found)
