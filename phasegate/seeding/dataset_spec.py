"""What a call asks for: how many users, from which seed, of which project; and its progress.

Reads the project's `seed/` and Faker's version; writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec

from phasegate.model.errors import UsageError
from phasegate.model.read_file import read_text
from phasegate.project import SeedFolder
from phasegate.project.declared import read_declared
from phasegate.seeding.entity import USERS_MAX
from phasegate.seeding.population import Population
from phasegate.seeding.rights import NOTHING_CHANGED
from phasegate.seeding.vocabulary import check_locales, faker_version
from phasegate.stack.database import read_sql

# Raised by one whenever a change of this room's code changes the data.
# 2: tables are declared, columns drawn by name: docs/decisions/0011-seeding-is-declared.md
# 3: keys and picks no longer depend on the number of users: docs/decisions/0012-any-schema.md
# 4: every first N users have their share of busy ones: docs/decisions/0018-adopted-schemas.md
DATA_VERSION = 4

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
class DatasetSpec:
    """What is to be loaded, and its key.

    Attributes:
        folder: the project's `seed/`.
        population: users and seed among it.
        key: of all that the bytes depend on.
    """

    folder: SeedFolder
    population: Population
    key: str

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.folder.root

    @property
    def users(self) -> int:
        """Registered users."""
        return self.population.users

    @property
    def seed(self) -> int:
        """Where all randomness starts."""
        return self.population.seed

    @property
    def tables(self) -> tuple[str, ...]:
        """Every table that is loaded, in order."""
        return self.population.declared.destinations

    @property
    def rows_by_table(self) -> dict[str, int]:
        """Rows of each table, expected."""
        return {
            destination: round(self.population.rows_expected(table))
            for table in self.population.declared.tables.values()
            for destination in table.destinations
        }

    @cached_property
    def rows_expected(self) -> int:
        """Over all tables."""
        return sum(self.rows_by_table.values())


def population_of(root: Path, seed: int, users: int, locales: tuple[str, ...] | None) -> Population:
    """The population that the project in `root` declares; `locales` in place of its own.

    Raises:
        ConfigurationError: the declarations say what they must not.
    """
    declared = read_declared(root)
    if locales is not None:
        file = msgspec.structs.replace(declared.file, locales=locales)
        declared = replace(declared, file=file)
    return Population(declared, seed, users)


def dataset_spec(
    users: int, seed: int, locales: tuple[str, ...] | None = None, folder: SeedFolder | None = None
) -> DatasetSpec:
    """What a call asks for; `folder`: of the project, the one found from here where None.

    Raises:
        UsageError: a number that is out of range, an unknown locale.
        ConfigurationError: the project's declarations say what they must not.
    """
    if not 0 < users <= USERS_MAX:
        raise UsageError(
            f"The number of users must be 1 to {USERS_MAX:,}, not {users:,}",
            untouched=NOTHING_CHANGED,
            then="Give --users another number",
        )
    if not 0 <= seed <= SEED_MAX:
        raise UsageError(
            f"The seed must be 0 to 2^63-1, not {seed}",
            untouched=NOTHING_CHANGED,
            then="Give --seed another number",
        )
    chosen = folder or SeedFolder()
    population = population_of(chosen.root, seed, users, locales)
    check_locales(population.declared.file.locales)  # named before anything is touched
    return DatasetSpec(chosen, population, dataset_key(chosen, population))


def dataset_key(folder: SeedFolder, population: Population) -> str:
    """Identifies a data set: 32 hexadecimal digits."""
    code = population.declared.code
    parts = {
        "code": read_text(code, untouched=NOTHING_CHANGED) if code is not None else "",
        "data_version": DATA_VERSION,
        "faker": faker_version(),
        "population": population.declared.file,
        "schema": [read_sql(folder.schema), read_sql(folder.keys)],
        "seed": population.seed,
        "users": population.users,
        "users_table": population.declared.users_table,
    }
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]
