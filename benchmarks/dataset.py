"""The data set behind a DSN: is it ours, how large is it, can it be measured, and draws from it.

Reads the seeder's marker (schema `phasegate`), the planner's statistics and `tasks`; writes
nothing. Every way in which a database is not fit to be measured is named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks.technique import Parameters
from phases.errors import CannotMeasure, ConfigurationError

SQL = Path(__file__).with_name("sql")

# The oldest version that PostgreSQL itself still maintains, and that the seeder loads into.
SERVER_VERSION_MIN = 14

# Draws kept: enough that no user's pages are the warm ones, few enough to draw in a moment.
POPULATION_SIZE = 512
# Rows looked at per row kept, because a sample's size is itself random.
OVERSAMPLE = 4

TABLES = ("profiles", "projects", "tasks", "activity_logs", "activity_logs_partitioned")

SEED_FIRST = "Seed it: phasegate seed --users N --database-url DSN"


@dataclass(frozen=True)
class DataSet:
    """What the seeder left in its marker, and the server it lies on."""

    users: int
    seed: int
    sha256: str
    server_version: str


async def read_dataset(connection: asyncpg.Connection, *, users: int | None = None) -> DataSet:
    """The data set of this database, checked.

    Args:
        connection: to the database.
        users: the size that is wanted; any if None.

    Raises:
        ConfigurationError: unsupported server, no seeded data, another size's data, a table
            without statistics.
    """
    major = connection.get_server_version().major
    if major < SERVER_VERSION_MIN:
        raise ConfigurationError(
            f"The server is PostgreSQL {major}; the benchmarks need {SERVER_VERSION_MIN} or newer",
            untouched="Nothing was changed",
        )
    if await connection.fetchval("select to_regclass('phasegate.dataset') is null"):
        raise ConfigurationError(
            "There is no seeded data in this database",
            untouched="Nothing was changed",
            then=SEED_FIRST,
        )
    marker = await connection.fetchrow(
        "select users, seed, sha256 from phasegate.dataset where state = 'complete'"
    )
    if marker is None:
        raise ConfigurationError(
            "The data in this database was never finished",
            untouched="Nothing was changed",
            then=SEED_FIRST,
        )
    if users is not None and marker["users"] != users:
        raise ConfigurationError(
            f"The database holds {marker['users']:,} users, and {users:,} were asked for",
            untouched="Nothing was changed",
            then="Name the database of that size, or seed it",
        )
    await _check_statistics(connection)
    version: str = await connection.fetchval("show server_version")
    return DataSet(marker["users"], marker["seed"], marker["sha256"], version)


async def _check_statistics(connection: asyncpg.Connection) -> None:
    stale = await connection.fetch(
        """
        select wanted as name from unnest($1::text[]) as wanted
        where not exists (
            select from pg_stats where schemaname = 'public' and tablename = wanted)
        """,
        list(TABLES),
    )
    if stale:
        names = ", ".join(row["name"] for row in stale)
        raise ConfigurationError(
            f"The planner has no statistics of {names}, so its plans would be guesses",
            untouched="Nothing was changed",
            then="Run ANALYZE, or seed again if these tables are empty",
        )


async def draw_population(connection: asyncpg.Connection, seed: int) -> Sequence[Parameters]:
    """Parameters drawn from the task rows, in random order; the same for the same data and seed.

    Raises:
        CannotMeasure: there are no tasks to draw from.
    """
    rows = await connection.fetchval(
        "select reltuples::bigint from pg_class where oid = 'public.tasks'::regclass"
    )
    percentage = min(100.0, 100 * POPULATION_SIZE * OVERSAMPLE / max(rows, 1))
    drawn = await connection.fetch(
        (SQL / "draw.sql").read_text(encoding="utf-8"), percentage, float(seed), POPULATION_SIZE
    )
    if not drawn:
        raise CannotMeasure("The table of tasks is empty", then=SEED_FIRST)
    return [Parameters(**row) for row in drawn]
