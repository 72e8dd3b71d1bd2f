"""The files of an adopted project besides `seed/`: what they say, as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

CONFTEST = '''\
"""`pytest benchmarks` collects the techniques beside this file: phasegate's own plug-in does."""

pytest_plugins = ["phasegate.compare.pytest_plugin"]
'''
_PROJECT = """\
# {title}, as `phasegate init` made it from {came_from}.
# Every key: docs/project/phasegate-toml.md

[project]
name = {name}
title = {title_literal}
# {users_reason}
users_table = {users_table}
users_key = {users_key}
schemas = [{schemas}]

[[levels]]
title = "as found"
"""
_LEVEL = """
[[levels]]
title = "an index on what users are found by"
parts = ["{part}"]
"""
_README = """\
# Techniques

One folder a technique: before, after, migration, undo (docs/project/benchmarks.md).
`pytest benchmarks` measures them on a seeded database, `phasegate run` as well.
{said}
"""
_DRAW = """\
-- Parameters of the statements: users, {how}. $1: seed, $2: how many.
select {user} as sub
from {table}
{where}order by md5({user}::text || ctid::text || $1)
limit $2::int
"""


@dataclass(frozen=True)
class OwnerIndex:
    """An index that the app lacks: on the column by which its largest table of users' rows is read.

    Names are quoted where SQL wants it.
    """

    table: str
    column: str
    name: str
    plain_table: str

    @property
    def id(self) -> str:
        """Of the technique."""
        return re.sub(r"\W+", "_", f"idx_{self.plain_table}").strip("_").lower()

    @property
    def index(self) -> str:
        """The index's name with its schema."""
        schema = self.table.rpartition(".")[0]
        return f"{schema}.{self.id}"

    def files(self) -> Iterator[tuple[str, str]]:
        """Path and text of each file of its folder."""
        said = {
            "technique.toml": (
                f'title = "Index: a user\'s rows of {self.plain_table}"\n'
                'cost = "disk for the index, and each new row writes one more entry"\n'
                'parameters = ["sub"]\n\n[before]\ntitle = "no index"\n\n'
                '[after]\ntitle = "index"\n\n[[costs]]\nprobe = "relation_size"\n'
                f'title = "index size"\nrelation = {toml_text(self.index)}\n'
                f"of = {toml_text(self.table)}\n"
            ),
            "query.sql": (
                f"-- Some of a user's rows of {self.plain_table}.\n"
                f"select * from {self.table}\nwhere {self.column} = $1\n"
                f"order by {self.column}\nlimit 50\n"
            ),
            "migration.sql": (
                f"-- Index on {self.column}, that finds a user's rows. Safe on a live table;\n"
                "-- waits at most five seconds for its lock.\n"
                "set lock_timeout = '5s';\n"
                f"drop index concurrently if exists {self.index};\n"
                f"create index concurrently {self.id} on {self.table} ({self.column});\n"
                "reset lock_timeout;\n"
            ),
            "undo.sql": (
                "-- Undo: the index goes; reads and writes go on meanwhile.\n"
                "set lock_timeout = '5s';\n"
                f"drop index concurrently if exists {self.index};\n"
                "reset lock_timeout;\n"
            ),
            "present.sql": (
                "-- Whether the index is there and valid.\n"
                "select exists (\n    select from pg_catalog.pg_index\n"
                f"    where indexrelid = to_regclass('{self.index}') and indisvalid\n)\n"
            ),
        }
        for name, text in said.items():
            yield f"benchmarks/{self.id}/{name}", text


def toml_text(text: str) -> str:
    """`text` as TOML writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped)
    return f'"{escaped}"'


def slug(text: str) -> str:
    """A project's name: letters, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "app"


def project_toml(
    *,
    name: str,
    came_from: str,
    users_table: str,
    users_key: str,
    users_reason: str,
    schemas: tuple[str, ...],
    index: OwnerIndex | None,
) -> str:
    """The text of `phasegate.toml`."""
    title = name.replace("-", " ").capitalize()
    text = _PROJECT.format(
        title=title,
        came_from=came_from,
        name=toml_text(slug(name)),
        title_literal=toml_text(title),
        users_reason=" ".join(users_reason.split()),
        users_table=toml_text(users_table),
        users_key=toml_text(users_key),
        schemas=", ".join(map(toml_text, schemas)),
    )
    return text if index is None else text + _LEVEL.format(part=index.id)


def benchmarks(
    users: str, key: str, index: OwnerIndex | None, busiest: tuple[str, str] | None
) -> Iterator[tuple[str, str]]:
    """Path and text of what lies in `benchmarks/`.

    Args:
        users: the table of users, as SQL names it.
        key: its key, as SQL names it.
        index: the technique that the app seems to need.
        busiest: table and column whose rows are drawn, so that busy users come more often.
    """
    said = (
        f"\n`{index.id}` is there because no index leads to a user's rows of {index.plain_table}."
        if index
        else "\nNone is obvious from the schema. `phasegate advise` proposes some."
    )
    yield "benchmarks/README.md", _README.format(said=said)
    yield "benchmarks/conftest.py", CONFTEST
    table, column = busiest or (users, key)
    yield (
        "benchmarks/draw.sql",
        _DRAW.format(
            how="the busy ones more often" if busiest else "each as often as any other",
            user=column,
            table=table,
            where=f"where {column} is not null\n" if busiest else "",
        ),
    )
    if index is not None:
        yield from index.files()
