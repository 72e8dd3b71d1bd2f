"""What a call asks for: how many users, from which seed, of which population; and its progress.

Reads the catalogue; writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from phasegate.model.catalogue import Population, load
from phasegate.model.errors import UsageError
from phasegate.seeding.dataset_key import dataset_key
from phasegate.seeding.process_pool import TABLES
from phasegate.seeding.rights import NOTHING_CHANGED
from phasegate.seeding.users import USERS_MAX
from phasegate.seeding.vocabulary import vocabulary

# Seeds are stored as bigint.
SEED_MAX = (1 << 63) - 1


@dataclass(frozen=True)
class Progress:
    """How far a load is: rows handed to the server."""

    table: str
    """The table that moved last; empty while keys are built."""
    rows_done: int
    rows_total: int
    """Over all tables, expected: the exact number is known at the end."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Plan:
    """What is to be loaded, and its key."""

    users: int
    seed: int
    population: Population
    key: str

    @property
    def rows_by_table(self) -> dict[str, int]:
        """Rows of each table, expected."""
        population = self.population
        logs = population.logs_per_user_mean
        per_user = (
            1,
            population.projects_per_user_mean,
            population.tasks_per_user_mean,
            logs,
            logs,
        )
        return {
            table: round(self.users * mean) for table, mean in zip(TABLES, per_user, strict=True)
        }

    @property
    def rows_expected(self) -> int:
        """Over all tables."""
        return sum(self.rows_by_table.values())


def make_plan(
    users: int, seed: int, locales: tuple[str, ...] | None, population: Population | None
) -> Plan:
    """The plan of a call.

    Raises:
        UsageError: a number that is out of range, an unknown locale.
    """
    if not 0 < users <= USERS_MAX:
        raise UsageError(
            f"The number of users must be 1 to {USERS_MAX:,}, not {users:,}",
            untouched=NOTHING_CHANGED,
        )
    if not 0 <= seed <= SEED_MAX:
        raise UsageError(f"The seed must be 0 to 2^63-1, not {seed}", untouched=NOTHING_CHANGED)
    chosen = population or load().population
    if locales is not None:
        chosen = msgspec.structs.replace(chosen, locales=locales)
    vocabulary(chosen.locales)  # names an unknown locale before anything is touched
    return Plan(users, seed, chosen, dataset_key(seed, users, chosen))
