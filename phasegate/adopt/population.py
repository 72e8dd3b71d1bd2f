"""A population guessed from a shape: which table has the users, whose rows, how many, how drawn.

Pure. Reads a shape, and figures of the source where there are any; gives `seed/population.toml` as
text, each guess with its reason beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from phasegate.adopt.columns import fill
from phasegate.adopt.facts import SourceFacts
from phasegate.adopt.filling import Filled, Problem, toml_key
from phasegate.adopt.implied import with_implied_keys
from phasegate.adopt.owner_paths import find_owners
from phasegate.adopt.owners import Owned
from phasegate.adopt.rows import Rows, needed_tables, rows_of, wanted_tables
from phasegate.adopt.shape import Place, Shape, declared_name
from phasegate.adopt.users import find_users
from phasegate.adopt.values import SEEDED

__all__ = ["Guess", "Problem", "guess_population"]

DAYS = 365
COMMENT_COLUMN = 56


@dataclass(frozen=True)
class GuessedTable:
    """A table as it is declared.

    Attributes:
        owned: whose rows it has.
        filled: how its columns are drawn.
        rows: how many an owner has.
    """

    owned: Owned
    filled: Filled
    rows: Rows


@dataclass(frozen=True)
class Guess:
    """What was guessed of a database.

    Attributes:
        users_table: as `phasegate.toml` names it, with its schema.
        users_key: its column that tokens carry.
        users_reason: why this table, in a line.
        tables: in the order in which they are declared.
        problems: what could not be guessed, and what to write.
        notes: what is left out, and lost by it: triggers, views, foreign tables.
    """

    users_table: str
    users_key: str
    users_reason: str
    tables: tuple[GuessedTable, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def toml_text(self) -> str:
        """`seed/population.toml`."""
        return "\n".join(_lines(self)) + "\n"


def guess_population(
    shape: Shape, facts: SourceFacts | None, users_table: str | None = None
) -> Guess:
    """The population of a database of that shape.

    Args:
        shape: of the local copy.
        facts: figures of the source; None where there are none.
        users_table: `schema.table`, where it is known; found where None.

    Raises:
        ConfigurationError: there are no tables, or none that has the users.
    """
    shape = with_implied_keys(shape)
    users = find_users(shape, users_table)
    owners = find_owners(shape, users, facts)
    able = {place: one for place, one in owners.by_place.items() if _unable(one) is None}
    filled = {place: fill(owners, one) for place, one in able.items()}
    needed, wanted = needed_tables(owners, filled), wanted_tables(filled)
    tables = tuple(
        GuessedTable(
            one,
            filled[place],
            rows_of(owners, one, filled[place], needed=place in needed, wanted=place in wanted),
        )
        for place, one in able.items()
    )
    _number_children(tables)
    problems = [_unable(one) for one in owners.by_place.values()]
    return Guess(
        ".".join(plain_parts(users.place)),
        users.key,
        users.reason,
        tables,
        (
            *(problem for problem in problems if problem is not None),
            *(problem for table in tables for problem in table.filled.problems),
        ),
        tuple(_notes(shape)),
    )


def _number_children(tables: tuple[GuessedTable, ...]) -> None:
    """Count the keys of what belongs to an event: its rows have no moment for keys to follow."""
    events: set[Place] = set()
    for table in tables:  # owners come first
        is_child = table.owned.owner in events
        value = table.rows.value
        if is_child or (isinstance(value, dict) and "mean" in value):
            events.add(table.owned.table.place)
        for name, (declared, reason) in table.filled.columns.items():
            if is_child and declared == "snowflake":
                table.filled.columns[name] = ("identity", reason)


def plain_parts(place: Place) -> tuple[str, ...]:
    """Schema and table as names of SQL: in quotes where they need them."""
    return tuple(part if part.isidentifier() and part.islower() else f'"{part}"' for part in place)


def _unable(one: Owned) -> Problem | None:
    """Why a table cannot be declared at all."""
    table = one.table
    if table.kind == "f":
        return Problem(
            table.name, "", "", "a foreign table has its rows elsewhere", "nothing: it stays empty"
        )
    if any("." in part for part in table.place):
        return Problem(
            table.name, "", "", "a name with a dot cannot be declared", "nothing: it stays empty"
        )
    if not any(not column.generated for column in table.columns):
        return Problem(table.name, "", "", "it has no columns to fill", "nothing: it stays empty")
    return None


def _notes(shape: Shape) -> Iterator[str]:
    triggers = [
        f"{table.name} ({', '.join(table.triggers)})"
        for table in shape.tables.values()
        if table.triggers
    ]
    if triggers:
        yield (
            "Triggers do not fire while rows are loaded, so what they write is declared here or "
            f"stays as it is: {'; '.join(triggers)}"
        )
    if shape.views:
        names = ", ".join(f"{schema}.{name}" for schema, name in shape.views)
        yield f"Views have no rows of their own: {names}"


def _lines(guess: Guess) -> Iterator[str]:
    yield "# What lives in the tables, guessed from the schema; each guess has its reason."
    yield "# docs/project/seed.md documents them; `phasegate seed --describe` shows the whole."
    for note in guess.notes:
        yield f"# {note}."
    yield ""
    yield commented(f"start = {SEEDED[0]}", "fixed, so that the bytes do not depend on today")
    yield f"days = {DAYS}"
    for table in guess.tables:
        yield ""
        yield from _table_lines(table)


def _table_lines(table: GuessedTable) -> Iterator[str]:
    owned, filled, rows = table.owned, table.filled, table.rows
    key = toml_key(owned.table.name)
    if owned.owner is None:
        yield f"# {owned.kind.value[0].upper()}{owned.kind.value[1:]}: {owned.reason}."
    head = list(_head_lines(owned, rows))
    if head:
        yield f"[tables.{key}]"
        yield from head
    for name, why in filled.left_out.items():
        yield f"# {name} is left out: {why}."
    yield f"[tables.{key}.columns]"
    order = {column.name: place for place, column in enumerate(owned.table.columns)}
    for name in sorted(filled.columns, key=order.__getitem__):
        declared, reason = filled.columns[name]
        yield commented(f"{toml_key(name)} = {toml_value(declared)}", reason)


def _head_lines(owned: Owned, rows: Rows) -> Iterator[str]:
    if owned.owner is not None:
        yield commented(f"owner = {toml_value(declared_name(owned.owner))}", owned.reason)
    if rows.value is not None:
        yield commented(f"rows = {toml_value(rows.value)}", rows.reason)
    if rows.when:
        yield f"when = {toml_value(rows.when)}"


def commented(line: str, reason: str) -> str:
    """A line with its reason behind it."""
    return f"{line:<{COMMENT_COLUMN}}  # {' '.join(reason.split())}" if reason else line


def toml_value(value: Any) -> str:
    """A value of TOML, in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return toml_string(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    inside = ", ".join(f"{toml_key(name)} = {toml_value(each)}" for name, each in value.items())
    return f"{{ {inside} }}"


def toml_string(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"'
        + "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in escaped)
        + '"'
    )
