"""What one declaration of the population says of another: tables, columns, rows that are looked up.

Pure. The first mistake is named, with its key.
"""

from __future__ import annotations

from collections.abc import Iterator

from phasegate.model.errors import ConfigurationError
from phasegate.project.declared import (
    FILE,
    IN_TEXT,
    NOTHING,
    Declared,
    Shape,
    Table,
    names_in,
    plain,
    refuse,
)
from phasegate.project.population_columns import ANYWHERE, ColumnFile, drawn_in

Place = tuple[str, str]
SIBLINGS = ("copy", "after", "if_null", "same_as", "base")
"""Options that name another column of the row."""


def check(declared: Declared) -> None:
    """Check the tables, then each column, then that no column asks itself.

    Raises:
        ConfigurationError: the first mistake, with its key.
    """
    _check_todo(declared)
    _check_users(declared)
    for table in declared.tables.values():
        _check_rows(table)
    _check_destinations(declared)
    for table, name, column in declared.columns():
        key = f"tables.{table.name}.columns.{name}"
        if isinstance(column, str):
            _check_word(table, column, key)
        else:
            _check_column(declared, table, column, key)
    _check_cycles(declared)


def _check_todo(declared: Declared) -> None:
    """Name all at once what is still to be said."""
    left = [
        f"{FILE}: tables.{table.name}.columns.{name}: {column.todo}"
        for table, name, column in declared.columns()
        if isinstance(column, ColumnFile) and column.todo
    ]
    if left:
        raise ConfigurationError(
            "\n".join([*left, f"{len(left)} columns are still to be declared"]),
            untouched=NOTHING,
            then="Replace each todo, or say skip = true in its table",
        )


def _check_users(declared: Declared) -> None:
    users = declared.tables[declared.users_table]
    key = f"tables.{users.name}.columns.{declared.users_key}"
    if users.file.columns.get(declared.users_key) not in ("uuid4", "identity"):
        refuse(key, "the users' key, which tokens carry, must be 'uuid4' or 'identity'")


def _check_rows(table: Table) -> None:
    key = f"tables.{table.name}"
    of_life = table.shape in (Shape.EVENTS, Shape.MANY)
    if of_life and table.file.when not in (None, "life"):
        refuse(f"{key}.when", "rows with a `mean` are spread over their owner's life")
    if table.is_of_event and table.file.when == "life":
        refuse(f"{key}.when", "an event has no life: 'with owner', or { median_h = … }")
    if table.file.when is not None and not (of_life or table.shape in (Shape.FEW, Shape.CHILDREN)):
        refuse(f"{key}.when", "is for tables that have an owner")


def _check_destinations(declared: Declared) -> None:
    seen: dict[str, str] = {}
    for table in declared.tables.values():
        for name in table.destinations:
            if name in seen:
                refuse(f"tables.{table.name}.also_into", f"{name!r} gets rows of {seen[name]!r}")
            seen[name] = table.name
        strangers = {plain(one) for one in table.file.monthly_partitions} - {*table.destinations}
        if strangers:
            key = f"tables.{table.name}.monthly_partitions"
            refuse(key, f"{min(strangers)!r} is neither this table nor one of `also_into`")


def _check_word(table: Table, word: str, key: str) -> None:
    if word == "snowflake" and table.shape in (Shape.REFERENCE, Shape.CHILDREN):
        refuse(key, "'snowflake' is for rows with a moment of their own; 'identity' does here")
    if word == "locale" and table.is_global:
        refuse(key, "a reference row has no user, and so no locale")


def _check_column(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    _check_siblings(table, column, key)
    if column.unique == "owner" and not table.owner:
        refuse(f"{key}.unique", f"{table.name!r} has no owner: say `unique = true`")
    if column.ref:
        _check_ref(declared, table, column, key)
    elif column.same_as or column.within or column.prefer != "any":
        refuse(key, "`same_as`, `within` and `prefer` belong to `ref`")
    if column.after:
        _check_after(table, column, key)
    if column.range is not None and column.range.start:
        _check_moment(table, column.range.start, f"{key}.range.start")
    _check_parts(declared, table, column, key)


def _check_parts(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    if column.text is not None:
        _check_text(declared, table, column.text, f"{key}.text")
    if column.function and declared.code is None:
        refuse(f"{key}.function", "there is no seed/columns.py that it could be in")
    if isinstance(column.array, ColumnFile):
        _check_element(declared, table, column.array, f"{key}.array")
    elif column.array not in (None, "random"):
        refuse(f"{key}.array", "must be a table of keys, as { choice = [1, 2] }")
    for path, drawn in drawn_in(column.json or {}):
        _check_element(declared, table, drawn, f"{key}.json.{path}")


def _check_siblings(table: Table, column: ColumnFile, key: str) -> None:
    for option in (*SIBLINGS, "sum", "product"):
        given = getattr(column, option)
        for name in (given,) if isinstance(given, str) else given:
            if name and name not in table.file.columns:
                refuse(f"{key}.{option}", f"{table.name!r} has no column {name!r}")


def _check_moment(table: Table, name: str, key: str) -> None:
    if name not in table.file.columns:
        refuse(key, f"{table.name!r} has no column {name!r}")
    if not _is_moment(table.file.columns[name]):
        refuse(key, f"{name!r} is no moment: 'created', `after`, `between` or `every_h`")


def _check_after(table: Table, column: ColumnFile, key: str) -> None:
    columns = table.file.columns
    _check_moment(table, column.after, f"{key}.after")
    other = column.otherwise
    if other is not None and not (isinstance(other, str) and _is_moment(columns.get(other))):
        refuse(f"{key}.otherwise", f"{other!r} is no column with a moment")


def _check_element(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    is_template = column.json is not None and not key.endswith(".array")
    others = ("array", *SIBLINGS, "sum", "product")
    if is_template or any(getattr(column, kind) for kind in others):
        refuse(key, "takes `choice`, `share`, a number, `text`, `value`, `ref` and the like")
    if column.function or column.by_number or column.unique:
        refuse(key, "takes no `function`, `by_number` or `unique`")
    if column.null_share:
        refuse(f"{key}.null_share", "is for whole columns")
    _check_column(declared, table, column, key)


def _is_moment(column: ColumnFile | str | None) -> bool:
    if not isinstance(column, ColumnFile):
        return column == "created"
    return bool(column.after or column.between or column.every_h)


def _check_text(declared: Declared, table: Table, text: str, key: str) -> None:
    for name in names_in(text):
        if not name:
            refuse(key, "{} needs a name: of a vocabulary, `number` or `id`")
        if name in IN_TEXT and name in declared.file.vocabularies:
            refuse(f"vocabularies.{name}", "is a name that texts have for numbers")


def _check_ref(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    name, target_column = declared.target(column.ref)
    target = declared.tables.get(name)
    if target is None:
        refuse(f"{key}.ref", f"there is no table {name!r}")
    if target_column not in target.file.columns:
        refuse(f"{key}.ref", f"{name!r} has no column {target_column!r}")
    is_above = name in table.ancestors and not column.within
    if column.unique and (is_above or column.same_as):
        refuse(f"{key}.unique", "rows of an owner all have the same one there")
    if column.same_as:
        _check_same(declared, table, column, key)
    else:
        _check_within(declared, table, target, column, key)


def _check_within(
    declared: Declared, table: Table, target: Table, column: ColumnFile, key: str
) -> None:
    name = target.name
    if column.within == ANYWHERE:
        if target.is_global:
            refuse(f"{key}.within", f"rows of {name!r} are nobody's: leave `within` out")
    elif column.within:
        within = plain(column.within)
        if within not in table.ancestors or within not in target.ancestors:
            refuse(f"{key}.within", f"{within!r} is not above both {name!r} and {table.name!r}")
    elif not _shares_an_owner(declared, table, target):
        refuse(
            f"{key}.ref",
            f'{name!r} and {table.name!r} share no owner: say `within = "*"` for any row',
        )


def _shares_an_owner(declared: Declared, table: Table, target: Table) -> bool:
    is_above = target.name in (table.name, *table.ancestors)
    return is_above or target.is_global or common(declared, table, target) is not None


def _check_same(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    other = table.file.columns[column.same_as]
    target = declared.target(column.ref)[0]
    if not isinstance(other, ColumnFile) or declared.target(other.ref)[0] != target:
        refuse(f"{key}.same_as", f"{column.same_as!r} has no `ref` to {target!r}")
    if column.null_share or column.within:
        refuse(key, f"`null_share` and `within` are those of {column.same_as!r}")


def common(declared: Declared, table: Table, target: Table) -> str | None:
    """The nearest row above `target` that rows of `table` belong to as well.

    A row that has a user belongs to the group that took that user, too.
    """
    mine = {table.name, *table.ancestors}
    if not table.is_global:
        mine |= {one.name for one in declared.tables.values() if one.shape is Shape.GROUPS}
    return next((name for name in target.ancestors if name in mine), None)


def _check_cycles(declared: Declared) -> None:
    asks = {
        (table.name, name): list(_asked(declared, table, column))
        for table, name, column in declared.columns()
    }
    done: set[Place] = set()

    def visit(place: Place, path: tuple[Place, ...]) -> None:
        if place in path:
            chain = " → ".join(f"{table}.{column}" for table, column in (*path, place))
            refuse(f"tables.{place[0]}.columns.{place[1]}", f"a cycle: {chain}")
        if place not in done:
            for other in asks[place]:
                visit(other, (*path, place))
            done.add(place)

    for place in asks:
        visit(place, ())


def _asked(declared: Declared, table: Table, column: ColumnFile | str) -> Iterator[Place]:
    if isinstance(column, str):
        return
    if column.ref:
        yield declared.target(column.ref)
    start = column.range.start if column.range is not None else ""
    given = [getattr(column, option) for option in SIBLINGS]
    for name in (*given, *column.sum, *column.product, start):
        if name:
            yield table.name, name
    if column.after and isinstance(column.otherwise, str):
        yield table.name, column.otherwise
    elements = [drawn for _, drawn in drawn_in(column.json or {})]
    if isinstance(column.array, ColumnFile):
        elements.append(column.array)
    for element in elements:
        yield from _asked(declared, table, element)
