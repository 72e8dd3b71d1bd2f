"""What one declaration of the population says of another: tables, columns, rows that are looked up.

Pure. The first mistake is named, with its key.
"""

from __future__ import annotations

from collections.abc import Iterator

from phasegate.project.declared import (
    IN_TEXT,
    KEPT,
    Declared,
    Shape,
    Table,
    names_in,
    plain,
    refuse,
)
from phasegate.project.population import ColumnFile

Place = tuple[str, str]


def check(declared: Declared) -> None:
    """Check the tables, then each column, then that no column asks itself.

    Raises:
        ConfigurationError: the first mistake, with its key.
    """
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


def _check_users(declared: Declared) -> None:
    users = declared.tables[declared.users_table]
    key = f"tables.{users.name}.columns.{declared.users_key}"
    if users.file.columns.get(declared.users_key) not in ("uuid4", "identity"):
        refuse(key, "the users' key, which tokens carry, must be 'uuid4' or 'identity'")


def _check_rows(table: Table) -> None:
    key = f"tables.{table.name}"
    if table.shape is Shape.EVENTS and table.file.when not in (None, "life"):
        refuse(f"{key}.when", "rows with a `mean` are spread over their owner's life")
    if table.shape is Shape.CHILDREN and table.file.when == "life":
        refuse(f"{key}.when", "an event has no life: 'with owner', or { median_h = … }")
    if table.file.when is not None and table.shape not in (
        Shape.FEW,
        Shape.EVENTS,
        Shape.CHILDREN,
    ):
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
    if word == "number" and table.shape is Shape.EVENTS:
        refuse(key, "rows with a `mean` are not numbered within their owner")
    if word == "locale" and table.shape is Shape.REFERENCE:
        refuse(key, "a reference row has no user, and so no locale")


def _check_column(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    _check_siblings(table, column, key)
    if column.ref:
        _check_ref(declared, table, column, key)
    elif column.same_as or column.within or column.prefer != "any":
        refuse(key, "`same_as`, `within` and `prefer` belong to `ref`")
    if column.after:
        _check_after(table, column, key)
    if column.text is not None:
        _check_text(declared, table, column.text, f"{key}.text")
    if column.function and declared.code is None:
        refuse(f"{key}.function", "there is no seed/columns.py that it could be in")
    if isinstance(column.array, ColumnFile):
        _check_element(declared, table, column.array, f"{key}.array")
    elif column.array is not None:
        refuse(f"{key}.array", "must be a table of keys, as { choice = [1, 2] }")
    for path, drawn in drawn_in(column.json or {}):
        _check_element(declared, table, drawn, f"{key}.json.{path}")


def _check_siblings(table: Table, column: ColumnFile, key: str) -> None:
    for option in ("copy", "after", "if_null", "same_as"):
        name = getattr(column, option)
        if name and name not in table.file.columns:
            refuse(f"{key}.{option}", f"{table.name!r} has no column {name!r}")


def _check_after(table: Table, column: ColumnFile, key: str) -> None:
    columns = table.file.columns
    if not _is_moment(columns[column.after]):
        refuse(f"{key}.after", f"{column.after!r} is no moment: 'created', or another `after`")
    other = column.otherwise
    if other is not None and not (isinstance(other, str) and _is_moment(columns.get(other))):
        refuse(f"{key}.otherwise", f"{other!r} is no column with a moment")


def _check_element(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    if column.json is not None or column.array is not None or column.function or column.after:
        refuse(key, "takes `choice`, `share`, a number, `text`, `value` or `ref`")
    if column.null_share:
        refuse(f"{key}.null_share", "is for whole columns")
    _check_column(declared, table, column, key)


def _is_moment(column: ColumnFile | str | None) -> bool:
    return column == "created" or (isinstance(column, ColumnFile) and bool(column.after))


def _check_text(declared: Declared, table: Table, text: str, key: str) -> None:
    for name in names_in(text):
        if not name:
            refuse(key, "{} needs a name: of a vocabulary, `number` or `id`")
        if name == "number" and table.shape is Shape.EVENTS:
            refuse(key, "rows with a `mean` are not numbered within their owner: take {id}")
        if name in IN_TEXT and name in declared.file.vocabularies:
            refuse(f"vocabularies.{name}", "is a name that texts have for numbers")


def _check_ref(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    name, target_column = declared.target(column.ref)
    target = declared.tables.get(name)
    if target is None:
        refuse(f"{key}.ref", f"there is no table {name!r}")
    if target_column not in target.file.columns:
        refuse(f"{key}.ref", f"{name!r} has no column {target_column!r}")
    if column.same_as:
        _check_same(declared, table, column, key)
    elif column.within:
        within = plain(column.within)
        if within not in table.ancestors or within not in target.ancestors:
            refuse(f"{key}.within", f"{within!r} is not above both {name!r} and {table.name!r}")
        _check_kept(target, key)
    elif name == table.name:
        _check_own(table, column, key)
    elif name not in table.ancestors and target.shape is not Shape.REFERENCE:
        _check_kept(target, key)
        if common(table, target) is None:
            refuse(f"{key}.ref", f"{name!r} and {table.name!r} share no owner")


def _check_kept(target: Table, key: str) -> None:
    if target.shape not in KEPT:
        refuse(f"{key}.ref", f"rows of {target.name!r} cannot be looked up: make it the `owner`")


def _check_same(declared: Declared, table: Table, column: ColumnFile, key: str) -> None:
    other = table.file.columns[column.same_as]
    target = declared.target(column.ref)[0]
    if not isinstance(other, ColumnFile) or declared.target(other.ref)[0] != target:
        refuse(f"{key}.same_as", f"{column.same_as!r} has no `ref` to {target!r}")
    if column.null_share or column.within:
        refuse(key, f"`null_share` and `within` are those of {column.same_as!r}")


def _check_own(table: Table, column: ColumnFile, key: str) -> None:
    if table.shape is not Shape.FEW or table.file.when not in (None, "life"):
        refuse(f"{key}.ref", "a row's own table may be named where an owner's rows are few")
    if column.null_share == 0:
        refuse(f"{key}.null_share", "must be above 0: an owner's first row has none before it")


def common(table: Table, target: Table) -> str | None:
    """The nearest row above `target` that rows of `table` belong to as well."""
    mine = {table.name, *table.ancestors}
    return next((name for name in target.ancestors if name in mine), None)


def drawn_in(template: dict[str, object], path: str = "") -> Iterator[tuple[str, ColumnFile]]:
    """The drawn values of a template of json, each with its path."""
    for name, value in template.items():
        if isinstance(value, dict):
            column = as_column(value)
            if column is not None:
                yield f"{path}{name}", column
            else:
                yield from drawn_in(value, f"{path}{name}.")


def as_column(value: dict[str, object]) -> ColumnFile | None:
    """`value` of a template as a column to draw; None where it is an object to write as it is."""
    import msgspec

    try:
        return msgspec.convert(value, ColumnFile, strict=True)
    except msgspec.ValidationError:
        return None


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
    for name in (column.copy, column.after, column.if_null, column.same_as):
        if name:
            yield table.name, name
    if column.after and isinstance(column.otherwise, str):
        yield table.name, column.otherwise
    elements = [drawn for _, drawn in drawn_in(column.json or {})]
    if isinstance(column.array, ColumnFile):
        elements.append(column.array)
    for element in elements:
        yield from _asked(declared, table, element)
