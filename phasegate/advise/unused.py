"""Candidates that take an index away: one that nothing used, and one that another one replaces.

Pure. Whether an index was used is what the server counted; on our own copy, under the project's own
sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from phasegate.advise.candidate import (
    LOCK_TIMEOUT,
    RESET,
    WAITS,
    Candidate,
    Kind,
    named,
    write_cost,
)
from phasegate.advise.draws import Drawn, rows_of
from phasegate.advise.schema import Index, Table
from phasegate.advise.statements import Seen
from phasegate.advise.world import World
from phasegate.stack.database import literal

BIASED = (
    "it is a {method} index on a table with row-level security, whose operators are not leakproof: "
    "no user's statement can use it"
)


def droppable(world: World) -> Iterator[Candidate]:
    """Duplicates first: of two alike, the one that is no constraint's."""
    for table in world.schema.tables.values():
        if table.partitioned:
            continue  # what is scanned are the indexes of its partitions
        twins = _duplicates(table)
        for index, other in twins.items():
            why = f"{other} has the same keys, or begins with them"
            yield _dropping(world, table, index, "duplicate index", why)
        for index in table.indexes:
            if index not in twins and _unused(table, index):
                why = "no statement used it"
                made = _dropping(world, table, index, "unused index", why)
                if index.method == "gin" and table.guarded:
                    made = replace(made, note=BIASED.format(method="GIN"))
                yield made


def _unused(table: Table, index: Index) -> bool:
    """Whether nothing asked it, and nothing needs it: no constraint, no reference."""
    if index.scans or index.is_unique or index.of_constraint:
        return False
    return not any(index.keys[: len(key.columns)] == key.columns for key in table.foreign)


def _duplicates(table: Table) -> dict[Index, str]:
    found: dict[Index, str] = {}
    for index in sorted(table.indexes, key=lambda each: each.scans):
        if index.of_constraint or index.is_unique or None in index.keys:
            continue
        for other in table.indexes:
            if other is index or other in found or other.method != index.method:
                continue
            same = other.keys == index.keys and other.descending == index.descending
            begins = index.method == "btree" and (
                other.keys[: len(index.keys)] == index.keys
                and other.descending[: len(index.keys)] == index.descending
            )
            if (same or begins) and other.predicate == index.predicate and not index.includes:
                if (
                    same
                    and "gin" in index.method
                    and index.definition.split("(")[1:] != other.definition.split("(")[1:]
                ):
                    continue
                found[index] = other.name
                break
    return found


def _read_by(world: World, table: Table, index: Index) -> Seen | None:
    """The most costly read of a client that asks for the index's first column, else of the table.

    None where none reads the table.
    """

    def asks_for_it(seen: Seen) -> bool:
        found = (each for each in world.found[seen.text] if each.table.key == table.key)
        columns = {column for each in found for column in each.asked}
        return not seen.writes and index.keys[0] in columns

    asks = max(filter(asks_for_it, world.asked), key=lambda seen: seen.total_ms, default=None)
    return asks or world.asking(table.key, reads=True)


def _dropping(world: World, table: Table, index: Index, kind: Kind, why: str) -> Candidate:
    """Its arms read, as nothing may become slower; what it saves is a write's and the disk's."""
    seen, writer = _read_by(world, table, index), world.inserting(table.key)
    costs: list[dict[str, object]] = [
        {"probe": "relation_size", "title": "index size", "relation": index.qualified,
         "of": table.qualified}
    ]  # fmt: skip
    if seen is not None:
        drawn = world.drawn(seen)
        said = f"-- As the app asks.\n{seen.text}"
    else:
        drawn = Drawn(rows_of(world.schema, table, world.users, {}), ())
        said = f"-- Any rows.\nselect * from {table.qualified} limit 100"
    # In files of two names: the index is dropped in the block of `after`, never built for `before`.
    files = {
        "before.sql": said,
        "after.sql": said,
        "dropped.sql": f"-- Rolled back after each block.\ndrop index if exists {index.qualified}",
        "migration.sql": (
            f"-- The index {index.name} goes. Reads and writes go on meanwhile.\n-- {WAITS}\n"
            f"{LOCK_TIMEOUT}\ndrop index concurrently if exists {index.qualified};\n{RESET}"
        ),
        "undo.sql": (
            f"-- Undo: the index is built again.\n{LOCK_TIMEOUT}\n"
            f"drop index concurrently if exists {index.qualified};\n"
            f"{_concurrently(index.definition)};\n{RESET}"
        ),
        "present.sql": (
            f"-- Whether the index is gone.\nselect to_regclass({literal(index.qualified)}) is null"
        ),
    }
    draw = drawn.sql
    if writer is not None:
        written = world.drawn_beside(draw, writer)
        draw = written.sql
        files["insert.sql"] = f"-- A new row, as the app writes it.\n{writer.text}"
        costs.append(write_cost(table, written))
    files["draw.sql"] = f"-- Parameters, drawn by the columns that they are compared with.\n{draw}"
    technique: dict[str, object] = {
        "title": f"Without index {index.name} on {table.name}",
        "cost": "a statement that nobody has seen yet may miss it",
        "same_rows": False,
        "parameters": list(drawn.names),
        "before": {"title": "with the index", "query": "before.sql"},
        "after": {"title": "without", "query": "after.sql", "arrange": "dropped.sql"},
        "costs": costs,
    }
    return Candidate(
        id=named("drop", index.name), kind=kind, table=table.key,
        title=f"Drop index {index.name}",
        why=f"{why}; {index.bytes / 1e6:,.1f} MB where that was seen",
        technique=technique, files=files, seen=seen, calls=seen.calls if seen else 0,
        note="" if seen else "no statement that was seen reads the table",
    )  # fmt: skip


def _concurrently(definition: str) -> str:
    return definition.replace("CREATE INDEX ", "create index concurrently ", 1)
