"""Looks at a database without changing anything: size, users, planner settings, row-level security.

Reads catalogues, and counts one table under a time-out, in one transaction that is read-only;
writes nothing. `stack/sql/inspect_*.sql`, `planner_settings.sql` and `row_security.sql` are its
statements. asyncpg does not read PGOPTIONS: what holds in libpq's sessions, `compare.dataset` asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import asyncpg
import msgspec

from phasegate.model.errors import CannotMeasure
from phasegate.model.row_security import ACTING_ROLE, lookups, not_in_force
from phasegate.project import About
from phasegate.records.planner_settings import API_ROLES, PlannerSetting
from phasegate.records.seed import Relation
from phasegate.records.target import FoundDatabase
from phasegate.stack.database import connected, read_sql, redact, run

# Counting a million users takes a tenth of a second; a database where it takes longer than this is
# either enormous or in trouble, and the planner's estimate then has to do.
COUNT_TIMEOUT = "5s"

# Catalogue queries over thousands of partitions take seconds, never minutes.
LOOK_TIMEOUT = "30s"

# Alias in what is asked of the app's own tables, by which `phasegate advise` knows it for ours.
OWN = "phasegate_looked_at"

# asyncpg's own statements would be left prepared on a pooler's connection.
STATEMENT_CACHE_SIZE = 0

PLANNER_SETTINGS = read_sql("planner_settings")


def look_at(dsn: str, about: About, acting: Sequence[str] = ()) -> tuple[FoundDatabase, int | None]:
    """What is behind `dsn`, and how many of the users `acting` (ids) are registered there.

    The second is None where nobody was asked for, or no table of users may be read.

    Args:
        dsn: of the database.
        about: the project, which names its table of users; Supabase's own is looked for first.
        acting: users' ids, as tokens carry them.

    Raises:
        ConfigurationError: `dsn` is no DSN.
        CannotMeasure: the server cannot be reached, or did not answer; the password is not quoted.
    """

    async def work() -> tuple[FoundDatabase, int | None]:
        async with connected(dsn, statement_cache_size=STATEMENT_CACHE_SIZE) as connection:
            try:
                async with connection.transaction(readonly=True):
                    await connection.execute(read_sql("inspect_with_care"), LOOK_TIMEOUT)
                    return await _look(connection, about, acting)
            except asyncpg.PostgresError as error:
                raise CannotMeasure(
                    f"{redact(dsn)} could not be read: {error}",
                    untouched="Nothing was changed",
                    then="Use a role that may read the tables' sizes and the registered users",
                ) from error

    return run(work())


async def _look(
    connection: asyncpg.Connection, about: About, acting: Sequence[str]
) -> tuple[FoundDatabase, int | None]:
    server = await connection.fetchrow(
        read_sql("inspect_server"), about.users_table, about.users_key
    )
    relations = await connection.fetch(read_sql("inspect_relations"))
    relation = server["users_relation"]
    users, counted = await _users(connection, relation, server["users_estimated"])
    open_tables = await _row_security(connection, about.schemas)
    found = FoundDatabase(
        version=server["version"],
        connections_max=server["connections_max"],
        size_bytes=server["size_bytes"],
        relations=tuple(
            Relation(
                name=row["name"],
                rows=row["rows"] or 0,
                table_bytes=row["bytes"],
                index_bytes=msgspec.json.decode(row["index_bytes"], type=dict[str, int]),
            )
            for row in relations
        ),
        users_table=server["users_table"],
        registered_users=users,
        counted=counted,
        unguarded=not_in_force(open_tables),
        lookups=lookups(open_tables),
        planner_settings=tuple(
            one for one in await planner_settings_on(connection) if not one.is_of_session
        ),
    )
    if relation is None or not acting:
        return found, None
    # Names and type as the server itself quotes them; compared in the key's type, by its index.
    registered = (
        f"select count(*) from {relation} as {OWN}"  # noqa: S608
        f" where {server['users_key']} = any($1::text[]::{server['users_key_type']}[])"
    )
    return found, int(await connection.fetchval(registered, list(acting)))


async def _users(
    connection: asyncpg.Connection, relation: str | None, estimated: int | None
) -> tuple[int | None, Literal["counted", "estimated"] | None]:
    """Registered users: counted, or as the planner knows them where that takes too long."""
    if relation is None:
        return None, None
    try:
        async with connection.transaction():  # a savepoint: a time-out must not end it all
            await connection.execute(read_sql("inspect_with_care"), COUNT_TIMEOUT)
            counted = f"select count(*) from {relation} as {OWN}"  # noqa: S608
            users = await connection.fetchval(counted)
            return int(users), "counted"
    except asyncpg.QueryCanceledError:
        if estimated is None or estimated < 0:  # never analysed
            return None, None
        return estimated, "estimated"


def as_settings(rows: Iterable[Sequence[str | None]]) -> tuple[PlannerSetting, ...]:
    """Rows of that statement: name, value, default, source."""
    return tuple(
        PlannerSetting(name=str(name), value=str(value), default=str(default), source=str(source))
        for name, value, default, source in rows
    )


async def planner_settings_on(connection: asyncpg.Connection) -> tuple[PlannerSetting, ...]:
    """Of the session, and of the API's roles."""
    found = await connection.fetch(PLANNER_SETTINGS, list(API_ROLES))
    return as_settings([tuple(row) for row in found])


def planner_settings(dsns: Iterable[str]) -> tuple[PlannerSetting, ...]:
    """Of several databases, each setting once.

    Raises:
        CannotMeasure: a server cannot be reached.
    """

    async def of(dsn: str) -> tuple[PlannerSetting, ...]:
        async with connected(dsn) as connection:
            return await planner_settings_on(connection)

    return tuple(dict.fromkeys(one for dsn in dsns for one in run(of(dsn))))


async def _row_security(
    connection: asyncpg.Connection, schemas: Sequence[str]
) -> list[tuple[str, str]]:
    """Tables whose policies do not hold for the sessions' role, each with the reason."""
    found = await connection.fetch(read_sql("row_security"), ACTING_ROLE, None, list(schemas))
    return [(row["name"], row["why"]) for row in found]


def unguarded(dsn: str, schemas: Sequence[str]) -> tuple[str, ...]:
    """Why policies do not hold for the sessions' role on the tables of `schemas` that it may use.

    Returns:
        A sentence for each reason; none where every policy holds.

    Raises:
        CannotMeasure: the server cannot be reached.
    """

    async def work() -> tuple[str, ...]:
        async with connected(dsn) as connection:
            return not_in_force(await _row_security(connection, schemas))

    return run(work())
