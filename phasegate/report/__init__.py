"""From the files of a run to charts, a page and five lines. Never measures, opens no database.

Reads `results/<run>/{run,perf}.json`, `seed/*.json`, `load/*.json`, `bench/*.json`; writes
`charts/*.svg`, `charts/*.png`, `report.html` and `summary.md` beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from phasegate.model.capacity import Span
from phasegate.model.catalogue import Catalogue, merged_catalogue
from phasegate.project import Project
from phasegate.records.gate import GateRecord
from phasegate.records.project import noted
from phasegate.report import (
    comparison,
    figures,
    headline,
    least,
    money,
    page,
    run_files,
    serverless,
    sizing,
    soak_words,
    transition,
)
from phasegate.report.figures import Findings

__all__ = [
    "build",
    "compare",
    "cost",
    "gate",
    "gate_lines",
    "level_of",
    "phase_to_enter",
    "publish",
    "requests_per_session",
    "serverless_lines",
    "size_lines",
    "soak_lines",
    "summary",
]

gate_lines = transition.lines
size_lines = sizing.lines
serverless_lines = serverless.lines
phase_to_enter, level_of = transition.phase_to_enter, transition.level_of

Lines = tuple[str, str, str, str, str]
"""What closes a run."""


def _findings(run_dir: Path, here: Project | None, catalogue: Catalogue | None) -> Findings:
    """What `run_dir` holds. What was measured stands in the run, how to judge it in the project."""
    run = run_files.read(run_dir)
    kept = run.run.project
    if here is not None and kept is not None and kept.name != here.about.name:
        here = None
    if catalogue is None:
        overrides = here.overrides if here else kept.overrides if kept else {}
        catalogue = merged_catalogue(overrides, "phasegate.toml" if here else "run.json")
    return figures.findings(run, catalogue, noted(here) if here else None)


def build(
    run_dir: Path, here: Project | None = None, *, catalogue: Catalogue | None = None
) -> Path:
    """Draw `run_dir`'s charts and write its page; returns the page's path.

    Args:
        run_dir: a run's folder, complete or interrupted.
        here: the project that the caller works on: its catalogue is in force where the run is of
            that project, and it stands in where an older version's run kept none.
        catalogue: the defaults in force, whatever the project; the project's or the run's if None.

    Raises:
        ConfigurationError: run.json is missing, or a file is truncated, foreign, of another
            version, or contradicts itself; it is named, and nothing is written.
    """
    return page.write(_findings(run_dir, here, catalogue))


def publish(
    run_dir: Path, here: Project | None = None, *, catalogue: Catalogue | None = None
) -> tuple[Path, Lines]:
    """As `build` and `summary` in one go; what both need takes seconds to compute."""
    found = _findings(run_dir, here, catalogue)
    return page.write(found), _closing(found)


def summary(
    run_dir: Path, here: Project | None = None, *, catalogue: Catalogue | None = None
) -> Lines:
    """The five lines that close a run; arguments and errors as `build`."""
    return _closing(_findings(run_dir, here, catalogue))


def _closing(found: Findings) -> Lines:
    return headline.lines(
        found.run.run,
        found.techniques,
        found.stages,
        least.line(found.run.least),
        found.run.advice,
    )


def soak_lines(
    run_dir: Path, here: Project | None = None, *, catalogue: Catalogue | None = None
) -> tuple[str, ...]:
    """What the long stages of a run say: what recurs, what drifts, what was met; as `build`."""
    found = _findings(run_dir, here, catalogue)
    return tuple(line for each in found.soaks for line in soak_words.lines(each))


def cost(
    run_dir: Path,
    users: int,
    here: Project | None = None,
    *,
    catalogue: Catalogue | None = None,
) -> tuple[str, ...]:
    """What a month at `users` registered users costs, per stack level, from what a run measured.

    Errors as `build`; ValueError where `users` is not positive.
    """
    if users < 1:
        raise ValueError("users must be positive")
    found = _findings(run_dir, here, catalogue)
    rules = found.catalogue
    priced = money.money(
        found.profiles, rules, found.techniques, found.run.loads, found.project, (users,)
    )
    return money.lines(priced, users, rules)


def requests_per_session(run_dir: Path, here: Project | None = None) -> Span | None:
    """What a session asked of the API at the highest level driven; None where none was.

    Errors as `build`.
    """
    asked = [each.requests_per_session for each in _findings(run_dir, here, None).profiles]
    return next((each for each in reversed(asked) if each is not None), None)


def gate(
    run_dir: Path,
    to: int,
    level: int | None = None,
    here: Project | None = None,
    *,
    catalogue: Catalogue | None = None,
    had: Mapping[str, str] | None = None,
) -> GateRecord:
    """GO, NO-GO or INVALID for entering phase `to`, from what a run measured.

    `had` is what the user's database has (`advise.found_parts`); what the run's own target had if
    None. Errors as `build`; UsageError where there is no transition to that phase.
    """
    return transition.gate(_findings(run_dir, here, catalogue), to, level, had)


def compare(
    first: Path, second: Path, here: Project | None = None, *, any_machine: bool = False
) -> tuple[str, ...]:
    """What moved from one run to the other, line by line.

    Errors as `build`; Refused where the machines differ and `any_machine` is not set.
    """
    one, two = (_findings(folder, here, None) for folder in (first, second))
    return comparison.lines(comparison.compare(one, two, any_machine=any_machine))
