"""`python -m instruments self-check`: on a server of ours, or on a DSN.

Seeds a data set where there is none; prints progress, leaves the database unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from instruments.false_alarms import Rule, lines, record, tally
from phasegate import seeding
from phasegate.cli import console
from phasegate.stack.cache import cache_dir, locked
from phasegate.stack.postgres import cluster_dir, running_postgres


def check(
    database_url: str | None,
    *,
    users: int,
    number: int,
    pairs: int,
    budget_s: float,
) -> tuple[tuple[Rule, ...], tuple[str, ...]]:
    """The rules with what they found, ours first, and the same as lines for a terminal.

    Args:
        database_url: of a seeded database; a server of ours is filled if None.
        users: of the data set on that server.
        number: seed of it.
        pairs: comparisons of a statement with itself, two or more.
        budget_s: seconds for each.

    Raises:
        ConfigurationError: the database is not fit to be measured.
        CannotMeasure: it cannot be reached, or a statement fails.
    """
    with (
        _database(database_url, users, number) as dsn,
        console.step("self-check") as show,
    ):
        recorded = record(dsn, pairs=pairs, budget_s=budget_s, on_progress=show)
    rules = tally(recorded)
    return rules, tuple(lines(recorded, rules))


@contextmanager
def _database(database_url: str | None, users: int, number: int) -> Iterator[str]:
    if database_url is not None:
        yield database_url
        return
    with (
        locked(cache_dir(), "python -m instruments self-check"),
        running_postgres(cluster_dir()) as server,
    ):
        name = f"seed {users:,} users"
        with console.row_bar(name) as move:
            dsn, _ = seeding.ensure_dataset(server, users=users, seed=number, on_progress=move)
        yield dsn
