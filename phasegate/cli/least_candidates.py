"""Which parts the search for the simplest stack may add, and which it tries first.

Parts are those of the project's levels, and candidates of `phasegate advise` that were measured to
help. One is promising by what it takes off a session, first those whose statement reads a table of
the statement that keeps the database busiest. Reads `advice.json` and `candidates/` of a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median

import sqlglot
from sqlglot import exp

from phasegate.advise import run as advised
from phasegate.advise.findings import BETTER_BY
from phasegate.load.capacity_matrix import Change
from phasegate.load.stage_result import Driven
from phasegate.project import Project, read_techniques
from phasegate.records import store
from phasegate.records.advice import AdviceRecord, Finding
from phasegate.records.benchmark import Arm, BenchmarkRecord, Comparison
from phasegate.records.matrix import Probe
from phasegate.report import effects
from phasegate.report.savings import clicks_per_session

UPKEEP = {"refresh": "refresh", "partition_upkeep": "partitions"}
"""Parts that keep others up to date, and the key of a technique that asks for one."""

HELPING = ("needed", "not needed yet")
"""Advice on candidates that may be added. Those that can wait are measured with fewer users than
the load may have, so they may be needed there."""

DEARER = frozenset({"live aggregate", "partitions"})
"""Kinds that somebody must keep up to date: they come first only where they save clearly more."""

_READ = re.compile(r'\b(?:from|join|update|into)\s+(?:"?\w+"?\.)?"?(\w+)', re.IGNORECASE)
"""The table or function behind each of these words."""

_NAMED = re.compile(r'"?(\w+)"?\s+as\s+(?:(?:not\s+)?materialized\s+)?\(', re.IGNORECASE)
"""What a statement calls its own parts."""


@dataclass(frozen=True)
class Candidates:
    """Of one run.

    Attributes:
        project: whose parts these are, with the proposed ones among its techniques.
        benchmarks: by registered users.
        proposed: candidates of `phasegate advise` that the project does not have, by id.
    """

    project: Project
    benchmarks: Mapping[int, BenchmarkRecord]
    proposed: Mapping[str, Finding] = field(default_factory=dict)

    @classmethod
    def of_run(
        cls, project: Project, benchmarks: Mapping[int, BenchmarkRecord], folder: Path
    ) -> Candidates:
        """With what `phasegate advise` found, where the run in `folder` has it."""
        path = folder / advised.RECORD
        if not path.is_file():
            return cls(project, benchmarks)
        helping = {
            each.id: each
            for each in store.read(path, AdviceRecord).findings
            if _helps(each) and each.calls_per_session != 0
        }
        folders, own = read_techniques(folder / advised.FOLDER), set(project.techniques)
        # Where the client must ask in another way, a migration alone changes nothing.
        possible = {id_ for id_, each in folders.items() if each.migration and not each.client}
        found = {id_: folders[id_] for id_ in helping if id_ in possible - own}
        extended = replace(project, techniques={**project.techniques, **found})
        return cls(extended, benchmarks, {id_: helping[id_] for id_ in found})

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
        return (*(part for part in self._listed if part not in passed_over), *self.proposed)

    def upkeep_of(self, parts: Iterable[str]) -> frozenset[str]:
        """Parts that keep `parts` up to date, where a level has them or a candidate needs them."""
        techniques = self.project.techniques
        return frozenset(
            name
            for name, key in UPKEEP.items()
            for part in parts
            if part in techniques
            and getattr(techniques[part].file, key)
            and (name in self._listed or part in self.proposed)
        )

    def stack_of(self, added: Sequence[str]) -> frozenset[str]:
        """All parts of a stack with `added`: a way to read takes the place of another."""
        parts = set(self.always)
        for part in added:
            own = self.project.client_parts.get(part)
            parts = (parts - set(own.replaces if own else ())) | {part}
        return frozenset(parts) | self.upkeep_of(added)

    def change_of(self, level: int, parts: frozenset[str]) -> Change:
        """How a stack of `parts` differs from its level, as the sessions know it.

        They know the project's own parts alone; candidates lie in the database.
        """
        own = self.project.parts_of(level)
        more = parts - own - set(self.proposed)
        return Change(tuple(sorted(more)), tuple(sorted(own - parts)))

    def probe(self, driven: Driven) -> Probe:
        """A stage judged for its population at the modelled peak."""
        return driven.probe(self.project.catalogue, at_peak=True)

    def promising(self, left: Sequence[str], seen: Driven, users: int) -> list[str]:
        """`left`, the part first that takes most off a session; unmeasured ones by level.

        Without candidates that can wait and have nothing to do with what keeps the database busy.
        """
        size = max((size for size in self.benchmarks if size <= users), default=0)
        busiest = _read_by(self.probe(seen).statement or "")
        saved: dict[str, tuple[bool, float]] = {}
        for comparison in self._comparisons(size):
            file = self.project.techniques[comparison.technique].file
            clicks = clicks_per_session([seen.load], file.clicks) / file.clicks_per_call
            seconds = (_seconds(comparison.before) - _seconds(comparison.after)) * clicks
            reads = bool(_read_by(comparison.before.sql) & busiest)
            for part in self.project.parts_with(comparison.technique):
                saved[part] = max(saved.get(part, (False, 0.0)), (reads, seconds))
        for part, finding in self.proposed.items():
            reads = bool((_read_by(finding.statement) | {_bare(finding.table)}) & busiest)
            if reads or finding.advice == "needed" or not busiest:  # nobody saw what is busy
                counted = BETTER_BY if finding.kind in DEARER else 1.0
                saved[part] = reads, _seconds_saved(finding, users) * counted
        order = {part: at for at, part in enumerate((*self._listed, *self.proposed))}
        none = (False, 0.0)
        wanted = [part for part in left if part in saved or part not in self.proposed]
        return sorted(wanted, key=lambda p: (*(-x for x in saved.get(p, none)), order[p]))

    def _comparisons(self, users: int) -> tuple[Comparison, ...]:
        record = self.benchmarks.get(users)
        found = record.comparisons if record else ()
        return tuple(each for each in found if each.technique in self.project.techniques)


def _seconds(arm: Arm) -> float:
    return median(arm.call_ns or arm.block_ns) / 1e9 if arm.call_ns or arm.block_ns else 0.0


def _seconds_saved(finding: Finding, users: int) -> float:
    """Of a session with `users`; it grows with them, as what is read without an index does."""
    last = finding.sizes[-1]
    calls = 1.0 if finding.calls_per_session is None else finding.calls_per_session
    return (last.before_ms_p95 - last.after_ms_p95) / 1e3 * calls * users / last.users


def _helps(finding: Finding) -> bool:
    """Whether it makes its statement faster, needed with as many users as were measured or not."""
    high = finding.sizes[-1].high if finding.sizes else None
    unsure = finding.advice == "cannot tell" and high is not None and high < 1
    return finding.advice in HELPING or unsure


def _bare(table: str) -> str:
    return table.rpartition(".")[2]


def _read_by(sql: str) -> frozenset[str]:
    """Names of the tables and functions that a statement reads, as far as it goes if cut short."""
    try:
        parsed = sqlglot.parse_one(sql, dialect="postgres")
    except sqlglot.errors.SqlglotError:
        return frozenset(_READ.findall(sql)) - frozenset(_NAMED.findall(sql))
    read = {table.name or table.this.name for table in parsed.find_all(exp.Table)}
    return frozenset(read - {each.alias for each in parsed.find_all(exp.CTE)})
