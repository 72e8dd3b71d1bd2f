"""What a technique is to the engine: two arms that return the same rows, and what they need. Pure.

`compare.technique_folders` makes one of a folder of `benchmarks/`; arms that are no single
statement are Python, in a `bench_*.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import pytest

from phasegate.compare.connection import Connection
from phasegate.compare.libpq import Row
from phasegate.compare.pytest_adapter import replayed_clock
from phasegate.model.errors import ConfigurationError
from phasegate.records.benchmark import Comparison, Cost

Test = Callable[..., None]


class Role(Enum):
    """Whose rights a statement runs with."""

    USER = "authenticated"
    """Row-level security in force, claims of the drawn user: what the API does."""
    OWNER = "owner"
    """No row-level security: what a nightly report or an admin page does."""


SUB = "sub"
"""The drawn column with the user whose rights the statements have."""


@dataclass(frozen=True)
class Parameters:
    """One draw from the seeded population: the columns of `benchmarks/draw.sql`, by name.

    All as PostgreSQL writes them: an arm's time should not hold a conversion that no client makes.
    """

    names: tuple[str, ...]
    values: Row

    def __getitem__(self, name: str) -> str | None:
        """A column's value; None for null.

        Raises:
            ConfigurationError: nothing of that name was drawn.
        """
        if name not in self.names:
            raise ConfigurationError(
                f"There is no drawn column {name!r}",
                untouched="The comparison was not saved",
                then=f"Choose among {', '.join(self.names)}, or draw it",
            )
        return self.values[self.names.index(name)]

    @property
    def sub(self) -> str:
        """The user whose rights the statements have, as tokens name it."""
        return self[SUB] or ""

    def with_columns(self, names: Sequence[str], values: Row) -> Parameters:
        """With more columns, which hide those of the same name."""
        kept = [place for place, name in enumerate(self.names) if name not in names]
        return Parameters(
            (*(self.names[place] for place in kept), *names),
            (*(self.values[place] for place in kept), *values),
        )


Compare = Callable[["Technique", str], None]
"""The fixture `compare`: measures a technique and shows one arm, `before` or `after`."""

Answer = Callable[[], Sequence[Row]]
"""Gives the rows that were fetched; reading them is not part of the time."""

Body = Callable[[Connection, Parameters], Answer]
Draw = Callable[[Connection, Sequence[Parameters]], Sequence[Parameters]]


class Workbench(Protocol):
    """What the probes of a technique's costs see of a `compare.session.BenchmarkSession`."""

    @property
    def caller(self) -> Connection:
        """Of the tables' owner, with no transaction open."""

    @property
    def allowance_s(self) -> float:
        """Seconds that the technique being measured was given."""

    def measure_arms(self, technique: Technique, budget_s: float) -> Comparison:
        """Compare the arms of another technique, which needs no setup."""


Probe = Callable[[Workbench], Sequence[Cost]]


class Via(Enum):
    """What stands between an arm and the server."""

    NOTHING = "nothing"
    PROXY = "proxy"
    POOLER = "pooler"
    REPLICA = "replica"


@dataclass(frozen=True)
class Route:
    """How an arm reaches the server; `delay_ms` is what a proxy adds to each round trip."""

    via: Via = Via.NOTHING
    delay_ms: float = 0.0


DIRECT = Route()


@dataclass(frozen=True)
class Beside:
    """A statement that runs again and again while an arm is measured, and where."""

    sql: str
    route: Route = DIRECT


@dataclass(frozen=True)
class Arm:
    """One way of doing it.

    Attributes:
        name: as shown: `N+1`, `JOIN`.
        sql: the statement, or the first of several: what EXPLAIN is asked about.
        body: makes the calls; its time is what is measured.
        arrange: SQL run as owner before each block and rolled back after it, as dropping an index.
        route: how it reaches the server.
        beside: what else goes on meanwhile.
    """

    name: str
    sql: str
    body: Body
    arrange: str = ""
    route: Route = DIRECT
    beside: Beside | None = None


@dataclass(frozen=True)
class Technique:
    """A step that adds a part, with the state before it and after it.

    Attributes:
        id: the folder's name; stable, since results are kept under it.
        before: the arm without the technique.
        after: the arm with it.
        role: whose rights the statements run with.
        requests: True where the arms call `Caller.request` and so make transactions of their own;
            otherwise each block is one transaction, rolled back at its end.
        writes: table that the arms write to; each call is then rolled back by itself, and the
            table is vacuumed at the end.
        same_rows: False where the arms differ by design, as a count and an estimate of it.
        draw: adds parameters of the technique's own.
        needs: parts of the database that must be there, beyond the last level's.
        setup: SQL run once before, as owner, such as building a table of one's own.
        teardown: SQL that takes all of `setup` back.
        server_major_min: oldest PostgreSQL that has what it needs.
        costs: measured after the arms.
    """

    id: str
    before: Arm
    after: Arm
    role: Role = Role.USER
    requests: bool = False
    writes: str = ""
    same_rows: bool = True
    draw: Draw | None = None
    needs: tuple[str, ...] = ()
    setup: str = ""
    teardown: str = ""
    server_major_min: int = 0
    costs: tuple[Probe, ...] = ()

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Before, after."""
        return self.before, self.after


def arms_of(technique: Technique) -> Callable[[Test], Test]:
    """Make a test function into one pytest-benchmark per arm, in one group."""
    marks = (
        pytest.mark.parametrize("arm", ["before", "after"]),
        pytest.mark.technique(technique),
        pytest.mark.benchmark(group=technique.id, timer=replayed_clock),
    )

    def decorate(test: Test) -> Test:
        for mark in marks:
            test = mark(test)
        return test

    return decorate
