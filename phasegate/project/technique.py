"""A technique as a folder: `technique.toml`, the statements of its arms, migration, undo.

The migration stands once, as a person would run it on a live table. On databases of our own it is
applied inside a transaction, where `CONCURRENTLY` is not allowed and nobody waits: `transactional`
takes it out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from phasegate.project.contract import TechniqueFile

MIGRATION, UNDO, CLIENT = "migration.sql", "undo.sql", "client.sql"

_CONCURRENTLY = re.compile(r"(?<=\s)concurrently\s+", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*")


def transactional(sql: str) -> str:
    """`sql` without comments and without CONCURRENTLY: what may run inside a transaction."""
    return _CONCURRENTLY.sub("", _COMMENT.sub("", sql)).strip()


@dataclass(frozen=True)
class TechniqueFolder:
    """One folder of `benchmarks/`.

    Attributes:
        id: the folder's name; results are kept under it.
        folder: absolute.
        file: `technique.toml`.
    """

    id: str
    folder: Path
    file: TechniqueFile

    def sql(self, name: str) -> str:
        """The text of one of its files, or empty where there is no such file."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

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
