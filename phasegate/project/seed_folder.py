"""`seed/`: the project's schema, cut into the sections that a load needs, and its population.

Reads `seed/population.toml` when asked for; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from phasegate.project.declared import Declared, read_declared
from phasegate.project.find import find_project


@dataclass(frozen=True)
class SeedFolder:
    """The files of `seed/` in the project `root`; without it, where `find_project` finds one.

    Raises:
        ConfigurationError: there is no project.
    """

    root: Path = field(default_factory=find_project)

    @property
    def folder(self) -> Path:
        """`seed/` itself."""
        return self.root / "seed"

    @cached_property
    def population(self) -> Declared:
        """What is declared, read and checked.

        Raises:
            ConfigurationError: `seed/population.toml` says what it must not; the key is named.
        """
        return read_declared(self.root)

    @property
    def schema(self) -> Path:
        """Tables, types and functions, without keys."""
        return self.folder / "schema.sql"

    @property
    def keys(self) -> Path:
        """Keys, indexes and constraints: what is made after the rows."""
        return self.folder / "keys.sql"

    @property
    def policies(self) -> Path:
        """Row-level security and grants: in force from the first moment."""
        return self.folder / "policies.sql"

    @property
    def functions(self) -> Path:
        """What the app asks of the database beyond its tables, as shipped.

        It runs whenever parts come and go, so it leaves alone what a technique put in its place.
        """
        return self.folder / "functions.sql"
