"""`phasegate seed`: fill the database behind a DSN, or the server that phasegate runs itself."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from phasegate.cli import console, options
from phasegate.model.errors import UsageError
from phasegate.records.seed import SeedRecord


@click.command()
@click.option("--users", type=options.POSITIVE, help="Registered users [2,000 with --describe].")
@options.database_url
@options.seed_number
@options.jobs
@click.option(
    "--locale",
    "locales",
    multiple=True,
    help="Faker locale, such as en_US; may be repeated [of seed/population.toml].",
)
@click.option("--replace", is_flag=True, help="First drop another data set that phasegate made.")
@options.fresh
@click.option(
    "--describe", is_flag=True, help="Print how the data are distributed, and fill nothing."
)
@options.as_json
def seed(
    users: int | None,
    database_url: str | None,
    seed: int | None,
    jobs: int,
    locales: tuple[str, ...],
    *,
    replace: bool,
    fresh: bool,
    describe: bool,
    as_json: bool,
) -> None:
    """Fill a PostgreSQL database with the rows of so many users.

    The tables are the project's; the same seed gives the same bytes. The database must be empty, or
    one that phasegate filled; anything else is refused. Without a database URL, phasegate's own
    server is filled, and the next run finds the data there.

    Row-level security is on from the start: on a Supabase project with the policies; elsewhere
    nobody but the owner sees a row until `phasegate sql --level N --apply` gives users theirs.
    """
    from phasegate import seeding

    catalogue = options.catalogue()
    number = catalogue.run.seed if seed is None else seed
    if describe:
        size = users or catalogue.run.quick_users
        click.echo(seeding.describe(size, number, locales=locales or None))
        return
    if users is None:
        raise UsageError(
            "seed needs the number of registered users",
            untouched="Nothing was changed",
            then="Give it: --users 1000",
        )
    record = fill(
        database_url,
        users=users,
        number=number,
        jobs=jobs,
        replace=replace,
        fresh=fresh,
        locales=locales or None,
    )
    if as_json:
        click.echo(msgspec.json.encode(record))
        return
    for line in lines(record):
        click.echo(line)


def fill(
    dsn: str | None,
    *,
    users: int,
    number: int,
    jobs: int,
    replace: bool,
    fresh: bool,
    locales: tuple[str, ...] | None = None,
) -> SeedRecord:
    """Seed `users` users from seed `number`; our own server is started for it and stopped."""
    from phasegate import seeding
    from phasegate.stack.cache import cache_dir, locked
    from phasegate.stack.postgres import cluster_dir, running_postgres

    with console.row_bar(f"seed {users:,} users") as move:
        if dsn is not None:
            return seeding.seed_database(
                dsn,
                users=users,
                seed=number,
                jobs=jobs,
                replace=replace,
                locales=locales,
                on_progress=move,
            )
        with locked(cache_dir(), "phasegate seed"), running_postgres(cluster_dir()) as server:
            _, record = seeding.ensure_dataset(
                server,
                users=users,
                seed=number,
                jobs=jobs,
                fresh=fresh,
                locales=locales,
                on_progress=move,
            )
            return record


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
