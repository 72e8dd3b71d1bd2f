"""What somebody's database has of what a stack can have: indexes, views, partitions, replicas.

Reads the server's catalogue and views of its activity in read-only transactions; writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from phasegate.advise.found_parts import MATVIEWS, PRESENT_TIMEOUT, Found, found_parts
from phasegate.advise.schema import read_schema, sql
from phasegate.project import Project
from phasegate.report.format import plain
from phasegate.stack.database import connected, read_sql, run

NAMED_MAX = 8
"""Of one kind; more are counted."""


@dataclass(frozen=True)
class Inventory:
    """What is there.

    Attributes:
        indexes: beside those of keys and constraints, by name.
        views: materialised ones.
        partitioned: tables in partitions.
        replicas: servers that copy this one now.
        is_replica: whether it is a copy itself.
        poolers: that have a connection now; one that hides its name is not seen.
        techniques: of the project that are there, and what each is called there.
    """

    indexes: tuple[str, ...]
    views: tuple[str, ...]
    partitioned: tuple[str, ...]
    replicas: int
    is_replica: bool
    poolers: tuple[str, ...]
    techniques: Found


def inventory(dsn: str, project: Project | None = None) -> Inventory:
    """What the database behind `dsn` has; techniques of `project` under any name.

    Raises:
        CannotMeasure: the server cannot be reached.
    """

    async def work() -> tuple[list[str], dict[str, Any]]:
        async with (
            connected(dsn, statement_cache_size=0) as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute(read_sql("inspect_with_care"), PRESENT_TIMEOUT)
            views = [row["name"] for row in await connection.fetch(MATVIEWS)]
            return views, dict(await connection.fetchrow(sql("beside")))

    views, beside = run(work())
    tables = read_schema(dsn).tables.values()
    return Inventory(
        indexes=tuple(index.name for t in tables for index in t.indexes if not index.of_constraint),
        views=tuple(views),
        partitioned=tuple(table.key for table in tables if table.partitioned),
        replicas=int(beside["replicas"]),
        is_replica=bool(beside["is_replica"]),
        poolers=tuple(beside["poolers"]),
        techniques={} if project is None else found_parts(dsn, project),
    )


def lines(found: Inventory) -> Iterator[str]:
    """The same for a terminal, a line a kind."""
    yield "found in the database, beside tables and their keys:"
    yield f"  indexes: {_listed(found.indexes)}"
    yield f"  materialised views: {_listed(found.views)}"
    yield f"  tables in partitions: {_listed(found.partitioned)}"
    copies = {0: "none copies it now", 1: "one copies it now"}
    copied = copies.get(found.replicas, f"{found.replicas} copy it now")
    yield f"  replicas: {'it is one itself' if found.is_replica else copied}"
    unseen = "none seen; one that hides its name is not"
    yield f"  poolers: {_listed(found.poolers) if found.poolers else unseen}"
    if found.techniques:
        had = [id_ + (f" (as {name})" if name else "") for id_, name in found.techniques.items()]
        yield f"  of the project's techniques: {_listed(had)}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name, 80) for name in names[:NAMED_MAX])
    more = len(names) - NAMED_MAX
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"
