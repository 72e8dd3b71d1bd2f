"""Which techniques of a project a database has: by what is there, whatever its name.

Reads the server's catalogue and each technique's `present.sql`, in read-only transactions; writes
nothing. An index counts if one of another name does the same, a materialised view if one holds the
same aggregates of the same tables, partitions if the table itself is partitioned.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import asyncpg
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from phasegate.advise.schema import Schema, read_schema
from phasegate.project import About, Project, TechniqueFolder, transactional
from phasegate.stack.database import connected, fetch, read_sql, run

# It warns of each statement that it keeps as text, such as RESET: nothing is lost by that.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

# A query of the catalogue takes milliseconds; one that waits for a lock is given up.
PRESENT_TIMEOUT = "5s"

MATVIEWS = """
select format('%I.%I', schemaname, matviewname) as name, definition from pg_catalog.pg_matviews
"""

PASSED_OVER = ("reset", "analyze", "create extension", "comment")
"""Beginnings of statements beside a `create index` that change nothing which a query uses."""

Found = Mapping[str, str]
"""What each technique that is there is called there, by the technique's id."""


@dataclass(frozen=True)
class IndexShape:
    """What an index can do."""

    table: str
    """Without its schema where the statement gives none."""
    method: str
    keys: tuple[tuple[str, bool], ...]
    """Columns or expressions, and whether descending."""
    include: frozenset[str]
    predicate: str

    def serves(self, wanted: IndexShape) -> bool:
        """Whether it does all that `wanted` would."""
        if self.table.rpartition(".")[2] != wanted.table.rpartition(".")[2]:
            return False
        if "." in wanted.table and "." in self.table and self.table != wanted.table:
            return False
        first = self.keys[: len(wanted.keys)]
        flipped = tuple((key, not descending) for key, descending in wanted.keys)
        keys = {name for name, _ in self.keys}
        return (
            self.method == wanted.method
            and first in (wanted.keys, flipped)
            and self.predicate in ("", wanted.predicate)
            and wanted.include <= self.include | keys
        )


@dataclass(frozen=True)
class Aggregates:
    """What a materialised view keeps."""

    tables: frozenset[str]
    by: frozenset[str]
    values: frozenset[str]


def found_parts(dsn: str, project: Project) -> Found:
    """The techniques of `project` that the database behind `dsn` has.

    Args:
        dsn: of anybody's database; it is only read.
        project: its techniques with a migration are looked for.

    Raises:
        CannotMeasure: the server cannot be reached.
    """
    applicable = [each for each in project.techniques.values() if each.migration]

    async def work() -> tuple[dict[str, str], list[tuple[str, str]]]:
        async with (
            connected(dsn, statement_cache_size=0) as connection,
            connection.transaction(readonly=True),
        ):
            await connection.execute(read_sql("inspect_with_care"), PRESENT_TIMEOUT)
            said = {each.id: "" for each in applicable if await _present(connection, each)}
            views = await connection.fetch(MATVIEWS)
            return said, [(row["name"], row["definition"]) for row in views]

    present, views = run(work())
    schema = read_schema(dsn)
    others = {
        each.id: name
        for each in applicable
        if each.id not in present and (name := elsewhere(each, schema, views))
    }
    return {**present, **others}


def holds_users(dsn: str, about: About) -> bool:
    """Whether the database behind `dsn` has the project's table of users: is it this app's?

    Raises:
        CannotMeasure: the server cannot be reached.
    """
    return bool(fetch(dsn, "select to_regclass($1) is not null", about.users_table)[0][0])


async def _present(connection: asyncpg.Connection, technique: TechniqueFolder) -> bool:
    """What `present.sql` answers; on a database that it was not made for it may fail."""
    try:
        async with connection.transaction():
            return bool(await connection.fetchval(technique.present))
    except asyncpg.PostgresError:
        return False


def elsewhere(technique: TechniqueFolder, schema: Schema, views: list[tuple[str, str]]) -> str:
    """What does the same under another name; empty where nothing does.

    Args:
        technique: that has a migration.
        schema: tables and indexes of the database.
        views: its materialised views, each with its definition.
    """
    file = technique.file
    if file.partitions is not None:
        tables = tuple(file.replaces) or (file.partitions.parent,)
        return next((t for t in tables if (s := schema.tables.get(t)) and s.partitioned), "")
    made = list(_statements(technique.migration))
    if file.refresh is not None:
        wanted = next((each for each in made if _is_matview(each)), None)
        return _view_like(wanted.expression, views) if wanted is not None else ""
    indexes = [shape for each in made if (shape := shape_of(each))]
    if not indexes or len(indexes) < sum(_matters(each) for each in made):
        return ""
    return ", ".join(names) if (names := _indexes_like(indexes, schema)) else ""


def _indexes_like(wanted: list[IndexShape], schema: Schema) -> list[str]:
    there = [
        (index.name, shape)
        for table in schema.tables.values()
        for index in table.indexes
        if (shape := _shape_in(index.definition))
    ]
    found = [next((n for n, has in there if has.serves(each)), "") for each in wanted]
    return found if all(found) else []


def _view_like(definition: exp.Expr, views: list[tuple[str, str]]) -> str:
    wanted = _aggregates(definition)
    for name, text in views:
        for tree in _statements(text):
            if _aggregates(tree) == wanted:
                return name
    return ""


def _statements(sql: str) -> Iterator[exp.Expr]:
    """Each statement as a tree; none where sqlglot cannot read them."""
    try:
        yield from (each for each in sqlglot.parse(transactional(sql), dialect="postgres") if each)
    except (SqlglotError, RecursionError):
        return


def _matters(tree: exp.Expr) -> bool:
    """Whether a statement of a migration makes something, and not only room for it."""
    if isinstance(tree, exp.Set | exp.Drop):
        return False
    return not tree.sql("postgres").lower().startswith(PASSED_OVER)


def _is_matview(tree: exp.Expr) -> bool:
    if not isinstance(tree, exp.Create) or tree.kind != "VIEW":
        return False
    return any(True for _ in tree.find_all(exp.MaterializedProperty))


def _shape_in(definition: str) -> IndexShape | None:
    return next((shape for each in _statements(definition) if (shape := shape_of(each))), None)


def shape_of(tree: exp.Expr) -> IndexShape | None:
    """Of a `create index`; None for any other statement."""
    if not isinstance(tree, exp.Create) or not isinstance(tree.this, exp.Index):
        return None
    table, said = tree.this.args["table"], tree.this.args.get("params")
    if said is None:
        return None
    where, using = said.args.get("where"), said.args.get("using")
    return IndexShape(
        table=f"{table.db}.{table.name}" if table.db else table.name,
        method=using.name.lower() if using is not None else "btree",
        keys=tuple(
            (_plain(key.this if isinstance(key, exp.Ordered) else key), bool(key.args.get("desc")))
            for key in said.args.get("columns") or ()
        ),
        include=frozenset(_plain(each) for each in said.args.get("include") or ()),
        predicate=_plain(where.this) if where is not None else "",
    )


def _plain(tree: exp.Expr) -> str:
    """An expression without the parentheses, casts and quotes that the server adds."""
    root = exp.Paren(this=tree.copy())
    for node in list(root.find_all(exp.Paren, exp.Cast)):
        if node is not root:
            node.replace(node.this)
    text: str = root.this.sql("postgres", normalize=True)
    return text.replace('"', "")


def _aggregates(tree: exp.Expr) -> Aggregates:
    named = {each.alias for each in tree.find_all(exp.CTE)}
    return Aggregates(
        frozenset(t.name for t in tree.find_all(exp.Table) if t.name not in named),
        frozenset(c.name for g in tree.find_all(exp.Group) for c in g.find_all(exp.Column)),
        frozenset(
            f"{each.key}({', '.join(sorted({c.name for c in each.find_all(exp.Column)}))})"
            for each in tree.find_all(exp.AggFunc)
        ),
    )
