"""Declarations of random shapes on schemas that fit them: the server judges every constraint."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from phasegate.project import SeedFolder
from phasegate.seeding import seed_database
from phasegate.stack.database import execute
from phasegate.stack.postgres import PostgresServer

_numbers = itertools.count(1)

# Type of a column, and declarations that it takes; `{}` is completed with `null_share`.
VALUES = {
    "text": ['{ text = "{first_name} x {id}"%s }', '{ choice = ["a", "bb", ""]%s }'],
    "varchar(70)": ['{ text = "{city}"%s }', '{ value = "x"%s }'],
    "integer": ["{ uniform = [-5, 900]%s }", "{ choice = [1, 2, 3]%s }", "{ normal = [9, 3]%s }"],
    "smallint": ["{ log_normal = [9, 0.5]%s }"],
    "numeric(12, 3)": ["{ log_normal = [9, 1]%s }", "{ uniform = [-1, 1], decimals = 3%s }"],
    "double precision": ["{ normal = [0, 1]%s }"],
    "boolean": ["{ share = 0.3%s }"],
    "date": ['{ after = "made"%s }', '{ value = "2024-02-29"%s }'],
    "timestamptz": ['{ after = "made", happens = 0.5%s }', '{ copy = "made"%s }'],
    "jsonb": ['{ json = { a = { share = 0.5 }, b = { text = "{city}" }, c = 1 }%s }'],
    "json": ['{ json = { a = { uniform = [1, 5] }, b = [1, "2"] }%s }'],
    "integer[]": ["{ array = { uniform = [0, 9] }%s }"],
    "text[]": ['{ array = { text = "{word}" }, length = [1, 2]%s }'],
    "kind": ['{ choice = { one = 1, "two words" = 5 }%s }'],
    "uuid": ['{ value = "11111111-1111-4111-8111-111111111111"%s }'],
}
KEYS = {"uuid4": "uuid", "uuid7": "uuid", "identity": "bigint", "snowflake": "bigint"}


@dataclass
class Drawn:
    """A table that was drawn."""

    name: str
    rows: str
    key: str
    owner: Drawn | None = None
    is_kept: bool = True
    values: list[tuple[str, str]] = field(default_factory=list)
    references: list[Drawn] = field(default_factory=list)
    is_own: bool = False
    when: str = ""

    @property
    def owners(self) -> list[Drawn]:
        """The chain of owners, the nearest first."""
        return [] if self.owner is None else [self.owner, *self.owner.owners]

    def sql(self) -> tuple[str, str]:
        """Its tables and its keys."""
        columns = [f'"{self.name} id" {KEYS[self.key]} not null', "made timestamptz not null"]
        keys = [f'alter table "{self.name}" add primary key ("{self.name} id");']
        for other in (*self.owners, *self.references):
            null = "" if other in self.references and self.is_own else " not null"
            columns.append(f'"to {other.name}" {KEYS[other.key]}{null}')
            keys.append(
                f'alter table "{self.name}" add foreign key ("to {other.name}")'
                f' references "{other.name}" ("{other.name} id");'
            )
        if self.is_own:
            columns.append(f"parent {KEYS[self.key]}")
            keys.append(
                f'alter table "{self.name}" add foreign key (parent)'
                f' references "{self.name}" ("{self.name} id");'
            )
        columns += [f"v{place} {kind}" for place, (kind, _) in enumerate(self.values)]
        return f'create table "{self.name}" ({", ".join(columns)});', "\n".join(keys)

    def toml(self) -> str:
        """Its declaration."""
        lines = [f'[tables."{self.name}"]']
        lines += [f'owner = "{self.owner.name}"'] if self.owner is not None else []
        lines += [f"rows = {self.rows}"] if self.rows else []
        lines += [f"when = {self.when}"] if self.when else []
        lines += ["", f'[tables."{self.name}".columns]', f'"{self.name} id" = "{self.key}"']
        lines.append('made = "created"')
        lines += [f'"to {o.name}" = {{ ref = "{o.name}.{o.name} id" }}' for o in self.owners]
        share = ", null_share = 0.3" if self.is_own else ""
        lines += [
            f'"to {o.name}" = {{ ref = "{o.name}.{o.name} id", prefer = "newer"{share} }}'
            for o in self.references
        ]
        if self.is_own:
            lines.append(f'parent = {{ ref = "{self.name}.{self.name} id", null_share = 0.2 }}')
        lines += [f"v{place} = {said}" for place, (_, said) in enumerate(self.values)]
        return "\n".join(lines) + "\n"


@st.composite
def schemas(draw: st.DrawFn) -> list[Drawn]:
    """Users, and up to five tables around them."""
    users = Drawn("the users", "", draw(st.sampled_from(["uuid4", "identity"])))
    lookup = Drawn(
        "Länder", str(draw(st.integers(1, 40))), draw(st.sampled_from(["uuid4", "identity"]))
    )
    tables = [users, lookup]
    for number in range(draw(st.integers(1, 5))):
        owner = draw(st.sampled_from([one for one in tables if one is not lookup]))
        tables.append(draw(owned(f'table "{number}', owner, lookup, tables)))
    for table in tables:
        for _ in range(draw(st.integers(0, 3))):
            kind = draw(st.sampled_from(sorted(VALUES)))
            share = draw(st.sampled_from(["", ", null_share = 0.4"]))
            table.values.append((kind, draw(st.sampled_from(VALUES[kind])) % share))
    return tables


@st.composite
def owned(draw: st.DrawFn, name: str, owner: Drawn, lookup: Drawn, tables: list[Drawn]) -> Drawn:
    """A table whose rows `owner` owns."""
    few = ["2", "{ from_one_mean = 1.6 }", "{ from_one_mean = 2.5, follow_activity = 0.5 }"]
    rows = draw(st.sampled_from([*few, "{ mean = 2.5 }"]))
    is_kept = owner.is_kept and "{ mean" not in rows
    key = draw(st.sampled_from(sorted(set(KEYS) - (set() if owner.is_kept else {"snowflake"}))))
    made = Drawn(name.replace('"', ""), rows, key, owner, is_kept)
    if is_kept:
        made.when = draw(st.sampled_from(["", '"with owner"', "{ median_h = 9.0 }"]))
        made.is_own = draw(st.booleans()) and not made.when
    elif not owner.is_kept:
        made.when = draw(st.sampled_from(["", "{ median_h = 9.0, sigma = 2.0 }"]))
    inside = [
        one for one in tables if one.is_kept and one.owner is not None and one not in made.owners
    ]
    others = [one for one in (lookup, *inside) if draw(st.booleans())]
    made.references = others[:2]
    return made


async def _judge(dsn: str, tables: list[Drawn]) -> None:
    """Every foreign key holds, and rows that are looked up are the same user's."""
    connection = await asyncpg.connect(dsn)
    try:
        unchecked = "select count(*) from pg_constraint where not convalidated"
        assert await connection.fetchval(unchecked) == 0
        for table in tables:
            for other in table.references:
                if other.owner is None or not table.owners:
                    continue
                nearest = next(one for one in other.owners if one in table.owners)
                strangers = await connection.fetchval(
                    f'select count(*) from "{table.name}" a join "{other.name}" b'
                    f' on b."{other.name} id" = a."to {other.name}"'
                    f' where a."to {nearest.name}" <> b."to {nearest.name}"'
                )
                assert strangers == 0, (table.name, other.name)
            for owner in table.owners[:1]:
                early = await connection.fetchval(
                    f'select count(*) from "{table.name}" a join "{owner.name}" b'
                    f' on b."{owner.name} id" = a."to {owner.name}"'
                    " where a.made < date_trunc('ms', b.made)"
                )
                assert early == 0, (table.name, owner.name)
    finally:
        await connection.close()


# An example takes seconds, so none is made smaller; what failed is printed as it is.
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(schemas(), st.integers(1, 60))
def test_any_declaration_loads_and_satisfies_every_constraint(
    postgres: PostgresServer, tables: list[Drawn], users: int
) -> None:
    name = f"random_{next(_numbers)}"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "seed").mkdir()
        (root / "phasegate.toml").write_text(
            '[project]\nname = "x"\ntitle = "x"\nusers_table = \'public."the users"\'\n'
            'users_key = "the users id"\n[[levels]]\ntitle = "as shipped"\n'
        )
        made = [table.sql() for table in tables]
        types = "create type kind as enum ('one', 'two words');\n"
        (root / "seed" / "schema.sql").write_text(types + "\n".join(one for one, _ in made))
        (root / "seed" / "keys.sql").write_text("\n".join(keys for _, keys in made))
        declared = "start = 2024-01-01\ndays = 60\n" + "\n".join(one.toml() for one in tables)
        (root / "seed" / "population.toml").write_text(declared)
        execute(postgres.dsn(), f"create database {name}")
        try:
            project = SeedFolder(root)
            record = seed_database(postgres.dsn(name), users=users, seed=1, jobs=1, project=project)
            assert {one.name for one in record.relations} == {table.name for table in tables}
            asyncio.run(_judge(postgres.dsn(name), tables))
        finally:
            execute(postgres.dsn(), f"drop database {name} with (force)")
