"""Loading: each table by one transaction on one connection, a few connections side by side.

A transaction empties its table and fills it again. On any server that allows COPY … FREEZE, so
that no row is written twice for its visibility; where `wal_level` is `minimal` the server writes no
WAL either; and whatever dies on the way, the table is either whole or empty. One connection per
table is also what keeps the rows in the order of time.

Reads nothing; writes the seeder's own tables.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Protocol

import asyncpg

from phasegate.seeding.copy_encoder import HEADER, TRAILER
from phasegate.seeding.tables import Block
from phasegate.seeding.target import quoted, sql
from phasegate.seeding.timeline import Year
from phasegate.seeding.work import Destination, Lane
from phasegate.stack.database import connected, read_sql

# Blocks that may wait for a connection: enough to ride out a pause, a few MB at most.
QUEUE_BLOCKS = 4

OnRows = Callable[[str, int], None]
"""Called with a table and the rows that were handed to its connection."""


class Source(Protocol):
    """Where the rows come from: `Tables`, or something that kept what those made."""

    @property
    def year(self) -> Year:
        """The span of the rows."""

    def blocks(self, name: str) -> Iterator[Block]:
        """As `Tables.blocks`."""

    def columns(self, table: str) -> tuple[str, ...]:
        """As `Tables.columns`."""


@dataclass(frozen=True)
class Loaded:
    """What was loaded into one table."""

    table: str
    rows: int
    sha256: str
    """Of the rows as sent, without COPY's header and trailer; of nothing where not asked for."""


class _Feed:
    """Blocks on their way to one connection."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Block | None] = asyncio.Queue(QUEUE_BLOCKS)
        self.at_hand: Block | None = None

    async def advance(self) -> Block | None:
        """The next block, or None at the end."""
        self.at_hand = await self.queue.get()
        return self.at_hand

    async def copy(self, month: int | None) -> AsyncIterator[bytes | memoryview]:
        """A COPY stream from the block at hand on, up to the end or to another month."""
        yield HEADER
        while self.at_hand is not None and month in (None, self.at_hand.month):
            yield self.at_hand.data
            await self.advance()
        yield TRAILER


def partition_name(table: str, number: int, first_month: tuple[int, int]) -> str:
    """Partition of the `number`-th month from `first_month` (year, month) on."""
    months = first_month[0] * 12 + first_month[1] - 1 + number
    return f"{table}_p{months // 12:04d}_{months % 12 + 1:02d}"


async def _copy(
    connection: asyncpg.Connection,
    table: str,
    columns: tuple[str, ...],
    source: AsyncIterator[bytes | memoryview],
    *,
    freeze: bool = True,
) -> None:
    schema, _, name = table.rpartition(".")
    await connection.copy_to_table(
        name,
        schema_name=schema or "public",
        columns=columns,
        source=source,
        format="binary",
        freeze=freeze,
    )


async def _fill(
    connection: asyncpg.Connection,
    destination: Destination,
    columns: tuple[str, ...],
    feed: _Feed,
    first_month: tuple[int, int],
) -> None:
    """Replace the contents of `destination` by what comes through `feed`."""
    async with connection.transaction():
        await connection.execute(read_sql("settings"))
        await connection.execute(f"truncate table {quoted(destination.table)}")
        triggers = await connection.fetch(sql("own_triggers"), quoted(destination.table))
        for row in triggers:
            await connection.execute(row["disable"])
        block = await feed.advance()
        if not destination.is_monthly:
            # The server lets no rows that it routes to partitions be frozen.
            freeze = not destination.is_partitioned
            await _copy(connection, destination.table, columns, feed.copy(None), freeze=freeze)
        while destination.is_monthly and block is not None:
            partition = partition_name(destination.table, block.month, first_month)
            await _copy(connection, partition, columns, feed.copy(block.month))
            block = feed.at_hand
        for row in triggers:
            await connection.execute(row["enable"])


async def _produce(
    blocks: Iterator[Block], feeds: Mapping[str, _Feed], on_rows: OnRows, summed: bool
) -> Loaded:
    """Hand every block to each of `feeds`, and sum up what was handed over."""
    digest = hashlib.sha256()
    rows = 0
    for block in blocks:
        if summed:
            digest.update(block.summed)
        rows += block.rows
        for table, feed in feeds.items():
            await feed.queue.put(block)
            on_rows(table, block.rows)
    for feed in feeds.values():
        await feed.queue.put(None)
    return Loaded("", rows, digest.hexdigest())


async def _load(
    connections: Sequence[asyncpg.Connection],
    table: str,
    destinations: tuple[Destination, ...],
    source: Source,
    on_rows: OnRows,
    summed: bool,
) -> tuple[Loaded, ...]:
    """Load the rows of `table` into each of `destinations`, over a connection each."""
    first_month = (source.year.months[0].year, source.year.months[0].month)
    feeds = {one.table: _Feed() for one in destinations}
    columns = source.columns(table)
    async with asyncio.TaskGroup() as group:
        produced = group.create_task(_produce(source.blocks(table), feeds, on_rows, summed))
        for connection, one in zip(connections, destinations, strict=False):
            group.create_task(_fill(connection, one, columns, feeds[one.table], first_month))
    return tuple(replace(produced.result(), table=name) for name in feeds)


async def run_lanes(
    dsn: str, lanes: tuple[Lane, ...], source: Source, on_rows: OnRows, *, summed: bool = True
) -> tuple[Loaded, ...]:
    """Load all lanes at once, the tables of each in turn. `summed`: work out SHA-256 sums.

    Raises:
        CannotMeasure: the server cannot be reached.
        asyncpg.PostgresError, OSError: the load broke off; each table is whole or empty.
    """

    async def run(lane: Lane) -> list[Loaded]:
        found: list[Loaded] = []
        connections: list[asyncpg.Connection] = []
        async with AsyncExitStack() as stack:
            for _ in range(max(len(unit.destinations) for unit in lane)):
                one = await stack.enter_async_context(connected(dsn, statement_cache_size=0))
                connections.append(one)
            for unit in lane:
                table, into = unit.table, unit.destinations
                found += await _load(connections, table, into, source, on_rows, summed)
        return found

    try:
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(run(lane)) for lane in lanes]
    except BaseExceptionGroup as failures:
        raise _first(failures) from failures
    return tuple(loaded for task in work for loaded in task.result())


def _first(failure: BaseException) -> BaseException:
    """The error that made the others."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
