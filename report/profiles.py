"""What the records say about each stack level: its bytes, its traffic, what it held.

Takes records and stages, returns `phases.capacity.Profile`s; reads no file, draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from phases.capacity import Fit, Profile, Span, fit
from phases.cell import Verdict
from records.benchmark import BenchmarkRecord
from records.matrix import Breakpoint
from records.seed import SeedRecord
from records.target import TargetRecord
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

DATABASE = "postgres"
"""The sampler's name of the database. The API beside it is a stand-in of this suite, whose
processor time says nothing about a hosted one's."""


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


def of_target(target: TargetRecord) -> Fit | None:
    """Bytes per user of a database that was found: one size, so in plain proportion to its users.

    Everything in it counts, whichever stack level it is at. None where either is not known.
    """
    found = target.database
    if found is None or not found.registered_users:
        return None
    total = sum(one.table_bytes + sum(one.index_bytes.values()) for one in found.relations)
    return fit([(found.registered_users, float(total))])


def database(run: Run, level: int) -> Fit | None:
    """The fit of a level's whole database; None without a data set.

    The sizes of techniques are added where they were measured at every size of the data. A staging
    run knows the database of the levels that it drove alone.
    """
    if run.target is not None:
        driven = any(load.level == level for load in run.loads)
        return of_target(run.target) if driven else None
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


def held(run: Run, stages: list[StageTraffic], level: int) -> float | None:
    """Most registered users whose modelled peak the level was seen to hold.

    A cell speaks for the users of its own data set, however much faster it was driven: more users
    bring more data. A search says more, if it was made on the largest data set that there is; a
    staging database that has fewer users registered says less.
    """
    there = run.target.database if run.target else None
    registered = there.registered_users if there else None
    found = [
        float(stage.users if registered is None else min(stage.users, registered))
        for stage in stages
        if stage.judgement.verdict is Verdict.PASS and (stage.head_room or 1.0) >= 1.0
    ]
    found += [float(each.users_max) for each in _searched(run, level) if each.users_max]
    return max(found, default=None)


def broke(run: Run, stages: list[StageTraffic], level: int, rate_per_user: float) -> float | None:
    """Fewest registered users whose modelled peak the level was seen not to hold."""
    found = [float(s.users) for s in stages if s.judgement.verdict is Verdict.FAIL]
    found += [
        each.failed_sessions_per_s / rate_per_user
        for each in _searched(run, level)
        if each.failed_sessions_per_s and each.ended != "generator"
    ]
    return min(found, default=None)


def _searched(run: Run, level: int) -> list[Breakpoint]:
    """The searches of a level on the largest data set that there is."""
    largest = max(run.run.sizes, default=0)
    searched = run.matrix.breakpoints if run.matrix else ()
    return [each for each in searched if each.level == level and each.users == largest]


def cpu_s_per_session(run: Run, stages: list[StageTraffic]) -> tuple[tuple[int, float], ...]:
    """Processor seconds that the database spent on a session, by size; a median over seconds."""
    found = {}
    for stage in stages:
        sampler = run.samplers.get(stage.stage)
        used = sampler.used() if sampler else None
        share = used.component_cpu_share.get(DATABASE) if used else None
        if share and stage.achieved_sessions_per_s > 0:
            found[stage.users] = share / stage.achieved_sessions_per_s
    return tuple(sorted(found.items()))


def profiles(
    run: Run, stages: tuple[StageTraffic, ...], rate_per_user: float
) -> tuple[Profile, ...]:
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
                cpu_s_per_session=cpu_s_per_session(run, mine),
                held_users=held(run, mine, level),
                broke_users=broke(run, mine, level, rate_per_user),
                cores=run.run.machine.cores,
                compute=run.target.compute if run.target else None,
            )
        )
    return tuple(found)
