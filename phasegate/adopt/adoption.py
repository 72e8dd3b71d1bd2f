"""From a database or from migrations to the texts of a project: the whole way.

Reads the source or the migrations; makes a local copy and throws it away; gives texts, writes none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from phasegate.adopt.dump import dump, entries_of
from phasegate.adopt.facts import SQL, SourceFacts
from phasegate.adopt.local_copy import (
    Loss,
    apply_migrations,
    extension_losses,
    found,
    restore,
    scratch_server,
)
from phasegate.adopt.migrations import Migrations, read_migrations
from phasegate.adopt.population import Guess, guess_population
from phasegate.adopt.project_files import OwnerIndex, benchmarks, project_toml
from phasegate.adopt.schemas import TABLES_OF_TOOLS, is_of_the_app
from phasegate.adopt.sections import Copy, sections
from phasegate.adopt.sessions import locustfile
from phasegate.adopt.shape import Shape, read_shape
from phasegate.adopt.source import Source, read_source
from phasegate.model.errors import ConfigurationError
from phasegate.project.declared import plain
from phasegate.stack.database import connected, read_sql, run
from phasegate.stack.postgres import PostgresServer

DATABASE = "postgres"  # as on Supabase, so that `alter database postgres …` finds it
NOTHING = "Nothing was written"

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Adopted:
    """What `init` made of a source.

    Attributes:
        files: texts by path below the project's folder.
        shape: of the local copy.
        guess: of the population.
        losses: what the copy lacks.
        came_from: the source in words.
        remarks: what else the user should know.
    """

    files: dict[str, str]
    shape: Shape
    guess: Guess
    losses: tuple[Loss, ...]
    came_from: str
    remarks: tuple[str, ...] = ()


def adopt(
    *,
    name: str,
    dsn: str | None,
    migrations: Path | None,
    schemas: Sequence[str] = (),
    users_table: str | None = None,
    on_step: OnStep = lambda _: None,
) -> Adopted:
    """The project that a database, migrations, or both describe.

    Args:
        name: of the project.
        dsn: the database, which is only read.
        migrations: a folder of them; where given, they say the shape, and the database how many.
        schemas: those alone; all of the app's where empty.
        users_table: of registered users; found where None.
        on_step: told what comes next.

    Raises:
        PhasegateError: as its leaf says; nothing was written, and no server of ours is left.
    """
    read = read_migrations(migrations) if migrations is not None else None
    source = None
    if dsn is not None:
        on_step("reading the database")
        source = run(read_source(dsn, schemas))
    on_step("making a local copy")
    with scratch_server() as server:
        work = _Adoption(server, name, read, source, schemas, users_table, on_step)
        return run(work.carry_out())


@dataclass
class _Adoption:
    server: PostgresServer
    name: str
    migrations: Migrations | None
    source: Source | None
    wanted: Sequence[str]
    users_table: str | None
    on_step: OnStep

    async def carry_out(self) -> Adopted:
        dsn = self.server.dsn(DATABASE)
        losses = await self._make(dsn)
        async with connected(dsn) as connection:
            schemas = await self._schemas(connection)
            self.on_step("understanding its tables")
            shape = await read_shape(connection, schemas)
            guess = guess_population(shape, self._facts, self.users_table)
            copy = await self._copy(connection, schemas)
            cut = sections(entries_of(dump(self.server.libpq_environment(DATABASE))), copy)
            population = guess.toml_text()
            files = {
                "phasegate.toml": "",
                "seed/schema.sql": cut.schema,
                "seed/keys.sql": cut.keys,
                "seed/policies.sql": cut.policies,
                "seed/population.toml": population,
            }
            more, index, users_table = await self._rest(
                connection, guess, tomllib.loads(population), _hidden(shape)
            )
        files |= more
        files["phasegate.toml"] = project_toml(
            name=self.name,
            came_from=self._came_from,
            users_table=users_table,
            users_key=guess.users_key,
            users_reason=guess.users_reason,
            schemas=tuple(schemas),
            index=index,
        )
        return Adopted(
            files,
            shape,
            guess,
            (*losses, *cut.losses),
            self._came_from,
            tuple(self._remarks(shape)),
        )

    @property
    def _facts(self) -> SourceFacts | None:
        return None if self.source is None else self.source.facts

    @property
    def _as_supabase(self) -> bool:
        if self.migrations is not None:
            return (
                bool(self.migrations.of_supabase)
                or self.migrations.folder.parent.name == "supabase"
            )
        return self.source is not None and self.source.as_supabase

    @property
    def _came_from(self) -> str:
        """No address: the file is committed."""
        said = []
        if self.migrations is not None:
            count = len(self.migrations.files)
            said.append(
                f"{count} {'migration' if count == 1 else 'migrations'} ({self.migrations.tool})"
            )
        if self.source is not None:
            kind = "a Supabase project" if self.source.as_supabase else "a database"
            said.append(f"{kind} (PostgreSQL {self.source.facts.server_version})")
        return " and the counts of ".join(said)

    async def _make(self, dsn: str) -> tuple[Loss, ...]:
        async with connected(dsn) as connection:
            if self._as_supabase:
                await found(connection, as_supabase=True)
        if self.migrations is not None:
            return await apply_migrations(dsn, self.migrations)
        assert self.source is not None  # noqa: S101 - one of the two is given
        async with connected(dsn) as connection:
            return await _restore(connection, self.source)

    async def _schemas(self, connection: asyncpg.Connection) -> tuple[str, ...]:
        """The app's schemas in the copy that hold tables.

        Raises:
            ConfigurationError: there are none.
        """
        rows = await connection.fetch(read_sql(SQL / "copy_schemas.sql"), list(TABLES_OF_TOOLS))
        apps = [
            row["name"]
            for row in rows
            if (not self.wanted or row["name"] in self.wanted)
            and is_of_the_app(row["name"], as_supabase=self._as_supabase)
        ]
        if not any(row["tables"] for row in rows if row["name"] in apps):
            raise ConfigurationError(
                f"There is no table in {', '.join(self.wanted) or self._came_from}",
                untouched=NOTHING,
                then="Name the folder with all migrations, or another database",
            )
        return tuple(apps)

    async def _copy(self, connection: asyncpg.Connection, schemas: Sequence[str]) -> Copy:
        names = list(schemas)
        borrowed = await connection.fetch(read_sql(SQL / "copy_borrowed.sql"), names)
        open_ = await connection.fetch(read_sql(SQL / "copy_open.sql"), names)
        roles = await connection.fetch(read_sql(SQL / "copy_roles.sql"), names)
        return Copy(
            schemas,
            frozenset((row["schema"], row["name"]) for row in borrowed),
            [row["name"] for row in open_],
            [row["name"] for row in roles],
            self._as_supabase,
        )

    async def _rest(
        self,
        connection: asyncpg.Connection,
        guess: Guess,
        population: dict[str, Any],
        hidden: Collection[str],
    ) -> tuple[dict[str, str], OwnerIndex | None, str]:
        """`loadtests/`, `benchmarks/`, `results/`; and the users' table as SQL names it."""
        users = plain(guess.users_table)
        busiest = _busiest(population, users, guess.users_key)
        index, quoted = None, None
        if busiest is not None:
            quoted = await _quoted(connection, *busiest)
            if await connection.fetchval(
                read_sql(SQL / "copy_unindexed.sql"), quoted[0], busiest[1]
            ):
                index = OwnerIndex(*quoted, name=busiest[0], plain_table=busiest[0])
        users_table, key = await _quoted(connection, users, guess.users_key)
        files = {
            "loadtests/locustfile.py": locustfile(
                population,
                guess.users_table,
                guess.users_key,
                self.name,
                hidden,
                guarded=self._as_supabase,
            ),
            **dict(benchmarks(users_table, key, index, quoted)),
            "results/.gitkeep": "",
        }
        return files, index, users_table

    def _remarks(self, shape: Shape) -> Iterator[str]:
        if self.migrations is not None:
            asks = self.migrations.of_supabase
            if asks:
                yield f"made as Supabase makes a project: {asks}"
            if self.migrations.passed_over:
                names = ", ".join(self.migrations.passed_over[:3])
                yield f"passed over: {names}{', …' if len(self.migrations.passed_over) > 3 else ''}"
        if self.source is not None and self.migrations is not None:
            there = set(self.source.facts.tables)
            here = set(shape.tables)
            for label, missing in (
                ("in the migrations and not in the database", here - there),
                ("in the database and not in the migrations", there - here),
            ):
                if missing and there:
                    yield f"{label}: " + ", ".join(sorted(table for _, table in missing)[:5])
        if any(table.triggers for table in shape.tables.values()):
            yield "triggers are made after the rows: none fires during the load"


async def _restore(connection: asyncpg.Connection, source: Source) -> tuple[Loss, ...]:
    """The source's schema in the copy: roles and extensions first."""
    losses: list[Loss] = []
    for name, statement in source.roles.items():
        if not await connection.fetchval("select to_regrole(quote_ident($1)) is not null", name):
            await connection.execute(statement)
    for extension in source.extensions:
        try:
            await connection.execute(extension.place)
            await connection.execute(extension.statement)
            losses += extension_losses(extension.name)
        except asyncpg.PostgresError as error:
            losses.append(Loss(f"extension {extension.name}", str(error)))
    return (*losses, *await restore(connection, source.entries))


def _hidden(shape: Shape) -> frozenset[str]:
    """Tables of which row-level security shows nobody a row."""
    return frozenset(
        table.name
        for table in shape.tables.values()
        if table.row_security
        and not any(policy.command.lower() in ("select", "all", "*") for policy in table.policies)
    )


def _busiest(population: dict[str, Any], users: str, key: str) -> tuple[str, str] | None:
    """The table with the most rows a user, and its column with the user's key."""
    best, most = None, 0.0
    for table, said in population["tables"].items():
        rows = said.get("rows", 1)
        mean = (
            float(rows.get("mean", 0) or rows.get("from_one_mean", 0))
            if isinstance(rows, dict)
            else rows
        )
        for column, kind in said.get("columns", {}).items():
            ref = kind.get("ref", "") if isinstance(kind, dict) else ""
            target, _, target_column = ref.rpartition(".")
            mine = plain(target) == users and target_column == key and not kind.get("within")
            if mine and plain(said.get("owner", "")) and not said.get("skip") and mean > most:
                best, most = (plain(table), column), mean
    return best


async def _quoted(connection: asyncpg.Connection, table: str, column: str) -> tuple[str, str]:
    """Both as SQL names them."""
    schema, _, name = table.rpartition(".")
    row = await connection.fetchrow(
        "select format('%I.%I', $1::text, $2::text) as table, quote_ident($3) as column",
        schema or "public", name, column,
    )  # fmt: skip
    return row["table"], row["column"]
