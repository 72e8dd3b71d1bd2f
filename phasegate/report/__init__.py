"""From the files of a run to charts, a page and five lines. Never measures, opens no database.

Reads `results/<run>/{run,perf}.json`, `seed/*.json`, `load/*.json`, `bench/*.json`; writes
`charts/*.svg`, `charts/*.png`, `report.html` and `summary.md` beside them.
"""

from __future__ import annotations

from pathlib import Path

from phasegate.model import catalogue as catalogue_room
from phasegate.model.catalogue import Catalogue
from phasegate.records.gate import GateRecord
from phasegate.report import (
    comparison,
    figures,
    headline,
    money,
    page,
    run_files,
    transition,
)

__all__ = [
    "build",
    "compare",
    "cost",
    "gate",
    "gate_lines",
    "level_of",
    "phase_to_enter",
    "summary",
]

gate_lines = transition.lines
phase_to_enter, level_of = transition.phase_to_enter, transition.level_of


def build(run_dir: Path, catalogue: Catalogue | None = None) -> Path:
    """Draw `run_dir`'s charts and write its page; returns the page's path.

    Args:
        run_dir: a run's folder, complete or interrupted.
        catalogue: the defaults in force; the shipped ones where None.

    Raises:
        ConfigurationError: run.json is missing, or a file is truncated, foreign, of another
            version, or contradicts itself; it is named, and nothing is written.
    """
    return page.write(run_files.read(run_dir), catalogue or catalogue_room.load())


def summary(run_dir: Path, catalogue: Catalogue | None = None) -> tuple[str, str, str, str, str]:
    """The five lines that close a run; arguments and errors as `build`."""
    rules = catalogue or catalogue_room.load()
    found = figures.findings(run_files.read(run_dir), rules)
    return headline.lines(found.run.run, found.techniques, found.stages, rules)


def cost(run_dir: Path, users: int, catalogue: Catalogue | None = None) -> tuple[str, ...]:
    """What a month at `users` registered users costs, per stack level, from what a run measured.

    Errors as `build`; ValueError where `users` is not positive.
    """
    if users < 1:
        raise ValueError("users must be positive")
    rules = catalogue or catalogue_room.load()
    found = figures.findings(run_files.read(run_dir), rules)
    priced = money.money(
        found.profiles, rules, found.techniques, found.run.loads, found.project, (users,)
    )
    return money.lines(priced, users, rules)


def gate(
    run_dir: Path, to: int, level: int | None = None, catalogue: Catalogue | None = None
) -> GateRecord:
    """GO, NO-GO or INVALID for entering phase `to`, from what a run measured.

    Errors as `build`; UsageError where there is no transition to that phase.
    """
    found = figures.findings(run_files.read(run_dir), catalogue or catalogue_room.load())
    return transition.gate(found, to, level)


def compare(
    first: Path, second: Path, *, any_machine: bool = False, catalogue: Catalogue | None = None
) -> tuple[str, ...]:
    """What moved from one run to the other, line by line.

    Errors as `build`; Refused where the machines differ and `any_machine` is not set.
    """
    rules = catalogue or catalogue_room.load()
    found = [figures.findings(run_files.read(folder), rules) for folder in (first, second)]
    return comparison.lines(comparison.compare(found[0], found[1], any_machine=any_machine))
