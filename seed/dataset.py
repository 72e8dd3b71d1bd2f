"""Filling any PostgreSQL: check, prepare, load, finish. `phasegate seed` is this module.

Reads `seed/sql`, `stack/sql`, the catalogue. Writes the five tables of `public` and the seeder's
own schema `phasegate`, whose marker says `loading` from the first change to the last.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
import msgspec

from phases.catalogue import Population, load
from phases.errors import CannotMeasure, Refused, UsageError
from records.seed import Relation, SeedRecord
from seed.calendar import Year
from seed.crew import TABLES, Tally, run_crew, shares
from seed.finish import finish
from seed.identity import dataset_key
from seed.target import (
    NOTHING_CHANGED,
    check_disk,
    inspect,
    local_data_folder,
    sql,
    whole_record,
)
from seed.users import USERS_MAX
from seed.vocabulary import vocabulary
from stack.database import connected, read_sql, redact, run

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


def seed_database(
    dsn: str,
    *,
    users: int,
    seed: int,
    jobs: int = 2,
    replace: bool = False,
    locales: tuple[str, ...] | None = None,
    population: Population | None = None,
    on_progress: OnProgress | None = None,
) -> SeedRecord:
    """Fill the database behind `dsn` with a data set, or find that it holds it already.

    Args:
        dsn: an empty database, or one that phasegate filled before.
        users: registered users.
        seed: 0 to 2^63-1; the same seed gives the same bytes.
        jobs: processes that make rows; more than three change nothing.
        replace: drop another whole data set of ours if there is one.
        locales: Faker's, as `en_US`; the catalogue's where None.
        population: the catalogue's [population] where None.
        on_progress: called with each block of rows.

    Raises:
        UsageError: a number or locale that makes no sense.
        Refused: the database is not ours or not writable; nothing was changed.
        CannotMeasure: the server cannot be reached, or the load broke off; run it again.
    """
    plan = make_plan(users, seed, locales, population)
    started = time.perf_counter()
    found = run(_check(dsn, plan, replace))
    if found is not None:
        return msgspec.structs.replace(
            msgspec.json.decode(found, type=SeedRecord),
            reused=True,
            wall_s=time.perf_counter() - started,
            load_wall_s=None,
            memory_bytes_max=None,
        )
    try:
        return _load(dsn, plan, jobs, started, on_progress)
    except ExceptionGroup as errors:  # several connections failed at once, for one reason
        raise broke_off(reason_of(errors)) from errors
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise broke_off(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """The first of the errors, as a phrase."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def broke_off(reason: str) -> CannotMeasure:
    """The error of a load that did not come to its end."""
    return CannotMeasure(
        f"The load broke off: {reason}",
        untouched="The data set is marked as incomplete and nothing takes it for a whole one",
        then="Run the same command again: it starts over",
    )


async def _check(dsn: str, plan: Plan, replace: bool) -> str | None:
    """The record of the data set if it is there, whole."""
    async with connected(dsn, statement_cache_size=0) as connection:
        marker = await inspect(connection, dsn)
        record = whole_record(marker, plan.key, redact(dsn), replace=replace)
        if record is not None:
            return record
        check_disk(await local_data_folder(connection), plan.users)
    return None


def _load(
    dsn: str, plan: Plan, jobs: int, started: float, on_progress: OnProgress | None
) -> SeedRecord:
    run(_prepare(dsn, plan))
    done = 0

    def on_rows(table: str, rows: int) -> None:
        nonlocal done
        done += rows
        if on_progress is not None:
            on_progress(Progress(table, done, max(done, plan.rows_expected)))

    load_started = time.perf_counter()
    tally = run_crew(
        dsn,
        seed=plan.seed,
        users=plan.users,
        population=plan.population,
        jobs=jobs,
        on_rows=on_rows,
    )
    load_wall_s = time.perf_counter() - load_started
    if on_progress is not None:
        on_progress(Progress("", done, done))
    run(finish(dsn, TABLES))
    return run(_complete(dsn, plan, tally, jobs, load_wall_s, started))


async def _prepare(dsn: str, plan: Plan) -> None:
    """Empty tables and a marker that says `loading`: all of it, or nothing."""
    year = Year(plan.population)
    async with connected(dsn, statement_cache_size=0) as connection, connection.transaction():
        await connection.execute("set local search_path = public")
        await connection.execute("set local lock_timeout = '30s'")
        await connection.execute(sql("marker"))
        await connection.execute(
            sql("mark_loading"),
            plan.key,
            plan.users,
            plan.seed,
            year.months[0].date(),
            len(year.months) - 1,
        )
        for undo in ("level_3_undo", "level_2_undo"):
            await connection.execute(read_sql(undo))
        try:
            await connection.execute(sql("drop_tables"))
        except asyncpg.DependentObjectsStillExistError as error:
            raise Refused(
                f"Something in {redact(dsn)} depends on the tables that are to be replaced"
                f" ({error.detail})",
                untouched=NOTHING_CHANGED,
                then="Drop it, or give another database",
            ) from error
        await connection.execute(read_sql("schema"))
        await connection.execute(sql("make_partitions"))


async def _complete(
    dsn: str, plan: Plan, tally: Tally, jobs: int, load_wall_s: float, started: float
) -> SeedRecord:
    """Measure what lies on the disk, then say `complete` together with the record."""
    async with connected(dsn, statement_cache_size=0) as connection, connection.transaction():
        sizes = await connection.fetch(sql("relations"))
        record = SeedRecord(
            format_version=SeedRecord.FORMAT_VERSION,
            users=plan.users,
            seed=plan.seed,
            jobs=len(shares(jobs, plan.users)),
            sha256=tally.sha256(),
            reused=False,
            rows=sum(tally.rows.values()),
            wall_s=time.perf_counter() - started,
            load_wall_s=load_wall_s,
            memory_bytes_max=tally.memory_bytes_max,
            relations=tuple(
                Relation(
                    name=row["name"],
                    rows=tally.rows[row["name"]],
                    table_bytes=row["bytes"],
                    index_bytes=msgspec.json.decode(row["index_bytes"], type=dict[str, int]),
                )
                for row in sizes
            ),
            distributions=tuple(tally.histograms[name] for name in sorted(tally.histograms)),
        )
        stored = msgspec.json.encode(record).decode()
        if not await connection.fetch(sql("mark_complete"), plan.key, record.sha256, stored):
            raise broke_off("another phasegate took over this database")
    return record
