"""Any schema: guessed, loaded by the engine, judged by PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from pathlib import Path

import asyncpg
from hypothesis import HealthCheck, Phase, given, settings

from phasegate.adopt.population import Guess, guess_population
from phasegate.adopt.shape import Place, read_shape
from phasegate.project import SeedFolder
from phasegate.seeding import seed_database
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer

from .random_schemas import Schema, schemas

USERS = 60
WANTED = os.environ.get("PHASEGATE_TEST_SCHEMAS", "")
"""So many other ones; by default a few that are the same each time, since each takes seconds."""
_numbers = itertools.count(1)


async def guess_of(dsn: str, schema: Schema) -> Guess:
    """What is guessed of a database made by the two scripts."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(schema.schema)
        await connection.execute(schema.keys)
        shape = await read_shape(connection, ["public"])
        await connection.execute(
            "drop schema public cascade; drop schema auth cascade; create schema public"
        )
        return guess_population(shape, None)
    finally:
        await connection.close()


def project_of(root: Path, schema: Schema, guess: Guess) -> SeedFolder:
    """A project with what was guessed."""
    (root / "seed").mkdir()
    (root / "phasegate.toml").write_text(
        f'[project]\nname = "x"\ntitle = "x"\nusers_table = "{guess.users_table}"\n'
        f'users_key = "{guess.users_key}"\n[[levels]]\ntitle = "as shipped"\n'
    )
    (root / "seed" / "schema.sql").write_text(schema.schema)
    (root / "seed" / "keys.sql").write_text(schema.keys)
    (root / "seed" / "population.toml").write_text(guess.toml_text())
    return SeedFolder(root)


def _path(guess: Guess, place: Place, above: Place) -> list[tuple[str, str, str, str]]:
    """Joins from a row of `place` to the row of `above` that it belongs to."""
    by_place = {table.owned.table.place: table.owned for table in guess.tables}
    path = []
    while place != above:
        owned = by_place[place]
        if owned.via is None or owned.owner is None:
            return []
        target = by_place[owned.owner].table
        path.append((owned.via.columns[0], ".".join(target.place), owned.via.targets[0], ""))
        place = owned.owner
    return path


def _key(guess: Guess, place: Place, above: Place, alias: str) -> tuple[str, str] | None:
    """Joins, and the expression of the key of `above` for a row of `place` called `alias`."""
    path = _path(guess, place, above)
    joins, last = "", alias
    for step, (column, target, key, _) in enumerate(path):
        name = f"{alias}{step}"
        joins += f" join {target} as {name} on {name}.{key} = {last}.{column}"
        last = name
    return (joins, f"{last}.id") if path or place == above else None


async def judge(dsn: str, guess: Guess) -> None:
    """Every constraint is validated, and every foreign key stays inside the owner of both ends."""
    connection = await asyncpg.connect(dsn)
    try:
        unchecked = "select count(*) from pg_constraint where not convalidated"
        assert await connection.fetchval(unchecked) == 0
        by_place = {table.owned.table.place: table.owned for table in guess.tables}
        for table in guess.tables:
            owned = table.owned
            name = ".".join(owned.table.place)
            for key in owned.table.foreign_keys:
                declared = table.filled.columns.get(key.columns[0])
                other = by_place[key.table]
                if declared is None or "within" in declared[0] or key.table == owned.owner:
                    continue
                mine = (owned.table.place, *owned.ancestors)
                common = next(
                    (one for one in (other.table.place, *other.ancestors) if one in mine), None
                )
                if common is None or other.table.place == owned.table.place:
                    continue
                left = _key(guess, owned.table.place, common, "a")
                right = _key(guess, key.table, common, "b")
                if left is None or right is None:
                    continue
                strangers = await connection.fetchval(
                    f"select count(*) from {name} as a join {'.'.join(key.table)} as b"
                    f" on b.{key.targets[0]} = a.{key.columns[0]}{left[0]}{right[0]}"
                    f" where {left[1]} <> {right[1]}"
                )
                assert strangers == 0, (name, key.name)
    finally:
        await connection.close()


@settings(
    max_examples=int(WANTED or 8),
    derandomize=not WANTED,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schemas())
def test_any_schema_is_guessed_and_filled(postgres: PostgresServer, schema: Schema) -> None:
    name = f"adopted_{next(_numbers)}"
    with tempfile.TemporaryDirectory() as folder:
        execute(postgres.dsn(), f"create database {name}")
        try:
            guess = asyncio.run(guess_of(postgres.dsn(name), schema))
            assert guess.problems == ()
            project = project_of(Path(folder), schema, guess)
            record = seed_database(postgres.dsn(name), users=USERS, seed=1, jobs=1, project=project)
            rows = {one.name: one.rows for one in record.relations}
            assert rows["users"] == USERS
            declared = {table.owned.table.place[1] for table in guess.tables}
            assert {one.rpartition(".")[2] for one in rows} == declared
            asyncio.run(judge(postgres.dsn(name), guess))
        finally:
            execute(postgres.dsn(), f"drop database {name} with (force)")
