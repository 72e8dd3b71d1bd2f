"""Which parts the search for the simplest stack may add, and which it tries first.

A part is promising by what the benchmarks say that its techniques take off a session, first those
whose statement reads a table of the statement that keeps the database busiest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import sqlglot
from sqlglot import exp

from phasegate.load.stage_result import Driven
from phasegate.project import Project
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison
from phasegate.records.matrix import Probe
from phasegate.report import effects
from phasegate.report.savings import clicks_per_session

UPKEEP = {"refresh": "refresh", "partition_upkeep": "partitions"}
"""Parts that keep others up to date, and the key of a technique that asks for one."""


@dataclass(frozen=True)
class Candidates:
    """Of one run.

    Attributes:
        project: whose parts these are.
        benchmarks: by registered users.
    """

    project: Project
    benchmarks: Mapping[int, BenchmarkRecord]

    @cached_property
    def always(self) -> frozenset[str]:
        """How the client of the first level reads: a stack has some way."""
        return frozenset(self.project.client_of(self.project.parts_of(1)))

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Parts all of whose techniques were measured to be slower."""
        slo = self.project.catalogue.slo.statement_latency_ms_p95
        advice: dict[str, set[str]] = {}
        for technique in effects.techniques(self.benchmarks.values(), slo):
            if technique.technique in self.project.techniques:
                for part in self.project.parts_with(technique.technique):
                    advice.setdefault(part, set()).add(technique.advice)
        return tuple(part for part in self._listed if advice.get(part) == {"slower"})

    @cached_property
    def _listed(self) -> tuple[str, ...]:
        """Every part of a level, lower levels first."""
        named = (part for level in self.project.levels for part in level.parts)
        return tuple(dict.fromkeys(named))

    @property
    def names(self) -> tuple[str, ...]:
        """Parts that may be added."""
        passed_over = self.always | set(UPKEEP) | set(self.left_out)
        return tuple(part for part in self._listed if part not in passed_over)

    def upkeep_of(self, parts: Iterable[str]) -> frozenset[str]:
        """Parts that keep `parts` up to date, where a level has them."""
        files = [self.project.techniques[p].file for p in parts if p in self.project.techniques]
        return frozenset(
            name
            for name, key in UPKEEP.items()
            if name in self._listed and any(getattr(file, key) for file in files)
        )

    def stack_of(self, added: Sequence[str]) -> frozenset[str]:
        """All parts of a stack with `added`: a way to read takes the place of another."""
        parts = set(self.always)
        for part in added:
            own = self.project.client_parts.get(part)
            parts = (parts - set(own.replaces if own else ())) | {part}
        return frozenset(parts) | self.upkeep_of(added)

    def probe(self, driven: Driven) -> Probe:
        """A stage judged for its population at the modelled peak."""
        return driven.probe(self.project.catalogue, at_peak=True)

    def promising(self, left: Sequence[str], seen: Driven, users: int) -> list[str]:
        """`left`, the part first that takes most off a session; unmeasured ones by level."""
        size = max((size for size in self.benchmarks if size <= users), default=0)
        busiest = _tables(self.probe(seen).statement or "")
        saved: dict[str, tuple[bool, float]] = {}
        for comparison in self._comparisons(size):
            file = self.project.techniques[comparison.technique].file
            clicks = clicks_per_session([seen.load], file.clicks) / file.clicks_per_call
            seconds = (_seconds(comparison.before) - _seconds(comparison.after)) * clicks
            reads = bool(_tables(comparison.before.sql) & busiest)
            for part in self.project.parts_with(comparison.technique):
                saved[part] = max(saved.get(part, (False, 0.0)), (reads, seconds))
        order = {part: at for at, part in enumerate(self._listed)}
        none = (False, 0.0)
        return sorted(left, key=lambda p: (*(-x for x in saved.get(p, none)), order[p]))

    def _comparisons(self, users: int) -> tuple[Comparison, ...]:
        record = self.benchmarks.get(users)
        found = record.comparisons if record else ()
        return tuple(each for each in found if each.technique in self.project.techniques)


def _seconds(arm: Arm) -> float:
    return median(arm.call_ns or arm.block_ns) / 1e9 if arm.call_ns or arm.block_ns else 0.0


def _tables(sql: str) -> frozenset[str]:
    """Names of the tables that a statement reads; empty where it cannot be parsed."""
    try:
        parsed = sqlglot.parse_one(sql, dialect="postgres")
    except sqlglot.errors.SqlglotError:
        return frozenset()
    return frozenset(table.name for table in parsed.find_all(exp.Table))
