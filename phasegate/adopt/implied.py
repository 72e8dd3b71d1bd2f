"""References that the schema does not declare, but names say: a column named after a table.

Pure. Some tools leave foreign keys out of the database and check them in the app; without them
every table would be a list that belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from phasegate.adopt.shape import Column, ForeignKey, Place, Shape, Table
from phasegate.adopt.texts import snake
from phasegate.adopt.users import plain_name

IMPLIED = "named after it"
"""What stands for the name of a foreign key that nobody declared."""


def with_implied_keys(shape: Shape) -> Shape:
    """`shape` with a key for each column named after a table, of the type of its key."""
    by_name: dict[str, Table] = {}
    for table in shape.tables.values():
        if table.kind != "f" and _key(table) is not None:
            by_name.setdefault(plain_name(table.place[1]), table)
    tables: dict[Place, Table] = {}
    for place, table in shape.tables.items():
        more = tuple(_implied(table, by_name))
        tables[place] = replace(table, foreign_keys=(*table.foreign_keys, *more)) if more else table
    return replace(shape, tables=tables)


def _key(table: Table) -> Column | None:
    """The primary key, where it is of one column."""
    key = table.primary
    return table.by_name[key.columns[0]] if key is not None and len(key.columns) == 1 else None


def _implied(table: Table, by_name: dict[str, Table]) -> Iterator[ForeignKey]:
    declared = {name for key in table.foreign_keys for name in key.columns}
    checked = {name for check in table.checks for name in check.columns}
    for column in table.columns:
        plain = snake(column.name)
        if column.name in declared | checked or not plain.endswith("_id") or column.generated:
            continue
        target = by_name.get(plain_name(plain.removesuffix("_id")))
        key = None if target is None else _key(target)
        if target is None or key is None or target.place == table.place:
            continue
        if key.type.name == column.type.name:
            yield ForeignKey(f"{IMPLIED}: {column.name}", (column.name,), target.place, (key.name,))
