"""Migrations as tools lay them out: which files, in which order, and the part that goes forward.

Reads a folder of the Supabase CLI, Prisma, Drizzle, dbmate, goose, Flyway, Diesel, golang-migrate,
or plain `.sql` files; writes nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasegate.adopt.statements import Statement, statements_of
from phasegate.model.errors import ConfigurationError
from phasegate.model.read_file import read_text, read_toml

NOTHING = "Nothing was written"
TAKEN = (
    "Name the folder with the migrations: supabase/migrations, prisma/migrations, drizzle, or one "
    "with .sql files"
)
# Where tools keep them, below the folder that people name.
_BELOW = ("migrations", "supabase/migrations", "prisma/migrations", "drizzle", "db/migrations")
_JOURNAL = Path("meta", "_journal.json")
_LOCK = "migration_lock.toml"
_POSTGRES = ("postgresql", "postgres", "pg", "cockroachdb")
_BACKWARDS = re.compile(
    r"(?:^|[._-])(?:down|undo|rollback|revert)\.sql$|^U[\d._]+__.*\.sql$", re.IGNORECASE
)
_SUPABASE_NAME = re.compile(r"\d+_.*\.sql$")
# What begins the way forward and the way back in one file: dbmate, goose and sql-migrate,
# node-pg-migrate.
_UP = re.compile(
    r"^[ \t]*--[ \t]*(?:migrate:up|\+(?:goose|migrate)[ \t]+up|up[ \t]+migration)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
_DOWN = re.compile(
    r"^[ \t]*--[ \t]*(?:migrate:down|\+(?:goose|migrate)[ \t]+down|down[ \t]+migration)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"(\d+)")
# What only a database made by Supabase has.
_OF_SUPABASE = re.compile(
    r"""\bauth"?\."?(?:uid|users|jwt|role|email|identities)\b
      | \bstorage"?\."?(?:objects|buckets)\b
      | \b(?:to|from|role)\s+"?(?:anon|authenticated|service_role|supabase_\w+)\b
      | \bsupabase_(?:realtime|functions|vault)\b | \bschema\s+"?extensions\b""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Migration:
    """One file to be applied."""

    name: str
    """As errors name it: below the folder that was given."""
    text: str

    @property
    def statements(self) -> tuple[Statement, ...]:
        """In order."""
        return tuple(statements_of(self.text))


@dataclass(frozen=True)
class Migrations:
    """A folder of migrations.

    Attributes:
        folder: where they are.
        tool: whose layout it is.
        files: in the order that they are applied in.
        passed_over: files that go backwards, or that the tool does not take either.
    """

    folder: Path
    tool: str
    files: tuple[Migration, ...]
    passed_over: tuple[str, ...] = ()

    @property
    def of_supabase(self) -> str:
        """What in them asks for a database as Supabase makes it, and where; empty: nothing does."""
        for file in self.files:
            found = _OF_SUPABASE.search(file.text)
            if found is not None:
                return f"{file.name} has {' '.join(found[0].split())}"
        return ""


def read_migrations(folder: Path) -> Migrations:
    """The migrations in `folder`, or in the place below it where a tool keeps them.

    Raises:
        ConfigurationError: there is no such folder, there are none, they are for another database,
            or a file cannot be read.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"--migrations: there is no folder {folder}", untouched=NOTHING, then=TAKEN
        )
    for place in (folder, *(folder / below for below in _BELOW)):
        found = _in(place) if place.is_dir() else None
        if found is not None:
            return found
    raise ConfigurationError(
        f"--migrations: {folder} holds no migrations", untouched=NOTHING, then=TAKEN
    )


def _in(folder: Path) -> Migrations | None:
    """The migrations that lie in `folder` itself."""
    if (folder / _JOURNAL).is_file():
        return _by_journal(folder)
    nested = sorted(
        (file for name in ("migration.sql", "up.sql") for file in folder.glob(f"*/{name}")),
        key=lambda file: file.parent.name,  # as Prisma sorts them: by letter
    )
    if nested:
        if (folder / _LOCK).is_file():
            lock = read_toml(folder / _LOCK, untouched=NOTHING)
            _check_database(lock.get("provider"), folder / _LOCK)
        tool = "Prisma" if nested[0].name == "migration.sql" else "Diesel"
        return Migrations(folder, tool, tuple(_read(file, folder) for file in nested))
    by_supabase = folder.parent.name == "supabase"
    files = sorted(folder.glob("*.sql"), key=None if by_supabase else _order)
    over = [file for file in files if _BACKWARDS.search(file.name)]
    if by_supabase:
        over += [file for file in files if not _SUPABASE_NAME.match(file.name)]
    taken = tuple(_read(file, folder) for file in files if file not in over)
    if not taken:
        return None
    names = tuple(dict.fromkeys(file.name for file in over))
    return Migrations(folder, "the Supabase CLI" if by_supabase else "plain SQL", taken, names)


def _by_journal(folder: Path) -> Migrations:
    """Drizzle's, in the order of its journal."""
    path = folder / _JOURNAL
    try:
        journal = json.loads(read_text(path, untouched=NOTHING))
        entries = sorted(journal["entries"], key=lambda entry: entry["idx"])
        tags = [str(entry["tag"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is no journal of Drizzle's ({type(error).__name__}: {error})",
            untouched=NOTHING,
            then="Restore it from git, or have Drizzle write it again",
        ) from error
    _check_database(journal.get("dialect"), path)
    files = tuple(_read(folder / f"{tag}.sql", folder) for tag in tags)
    if not files:
        raise ConfigurationError(f"{path} names no migration", untouched=NOTHING, then=TAKEN)
    taken = {file.name for file in files}
    others = (file.name for file in sorted(folder.glob("*.sql")) if file.name not in taken)
    return Migrations(folder, "Drizzle", files, tuple(others))


def _check_database(named: Any, path: Path) -> None:
    if named is not None and named not in _POSTGRES:
        raise ConfigurationError(
            f"{path} says that these migrations are for {named}, and phasegate measures PostgreSQL",
            untouched=NOTHING,
            then="Name a folder of migrations for PostgreSQL",
        )


def _order(file: Path) -> tuple[Any, ...]:
    """Numbers by their value; what Flyway repeats comes last."""
    return (file.name.startswith("R__"), _natural(file.name))


def _natural(name: str) -> tuple[Any, ...]:
    parts = _NUMBER.split(name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part)


def _read(path: Path, folder: Path) -> Migration:
    text = read_text(path, untouched=NOTHING)
    return Migration(str(path.relative_to(folder)), _forward(text))


def _forward(text: str) -> str:
    """The way forward alone; the lines keep their numbers."""
    up, down = _UP.search(text), _DOWN.search(text)
    if down is None or (up is None and not text[: down.start()].strip()):
        return text
    if up is None or up.start() < down.start():
        return text[: down.start()]
    return re.sub(r"[^\n]", "", text[: up.start()]) + text[up.start() :]
