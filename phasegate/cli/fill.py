"""`phasegate seed`: fill the database behind a DSN, or the server that phasegate runs itself."""

from __future__ import annotations

from collections.abc import Iterator

from phasegate import seeding
from phasegate.cli import console
from phasegate.model.catalogue import Population
from phasegate.records.seed import SeedRecord
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import cluster_dir, running_postgres


def fill(
    dsn: str | None,
    *,
    users: int,
    number: int,
    jobs: int,
    replace: bool,
    fresh: bool,
    population: Population,
) -> SeedRecord:
    """Seed `users` users from seed `number`; our own server is started for it and stopped."""
    with console.row_bar(f"seed {users:,} users") as move:
        if dsn is not None:
            return seeding.seed_database(
                dsn,
                users=users,
                seed=number,
                jobs=jobs,
                replace=replace,
                population=population,
                on_progress=move,
            )
        with locked(cache_dir(), "phasegate seed"), running_postgres(cluster_dir()) as server:
            _, record = seeding.ensure_dataset(
                server,
                users=users,
                seed=number,
                jobs=jobs,
                fresh=fresh,
                population=population,
                on_progress=move,
            )
            return record


def describe(users: int, number: int, population: Population) -> str:
    """How the data of that call are distributed, as text; nothing is loaded."""
    return seeding.describe(users, number, population=population)


def lines(record: SeedRecord) -> Iterator[str]:
    """The record for a terminal."""
    yield f"{'table':<28}{'rows':>12}{'table MB':>10}{'index MB':>10}"
    for relation in record.relations:
        index_mb = sum(relation.index_bytes.values()) / 1e6
        table_mb = relation.table_bytes / 1e6
        yield f"{relation.name:<28}{relation.rows:>12,}{table_mb:>10,.1f}{index_mb:>10,.1f}"
    how = "found whole, nothing was loaded" if record.reused else f"in {record.wall_s:.1f} s"
    yield f"{record.users:,} users, seed {record.seed}, {how}"
    yield f"SHA-256 {record.sha256}"
