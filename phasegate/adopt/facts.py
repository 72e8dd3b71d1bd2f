"""What a user's database knows of its tables in figures: row counts, and the planner's estimates.

Reads `pg_class`, `pg_stat_all_tables` and four columns of `pg_stats` of a source; writes nothing.
No value of any row is among them: most-common values and histogram bounds are never asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import asyncpg

from phasegate.stack.database import read_sql

SQL = Path(__file__).with_name("sql")

Name = tuple[str, str]
"""Schema and table."""


@dataclass(frozen=True)
class ColumnFacts:
    """What the planner knows of a column (PostgreSQL manual, `pg_stats`)."""

    null_frac: float
    """Share of rows in which it is null, 0 to 1."""
    n_distinct: float
    """Different values: their number where above 0; minus their share of the rows where below."""
    avg_width: int
    """Bytes of a value that is not null, on average."""
    correlation: float | None
    """Of the order on disk with the order of values, -1 to 1; None where the type has no order."""

    def distinct(self, rows: float) -> float:
        """How many different values there are among `rows` rows."""
        return self.n_distinct if self.n_distinct >= 0 else -self.n_distinct * rows


@dataclass(frozen=True)
class TableFacts:
    """What is known of a table; of a partitioned one, its partitions taken together."""

    rows: float | None
    """An estimate; None where the table was never analysed, and the server has counted nothing."""
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    """By name; those alone that were analysed, and that the role may read."""


@dataclass(frozen=True)
class SourceFacts:
    """Figures of a source at one moment."""

    tables: Mapping[Name, TableFacts]
    server_version: str
    """As the server says it: `15.8`."""
    taken_at: datetime
    """By the server's clock."""

    def rows(self, schema: str, table: str) -> float | None:
        """Rows of a table; None where it is not known."""
        found = self.tables.get((schema, table))
        return None if found is None else found.rows

    def column(self, schema: str, table: str, column: str) -> ColumnFacts | None:
        """What is known of a column; None where nothing is."""
        found = self.tables.get((schema, table))
        return None if found is None else found.columns.get(column)


async def read_facts(connection: asyncpg.Connection, schemas: Sequence[str]) -> SourceFacts:
    """The figures of all tables in `schemas`, in the transaction that `connection` is in."""
    rows: dict[Name, float | None] = {}
    columns: dict[Name, dict[str, ColumnFacts]] = {}
    for row in await connection.fetch(read_sql(SQL / "facts.sql"), list(schemas)):
        name = (row["schema"], row["table"])
        rows[name] = row["rows"]
        known = columns.setdefault(name, {})
        if row["column"] is not None:
            known[row["column"]] = ColumnFacts(
                row["null_frac"], row["n_distinct"], row["avg_width"], row["correlation"]
            )
    return SourceFacts(
        {name: TableFacts(rows[name], columns[name]) for name in rows},
        await connection.fetchval("select current_setting('server_version')"),
        await connection.fetchval("select now()"),
    )
