"""A technique as a folder: `technique.toml`, the statements of its arms, migration, undo.

Reads the folder's files; writes nothing. The migration stands once, as a person would run it on a
live table. On databases of our own it is applied inside a transaction, where `CONCURRENTLY` is not
allowed and nobody waits: `transactional` takes it out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from phasegate.model.errors import ConfigurationError
from phasegate.project.contract import ArmFile, TechniqueFile

FILE = "technique.toml"
MIGRATION, UNDO, CLIENT, PRESENT = "migration.sql", "undo.sql", "client.sql", "present.sql"
DRAW, SETUP, TEARDOWN = "draw.sql", "setup.sql", "teardown.sql"

# Comments and quoted text are passed over whole: what they say is not SQL.
_WORDS = re.compile(
    r"""
    (?P<comment>--[^\n]*)
    | (?P<quoted>'(?:[^']|'')*' | "(?:[^"]|"")*" | (?P<tag>\$\w*\$).*?(?P=tag))
    | (?P<concurrently>\bconcurrently\b\s*)
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def transactional(sql: str) -> str:
    """`sql` without comments and without CONCURRENTLY: what may run inside a transaction.

    What is quoted, function bodies too, stays as it is.
    """
    return _WORDS.sub(lambda found: found["quoted"] or "", sql).strip()


@dataclass(frozen=True)
class TechniqueFolder:
    """One folder of `benchmarks/`.

    Attributes:
        id: the folder's name; results are kept under it, so it is never renamed.
        folder: absolute.
        file: `technique.toml`.
    """

    id: str
    folder: Path
    file: TechniqueFile

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).is_file()

    def sql(self, name: str) -> str:
        """The text of one of its files, or empty where there is no such file."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def path(self) -> str:
        """Of its TOML file, as messages name it."""
        return f"{self.folder.parent.name}/{self.id}/{FILE}"

    @property
    def migration(self) -> str:
        """What applies it to a live database; empty where it is the client's, or another's."""
        return self.sql(MIGRATION)

    @property
    def undo(self) -> str:
        """What takes the migration back."""
        return self.sql(UNDO)

    @property
    def client(self) -> str:
        """Where there is nothing to migrate: what a client changes, as SQL comments."""
        return self.sql(CLIENT)

    @property
    def present(self) -> str:
        """A query that says whether the migration is in place: one boolean."""
        return self.sql(PRESENT)

    @property
    def same_query(self) -> bool:
        """Whether both arms send the same statement, so that only what is there differs."""
        before, after = self.file.before, self.file.after
        if before is None or after is None:
            return False
        return self.query_of(before, "before") == self.query_of(after, "after")

    def query_of(self, arm: ArmFile, side: str) -> str:
        """The file that an arm's statement stands in; `side` is `before` or `after`."""
        if arm.query or self.file.query:
            return arm.query or self.file.query
        return "query.sql" if self.has("query.sql") else f"{side}.sql"

    def check(self) -> None:
        """Whether every file is there that the folder needs.

        Raises:
            ConfigurationError: one is not; it is named with the key that asks for it.
        """
        named: list[tuple[str, str]] = []
        for side, arm in (("before", self.file.before), ("after", self.file.after)):
            if arm is None:
                continue
            named.append((f"{side}.query", self.query_of(arm, side)))
            named += [(f"{side}.arrange", arm.arrange), (f"{side}.beside", arm.beside)]
        named += [(f"costs[{n}].query", cost.query) for n, cost in enumerate(self.file.costs)]
        for key, name in named:
            if name and not self.has(name):
                raise self._lacks(name, f"`{key}` asks for it")
        if self.migration:
            for name in (UNDO, PRESENT):
                if not self.has(name):
                    raise self._lacks(name, f"{MIGRATION} needs it")
        elif not (self.client or self.file.same_migration_as):
            raise self._lacks(MIGRATION, f"it needs one, or a {CLIENT}, or `same_migration_as`")
        if self.has(SETUP) and not self.has(TEARDOWN):
            raise self._lacks(TEARDOWN, f"{SETUP} needs it")

    def _lacks(self, name: str, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path}: there is no file {name} beside it ({why})",
            untouched="Nothing was started",
            then="docs/project/benchmarks.md says what a technique consists of",
        )
