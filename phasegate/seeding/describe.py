"""What `phasegate seed --describe` prints: what is declared, and what comes of it.

Reads the project's population; draws a sample of it in memory. Opens no database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from phasegate.project import SeedFolder
from phasegate.project.declared import FILE, Table
from phasegate.seeding.dataset_spec import dataset_spec
from phasegate.seeding.distributions import drawn
from phasegate.seeding.pg_types import PgType
from phasegate.seeding.tables import Tables

# The first users of the data set that are drawn: enough for smooth bars, made within half a second.
SAMPLE_USERS = 10_000


def describe(
    users: int,
    seed: int,
    *,
    locales: tuple[str, ...] | None = None,
    project: SeedFolder | None = None,
) -> str:
    """The population of a data set, as text: expected rows, declarations, distributions.

    The distributions are those of its first `SAMPLE_USERS` users.

    Raises:
        UsageError: a number or locale that makes no sense.
        ConfigurationError: the declarations say what they must not.
    """
    spec = dataset_spec(users, seed, locales, project)
    declared = spec.population.declared
    sample = replace(spec.population, users=min(users, SAMPLE_USERS), _entities={})
    # Moments alone are worked out, and no database says what their types are.
    moment = PgType("timestamptz")
    tables = Tables(sample, defaultdict(lambda: defaultdict(lambda: moment)))
    for table in declared.tables.values():
        if not table.is_global:
            tables.count(table.name)
    file = declared.file
    parts = [
        f"{users:,} users, seed {seed}, {file.days} days from {file.start}",
        "Expected rows\n"
        + "\n".join(f"  {name:<26} {rows:>14,}" for name, rows in spec.rows_by_table.items()),
        f"Declared ({FILE})\n"
        + "\n".join(f"  {name:<32} {_shown(value)}" for name, value in _fields(file)),
        *("\n".join(_table(table)) for table in declared.tables.values()),
        f"Distributions of the first {sample.users:,} users",
        *(drawn(histogram) for histogram in tables.histograms()),
    ]
    return "\n\n".join(parts)


def _fields(struct: Any) -> list[tuple[str, object]]:
    plain = (str, int, float, tuple)
    return [
        (name, value)
        for name in struct.__struct_fields__
        if isinstance(value := getattr(struct, name), plain) or name == "start"
    ]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(str(one) for one in value)
    return str(value)


def _table(table: Table) -> Iterator[str]:
    """A table's declaration: whose rows, how many, and each column."""
    whose = f", owned by {table.owner}" if table.owner else ""
    yield f"{table.name}: {table.shape.value}{whose}"
    rows = table.file.rows
    said = str(rows) if isinstance(rows, int) else _given(rows)
    yield f"  {'rows':<30} {said}"
    for name, column in table.file.columns.items():
        yield f"  {name:<30} {column if isinstance(column, str) else _given(column)}"


def _given(struct: Any) -> str:
    """The keys of a declaration that were given."""
    defaults = {one.name: one.default for one in msgspec.structs.fields(type(struct))}
    found = (
        (name, getattr(struct, name))
        for name in struct.__struct_fields__
        if getattr(struct, name) != defaults[name]
    )
    return ", ".join(
        f"{name} {value if not isinstance(value, dict) else _weights(value)}"
        for name, value in found
    )


def _weights(value: dict[str, Any]) -> str:
    return ", ".join(f"{key} {weight}" for key, weight in value.items())
