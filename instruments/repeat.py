"""`make perf-repeat`: the same sweep again, on other seeds; do its answers hold?

Runs the benchmarks of the project here several times on one server, as `phasegate run` does, each
on data of another seed; writes each sweep's records to `results/<time>-repeat/<number>/`. Between
two sweeps nothing changes but the seed, the processes and the hour, so whatever moves is noise that
an interval should have held. `--same-seed` leaves the data alone as well.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from phasegate import seeding
from phasegate.compare.run import run_benchmarks
from phasegate.compare.sizes_between import BUDGET_SHARE, techniques_between
from phasegate.project import Project
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.records.faults import require_writable
from phasegate.report.comparison import moved
from phasegate.report.effects import Effect, Technique, techniques
from phasegate.report.headline import needed_from
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import PostgresServer, cluster_dir, running_postgres
from phasegate.stats.crossover import Crossover, Outcome, crossover, p95s_of
from phasegate.stats.paired import Ratio

# What two sweeps must agree in (docs/method.md#goals-for-our-own-tools).
INSIDE_MIN = 0.90
COVERED_MIN = 0.93
MOVED_MAX = 0.05
WITHIN_FACTOR = 1.5
NARROW_MIN = 0.80

GROWS_MIN = 1.3
"""From one size to the next; where a time hardly grows, no number of users belongs to it."""

Sweep = tuple[Technique, ...]


@dataclass(frozen=True)
class Pair:
    """One technique in two sweeps."""

    technique: str
    first: Technique
    second: Technique

    @property
    def inside(self) -> bool | None:
        """Whether each N* lies in the other's interval; None where neither calls it needed."""
        if "needed" not in (self.first.advice, self.second.advice):
            return None
        one, two = self.first.crossed, self.second.crossed
        return one is not None and two is not None and holds(one, two) and holds(two, one)

    @property
    def same_class(self) -> bool | None:
        """Whether both give the same advice; None where one cannot tell."""
        if "cannot tell" in (self.first.advice, self.second.advice):
            return None
        return self.first.advice == self.second.advice


def bounds(crossed: Crossover) -> tuple[float, float]:
    """Of the interval of N*; 0 and infinity where it is open."""
    return crossed.low or 0.0, crossed.high or math.inf


def holds(interval: Crossover, other: Crossover) -> bool:
    """Whether the N* of `other`, or the place where it is known to lie, meets the interval."""
    low, high = bounds(interval)
    if interval.outcome is Outcome.ABOVE and interval.low is None:
        low = interval.largest
    if interval.outcome is Outcome.BELOW and interval.high is None:
        high = interval.smallest
    place = {
        Outcome.WITHIN: (other.users or 0.0, other.users or math.inf),
        Outcome.BETWEEN: bounds(other),
        Outcome.ABOVE: (other.largest, math.inf),
        Outcome.BELOW: (0.0, other.smallest),
    }[other.outcome]
    return place[0] <= high and place[1] >= low


def factor(crossed: Crossover | None) -> float:
    """How many times its lower bound the interval's upper bound is; infinite where it is open."""
    if crossed is None or crossed.low is None or crossed.high is None:
        return math.inf
    return crossed.high / crossed.low


def pairs(first: Sweep, second: Sweep) -> list[Pair]:
    """The techniques of both."""
    others = {each.technique: each for each in second}
    return [
        Pair(each.technique, each, others[each.technique])
        for each in first
        if each.technique in others
    ]


@dataclass(frozen=True)
class Share:
    """So many of so many; `holds` compares their share with what is asked for."""

    name: str
    count: int
    of: int
    wanted: float
    at_most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the share is what is asked for; nothing was counted: it is."""
        share = self.count / self.of if self.of else self.wanted
        return share <= self.wanted if self.at_most else share >= self.wanted

    def __str__(self) -> str:
        share = f"{self.count / self.of:.0%}" if self.of else "–"
        sign = "≤" if self.at_most else "≥"
        word = "holds" if self.holds else "MISSED"
        return f"{self.name}: {self.count} of {self.of} ({share}), {sign} {self.wanted:.0%}: {word}"


def shares(sweeps: Sequence[Sweep]) -> list[Share]:
    """What is counted over all pairs of sweeps."""
    found = [pair for one, two in itertools.combinations(sweeps, 2) for pair in pairs(one, two)]
    inside = [pair.inside for pair in found if pair.inside is not None]
    same = [pair.same_class for pair in found if pair.same_class is not None]
    changes = [
        moved(one.technique, *arms).change
        for one in found
        for arms in _same_size(one)
        if all(arm.ratio is not None for arm in arms)
    ]
    needed = [each for sweep in sweeps for each in sweep if each.advice == "needed"]
    between = [
        each
        for each in needed
        if each.crossed is not None and each.crossed.outcome is not Outcome.BELOW
    ]
    covered = list(_covered(sweeps))
    left = [found for sweep in sweeps for each in sweep for found in left_out(each)]
    return [
        Share("each N* in the other's interval", sum(inside), len(inside), INSIDE_MIN),
        Share("the same class, apart from cannot tell", sum(same), len(same), 1.0),
        Share(
            "called better or worse",
            sum(change in ("better", "worse") for change in changes),
            len(changes),
            MOVED_MAX,
            at_most=True,
        ),
        Share("95% intervals with the other sweeps' mean", sum(covered), len(covered), COVERED_MIN),
        Share(
            "sizes left out in the interval found without them", sum(left), len(left), COVERED_MIN
        ),
        Share(
            f"intervals of a needed N* within a factor {WITHIN_FACTOR:g}",
            sum(factor(each.crossed) <= WITHIN_FACTOR for each in between),
            len(between),
            NARROW_MIN,
        ),
    ]


def _same_size(pair: Pair) -> Iterator[tuple[Effect, Effect]]:
    others = {effect.users: effect for effect in pair.second.effects}
    for effect in pair.first.effects:
        if effect.users in others:
            yield effect, others[effect.users]


def _covered(sweeps: Sequence[Sweep]) -> Iterator[bool]:
    """For each ratio of each sweep: does its interval hold the mean of the other sweeps' ratios?

    The mean of a few errs as well, so on the log axis its half width is added as a square.
    """
    by_place: dict[tuple[str, int], list[Ratio]] = {}
    for sweep in sweeps:
        for technique in sweep:
            for effect in technique.effects:
                if effect.ratio is not None:
                    place = by_place.setdefault((technique.technique, effect.users), [])
                    place.append(effect.ratio)
    for found in by_place.values():
        for at, one in enumerate(found):
            others = found[:at] + found[at + 1 :]
            if others:
                mean = statistics.fmean(math.log(each.estimate) for each in others)
                of_mean = math.hypot(*(each.log_half_width for each in others)) / len(others)
                half = math.hypot(one.log_half_width, of_mean)
                yield abs(math.log(one.estimate) - mean) <= half


def left_out(technique: Technique) -> Iterator[bool]:
    """For each size between two others: does N* for its p95, found without it, lie at that size?

    Of those that share their plan with both neighbours and grow. Its own p95 errs as well: any
    within its 95% interval may be the one that is found.
    """
    sizes = technique.sizes
    for place in range(1, len(sizes) - 1):
        below, one, above = sizes[place - 1 : place + 2]
        grows = below.p95_ms * GROWS_MIN < one.p95_ms < above.p95_ms / GROWS_MIN
        if grows and below.plan == one.plan == above.plan:
            rest = [*sizes[:place], *sizes[place + 1 :]]
            drawn = np.exp(p95s_of([one]).drawn)
            least, most = (float(each) for each in np.percentile(drawn, [2.5, 97.5]))
            low, high = bounds(crossover(rest, least))[0], bounds(crossover(rest, most))[1]
            yield low <= one.users <= high


def measure(
    project: Project,
    sizes: Sequence[int],
    between: Sequence[int],
    *,
    sweeps: int,
    same_seed: bool,
    budget_s: float,
    results: Path,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Sweep]:
    """So many sweeps, one after the other, on a server of our own.

    Of every technique at `sizes`, and `between` them of those whose N* lies there.

    Raises:
        CannotMeasure: a sweep failed; those before it are kept.
    """
    require_writable(results, purpose="results")
    folder = results / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-repeat"
    seed = project.catalogue.run.seed
    with locked(cache_dir(), "make perf-repeat"), running_postgres(cluster_dir()) as server:
        return [
            _sweep(
                server,
                project,
                sizes,
                between,
                seed=seed if same_seed else seed + number,
                budget_s=budget_s,
                out=folder / str(number + 1),
                on_progress=on_progress,
            )
            for number in range(sweeps)
        ]


def _sweep(
    server: PostgresServer,
    project: Project,
    sizes: Sequence[int],
    between: Sequence[int],
    *,
    seed: int,
    budget_s: float,
    out: Path,
    on_progress: Callable[[str], None],
) -> Sweep:
    slo_ms_p95 = project.catalogue.slo.statement_latency_ms_p95

    def measured(
        sizes: Iterable[int], budget_s: float, only: Mapping[int, Collection[str]] | None = None
    ) -> tuple[BenchmarkRecord, ...]:
        databases, digests = {}, {}
        for users in sizes:
            on_progress(f"seed {users:,} users")
            databases[users], data = seeding.ensure_dataset(
                server, users=users, seed=seed, project=project.seed
            )
            digests[users] = data.sha256
        return run_benchmarks(
            databases,
            seed_sha256=digests,
            seed=seed,
            out=out,
            budget_s=budget_s,
            slo_ms_p95=slo_ms_p95,
            on_progress=on_progress,
            project=project,
            only=only,
        )

    records = measured(sizes, budget_s * (1 - BUDGET_SHARE))
    if wanted := techniques_between(records, between, slo_ms_p95):
        records += measured(wanted, budget_s * BUDGET_SHARE, wanted)
    return techniques(sorted(records, key=lambda record: record.users), slo_ms_p95)


def table(first: Sweep, second: Sweep) -> Iterator[str]:
    """A line per technique of two sweeps: both answers, and whether they agree."""
    for pair in pairs(first, second):
        said = [_answer(each) for each in (pair.first, pair.second)]
        marks = []
        if pair.inside is not None:
            marks.append("inside" if pair.inside else "OUTSIDE")
        if pair.same_class is False:
            marks.append("OTHER CLASS")
        yield f"{pair.technique:26} {said[0]:46} {said[1]:46} {', '.join(marks)}".rstrip()


def _answer(technique: Technique) -> str:
    if technique.advice == "needed" and technique.crossed is not None:
        return f"{technique.advice} {needed_from(technique.crossed)}"
    return technique.advice
