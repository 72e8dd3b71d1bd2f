"""What the records say about each stack level: its bytes, its traffic, what it held.

Takes records and stages, returns `model.capacity.Profile`s; reads no file, draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from phasegate.model.capacity import ColdStage, Fit, Profile, Span, fit
from phasegate.model.catalogue import Catalogue
from phasegate.model.verdict import Verdict
from phasegate.records.matrix import Breakpoint
from phasegate.records.project import ProjectNote
from phasegate.records.sampler import SamplerRecord
from phasegate.records.seed import SeedRecord
from phasegate.records.sizes import SizeAnswer
from phasegate.records.target import TargetRecord
from phasegate.report.run_files import Run
from phasegate.report.sizing import daily
from phasegate.report.traffic import StageTraffic
from phasegate.stats.peak import mean_of_peak

Counts = list[tuple[float, float]]
"""Of each endpoint: calls, and the amount of one."""

CONFIDENCE = 0.95
Z_95 = 1.96
"""Standard deviations of a normal distribution that hold 95% of it."""

POOLER, REPLICA = "pooler", "replica"
"""Parts of the engine that a bill depends on."""

DATABASE = "postgres"
"""The sampler's name of the database. The API beside it is a stand-in of this suite, whose
processor time says nothing about a hosted one's."""


def _bare(relation: str) -> str:
    """A table's name without its schema, as records of either kind may have it."""
    return relation.rpartition(".")[2]


def belongs(relation: str, level: int, project: ProjectNote) -> bool:
    """Whether a stack of this level has the table: of those that stand twice, one does."""
    parts = project.parts_of(level)
    for technique in project.techniques.values():
        has_it = bool(parts & set(technique.parts))
        for before, after in technique.replaces.items():
            if _bare(relation) == _bare(before if has_it else after):
                return False
    return True


def relations(
    seeds: Iterable[SeedRecord], level: int, project: ProjectNote
) -> dict[str, list[tuple[int, float]]]:
    """Bytes of every table and index of a level, by name, at each size."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in seeds:
        for relation in record.relations:
            if not belongs(relation.name, level, project):
                continue
            found.setdefault(relation.name, []).append((record.users, relation.table_bytes))
            for index, size in relation.index_bytes.items():
                found.setdefault(index, []).append((record.users, size))
    return found


def added(run: Run, level: int, project: ProjectNote) -> dict[str, list[tuple[int, float]]]:
    """Bytes that the techniques of a level add to the seeded data, by relation, at each size."""
    seeded = {
        _bare(name)
        for record in run.seeds.values()
        for relation in record.relations
        for name in (relation.name, *relation.index_bytes)
    }
    parts = project.parts_of(level)
    sizes: dict[str, dict[int, float]] = {}
    for record in run.benchmarks.values():
        for comparison in record.comparisons:
            technique = project.techniques.get(comparison.technique)
            if technique is None or not parts & set(technique.parts):
                continue
            for cost in comparison.costs:
                relation = technique.sizes.get(cost.name)
                if relation is not None and _bare(relation) not in seeded:
                    sizes.setdefault(_bare(relation), {})[record.users] = cost.value
    return {name: sorted(points.items()) for name, points in sizes.items()}


def of_target(target: TargetRecord) -> Fit | None:
    """Bytes per user of a database that was found: one size, so in plain proportion to its users.

    Everything in it counts, whichever stack level it is at. None where either is not known.
    """
    found = target.database
    if found is None or not found.registered_users:
        return None
    total = sum(one.table_bytes + sum(one.index_bytes.values()) for one in found.relations)
    return fit([(found.registered_users, float(total))])


def database(run: Run, level: int, project: ProjectNote) -> Fit | None:
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
    for points in relations(run.seeds.values(), level, project).values():
        for users, size in points:
            totals[users] += size
    for points in added(run, level, project).values():
        if {users for users, _ in points} >= set(totals):
            for users, size in points:
                if users in totals:
                    totals[users] += size
    return fit(list(totals.items()))


def _per_session(stages: list[StageTraffic], counts: dict[str, Counts]) -> Span | None:
    """Amount per session over all stages, with the range over single ones.

    A single stage has a 95% interval instead: how often each endpoint is called is taken for a
    Poisson count, and every call of it for its mean amount.
    """
    driven = [stage for stage in stages if stage.sessions]
    sessions = sum(stage.sessions for stage in driven)
    if not sessions:
        return None
    totals = {
        stage.stage: sum(calls * each for calls, each in counts[stage.stage]) for stage in driven
    }
    estimate = sum(totals.values()) / sessions
    if len(driven) > 1:
        each = [totals[stage.stage] / stage.sessions for stage in driven]
        return Span(estimate, min(each), max(each))
    half = Z_95 * math.sqrt(sum(n * each**2 for n, each in counts[driven[0].stage])) / sessions
    return Span(estimate, max(0.0, estimate - half), estimate + half)


def _counts(run: Run, *, of_bytes: bool) -> dict[str, Counts]:
    """By stage and endpoint: how often it was called, and bytes of an answer (or 1: the call)."""
    return {
        load.stage: [
            (float(end.requests), end.response_bytes / end.requests if of_bytes else 1.0)
            for end in load.endpoints
            if end.requests
        ]
        for load in run.loads
    }


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


def connection_s_per_session(
    run: Run, stages: list[StageTraffic], *, pooled: bool
) -> tuple[tuple[int, Span], ...]:
    """Time that a session keeps a connection, by size, from the most seen open at one moment.

    Connections to the database, or behind a pooler those of its clients, idle ones too. The looks
    that count as independent are those a second apart: requests last for less.
    """
    found = {}
    for stage in stages:
        sampler = run.samplers.get(stage.stage)
        if sampler is None or not sampler.samples or stage.offered_sessions_per_s <= 0:
            continue
        peak = _connections_peak(sampler, pooled=pooled)
        if peak is None:
            continue
        mean, rate = mean_of_peak(peak, len(sampler.samples)), stage.offered_sessions_per_s
        found[stage.users] = Span(mean.estimate / rate, mean.low / rate, mean.high / rate)
    return tuple(sorted(found.items()))


def _connections_peak(sampler: SamplerRecord, *, pooled: bool) -> int | None:
    """The most connections at one look; None where they were not sampled."""
    if pooled:
        return sampler.pooler_clients_peak()
    if sampler.backends_peak is not None:
        return sampler.backends_peak.count
    return max((sum(sample.states.values()) for sample in sampler.samples), default=None)


def _cpu_shares(run: Run, stage: StageTraffic) -> list[float]:
    """Of one core, by the database, second by second."""
    sampler = run.samplers.get(stage.stage)
    return [
        part.cpu_share
        for sample in (sampler.samples if sampler else ())
        for part in sample.components
        if part.name == DATABASE
    ]


def cpu_s_per_session(run: Run, stages: list[StageTraffic]) -> tuple[tuple[int, float], ...]:
    """Processor seconds that the database spent on a session, by size; a median over seconds."""
    found = {}
    for stage in stages:
        shares = _cpu_shares(run, stage)
        share = median(shares) if shares else 0.0
        if share and stage.achieved_sessions_per_s > 0:
            found[stage.users] = share / stage.achieved_sessions_per_s
    return tuple(sorted(found.items()))


def cpu_factors(run: Run, stages: list[StageTraffic]) -> tuple[float, float] | None:
    """95% interval of that median on the largest data, as ratios to it; None without a sample.

    By order statistics, which need no distribution: the seconds that bound the median with a
    probability of at least 95%, or all of them where there are fewer than six.
    """
    sampled = [stage for stage in stages if _cpu_shares(run, stage)]
    if not sampled:
        return None
    shares = sorted(_cpu_shares(run, max(sampled, key=lambda stage: stage.users)))
    middle = median(shares)
    if middle <= 0:
        return None
    count, cut = len(shares), 0
    while 2 * sum(math.comb(count, k) for k in range(cut + 1)) / 2**count <= 1 - CONFIDENCE:
        cut += 1
    cut = max(cut - 1, 0)
    return shares[cut] / middle, shares[-1 - cut] / middle


def _sized(run: Run, level: int, project: ProjectNote) -> list[SizeAnswer]:
    """The searches for a compute size with exactly the parts of a level.

    Else with those of a stack that has no part beyond it, nor fits a lower level: the page prices
    such a stack at this one.
    """
    answers = run.sizes.answers if run.sizes else ()
    client = set(project.client_parts)

    def lowest(answer: SizeAnswer) -> int:
        wanted = set(answer.parts) - client
        levels = range(1, len(project.levels) + 1)
        return next((n for n in levels if wanted <= set(project.parts_of(n))), 0)

    exact = [each for each in answers if set(each.parts) == set(project.parts_of(level))]
    known = {each.users for each in exact}
    return exact + [each for each in answers if each.users not in known and lowest(each) == level]


def cold(answers: list[SizeAnswer]) -> ColdStage | None:
    """What a stage read that began with nothing in memory, on the largest data.

    Under the largest size that was driven: what does not fit into memory is read more than once.
    """
    for answer in sorted(answers, key=lambda each: -each.users):
        drives = [each for each in answer.drives if each.cache == "cold" and each.used is not None]
        drives.sort(key=lambda each: -answer.sizes.index(each.size))
        for drive in drives:
            used = drive.used
            if used is not None and used.blocks_read > 0 and used.sessions > 0:
                return ColdStage(
                    used.sessions, used.blocks_read, used.blocks_read_first, used.reads
                )
    return None


def profiles(
    run: Run,
    stages: tuple[StageTraffic, ...],
    project: ProjectNote,
    catalogue: Catalogue,
) -> tuple[Profile, ...]:
    """A profile per stack level; parts that were not measured are None."""
    rate_per_user = catalogue.workload.arrival_rate_per_s(1_000_000) / 1_000_000
    found = []
    for level in range(1, len(project.levels) + 1):
        parts = project.parts_of(level)
        mine = [stage for stage in stages if stage.level == level]
        egress = _per_session(mine, _counts(run, of_bytes=True))
        requests = _per_session(mine, _counts(run, of_bytes=False))
        answered = sum(stage.requests for stage in mine if stage.service_s is not None)
        sized = _sized(run, level, project)
        busy_s = sum(stage.requests * (stage.service_s or 0.0) for stage in mine)
        found.append(
            Profile(
                level=level,
                pooled=POOLER in parts,
                replicas=int(REPLICA in parts),
                database=database(run, level, project),
                egress_bytes_per_session=egress,
                requests_per_session=requests,
                service_s=busy_s / answered if answered else None,
                cpu_s_per_session=cpu_s_per_session(run, mine),
                held_users=held(run, mine, level),
                broke_users=broke(run, mine, level, rate_per_user),
                cores=run.run.machine.cores,
                compute=run.target.compute if run.target else None,
                connection_s_per_session=connection_s_per_session(
                    run, mine, pooled=POOLER in parts
                ),
                cpu_factors=cpu_factors(run, mine),
                cold=cold(sized),
                sizes=tuple(
                    (answer.users, size)
                    for answer in sized
                    if (size := daily(answer, catalogue)) is not None and not answer.not_in_force
                ),
            )
        )
    return tuple(found)
