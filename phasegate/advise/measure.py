"""Candidates measured as techniques are: on our seeded copies, by the same engine.

Reads the candidates' folders; creates and takes away their indexes on databases of ours. Returns
`BenchmarkRecord`s and what could not be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from phasegate.advise.candidate import AWAY, Candidate, each_by_one
from phasegate.compare.p95_topup import beyond
from phasegate.compare.session import BenchmarkSession, Budget
from phasegate.compare.syntax import check_syntax
from phasegate.compare.technique import Arm, Technique
from phasegate.compare.technique_folders import body_of, declared, pair
from phasegate.model.errors import PhasegateError
from phasegate.project import Project, read_techniques
from phasegate.project.contract import Level
from phasegate.records.benchmark import BenchmarkRecord
from phasegate.stack.levels import in_database

# Larger sizes answer the question that matters more: as in `compare.run`.
SHARE_EXPONENT = 0.35


@dataclass(frozen=True)
class Measured:
    """Records by size, ascending, and why others are missing, by id."""

    records: tuple[BenchmarkRecord, ...]
    skipped: Mapping[str, str]


def measure(
    project: Project,
    level: int,
    candidates: Sequence[Candidate],
    databases: Mapping[int, str],
    *,
    folder: Path,
    seed: int,
    budget_s: float,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Measured:
    """Measure `candidates` on every data set, the smallest first.

    Args:
        project: whose copies these are.
        level: whose parts are there meanwhile.
        candidates: what to measure.
        databases: DSN per number of registered users, at that level.
        folder: where the candidates' folders are written.
        seed: of the drawn parameters.
        budget_s: seconds for all of it, set-up and the fewest blocks apart.
        on_progress: told what is being measured.

    Raises:
        ConfigurationError: a database is not fit to be measured.
    """
    for each in candidates:
        each.write(folder)
    here = _extended(project, level, folder, candidates)
    skipped: dict[str, str] = {}
    settled: frozenset[str] = frozenset()
    records = []
    sizes = sorted(databases)
    weights = [size**SHARE_EXPONENT for size in sizes]
    for users, weight in zip(sizes, weights, strict=True):
        left = [each for each in candidates if each.id not in skipped]
        if not left:
            break
        budget = Budget(budget_s * weight / sum(weights), len(left))
        with BenchmarkSession(
            databases[users], users=users, sha256=None, seed=seed, budget=budget, disabled=False,
            settled=settled, project=_readable(here, left, databases[users], skipped),
        ) as lab:  # fmt: skip
            for each in left:
                if each.id in skipped:
                    continue
                on_progress(f"{each.title} ({users:,} users)")
                try:
                    lab.comparison(_technique(lab.project, each))
                except PhasegateError as error:
                    lab.caller.rollback()
                    if users == sizes[0]:
                        skipped[each.id] = error.what
            records.append(lab.record())
        objective = project.catalogue.slo.statement_latency_ms_p95
        settled |= beyond(records[-1].comparisons, objective)
    return Measured(tuple(records), skipped)


def _extended(
    project: Project, level: int, folder: Path, candidates: Sequence[Candidate]
) -> Project:
    """The project with one level, the judged one, and the candidates among its techniques."""
    parts = tuple(sorted(in_database(project, project.parts_of(level))))
    known = {each.id for each in candidates}
    found = {id_: each for id_, each in read_techniques(folder).items() if id_ in known}
    judged = Level(title=project.level(level).title, parts=parts)
    return replace(project, levels=(judged,), techniques={**project.techniques, **found})


def _readable(
    project: Project, candidates: Sequence[Candidate], dsn: str, skipped: dict[str, str]
) -> Project:
    """Without candidates whose SQL the server cannot read: one would stop all the others."""
    from phasegate.compare.libpq import Session

    session = Session(dsn)
    techniques = dict(project.techniques)
    try:
        for each in candidates:
            alone = replace(project, techniques={each.id: project.techniques[each.id]})
            try:
                check_syntax(session, alone)
            except PhasegateError as error:
                skipped[each.id] = error.what
                del techniques[each.id]
    finally:
        session.close()
    return replace(project, techniques=techniques)


def _technique(project: Project, candidate: Candidate) -> Technique:
    if not candidate.one_by_one:
        found = pair(project, candidate.id)
        assert found is not None  # noqa: S101 - every other candidate has two statements
        return found
    folder = project.techniques[candidate.id]
    names, after = folder.file.parameters, folder.sql("after.sql")
    before = each_by_one(
        folder.sql("before.sql"), names, folder.sql("each.sql"), candidate.one_by_one
    )
    return declared(
        candidate.id,
        before=before,
        after=Arm("one statement", after, body_of(after, names), route=AWAY),
        project=project,
    )
