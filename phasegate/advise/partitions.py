"""Candidates that partition a growing log by month.

Pure. Looked for where a statement asks for a range of time in a table whose rows lie in that order,
and for nothing else that an index finds: a hot indexed read gains nothing from partitions. The
migration moves no row, so what it would do is measured on a copy that is partitioned throughout,
and driven on one.
"""

# ruff: noqa: S608
# Composing statements is this module's work: identifiers are quoted, values are literals or bound.

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from phasegate.advise.access import Access
from phasegate.advise.candidate import Candidate, named
from phasegate.advise.indexes import CORRELATION_MIN
from phasegate.advise.policies import created
from phasegate.advise.schema import Index, Table, quoted, sql
from phasegate.advise.statements import Seen, written
from phasegate.advise.world import World
from phasegate.project.technique import THROUGHOUT, THROUGHOUT_UNDO
from phasegate.stack.database import literal

COPIES = "phasegate_bench"
"""Schema of the copies that are measured; gone again with the technique's teardown."""

MOMENT = "timestamp with time zone"

LATER = (
    "measured as if all rows lay in partitions: the migration moves none, so reads gain from the "
    "first new month on, and a month must be made ahead every month"
)


def partitions(world: World) -> Iterator[Candidate]:
    """For each log, the most costly statement that asks for a range of its time alone."""
    made: set[str] = set()
    for seen in sorted(world.asked, key=lambda each: -each.total_ms):
        for access in world.found[seen.text]:
            table, column = access.table, _ranged(access)
            if (
                column
                and table.key not in made
                and _can_be(world, table, column)
                and not seen.writes
            ):
                made.add(table.key)
                yield _candidate(world, table, column, seen)


def _ranged(access: Access) -> str:
    """The column of time that rows are chosen by, where nothing else chooses them; else empty."""
    if access.columns("=", "any"):
        return ""
    for name in access.columns("<", ">"):
        column = access.table.columns[name]
        if column.type == MOMENT and abs(column.correlation or 0.0) >= CORRELATION_MIN:
            return name
    return ""


def _can_be(world: World, table: Table, column: str) -> bool:
    """Whether the migration can be written: a key, no gap in time, names that need no quotes.

    And nothing hangs on the table that would not go over to the new one.
    """
    names = (table.schema, table.name, column, *table.primary)
    plain = all(quoted(name) == name for name in names)
    referred = any(
        key.target == table.key for other in world.schema.tables.values() for key in other.foreign
    )
    return (
        plain
        and bool(table.primary)
        and not (table.partitioned or table.bound or referred)
        and not table.columns[column].nullable
    )


def _candidate(world: World, table: Table, column: str, seen: Seen) -> Candidate:
    id_ = named("partition", table.name, "by_month")
    copy = f"{COPIES}.{table.name}"
    drawn = world.drawn(seen)
    title = f"Partitions of {table.name} by month of {column}"
    return Candidate(
        id=id_, kind="partitions", table=table.key, title=title,
        why=f"asked {seen.calls:,} times for a range of {column}, {seen.mean_ms:.1f} ms each",
        technique={
            "title": title,
            "cost": "partitions must be made ahead; keys must contain the month's column",
            "parameters": list(drawn.names), "same_rows": False,
            "before": {"title": "flat"}, "after": {"title": "partitioned"},
            "costs": [{"probe": "relation_size", "title": "partitioned size", "relation": copy,
                       "of": table.qualified}],
        },
        files={
            "before.sql": f"-- As the app asks.\n{seen.text}",
            "after.sql": f"-- The same of a copy in partitions.\n{_of_copy(seen, table)}",
            "draw.sql": f"-- Parameters, drawn by the columns they are compared with.\n{drawn.sql}",
            "setup.sql": _setup(table, column, copy),
            "teardown.sql": f"-- The copy goes.\ndrop table if exists {copy} cascade",
            "migration.sql": _filled("by_month", table, column),
            "undo.sql": _filled("by_month_undo", table, column),
            THROUGHOUT: _filled("by_month", table, column)
            + _filled("by_month_throughout", table, column),
            THROUGHOUT_UNDO: _filled("by_month_throughout_undo", table, column),
            "present.sql": (
                "-- Whether it is partitioned.\nselect exists (\n"
                "    select from pg_catalog.pg_class\n"
                f"    where oid = to_regclass({literal(table.qualified)}) and relkind = 'p'\n)"
            ),
        },
        seen=seen, calls=seen.calls, covered_by=_partitioning(world, table), note=LATER,
    )  # fmt: skip


def _filled(name: str, table: Table, column: str) -> str:
    said = {"schema": table.schema, "table": table.name, "column": column,
            "keys": ", ".join(key for key in table.primary if key != column),
            "columns": _written_columns(table)}  # fmt: skip
    return re.sub(r"@(\w+)@", lambda found: said[found[1]], sql(name))


def _written_columns(table: Table) -> str:
    """All but those that the server makes of others."""
    return ", ".join(quoted(c.name) for c in table.columns.values() if not c.generated)


def _of_copy(seen: Seen, table: Table) -> str:
    assert seen.tree is not None  # noqa: S101 - what was asked was read; tells the type checker
    tree = seen.tree.copy()
    for each in tree.find_all(exp.Table):
        if each.name == table.name and each.db in ("", table.schema):
            alias = each.alias_or_name
            each.set("db", exp.to_identifier(COPIES))
            each.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return written(tree)


def _setup(table: Table, column: str, copy: str) -> str:
    """A copy with the same rows, indexes, rights and policies."""
    lines = [
        f"-- A copy of {table.name} in partitions by month: what the other arm reads.",
        f"create schema if not exists {COPIES};",
        f"grant usage on schema {COPIES} to authenticated, service_role;",
        f"create table {copy} (like {table.qualified} including defaults including generated)",
        f"    partition by range ({column});",
        f"create table {copy}_default partition of {copy} default;",
        "do $$",
        "declare",
        "    month timestamptz;",
        "begin",
        "    for month in select generate_series(",
        f"        (select date_trunc('month', min({column})) from {table.qualified}),",
        f"        (select max({column}) from {table.qualified}), interval '1 month'",
        "    ) loop",
        "        execute format(",
        f"            'create table {COPIES}.%I partition of {copy} for values from (%L) to (%L)',",
        f'            to_char(month, \'"{table.name}_p"YYYY"_"MM\'), month,',
        "            month + interval '1 month'",
        "        );",
        "    end loop;",
        "end",
        "$$;",
        f"insert into {copy} ({_written_columns(table)})",
        f"select {_written_columns(table)} from {table.qualified} order by {column};",
        *(f"{_indexed(index, table, copy)};" for index in table.indexes),
        f"grant select on {copy} to authenticated, service_role;",
    ]
    if table.guarded:
        lines += [
            f"alter table {copy} enable row level security;",
            *(created(copy, policy) for policy in table.policies if policy.permissive),
        ]
    return "\n".join([*lines, f"analyze {copy};"])


def _indexed(index: Index, table: Table, copy: str) -> str:
    """The same index there; a unique one of other columns than the month's is plain there."""
    on = re.escape(f" ON {table.qualified} ")
    return re.sub(rf"^CREATE (UNIQUE )?INDEX .*?{on}", f"create index on {copy} ", index.definition)


def _partitioning(world: World, table: Table) -> str:
    """The technique of the project that partitions it; empty if none does."""
    for id_, folder in world.techniques.items():
        said = folder.file.partitions
        if said is not None and table.key in (said.parent, *folder.file.replaces):
            return id_
    return ""
