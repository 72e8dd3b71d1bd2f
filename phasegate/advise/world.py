"""What is advised on: statements, what each does with the tables, and how it can be sent again.

Pure but for `prepare`, which has the server of our copy prepare each statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import asyncpg
from sqlglot import exp
from sqlglot.errors import SqlglotError

from phasegate.advise.access import Access, accesses
from phasegate.advise.draws import Drawn, Users, drawn
from phasegate.advise.schema import Schema, Table
from phasegate.advise.statements import Seen
from phasegate.project import Project, TechniqueFolder
from phasegate.stack.database import connected, run

CALLED = re.compile(r"\b([a-z_][a-z0-9_]*)\s*\(", re.IGNORECASE)
_CALLED_QUOTED = re.compile(r'"([a-z_][a-z0-9_]*)"\s*\(', re.IGNORECASE)
_INDEX = re.compile(
    r"create\s+(?:unique\s+)?index\b.*?\bon\s+(?:only\s+)?(?P<table>[\w.\"]+)\s*"
    r"(?:using\s+(?P<method>\w+)\s*)?\((?P<keys>[^)]*)\)",
    re.IGNORECASE | re.DOTALL,
)

# What phasegate and drivers ask for themselves.
NOT_THE_APP = re.compile(
    r"pg_catalog\.pg_|pg_stat_|information_schema|phasegate[._]", re.IGNORECASE
)

# What reading a tree of sqlglot's raises where it is built in another way than expected.
UNFORESEEN = (AttributeError, IndexError, KeyError, TypeError, ValueError, SqlglotError)

Types = Mapping[str, tuple[str, ...] | None]
"""Of the parameters, by text; None where the server cannot prepare it."""


def prepare(dsn: str, texts: Iterable[str]) -> Types:
    """Types of each statement's parameters, as the server behind `dsn` takes them."""

    async def work() -> dict[str, tuple[str, ...] | None]:
        found: dict[str, tuple[str, ...] | None] = {}
        async with connected(dsn, statement_cache_size=0) as connection:
            for text in texts:
                try:
                    prepared = await connection.prepare(text)
                    found[text] = tuple(each.name for each in prepared.get_parameters())
                except asyncpg.PostgresError:
                    found[text] = None
        return found

    return run(work())


@dataclass(frozen=True)
class World:
    """Everything that candidates are made from."""

    schema: Schema
    users: Users
    statements: tuple[Seen, ...]
    types: Types
    techniques: Mapping[str, TechniqueFolder]

    @cached_property
    def found(self) -> dict[str, tuple[Access, ...]]:
        """What each statement does with tables, by text."""
        return {
            seen.text: _accesses(seen, self.schema)
            for seen in self.statements
            if not NOT_THE_APP.search(seen.text)
        }

    @cached_property
    def asked(self) -> tuple[Seen, ...]:
        """The app's statements as its clients sent them, that can be sent again."""
        return tuple(
            seen
            for seen in self.statements
            if seen.top and seen.text in self.found and self.types.get(seen.text) is not None
            and self.reach[seen.text]
        )  # fmt: skip

    @cached_property
    def reach(self) -> dict[str, frozenset[str]]:
        """Tables that each statement touches, through functions, policies and references too."""
        return {
            text: frozenset(self._reached(text, {each.table.key for each in found}))
            for text, found in self.found.items()
        }

    def _reached(self, text: str, first: set[str]) -> set[str]:
        known, texts, functions = set(first), [text], set[str]()
        tables = list(first)
        while texts or tables:
            if tables:
                table = self.schema.tables[tables.pop()]
                texts += [
                    policy.using for policy in table.policies if policy.using and table.guarded
                ]
                continue
            said = texts.pop()
            for name in {*CALLED.findall(said), *_CALLED_QUOTED.findall(said)}:
                function = self.schema.functions.get(name.lower())
                if function is not None and function.name not in functions:
                    functions.add(function.name)
                    texts.append(function.body)
            for other in self.schema.tables.values():
                if other.key not in known and re.search(rf"\b{re.escape(other.name)}\b", said):
                    known.add(other.key)
                    tables.append(other.key)
        return known | self.deleted(text)

    def deleted(self, text: str) -> set[str]:
        """Tables whose references are looked for where the statement deletes."""
        deletes = {
            access.table.key for access in self.found[text] if isinstance(access.node, exp.Delete)
        }
        return {
            table.key
            for table in self.schema.tables.values()
            if any(key.target in deletes for key in table.foreign)
        }

    def asking(self, table: str, *, reads: bool = False) -> Seen | None:
        """The most costly statement of a client that touches `table`; None where none does."""
        fit = (
            seen
            for seen in self.asked
            if table in self.reach[seen.text] and not (reads and seen.writes)
        )
        return max(fit, key=lambda seen: seen.total_ms, default=None)

    def calls(self, table: str) -> int:
        """Of all statements of clients that touch `table`."""
        return sum(seen.calls for seen in self.asked if table in self.reach[seen.text])

    def callers_of(self, seen: Seen) -> Seen | None:
        """The client's statement behind one that a function or a reference sent."""
        if seen.top:
            return seen if seen in self.asked else None
        touched = [access.table.key for access in self.found[seen.text]]
        return self.asking(touched[0]) if touched else None

    def inserting(self, table: str) -> Seen | None:
        """A client's statement that writes new rows of `table`, whose values are known."""
        for seen in self.asked:
            insert = seen.tree.find(exp.Insert) if seen.tree is not None else None
            into = insert.find(exp.Table) if insert is not None else None
            if into is not None and seen.values:
                target = self.schema.find(into.name, into.db)
                if target is not None and target.key == table:
                    return seen
        return None

    def drawn(self, seen: Seen, extra: Mapping[str, str] | None = None) -> Drawn:
        """How the parameters of `seen` are drawn."""
        types = self.types.get(seen.text) or ()
        return drawn(seen, self.found[seen.text], self.schema, self.users, types, extra=extra)

    def drawn_beside(self, draws: str, writer: Seen) -> Drawn:
        """The rows of `draws`, each with parameters of `writer` beside it, which it names."""
        written = self.drawn(writer)
        renamed = tuple(name.replace("p", "w", 1) for name in written.names)
        columns = "".join(
            f", w.{name} as {new}" for name, new in zip(written.names, renamed, strict=True)
        )
        return Drawn(
            f"with read as (\nselect *, row_number() over () as n from (\n{draws}\n) as q\n),\n"
            f"written as (\nselect *, row_number() over () as n from (\n{written.sql}\n) as q\n)\n"
            f"select r.*{columns} from read as r join written as w using (n)",
            renamed,
        )

    def indexing(self, table: Table, method: str, leading: frozenset[str]) -> str:
        """The technique of the project whose index begins with these columns; empty if none."""
        for id_, folder in self.techniques.items():
            for found in _INDEX.finditer(folder.migration):
                name = found["table"].replace('"', "")
                if name not in (table.key, table.name):
                    continue
                keys = [
                    key.split()[0].strip('"') for key in found["keys"].split(",") if key.split()
                ]
                same = (found["method"] or "btree").lower() == method
                if same and leading and frozenset(keys[: len(leading)]) == leading:
                    return id_
        return ""

    def altering(self, table: Table) -> str:
        """The technique of the project that changes policies of `table`, or all; empty if none."""
        for id_, folder in self.techniques.items():
            said = folder.migration.lower()
            if "alter policy" in said and (table.name in said or "pg_policy" in said):
                return id_
        return ""


def _accesses(seen: Seen, schema: Schema) -> tuple[Access, ...]:
    """Of a statement in a shape that nobody thought of: none, rather than no advice at all."""
    try:
        return accesses(seen, schema)
    except UNFORESEEN:
        return ()


def world_of(project: Project, schema: Schema, statements: Iterable[Seen], types: Types) -> World:
    """What candidates of `project` are made from."""
    users = project.about.users_table.replace('"', "")
    return World(
        schema,
        Users(users, project.about.users_key),
        tuple(statements),
        types,
        project.techniques,
    )
