"""What a technique is: two arms that return the same rows, and what they need around them.

Reads `benchmarks/techniques/<id>/*.sql`. A technique is one such folder, one entry in a
`bench_*.py` and one line in the catalogue; CONTRIBUTING.md walks through adding one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import pytest

from benchmarks.replay import replayed_clock

TECHNIQUES = Path(__file__).with_name("techniques")

Row = tuple[Any, ...]
Test = Callable[..., None]


class Role(Enum):
    """Whose rights a statement runs with."""

    USER = "authenticated"
    """Row-level security in force, claims of the drawn user: what the API does."""
    OWNER = "owner"
    """No row-level security: what a nightly report or an admin page does."""


@dataclass(frozen=True)
class Parameters:
    """One draw from the seeded population: a task row, so active users come up more often."""

    user_id: UUID
    project_id: UUID
    """A project of some drawn task; not necessarily this user's."""
    created_at: datetime
    """When the drawn task was created."""
    now: datetime
    """The newest row of the data set: `now()` for windows, on data of any age."""


class Caller(Protocol):
    """The connection as an arm sees it; every await of it is a round trip, and is counted."""

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Row]:
        """Rows of one prepared statement."""

    async def request(self, user: UUID, sql: str, *arguments: object) -> Sequence[Row]:
        """As the API answers a request: transaction, role and claims, statement, commit."""


Compare = Callable[["Technique", str], None]
"""The fixture `compare`: measures a technique and shows one arm, `before` or `after`."""

Body = Callable[[Caller, Parameters], Awaitable[Sequence[Row]]]


@dataclass(frozen=True)
class Arm:
    """One way of doing it.

    Attributes:
        name: as shown: `N+1`, `JOIN`.
        sql: the statement, or the first of several: what EXPLAIN is asked about.
        body: makes the calls; its time is what is measured.
        arrange: SQL run as owner before each block and rolled back after it, as dropping an index.
    """

    name: str
    sql: str
    body: Body
    arrange: str = ""


@dataclass(frozen=True)
class Technique:
    """A step between stack levels, with the state before it and after it.

    Attributes:
        id: the folder's and the catalogue's name; stable, since results are kept under it.
        before: the arm without the technique.
        after: the arm with it.
        role: whose rights the statements run with.
        requests: True where the arms call `Caller.request` and so make transactions of their own;
            otherwise each block is one transaction, rolled back at its end.
        indexes: that the technique adds; their size is stated as its cost.
        setup: SQL run once before, as owner, such as building a table of one's own.
        teardown: SQL that takes all of `setup` back.
    """

    id: str
    before: Arm
    after: Arm
    role: Role = Role.USER
    requests: bool = False
    indexes: tuple[str, ...] = ()
    setup: str = field(default="", repr=False)
    teardown: str = field(default="", repr=False)

    @property
    def arms(self) -> tuple[Arm, Arm]:
        """Before, after."""
        return self.before, self.after


def sql_of(technique: str, name: str) -> str:
    """The text of `techniques/<technique>/<name>.sql`."""
    return (TECHNIQUES / technique / f"{name}.sql").read_text(encoding="utf-8")


def statement(
    technique: str,
    file: str,
    name: str,
    arguments: Callable[[Parameters], tuple[object, ...]],
    *,
    arrange: str = "",
) -> Arm:
    """An arm of one statement: `techniques/<technique>/<file>.sql` with the drawn arguments."""
    sql = sql_of(technique, file)

    async def body(caller: Caller, drawn: Parameters) -> Sequence[Row]:
        return await caller.fetch(sql, *arguments(drawn))

    return Arm(name, sql, body, arrange)


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
