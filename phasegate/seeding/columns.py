"""The columns of a data set, each made by its declaration when first asked for.

Reads the project's `seed/columns.py` where a column is a function of it; writes nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from phasegate.model.errors import ConfigurationError
from phasegate.project.declared import FILE, NOTHING, Table
from phasegate.project.population_columns import ColumnFile, kinds_of
from phasegate.seeding.column import JSON_VALUE, Column, Nullable, Place
from phasegate.seeding.columns_keys import Created, Locale, Number, Ref, Uuid
from phasegate.seeding.columns_moments import After, Between, Every
from phasegate.seeding.columns_numbers import Drawn, Total
from phasegate.seeding.columns_patterns import Pattern
from phasegate.seeding.columns_random import Address, Random, any_of
from phasegate.seeding.columns_ranges import Range
from phasegate.seeding.columns_texts import Array, Function, Json, Text
from phasegate.seeding.columns_values import ByNumber, Choice, Copy, IfNull
from phasegate.seeding.pg_types import PgType, is_written_by_server
from phasegate.seeding.population import Population
from phasegate.seeding.rows import Rows

Types = dict[str, dict[str, PgType]]
"""By table, then by column, as the schema has them."""

_WORDS: dict[str, Callable[[Place], Column]] = {
    "uuid4": Uuid,
    "uuid7": Uuid,
    "identity": Number,
    "snowflake": Number,
    "number": Number,
    "created": Created,
    "locale": Locale,
}
_VALUES: dict[str, Callable[[Place], Column]] = {
    "choice": Choice,
    "share": Choice,
    "value": Choice,
    "text": Text,
    "pattern": Pattern,
    "between": Between,
    "every_h": Every,
    "random": Random,
    "address": Address,
    "by_number": ByNumber,
}
_OF_SIBLINGS: dict[str, Callable[[Place, Callable[[str], Column]], Column]] = {
    "uniform": Drawn,
    "normal": Drawn,
    "log_normal": Drawn,
    "sum": Total,
    "product": Total,
    "range": Range,
    "copy": Copy,
    "after": After,
    "if_null": IfNull,
}
_OF_PARTS: dict[str, Callable[[Place, Callable[[str, ColumnFile | str], Column]], Column]] = {
    "json": Json,
    "array": Array,
}


def by_type(population: Population, pg: PgType, file: ColumnFile | str) -> ColumnFile | str:
    """The declaration, what the word `random` means for the type in its place."""
    found = any_of(pg, population.year) if file == "random" else file
    return file if found is None else found


@dataclass
class Columns:
    """Columns by table, name and type: a column that refers to another may have another type."""

    population: Population
    types: Types
    _made: dict[tuple[str, str, str], Column] = field(default_factory=dict)

    def column(self, table: str, name: str, pg: PgType | None = None) -> Column:
        """The column `name` of `table`, with values of its own type, or of `pg`."""
        own = self.types[table][name]
        # What the server wrote for a column is known with its own type alone.
        kind = own if pg is None or (own.forms and own.name == pg.name) else pg
        place = (table, name, kind.name)
        if place not in self._made:
            of = self.population.declared.tables[table]
            file = of.column(name)
            self._made[place] = self._make(Place(self.population, of, name, kind, file))
        return self._made[place]

    def of(self, table: str) -> dict[str, Column]:
        """All columns of a table."""
        names = self.population.declared.tables[table].file.columns
        return {name: self.column(table, name) for name in names}

    def _make(self, place: Place) -> Column:
        place = replace(place, file=by_type(self.population, place.pg, place.file))
        if isinstance(place.file, str):
            if place.file == "random":
                place.refuse(f"what values has type {place.pg.name}? Say {{ choice = [ … ] }}")
            return _WORDS[place.file](place)
        made = self._of_kind(place, place.file)
        # A row that is looked up is null by itself, with all columns that ask it.
        if place.file.null_share > 0 and not place.file.ref:
            return Nullable(place, made, place.file.null_share)
        return made

    def _of_kind(self, place: Place, file: ColumnFile) -> Column:
        (kind,) = kinds_of(file)

        def sibling(name: str) -> Column:
            return self.column(place.table.name, name)

        def inside(path: str, inner: ColumnFile | str) -> Column:
            kind = place.pg.element or JSON_VALUE
            return self._make(Place(place.population, place.table, place.name + path, kind, inner))

        if kind in ("text", "pattern") and is_written_by_server(place.pg) and place.pg.forms:
            return Choice(place)  # of what the server made of such texts
        if kind in _VALUES:
            return _VALUES[kind](place)
        if kind in _OF_SIBLINGS:
            return _OF_SIBLINGS[kind](place, sibling)
        if kind in _OF_PARTS:
            return _OF_PARTS[kind](place, inside)
        if kind == "ref":
            return Ref(place, lambda table, name: self.column(table, name, place.pg))
        return Function(place, self._function(place, file.function), sibling)

    def _function(self, place: Place, name: str) -> Callable[[Rows, Callable[[str], Column]], Any]:
        found = getattr(self._code, name, None)
        if not callable(found):
            place.refuse(f"seed/columns.py has no function {name!r}")

        def call(rows: Rows, sibling: Callable[[str], Column]) -> Any:
            return found(Block(rows, place, sibling))

        return call

    @cached_property
    def _code(self) -> ModuleType:
        path = self.population.declared.code
        if path is None:
            raise FileNotFoundError("seed/columns.py")
        return _module(path)


@dataclass(frozen=True)
class Block:
    """What a function of `seed/columns.py` is given: some rows of its table.

    Attributes:
        rows: them, with `created_ms`, `number`, `user()` as arrays, and `size`.
    """

    rows: Rows
    place: Place
    sibling: Callable[[str], Column]

    def hashes(self, name: str = "") -> Any:
        """64 random bits a row, the same for the same row; another `name` gives others."""
        return self.rows.hashes(self.place.population.key(f"{self.place.stream} {name}"))

    def moments(self, column: str) -> Any:
        """A column that is a moment, as `datetime64[us]`, and where it is null."""
        us, null = self.sibling(column).moments(self.rows)
        import numpy as np

        return np.datetime64("2000-01-01", "us") + us.astype("timedelta64[us]"), null

    def is_null(self, column: str) -> Any:
        """Where another column is null; None where it never is."""
        return self.sibling(column).of(self.rows).null


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("phasegate_project_columns", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigurationError(
            f"seed/{path.name} cannot be run: {type(error).__name__}: {error}",
            untouched=NOTHING,
            then="Correct it, then start again",
        ) from error
    return module


def check_table(table: Table, types: dict[str, PgType], into: str) -> None:
    """Whether the schema has the declared columns, and whether those it needs are declared.

    Raises:
        ConfigurationError: one is missing; its key is named.
    """
    key = f"{FILE}: tables.{table.name}.columns"
    for name in table.file.columns:
        if name not in types:
            raise ConfigurationError(
                f"{key}.{name}: {into!r} has no such column in seed/schema.sql",
                untouched=NOTHING,
                then=f"It has {', '.join(types)}",
            )
        if types[name].generated:
            raise ConfigurationError(
                f"{key}.{name}: the server fills that column by itself",
                untouched=NOTHING,
                then="Remove the line",
            )
    for name, kind in types.items():
        if kind.required and name not in table.file.columns:
            raise ConfigurationError(
                f"{key}: {name!r} must not be null, has no default, and is not declared",
                untouched=NOTHING,
                then=f"Add {name} = … to [tables.{table.name}.columns]",
            )
