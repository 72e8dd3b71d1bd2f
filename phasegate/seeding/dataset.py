"""Filling any PostgreSQL: check, prepare, load, finish. `phasegate seed` is this module.

Reads the project's `seed/` and `seeding/sql`. Writes the project's tables and the seeder's
own schema `phasegate`, whose marker says `loading` from the first change to the last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import asyncpg
import msgspec

from phasegate.model.errors import CannotMeasure, Refused
from phasegate.project import SeedFolder
from phasegate.records.seed import Relation, SeedRecord
from phasegate.seeding.build_indexes import finish
from phasegate.seeding.dataset_spec import DatasetSpec, OnProgress, Progress, dataset_spec
from phasegate.seeding.faults import fault_of
from phasegate.seeding.prepare import close_what_is_open, prepare
from phasegate.seeding.process_pool import START_OVER, Tally, run_crew, shares
from phasegate.seeding.rehearsal import USERS_MIN, rehearse
from phasegate.seeding.rights import NOTHING_CHANGED, check_may_write
from phasegate.seeding.schema import Schema
from phasegate.seeding.target import (
    check_disk,
    inspect,
    is_unaltered,
    local_data_folder,
    quoted,
    sql,
    whole_record,
)
from phasegate.stack.database import connected, read_sql, redact


def seed_database(
    dsn: str,
    *,
    users: int,
    seed: int,
    jobs: int = 2,
    replace: bool = False,
    locales: tuple[str, ...] | None = None,
    project: SeedFolder | None = None,
    on_progress: OnProgress | None = None,
) -> SeedRecord:
    """Fill the database behind `dsn` with a data set, or find that it holds it already.

    Args:
        dsn: an empty database, or one that phasegate filled before.
        users: registered users.
        seed: 0 to 2^63-1; the same seed gives the same bytes.
        jobs: processes that make rows; more than three change nothing.
        replace: drop another whole data set of ours if there is one.
        locales: Faker's, as `en_US`; the project's where None.
        project: whose population it is; the one found from the current folder where None.
        on_progress: called with each block of rows.

    Raises:
        UsageError: a number or locale that makes no sense.
        Refused: the database is not ours or not writable; nothing was changed.
        CannotMeasure: the server cannot be reached, or the load broke off; run it again.
    """
    spec = dataset_spec(users, seed, locales, project)
    load: _Load | None = None
    try:
        with asyncio.Runner() as runner, _hold(runner, dsn):
            load = _Load(runner, dsn, spec, jobs, on_progress or (lambda _: None))
            return load.carry_out(replace)
    # A group: several connections failed at once, for one reason.
    except (ExceptionGroup, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if load is None or not load.has_begun:
            raise never_began(reason_of(error), redact(dsn)) from error
        raise broke_off(reason_of(error)) from error


def first_of(error: BaseException) -> BaseException:
    """The first of the errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def reason_of(error: BaseException) -> str:
    """The first of the errors, as a phrase."""
    first = first_of(error)
    return str(first) or type(first).__name__


# What a statement of the project can be refused for: it is wrong, or rows do not satisfy it.
_OF_KEYS = (
    asyncpg.SyntaxOrAccessError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
)


def broke_off(reason: str) -> CannotMeasure:
    """The error of a load that did not come to its end."""
    return CannotMeasure(
        f"Seeding failed: {reason}",
        untouched="The data set is marked as incomplete, and no command uses it",
        then=START_OVER,
    )


def never_began(reason: str, where: str) -> CannotMeasure:
    """The error of a load that failed before it changed anything."""
    return CannotMeasure(
        f"{where} could not be prepared: {reason}",
        untouched=NOTHING_CHANGED,
        then="Correct what the server names, then run the same command again",
    )


@contextmanager
def _hold(runner: asyncio.Runner, dsn: str) -> Iterator[None]:
    """Keep other seeders away: a lock in a transaction that stays open, as a pooler allows.

    Raises:
        Refused: another seeder is at work in this database.
    """
    stack = AsyncExitStack()

    async def take() -> bool:
        connection = await stack.enter_async_context(connected(dsn, statement_cache_size=0))
        await stack.enter_async_context(connection.transaction())
        await connection.execute(read_sql("settings"))
        return bool(await connection.fetchval(sql("advisory_lock")))

    async def let_go() -> None:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await stack.aclose()  # where the server is gone, so is the lock

    try:
        if not runner.run(take()):
            raise Refused(
                f"Another phasegate is seeding {redact(dsn)}",
                untouched=NOTHING_CHANGED,
                then="Wait for it to end",
            )
        yield
    finally:
        runner.run(let_go())


def _of_keys(error: BaseException) -> str:
    """A statement of the keys that was refused: for the rows, or for what it says."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return f"seed/keys.sql: {fault_of(error)}"
    return f"seed/keys.sql: {reason_of(error)}"


class _Load:
    """One load, step by step. The lock of `_hold` is taken."""

    def __init__(
        self,
        runner: asyncio.Runner,
        dsn: str,
        spec: DatasetSpec,
        jobs: int,
        on_progress: OnProgress,
    ) -> None:
        self._runner = runner
        self._dsn = dsn
        self._spec = spec
        self._jobs = jobs
        self._on_progress = on_progress
        self._rows_done = 0
        self._schema = Schema({}, frozenset())
        self.has_begun = False
        """Whether anything was changed; the marker then says `loading`."""
        self._started = time.perf_counter()

    def carry_out(self, replace: bool) -> SeedRecord:
        """Check, prepare, load, finish; or find that all is there."""
        found = self._runner.run(self._check(replace))
        if found is not None:
            return msgspec.structs.replace(
                found,
                reused=True,
                wall_s=time.perf_counter() - self._started,
                load_wall_s=None,
                memory_bytes_max=None,
            )
        load_started = time.perf_counter()
        tally = run_crew(
            self._dsn, self._spec, self._schema, jobs=self._jobs, on_rows=self._on_rows
        )
        load_wall_s = time.perf_counter() - load_started
        self._on_progress(Progress("", self._rows_done, self._rows_done))
        self._finish()
        return self._runner.run(self._complete(tally, load_wall_s))

    def _finish(self) -> None:
        """Make the keys; what is wrong with them is the project's to mend."""
        try:
            self._runner.run(finish(self._dsn, self._spec, self._schema))
        except (ExceptionGroup, asyncpg.PostgresError) as error:
            first = first_of(error)
            if isinstance(first, _OF_KEYS):
                raise broke_off(_of_keys(first)) from error
            raise

    def _on_rows(self, table: str, rows: int) -> None:
        self._rows_done += rows
        total = max(self._rows_done, self._spec.rows_expected)
        self._on_progress(Progress(table, self._rows_done, total))

    async def _check(self, replace: bool) -> SeedRecord | None:
        """The record of the data set if it is there, whole; else everything is made ready."""
        where = redact(self._dsn)
        async with connected(self._dsn, statement_cache_size=0) as connection:
            marker, circumstances = await inspect(connection, where, self._spec.tables)
            stored = whole_record(marker, self._spec.key, where, replace=replace)
            if stored is not None:
                record = msgspec.json.decode(stored, type=SeedRecord)
                if await is_unaltered(connection, record, circumstances, where):
                    await close_what_is_open(connection, self._spec, circumstances, where)
                    return record
                if not replace:
                    raise Refused(
                        f"Rows were added to or taken from the data set in {where} since its load",
                        untouched=NOTHING_CHANGED,
                        then="Add --replace to load it afresh",
                    )
            check_may_write(circumstances, where)
            check_disk(await local_data_folder(connection), self._spec.rows_expected)
            self._schema = await prepare(
                connection,
                self._spec,
                where,
                ours=marker is not None,
                rehearse=rehearse if self._spec.users >= USERS_MIN else None,
            )
            self.has_begun = True
        return None

    async def _complete(self, tally: Tally, load_wall_s: float) -> SeedRecord:
        """Measure what lies on the disk, then say `complete` together with the record."""
        spec = self._spec
        async with (
            connected(self._dsn, statement_cache_size=0) as connection,
            connection.transaction(),
        ):
            await connection.execute(read_sql("settings"))
            names = [quoted(table) for table in spec.tables]
            sizes = await connection.fetch(sql("relations"), names)
            record = SeedRecord(
                format_version=SeedRecord.FORMAT_VERSION,
                users=spec.users,
                seed=spec.seed,
                jobs=len(shares(self._jobs, spec, self._schema)),
                sha256=tally.sha256(),
                reused=False,
                rows=sum(tally.rows.values()),
                wall_s=time.perf_counter() - self._started,
                load_wall_s=load_wall_s,
                memory_bytes_max=tally.memory_bytes_max,
                relations=tuple(
                    _relation(name, row, tally)
                    for name, row in sorted(zip(spec.tables, sizes, strict=True))
                ),
                distributions=tuple(tally.histograms[name] for name in sorted(tally.histograms)),
            )
            stored = msgspec.json.encode(record).decode()
            if not await connection.fetch(sql("mark_complete"), spec.key, record.sha256, stored):
                raise broke_off("another phasegate took over this database")
        return record


def _relation(name: str, row: asyncpg.Record, tally: Tally) -> Relation:
    return Relation(
        name=name,
        rows=tally.rows[name],
        table_bytes=row["bytes"],
        index_bytes=msgspec.json.decode(row["index_bytes"], type=dict[str, int]),
    )
