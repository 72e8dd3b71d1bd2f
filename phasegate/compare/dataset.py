"""The data set behind a DSN: is it ours, how large is it, can it be measured, and draws from it.

Reads the seeder's marker (schema `phasegate`), the planner's statistics and what the project's
`benchmarks/draw.sql` asks; writes nothing. Every way in which a database is not fit to be measured
is named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phasegate.compare.libpq import Session, StatementError, array_literal
from phasegate.compare.technique import SUB, Parameters
from phasegate.model.errors import CannotMeasure, ConfigurationError
from phasegate.model.row_security import ACTING_ROLE, not_in_force
from phasegate.project import Project
from phasegate.project.technique import DRAW
from phasegate.records.planner_settings import API_ROLES, PlannerSetting
from phasegate.stack.database import read_sql
from phasegate.stack.inspect import PLANNER_SETTINGS, as_settings

SQL = Path(__file__).with_name("sql")

# The oldest version that PostgreSQL itself still maintains, and that the seeder loads into.
SERVER_VERSION_MIN = 14

# Draws kept: enough that no user's pages are the warm ones, few enough to draw in a moment.
POPULATION_SIZE = 512

INSUFFICIENT_PRIVILEGE = "42501"  # SQLSTATE

SEED_FIRST = "Seed it: phasegate seed --users N --database-url DSN"


@dataclass(frozen=True)
class DataSet:
    """What the seeder left in its marker, and the server it lies on."""

    users: int
    seed: int
    sha256: str
    server_version: str
    planner_settings: tuple[PlannerSetting, ...] = ()
    """That differ from PostgreSQL's defaults, in this session and for the API's roles."""


def read_dataset(
    session: Session, *, users: int | None = None, sha256: str | None = None
) -> DataSet:
    """The data set of this database, checked.

    Args:
        session: a connection to the database.
        users: the size that is wanted; any if None.
        sha256: of the data that is wanted; any if None.

    Raises:
        ConfigurationError: unsupported server, pooler, no seeded data, other data or size, a table
            without statistics, a role that lacks a right.
        CannotMeasure: row-level security does not hold for the role that users act as.
    """
    major = session.server_major
    if major < SERVER_VERSION_MIN:
        raise ConfigurationError(
            f"The server is PostgreSQL {major}; the benchmarks need {SERVER_VERSION_MIN} or newer",
            untouched="Nothing was changed",
            then="Name a newer server, or unset DATABASE_URL: phasegate then starts its own",
        )
    if session.once("select pg_backend_pid()").column(0) != [str(session.backend_pid)]:
        raise ConfigurationError(
            "This address is a connection pooler's, which would be measured with the server, and "
            "may change the connection between two statements",
            untouched="Nothing was changed",
            then="Give the server's own address (Supabase: the direct connection, port 5432)",
        )
    if not session.once(read_sql("is_marked"))():
        raise ConfigurationError(
            "There is no seeded data in this database",
            untouched="Nothing was changed",
            then=SEED_FIRST,
        )
    tables = _check_rights(session)
    markers = session.once(_sql("marker"))()
    if not markers:
        raise ConfigurationError(
            "The data set in this database is incomplete",
            untouched="Nothing was changed",
            then=SEED_FIRST,
        )
    found, seed, digest, version = (value or "" for value in markers[0])
    if users is not None and int(found) != users:
        raise ConfigurationError(
            f"The database holds {int(found):,} users, and {users:,} were asked for",
            untouched="Nothing was changed",
            then="Name the database of that size, or seed it",
        )
    if sha256 not in (None, digest):
        raise ConfigurationError(
            f"The database of {int(found):,} users holds a different data set",
            untouched="Nothing was changed",
            then="Seed it again with --fresh",
        )
    _check_statistics(session, tables)
    _check_row_security(session, tables)
    return DataSet(int(found), int(seed), digest, version, read_planner_settings(session))


def read_planner_settings(session: Session) -> tuple[PlannerSetting, ...]:
    """Those of this session (PGOPTIONS too, which libpq reads) and of the API's roles."""
    return as_settings(session.once(PLANNER_SETTINGS, array_literal(API_ROLES))())


def _sql(name: str) -> str:
    return (SQL / f"{name}.sql").read_text(encoding="utf-8")


Tables = Sequence[tuple[str, str]]
"""Those that the seeder made, without partitions: oid and name, both as PostgreSQL writes them."""


def _check_statistics(session: Session, tables: Tables) -> None:
    oids = array_literal([oid for oid, _ in tables])
    names = session.once(_sql("without_statistics"), oids).column(0)
    if names:
        raise ConfigurationError(
            f"The planner has no statistics of {', '.join(map(str, names))}, so its plans would be "
            "guesses",
            untouched="Nothing was changed",
            then="Run ANALYZE",
        )


def _check_rights(session: Session) -> Tables:
    """The tables of the data set, all of which this role may do with what the arms need."""
    try:
        found = session.once(_sql("tables"))()
    except StatementError as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise ConfigurationError(
                "The data set in this database was seeded by an earlier version",
                untouched="Nothing was changed",
                then=SEED_FIRST,
            ) from error
        found = []  # the marker may not be read, as the next query says
    tables = [(str(oid), str(name)) for oid, name in found]
    for what, mend in session.once(_sql("lacking"), array_literal([oid for oid, _ in tables]))():
        raise ConfigurationError(str(what), untouched="Nothing was changed", then=str(mend))
    return tables


def _check_row_security(session: Session, tables: Tables) -> None:
    oids = array_literal([oid for oid, _ in tables])
    found = session.once(read_sql("row_security"), ACTING_ROLE, oids, "{}")()
    reasons = not_in_force([(str(table), str(why)) for table, why in found])
    if reasons:
        raise CannotMeasure(
            f"No fair measurement: {'; '.join(reasons)}",
            untouched="Nothing was changed",
            then="Run that, or mend seed/policies.sql and seed again with --fresh",
        )


def draw_population(session: Session, project: Project, seed: int) -> Sequence[Parameters]:
    """What `benchmarks/draw.sql` of the project draws; the same for the same data and seed.

    Raises:
        ConfigurationError: there is no such file, it fails, or it does not say whom to act as.
        CannotMeasure: there is nothing to draw from.
    """
    path = project.benchmarks / DRAW
    where = f"{path.parent.name}/{path.name}"
    if not path.is_file():
        raise ConfigurationError(
            f"There is no {where}, which draws the parameters of the statements",
            untouched="Nothing was changed",
            then="docs/project/benchmarks.md says what it must give",
        )
    try:
        found = session.once(project.text(where), str(seed), str(POPULATION_SIZE))
    except StatementError as error:
        raise ConfigurationError(
            f"{where}: {error.what}",
            untouched="Nothing was changed",
            then="Correct the statement",
        ) from error
    rows = found()
    if not rows:
        raise CannotMeasure(f"{where} draws nothing: its tables are empty", then=SEED_FIRST)
    drawn = [Parameters(found.names, row) for row in rows]
    if SUB not in found.names or not all(each.sub for each in drawn):
        raise ConfigurationError(
            f"{where} must give a column `{SUB}`, the user whose rights the statements have",
            untouched="Nothing was changed",
            then=f"Select the user's key as {SUB}, which is never null",
        )
    return drawn
