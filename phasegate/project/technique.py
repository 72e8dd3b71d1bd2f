"""A technique as a folder: `technique.toml`, the statements of its arms, migration, undo.

Reads the folder's files; writes nothing. The migration stands once, as a person would run it on a
live table. On databases of our own it is applied inside a transaction, where `CONCURRENTLY` is not
allowed and nobody waits: `transactional` takes it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from phasegate.model.errors import ConfigurationError
from phasegate.model.read_file import read_text
from phasegate.project.contract import ArmFile, TechniqueFile

FILE = "technique.toml"
MIGRATION, UNDO, CLIENT, PRESENT = "migration.sql", "undo.sql", "client.sql", "present.sql"
NOTHING = "Nothing was started"
THROUGHOUT, THROUGHOUT_UNDO = "throughout.sql", "throughout_undo.sql"
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
        shown = f"{self.folder.parent.name}/{self.id}/{name}"
        return read_text(path, shown, untouched=NOTHING) if path.is_file() else ""

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
    def applied(self) -> str:
        """What brings a copy of ours to it: the migration, or what that comes to with time."""
        return self.sql(THROUGHOUT) or self.migration

    @property
    def taken_away(self) -> str:
        """What takes `applied` back."""
        return self.sql(THROUGHOUT_UNDO) or self.undo

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
        """Whether every file is there that the folder needs, and says something.

        Raises:
            ConfigurationError: one does not; it is named with the key that asks for it.
        """
        needed = [(why, name) for why, name in self._named() if name]
        for why, name in needed:
            if not self.has(name):
                raise self._lacks(name, why)
        for name in dict.fromkeys([*(name for _, name in needed), MIGRATION, DRAW]):
            if self.has(name) and not transactional(self.sql(name)):
                raise ConfigurationError(
                    f"{self.folder.parent.name}/{self.id}/{name} says nothing",
                    untouched=NOTHING,
                    then="Write its statement, or remove the file",
                )

    def _named(self) -> Iterator[tuple[str, str]]:
        """Files that the folder must have, each after what asks for it; some are empty."""
        for side, arm in (("before", self.file.before), ("after", self.file.after)):
            if arm is not None:
                yield f"`{side}.query` asks for it", self.query_of(arm, side)
                yield f"`{side}.arrange` asks for it", arm.arrange
                yield f"`{side}.beside` asks for it", arm.beside
        for number, cost in enumerate(self.file.costs):
            yield f"`costs[{number}].query` asks for it", cost.query
        if self.has(MIGRATION):
            yield f"{MIGRATION} needs it", UNDO
            yield f"{MIGRATION} needs it", PRESENT
        elif not (self.has(CLIENT) or self.file.same_migration_as):
            yield f"it needs one, or a {CLIENT}, or `same_migration_as`", MIGRATION
        if self.has(SETUP):
            yield f"{SETUP} needs it", TEARDOWN
        if self.has(THROUGHOUT):
            yield f"{THROUGHOUT} needs it", THROUGHOUT_UNDO
            yield f"{THROUGHOUT} needs it", MIGRATION

    def _lacks(self, name: str, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path}: there is no file {name} beside it ({why})",
            untouched=NOTHING,
            then="docs/project/benchmarks.md says what a technique consists of",
        )
