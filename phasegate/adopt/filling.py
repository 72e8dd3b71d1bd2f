"""A table's columns while they are filled in: what is known, and what is declared so far.

Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from phasegate.adopt.facts import ColumnFacts
from phasegate.adopt.limits import Limits, Solved
from phasegate.adopt.owners import Kind, Owned, Owners
from phasegate.adopt.shape import Column, Place, Table
from phasegate.adopt.uniques import Distinct
from phasegate.adopt.values import Asked, Declaration

NULL_SHARE = 0.3
"""Of a column that may be null, where the source tells nothing."""


@dataclass(frozen=True)
class Problem:
    """What could not be guessed.

    Attributes:
        table: as `population.toml` names it.
        column: of the table; empty where it is the table as a whole.
        constraint: its name; empty where it is the type.
        why: what is wrong, in a few words.
        line: what to write into `population.toml`.
    """

    table: str
    column: str
    constraint: str
    why: str
    line: str

    def __str__(self) -> str:
        """One line."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        named = f" ({self.constraint})" if self.constraint else ""
        return f"{place}{named}: {self.why}. Write into seed/population.toml: {self.line}"


@dataclass
class Filled:
    """The columns of a table, as they are declared.

    Attributes:
        columns: declaration and reason, by name.
        left_out: columns that are not declared, with the reason.
        problems: what could not be guessed.
        distinct: what the unique keys ask.
        needed: tables of which every owner must have a row, since a reference is never null.
        wanted: tables of which an owner had better have a row, since references lead there.
    """

    columns: dict[str, tuple[Declaration, str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    distinct: Distinct = field(default_factory=Distinct)
    needed: set[Place] = field(default_factory=set)
    wanted: set[Place] = field(default_factory=set)


@dataclass
class Work:
    """A table that is being filled.

    Attributes:
        owners: of all tables.
        owned: the table, and whose rows it has.
        solved: what its checks leave.
        filled: what is declared of it so far.
    """

    owners: Owners
    owned: Owned
    solved: Solved
    filled: Filled

    @property
    def table(self) -> Table:
        """The table that is filled."""
        return self.owned.table

    def limits(self, name: str) -> Limits:
        """What the checks leave a column."""
        return self.solved.limits.get(name, Limits())

    def facts(self, name: str) -> ColumnFacts | None:
        """Figures of a column in the source."""
        facts = self.owners.facts
        return None if facts is None else facts.column(*self.table.place, name)

    def put(self, name: str, declared: Declaration, reason: str) -> None:
        """Declare a column."""
        self.filled.columns[name] = (declared, reason)


def null_share(work: Work, name: str) -> float:
    """How often a column is null: as in the source."""
    if work.limits(name).null is False:
        return 0.0
    facts = work.facts(name)
    return NULL_SHARE if facts is None else round(min(max(facts.null_frac, 0.0), 1.0), 3)


def source(work: Work, name: str) -> str:
    """Names of the checks that limit a column."""
    others = [
        check
        for other, limits in work.solved.limits.items()
        if any(one == name for _, one in limits.order)
        for check in work.solved.sources[other]
    ]
    return ", ".join(dict.fromkeys((*work.solved.sources.get(name, ()), *others)))


def asked_of(work: Work, column: Column) -> Asked:
    """What is asked of a column."""
    return Asked(
        column,
        work.limits(column.name),
        work.facts(column.name),
        work.filled.distinct.columns.get(column.name, ""),
        work.table.place[1],
        work.owned.kind is Kind.OWNED,
    )


def todo(work: Work, name: str, constraint: str, why: str, what: str) -> None:
    """Note that a column could not be guessed."""
    table = work.table.name
    line = f"[tables.{toml_key(table)}.columns] {toml_key(name)} = {what}"
    work.filled.problems.append(Problem(table, name, constraint or "", why, line))
    said = f"{constraint}: {why}" if constraint else why
    work.put(name, {"todo": said}, "not guessed")


def toml_key(name: str) -> str:
    """A key of TOML: bare where it can be."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
